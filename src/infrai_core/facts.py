"""What models are like: context, output limit, modalities and abilities, as data.

The models that every runtime has stand in ``data/models.json``. Models of vendors stand in ``data/vendor_models.json``,
which is generated together with the runtime's catalogue (``infrai catalogue refresh``). Models that only a service
knows, such as those of its own catalogue file, are learned when ``client.models()`` lists them. Prices and quality are
the runtime's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any

from infrai_core.locks import lock
from infrai_core.models import ModelInfo

ALIASES = ("auto", "balanced", "cheapest", "smartest")
_learned: dict[str, ModelInfo] = {}
_lock = lock()


@lru_cache(maxsize=2)
def _rows(name: str) -> dict[str, Any]:
    rows = json.loads((files("infrai_core") / "data" / name).read_text("utf-8"))
    return {row["id"]: row for row in rows}


@lru_cache(maxsize=1)
def _everywhere() -> dict[str, ModelInfo]:
    return {model: ModelInfo.model_validate(row) for model, row in _rows("models.json").items()}


@lru_cache(maxsize=64)
def _of_vendors(model: str) -> ModelInfo | None:
    row = _rows("vendor_models.json").get(model)
    return None if row is None else ModelInfo.model_validate(row)


def known(capability: str | None = None) -> list[ModelInfo]:
    """The models that a route may pick on every runtime, of one capability where given. Which vendors a service has is
    not known before it is asked, so models of vendors are not among them."""
    return [row for row in _everywhere().values() if capability in (None, row.capability)]


def learn(rows: Iterable[ModelInfo]) -> None:
    """Remembers the rows that a service listed, for models that nobody else knows. Bare ids teach nothing."""
    told = {row.id: row for row in rows if row.context_window or row.abilities}
    with _lock:
        _learned.update(told)


def facts_of(model: str | None, capability: str = "chat") -> ModelInfo:
    """The row of a model.

    Without a model (or for ``auto`` and its kin) the common ground of the models that a route may pick: the smallest
    context and output, and the abilities that all of them have. A model that nobody knows gets a row with its id and
    nothing else, so that no limit is made up.
    """
    if model is None or model in ALIASES:
        return _common_ground(known(capability), model or "auto", capability)
    row = _everywhere().get(model) or _of_vendors(model) or _learned.get(model)
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
