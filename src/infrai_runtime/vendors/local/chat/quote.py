"""Answers a question with sentences of the given text, word for word, with their sources; abstains where none fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .answer import Draft, text_part
from .passage import Passage, Reading, statements
from .rank import Scored, Similarity, score
from .voice import not_found
from .word import has_cjk

_SUPPORT = 0.5
_SUPPORT_TOLD = 0.34
_CLOSE = 0.82
_TRIED = 3
"""How far down a sentence may stand that answers where those before it only speak of the same thing."""
_MOST_TEXT = 60_000
_MOST_SENTENCES = 600


@dataclass(frozen=True)
class Candidate:
    """One sentence that may answer, with the passage it stands in and its place there."""

    text: str
    passage: Passage
    order: int
    around: str


def candidates(passages: tuple[Passage, ...]) -> list[Candidate]:
    """Every stating sentence of the passages, up to a fixed amount of text."""
    found: list[Candidate] = []
    size = 0
    for passage in passages:
        before = ""
        lead = ""
        for sentence in statements(passage):
            lead = lead or sentence.text[:200]
            found.append(Candidate(sentence.text, passage, len(found), f"{lead} {before}"))
            before = sentence.text
            size += len(sentence.text)
            if size > _MOST_TEXT or len(found) >= _MOST_SENTENCES:
                return found
    return found


def answer(reading: Reading, *, similarity: Similarity | None, thorough: bool) -> Draft | None:
    """The supported answer; None where there is nothing to read or nothing is supported."""
    found = candidates(reading.passages)
    if not found:
        return None
    scored = score(
        reading.question,
        [c.text for c in found],
        [c.around for c in found],
        similarity=similarity,
        thorough=thorough,
    )
    chosen = _chosen(found, scored, 3 if thorough else 1, _about_speaker(reading.question))
    return _quoted(chosen) if chosen else None


def abstain(question: str) -> Draft:
    """Says that the given text does not hold the answer."""
    return Draft([text_part(not_found(has_cjk(question)))], grounded=False)


def _about_speaker(question: str) -> bool:
    return bool({"i", "my", "me", "i'm"} & set(question.lower().replace("?", " ").split())) or "我" in question


def _chosen(found: list[Candidate], scored: list[Scored], most: int, about_speaker: bool) -> list[Candidate]:
    """The best sentences, in text order; less support is enough for what the user told about themselves."""
    order = sorted(range(len(found)), key=lambda i: (-scored[i].rank, i))
    best = order[0]
    told = about_speaker and found[best].passage.source == "user" and _about_speaker(found[best].text)
    least = _SUPPORT_TOLD if told else _SUPPORT
    fit = [i for i in order[:_TRIED] if scored[i].support >= least]
    keep = [i for i in fit[:most] if scored[i].rank >= _CLOSE * scored[fit[0]].rank]
    distinct = {found[i].text: i for i in reversed(keep)}
    return [found[i] for i in sorted(distinct.values())]


def _quoted(chosen: list[Candidate]) -> Draft:
    text = ""
    notes: list[dict[str, Any]] = []
    for candidate in chosen:
        text += _gap(text, candidate.text)
        start = len(text)
        text += candidate.text
        notes.append(_citation(candidate, start, len(text)))
        text += f" [{candidate.passage.source}]" if candidate.passage.marked else ""
    return Draft([text_part(text, notes)], grounded=True)


def _gap(text: str, following: str) -> str:
    if not text:
        return ""
    return "" if has_cjk(following[:1]) and text[-1:] in "。！？" else " "


def _citation(candidate: Candidate, start: int, end: int) -> dict[str, Any]:
    return {"type": "citation", "start": start, "end": end, "source": candidate.passage.source, "quote": candidate.text}
