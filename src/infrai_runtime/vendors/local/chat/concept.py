"""A small bilingual thesaurus: words that name the same thing count as a match for each other.

``thesaurus.txt`` holds one concept per line, English words before the bar, Chinese words after it. It is general
vocabulary: what people ask programs for, and the common attributes of people, things and events.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

from .word import NUMBER_WORD, STOP, name_words, stem, stems, tokens

_STEMS: dict[str, set[int]] = {}
_CHINESE: dict[str, set[int]] = {}
for _number, _line in enumerate(files(__package__).joinpath("thesaurus.txt").read_text("utf-8").splitlines()):
    _english, _, _chinese = _line.partition("|")
    for _word in _english.split():
        _STEMS.setdefault(stem(_word), set()).add(_number)
    for _word in _chinese.split():
        _CHINESE.setdefault(_word, set()).add(_number)
_CHINESE_WORD = re.compile("|".join(sorted(map(re.escape, _CHINESE), key=len, reverse=True)))


def concepts_of(term: str) -> set[int]:
    """The concepts that one stem or one Chinese word names."""
    return _STEMS.get(term) or _CHINESE.get(term) or set()


def chinese_words(text: str) -> list[tuple[str, int, int]]:
    """The Chinese words of the thesaurus in ``text``, longest first, with their places."""
    return [(match.group(), match.start(), match.end()) for match in _CHINESE_WORD.finditer(text)]


@lru_cache(maxsize=4_000)
def vocabulary(text: str) -> frozenset[str]:
    """The meaning-carrying words of ``text``: English stems and Chinese words of the thesaurus."""
    english = {stem(word) for word in tokens(text) if word not in STOP and word not in NUMBER_WORD and word.isascii()}
    return frozenset(english | {word for word, _, _ in chinese_words(text)})


def name_vocabulary(name: str) -> frozenset[str]:
    """The stems of an identifier."""
    return frozenset(stem(word) for word in name_words(name))


def related(one: str, other: str) -> bool:
    """Whether two terms are the same or stand on one line of the thesaurus."""
    return one == other or bool(concepts_of(one) & concepts_of(other))


def akin(said: str, own: str) -> bool:
    """Whether a stem of a text means a word of a field: the same, of one line of the thesaurus, or its verb."""
    return related(said, own) or derived(said, own)


def derived(said: str, own: str) -> bool:
    """Whether a field is named after a verb: paint for painter, expire for expiry; and what an author does is write."""
    made = len(said) > 2 and own.startswith(said) and len(own) - len(said) < 6
    return made or said in _DOING.get(own, ())


_DOING = {
    stem(own): stems(verbs)
    for own, verbs in (
        ("author", "write"),
        ("winner", "beat defeat"),
        ("artist", "paint draw"),
        ("recipient", "receive get"),
    )
}


def translated(said: str, own: str) -> bool:
    """Whether a stem is a field's word or its translation; one that is only related may name another thing."""
    return said == own or (said.isascii() != own.isascii() and related(said, own))
