"""Names of models as label values of metrics: how many there are is bounded, because callers may make names up."""

from __future__ import annotations

OTHER = "other"
"""Stands for every name beyond the bound."""
MOST = 1000
"""How many models have a label of their own."""


class ModelLabels:
    """The models that were named so far, per vendor."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: set[tuple[str, str]] = set()

    def of(self, vendor: str, model: str) -> str:
        """The label of a vendor's model: its name, or ``OTHER`` once there are too many."""
        key = (vendor, model)
        if key not in self._seen:
            if len(self._seen) >= self._most:
                return OTHER
            self._seen.add(key)
        return model
