"""One thing that the doctor looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """``what`` is in ``state``, as ``detail`` says; ``fix`` is the command that helps. Holds no key, ever."""

    what: str
    state: State
    detail: str
    fix: str | None = None
