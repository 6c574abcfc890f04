"""What models are like: context, output limit, modalities and abilities, as data.

The rows of the models that this package knows without asking stand in ``data/models.json``; ``learn`` adds the rows of
``/ai/models``. Prices and quality are the runtime's business.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

from infrai_core.models import ModelInfo

ALIASES = ("auto", "balanced", "cheapest", "smartest")
_learned: dict[str, ModelInfo] = {}
_lock = threading.Lock()


@lru_cache(maxsize=1)
def _shipped() -> dict[str, ModelInfo]:
    rows = json.loads((files("infrai_core") / "data" / "models.json").read_text("utf-8"))
    return {row["id"]: ModelInfo.model_validate(row) for row in rows}


def known(capability: str | None = None) -> list[ModelInfo]:
    """All known models, of one capability where given; learned rows stand before shipped ones."""
    rows = {**_shipped(), **_learned}.values()
    return [row for row in rows if capability in (None, row.capability)]


def learn(rows: Iterable[ModelInfo]) -> None:
    """Adds or replaces rows, such as those of ``client.models()``."""
    with _lock:
        _learned.update({row.id: row for row in rows})


def facts_of(model: str | None, capability: str = "chat") -> ModelInfo:
    """The row of a model.

    Without a model (or for ``auto`` and its kin) the common ground of the models that a route may pick: the smallest
    context and output, and the abilities that all of them have. A model that nobody knows gets a row with its id and
    nothing else, so that no limit is made up.
    """
    if model is None or model in ALIASES:
        return _common_ground(known(capability), model or "auto", capability)
    row = _learned.get(model) or _shipped().get(model)
    return row or ModelInfo(id=model, capability=capability)


def _common_ground(rows: list[ModelInfo], name: str, capability: str) -> ModelInfo:
    contexts = [row.context_window for row in rows if row.context_window]
    outputs = [row.max_output_tokens for row in rows if row.max_output_tokens]
    abilities = set.intersection(*(set(row.abilities) for row in rows)) if rows else set()
    return ModelInfo(
        id=name,
        capability=capability,
        context_window=min(contexts, default=None),
        max_output_tokens=min(outputs, default=None),
        abilities=sorted(abilities),
    )
