"""How near texts are in meaning, by a sentence model, remembering the vectors of texts seen before.

A pipeline asks about the same passages again and again, and a vector costs about 10 ms on one core.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from infrai_core.locks import lock

Vector = Sequence[float]


class Embeds(Protocol):
    """A sentence model: one normalised vector per text that is not blank."""

    def embed(self, texts: Sequence[str]) -> Sequence[Vector]: ...


class Meaning:
    """Cosines of a query with texts. Safe to share between threads; keeps the last ``remembered`` vectors."""

    def __init__(self, model: Embeds, remembered: int = 4096) -> None:
        self._model = model
        self._remembered = remembered
        self._lock = lock()
        self._known: OrderedDict[str, Vector] = OrderedDict()

    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        """The cosine of the query with every text; a text with nothing in it has 0."""
        if not query.strip():
            return [0.0] * len(texts)
        vectors = self._vectors([query, *texts])
        return [_cosine(vectors[query], vectors[text]) if text.strip() else 0.0 for text in texts]

    def _vectors(self, texts: Sequence[str]) -> dict[str, Vector]:
        wanted = [text for text in dict.fromkeys(texts) if text.strip()]
        with self._lock:
            found = {text: self._known[text] for text in wanted if text in self._known}
        new = [text for text in wanted if text not in found]
        if new:
            found.update(zip(new, self._model.embed(new), strict=True))
        with self._lock:
            self._known.update(found)
            for text in found:
                self._known.move_to_end(text)
            while len(self._known) > self._remembered:
                self._known.popitem(last=False)
        return found


def _cosine(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
