"""Quality tiers: this project's own estimates, by model family, from ``data/tiers.toml``. No score is measured here."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any

from infrai_runtime.catalogue import canonical

Tiers = dict[str, int]


def tiers_of(capability: str, model_id: str) -> tuple[Tiers, str]:
    """Task -> tier from 0 to 100, and why, in one line. The first family whose pattern the model's name has decides."""
    name = canonical(model_id)
    families = _table()["family"]
    found = next((f for f in families if capability in f["for"] and re.search(f["match"], name)), None)
    row = found or _table()["unknown"]
    return _spread(row, capability), row["reason"]


def _spread(row: dict[str, Any], capability: str) -> Tiers:
    """The family's general tier, and where a chat model is better or worse at a task."""
    general = row["general"]
    if capability not in ("chat", "vision"):
        return {"general": general}
    shifts = {task: row.get(task, 0) for task in ("reasoning", "coding", "long_context")}
    return {"general": general} | {task: max(0, min(100, general + shift)) for task, shift in shifts.items()}


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files("infrai_runtime").joinpath("data/tiers.toml").read_text("utf-8"))
