"""What the parts of the demo share: the passages, one ledger, and how things are printed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from infrai_cli.demo.document import Passage
from infrai_cli.screen import COLUMNS, cut, pad, paint, table, width, wrapped
from infrai_core import Entry, InfraiError, Ledger

FOUND = 3
"""How many passages are given to the model with a question."""
_BATCH = 32
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n")
_SHORTEST_QUOTE = 8


@dataclass
class Stage:
    """The passages, the service, and the ledger that all clients of the demo write to."""

    passages: Sequence[Passage]
    base_url: str
    embedding: str
    model: str | None = None
    ledger: Ledger = field(default_factory=Ledger)
    _names: list[str] = field(default_factory=list)
    _headings: int = 0

    def heading(self, text: str) -> None:
        """Begins a part."""
        self._headings += 1
        print(f"\n{paint(f'{self._headings}  {text}', 'bold')}", flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """The calls made inside are shown under this name. An error ends the line that was being printed."""
        try:
            yield
        except BaseException:
            print(flush=True)
            raise
        self._names += [name] * (len(self.ledger.rows) - len(self._names))

    def index(self, name: str, add: Callable[[Sequence[Passage]], object]) -> None:
        """Gives the passages to ``add`` in batches, and tells how far it is."""
        begun = time.perf_counter()
        print("  indexing:", end="", flush=True)
        with self.step(f"{name} index"):
            for start in range(0, len(self.passages), _BATCH):
                batch = self.passages[start : start + _BATCH]
                add(batch)
                print(f" {start + len(batch)}", end="", flush=True)
        print(f" of {len(self.passages)} passages in {time.perf_counter() - begun:.1f} s", flush=True)

    def tell_question(self, question: str) -> None:
        """Shows a question."""
        lines = [*wrapped(question, COLUMNS - 4)]
        print(f"\n  {paint('Q', 'cyan')} " + "\n    ".join(lines), flush=True)

    def tell_sources(self, answer: str, found: Iterable[tuple[str, str]]) -> None:
        """Shows ``(source, text)`` of the passages that were given to the model, and which one was quoted."""
        for number, (source, text) in enumerate(found, 1):
            mark = "quoted" if is_quoted(answer, text) else ""
            print(paint(f"      [{number}] {pad(cut(source, 78), 78)}  {mark}".rstrip(), "dim"), flush=True)

    def tell_calls(self, seconds: float) -> None:
        """The table of all calls, and their sum."""
        self.heading("What every call used and cost")
        head = ("#", "call", "vendor", "model", "tokens in", "out", "cost", "ms", "cached")
        rows = self.ledger.rows
        lines = [_line(n, name, row) for n, (name, row) in enumerate(zip(self._names, rows, strict=True), 1)]
        print("\n" + table(head, lines, right=(0, 4, 5, 6, 7)))
        total = self.ledger.total
        unpriced = f", {total.unpriced_calls} of unknown cost" if total.unpriced_calls else ""
        print(
            f"\n{total.calls} calls, {total.prompt_tokens:,} tokens in, {total.completion_tokens:,} out, "
            f"{_usd(total.cost_usd)}{unpriced}; {seconds:.1f} s in all"
        )


def _line(number: int, name: str, row: Entry) -> tuple[str, ...]:
    return (
        str(number),
        f"{name}: {row.capability}",
        row.vendor or "unknown",
        row.model or "unknown",
        f"{row.prompt_tokens:,}",
        f"{row.completion_tokens:,}",
        _usd(row.cost_usd),
        "" if row.latency_ms is None else f"{row.latency_ms:.0f}",
        "yes" if row.cache_hit else "no",
    )


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"${amount.normalize():f}"


def is_quoted(answer: str, text: str) -> bool:
    """Whether a sentence of the answer stands in the text, as it is but for spaces and the full stop."""
    sentences = (" ".join(part.split()).rstrip(".。") for part in _SENTENCE_END.split(answer))
    plain = " ".join(text.split())
    return any(len(sentence) >= _SHORTEST_QUOTE and sentence in plain for sentence in sentences)


_ROOM = COLUMNS - 4


class Typewriter:
    """Prints the pieces of an answer as they come, within 100 columns, and keeps them."""

    def __init__(self) -> None:
        self._column = 0
        self._gap = 0
        """Spaces that are printed only when a word follows them on the line."""
        self._pieces: list[str] = []

    def write(self, piece: str) -> None:
        """Prints one piece. Lines break at spaces, and between any two characters where there is none."""
        if not piece:
            return
        if not self._pieces:
            print(f"  {paint('A', 'green')} ", end="")
        self._pieces.append(piece)
        for word in re.findall(r"\n|[^\S\n]|\S+", piece):
            self._put(word)
        print(end="", flush=True)

    def _put(self, word: str) -> None:
        if word == "\n" or self._column + self._gap + width(word) > _ROOM >= width(word):
            self._break()
        if word.isspace():
            self._gap += 1 if self._column else 0
            return
        print(" " * self._gap, end="")
        self._column += self._gap
        self._gap = 0
        for char in word:
            if self._column + width(char) > _ROOM:
                self._break()
            print(char, end="")
            self._column += width(char)

    def _break(self) -> None:
        print("\n    ", end="")
        self._column = self._gap = 0

    def end(self) -> str:
        """Ends the line; everything that was written. Raises ``InfraiError`` when there was nothing."""
        print(flush=True)
        text = "".join(self._pieces)
        if not text.strip():
            raise InfraiError("the model streamed no answer")
        return text
