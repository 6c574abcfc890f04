"""A fault wall that keeps an account: what the vendor charges for every request, whatever becomes of its answer.

It charges as real vendors do: nothing for an error status, what it reports where it reports its usage, and the whole
work of the model where the answer breaks off, never comes, or does not say. With ``keyed`` it honours an idempotency
key: the same answer again, and no second charge.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infrai_runtime.testing.wall import PLAYS, Play, Wall

PROMPT_NANO, COMPLETION_NANO = 1_000, 2_000
"""Per token: 1 and 2 USD per million."""
WORK = {"prompt_tokens": 9, "completion_tokens": 40}
"""What the model really does for an answer whose usage is not told."""
_APART = frozenset({"huge", "http-307", "http-401", "http-402", "http-403"})
QUIET = tuple(name for name in PLAYS if name not in _APART and not name.startswith("stall"))
"""Faults to draw from: stalls wait for the caller's patience, and a refused account rests for all of its calls."""
REFUSING = tuple(name for name in QUIET if name.startswith("http-"))
"""Those that a vendor does not charge for."""
KEY = "idempotency-key"


@dataclass
class Till(Wall):
    """``charged_nano`` is the account; ``charges`` counts them. ``choose(body)`` names the fault of a request; without
    it the model's name does, as on the wall. ``asked(body)`` is called when a request was charged and not yet
    answered."""

    keyed: bool = False
    choose: Callable[[Mapping[str, Any]], str] | None = None
    asked: Callable[[Mapping[str, Any]], None] = lambda body: None
    charged_nano: int = 0
    charges: int = 0
    _answered: dict[str, Play] = field(default_factory=dict)

    def play(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> Play:
        """The answer to a request, which is charged here."""
        key = headers.get(KEY) if self.keyed else None
        if key is not None and key in self._answered:
            return self._answered[key]
        name = str(self.choose(body) if self.choose else body.get("model")).partition("/")[0]
        play = PLAYS.get(name, PLAYS["http-404"])(bool(body.get("stream")))
        if key is not None:
            self._answered[key] = play
        if nano := price(play):
            self.charged_nano += nano
            self.charges += 1
        self.requests.clear()  # a wall remembers them; a till that is asked for hours must not
        self.asked(body)
        return play


def price(play: Play) -> int:
    """What a vendor charges for a play."""
    if play.status >= 300:
        return 0
    usage = _reported(play) or WORK
    return int(usage["prompt_tokens"] * PROMPT_NANO + usage["completion_tokens"] * COMPLETION_NANO)


def _reported(play: Play) -> dict[str, int] | None:
    """The usage that a caller can read in a play: the last one of an answer that comes whole."""
    if play.cut_at is not None or play.end not in ("keep", "close") or not play.head:
        return None
    try:
        body = gzip.decompress(play.body) if dict(play.headers).get("Content-Encoding") else play.body
        told = [row.get("usage") for row in _rows(body.decode(), play.mime) if isinstance(row, dict)]
    except (ValueError, EOFError, OSError, zlib.error):
        return None
    return next((usage for usage in reversed(told) if usage), None)


def _rows(text: str, mime: str) -> list[Any]:
    if mime != "text/event-stream":
        return [json.loads(text)]
    data = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in data if line != "[DONE]"]


def at_random(seed: int, faults: Sequence[str] = QUIET, share: float = 0.3) -> Callable[[Mapping[str, Any]], str]:
    """A ``choose`` that lets ``share`` of the requests fail in one of these ways, and answers the rest."""
    chance = random.Random(seed)
    return lambda body: chance.choice(faults) if chance.random() < share else "ok"
