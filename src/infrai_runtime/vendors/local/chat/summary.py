"""Extractive summaries: the lead sentence and the sentences most connected with the rest."""

from __future__ import annotations

import re
from collections import Counter
from math import sqrt

from .answer import Draft, text_part
from .conversation import Conversation
from .number import numbers
from .passage import Passage, reading, statements
from .sentence import Sentence
from .word import has_cjk, terms

_ASKED = re.compile(
    r"\bsummar(?:y|i[sz]e|ies)\b|\btl;?dr\b|\bkey (?:points|takeaways)\b|\bmain (?:points?|ideas?)\b|\bin short\b"
    r"|\bcondense\b|\brecap\b|\bgist\b|\bshorten\b|总结|概括|摘要|要点|概述|归纳",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"(?:in|into|with)\s+(\S+)\s+(?:\w+\s+)?(?:sentences?|points?|bullets?|lines?)|(\S)(?:句|点|条)", re.I
)
_BULLET = re.compile(r"\bbullet|\bpoints\b|要点", re.I)
_MOST = 400


def asked(text: str) -> bool:
    """Whether ``text`` asks for a summary."""
    return bool(_ASKED.search(text[:400]) or _ASKED.search(text[-400:]))


def summarize(conversation: Conversation) -> Draft | None:
    """A summary of the given text; None where there is no text."""
    given = reading(conversation)
    longest = max(given.passages, key=lambda passage: len(passage.text), default=None)
    if longest is None:
        return None
    passages = [p for p in given.passages if p.marked] if longest.marked else [longest]
    found = [(p, s) for p in passages for s in statements(p) if not _ASKED.search(s.text) or len(s.text) > 120][:_MOST]
    if not found:
        return None
    wanted = _wanted(given.question, len(found))
    chosen = central([sentence.text for _, sentence in found], wanted)
    return _written([found[i] for i in chosen], bool(_BULLET.search(given.question)))


def short(text: str, most: int = 2) -> str:
    """The lead and central sentences of ``text``, as one line."""
    found = [sentence.text for sentence in statements(Passage(text, ""))][:_MOST]
    return " ".join(found[i] for i in central(found, most))


def _wanted(question: str, size: int) -> int:
    match = _COUNT.search(question)
    named = numbers(match.group(1) or match.group(2)) if match else []
    if named:
        return max(1, min(int(named[0].value), size))
    return max(1, min(3, (size + 2) // 3))


def central(texts: list[str], wanted: int) -> list[int]:
    """The lead and the ``wanted`` - 1 sentences nearest to the centre of all, without near repeats; in text order."""
    bags = [Counter(terms(text)) for text in texts]
    centre: Counter[str] = Counter()
    for bag in bags:
        centre.update(bag.keys())
    order = sorted(range(1, len(texts)), key=lambda i: (-_cosine(bags[i], centre), i))
    chosen = [0] if texts else []
    for i in order:
        if len(chosen) >= wanted:
            break
        if all(_cosine(bags[i], bags[j]) < 0.6 for j in chosen):
            chosen.append(i)
    return sorted(chosen[:wanted])


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    dot = sum(count * other[term] for term, count in one.items())
    length = sqrt(sum(n * n for n in one.values()) * sum(n * n for n in other.values()))
    return dot / length if length else 0.0


def _written(chosen: list[tuple[Passage, Sentence]], bullets: bool) -> Draft:
    text = ""
    notes = []
    for passage, sentence in chosen:
        gap = "\n" if bullets else "" if has_cjk(sentence.text[:1]) else " "
        text += (gap if text else "") + ("- " if bullets else "")
        start = len(text)
        text += sentence.text
        notes.append(
            {"type": "citation", "start": start, "end": len(text), "source": passage.source, "quote": sentence.text}
        )
        text += f" [{passage.source}]" if passage.marked else ""
    return Draft([text_part(text, notes)], grounded=True)
