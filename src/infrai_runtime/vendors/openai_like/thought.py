"""Thoughts that stand in the text itself, between marks at its beginning
(https://docs.perplexity.ai/docs/sonar/models/sonar-reasoning-pro), whole or in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterator

BEGIN, END = "<think>", "</think>"

Said = tuple[str, str]
"""A kind, ``reasoning`` or ``text``, and what was said."""


class Marked:
    """Tells the thoughts from the text. A text that does not begin with the mark is given out as it came."""

    __slots__ = ("_held", "_kind")

    def __init__(self) -> None:
        self._held = ""
        self._kind = ""

    def feed(self, text: str) -> Iterator[Said]:
        """What can be told after a piece."""
        if self._kind == "text" and not self._held:
            yield "text", text
            return
        self._held += text
        if not self._kind:
            self._begin()
        if self._kind == "reasoning":
            yield from self._thought()
        if self._kind == "gap":
            self._skip()
        if self._kind == "text":
            yield from self._take("text", len(self._held))

    def end(self) -> Iterator[Said]:
        """What was held back for a mark that did not come."""
        yield from self._take(self._kind or "text", len(self._held))

    def _skip(self) -> None:
        """The empty lines between the thoughts and the text are of neither."""
        self._held = self._held.lstrip()
        self._kind = "text" if self._held else "gap"

    def _begin(self) -> None:
        began = self._held.lstrip()
        if began.startswith(BEGIN):
            self._kind, self._held = "reasoning", began[len(BEGIN) :]
        elif not BEGIN.startswith(began):
            self._kind = "text"

    def _thought(self) -> Iterator[Said]:
        thought, mark, rest = self._held.partition(END)
        if not mark:
            yield from self._take("reasoning", len(self._held) - _begun(self._held))
            return
        self._held = thought
        yield from self._take("reasoning", len(thought))
        self._kind, self._held = "gap", rest

    def _take(self, kind: str, length: int) -> Iterator[Said]:
        said, self._held = self._held[:length], self._held[length:]
        if said:
            yield kind, said


def _begun(text: str) -> int:
    """How many characters at the end may be the beginning of the mark."""
    return next((n for n in range(len(END) - 1, 0, -1) if text.endswith(END[:n])), 0)
