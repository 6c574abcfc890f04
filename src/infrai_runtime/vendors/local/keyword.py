"""The keyword index that is always there: texts become vectors by hashing the words and letters they contain.

It is a keyword index, not a semantic model. Two texts are near each other when they share words or parts of
words (English and Chinese); a paraphrase with other words is not found. It needs no weights, no package and
no network, and the same text gives the same vector in every process.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

from infrai_runtime.failure import Failure

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]

MODELS = {"infrai-keyword-1024": 1024, "infrai-keyword-256": 256}
"""Model id -> dimensions. The first is the default, the second is smaller and finds a little less."""

DIMENSIONS = range(64, 4097)

_CJK = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_PIECE = re.compile(rf"(?P<cjk>[{_CJK}]+)|(?P<word>[^\W_{_CJK}]{{1,64}})")
_ACCENT = re.compile("[\u0300-\u036f]")
_IS_CJK = re.compile(f"[{_CJK}]")

_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a about all also am an and any are as at be been but by can could d did do does for from had has
        have he her him his how i if in into is it its just ll m me my no not of on or our out re s she should
        so some t than that the their them then there these they this those to too up us ve was we were what
        when where which who whom whose why will with would you your""",
    )
)
_STOP_CJK = frozenset(
    "的了是在和与及或也就都而着吗呢吧啊么我你他她它们这那个有不之为以于把被从到会能要可请什怎哪谁多少几"
)

# (ending, what takes its place, fewest letters that must stay in front); the first that fits is applied.
_ENDINGS = (
    ("sses", "ss", 2),
    ("ies", "i", 2),
    ("ied", "i", 2),
    ("ingly", "", 4),
    ("edly", "", 4),
    ("ings", "", 3),
    ("ing", "", 3),
    ("eed", "ee", 2),
    ("ed", "", 3),
    ("ly", "", 4),
    ("ss", "ss", 0),
    ("us", "us", 0),
    ("is", "is", 0),
    ("s", "", 2),
)

# Weights are whole numbers, so that sums do not depend on their order and every build gives the same vector.
_UNIT = 1 << 12
_WORD, _GRAMS, _CHAR = 1.0, 0.8, 0.35
_STOPPED = 0.08
_NUMPY_FROM_CHARACTERS = 2000


def embed(texts: Sequence[str], dimensions: int = 1024) -> list[list[float]]:
    """One vector of ``dimensions`` floats (64 to 4096) and length 1 per text, in the order of ``texts``.

    This is a keyword index: the dot product of two vectors says how many words and word parts they share.
    Raises ``Failure`` INVALID_REQUEST with ``param`` "dimensions", or "input" for a text with nothing in it.
    """
    _check_dimensions(dimensions)
    require_content(texts)
    contents = [_fold(text) for text in texts]
    vector = _numpy_vector if _worth_numpy(contents) else _vector
    return [vector(content, dimensions) for content in contents]


def require_content(texts: Sequence[str]) -> None:
    """Raises ``Failure`` INVALID_REQUEST (``param`` "input") that names the first text with nothing in it."""
    for index, text in enumerate(texts):
        if not text.strip():
            raise Failure("INVALID_REQUEST", f"input[{index}] is empty: such a text has no vector", param="input")


def terms(text: str) -> list[str]:
    """The keyword terms of ``text`` in order: stemmed words, and single characters and pairs of CJK runs."""
    return list(_terms(_fold(text)))


def grams(term: str) -> list[str]:
    """The parts that misspelt or inflected forms of a word share: letter 3- to 5-grams; a CJK term itself."""
    if is_cjk(term):
        return [term]
    framed = f"<{term}>"
    return [framed[i : i + n] for n in (3, 4, 5) for i in range(len(framed) - n + 1)]


def weight(term: str) -> float:
    """How much a term says about its text, 0 to 1, known without a corpus: stop words say next to nothing."""
    if not is_cjk(term):
        return _STOPPED if term in _STOP_WORDS else _WORD
    if all(char in _STOP_CJK for char in term):
        return _STOPPED
    if any(char in _STOP_CJK for char in term):
        return _CHAR
    return _WORD if len(term) > 1 else _CHAR


def is_cjk(term: str) -> bool:
    """Whether a term of ``terms`` came from a script that writes without spaces."""
    return _IS_CJK.match(term) is not None


def _check_dimensions(dimensions: int) -> None:
    if isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions not in DIMENSIONS:
        raise Failure(
            "INVALID_REQUEST",
            f"dimensions must be a whole number from {DIMENSIONS[0]} to {DIMENSIONS[-1]}, got {dimensions!r}",
            param="dimensions",
        )


def _fold(text: str) -> str:
    """One spelling for equal text: compatibility forms, case and Latin accents are levelled."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", _ACCENT.sub("", folded))


def _terms(folded: str) -> Iterator[str]:
    for piece in _PIECE.finditer(folded):
        if piece.lastgroup == "word":
            yield _stem(piece.group())
        else:
            yield from _cjk_terms(piece.group())


def _cjk_terms(run: str) -> Iterator[str]:
    yield from run
    yield from map("".join, pairwise(run))


@lru_cache(maxsize=16384)
def _stem(word: str) -> str:
    if len(word) < 3 or word in _STOP_WORDS or not word.isascii() or not word.isalpha():
        return word
    for ending, instead, stays in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= stays:
            return _trim(word[: len(word) - len(ending)] + instead, cut=bool(ending) and not instead)
    return _trim(word, cut=False)


def _trim(stem: str, *, cut: bool) -> str:
    """One end for all forms: "stopp(ed)" -> "stop", "cache" and "cach(ing)" -> "cach", "city" -> "citi"."""
    if cut and len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "aeiouls":
        return stem[:-1]
    if len(stem) > 3 and stem[-1] == "e":
        return stem[:-1]
    return stem[:-1] + "i" if len(stem) > 2 and stem[-1] == "y" else stem


def _vector(folded: str, dimensions: int) -> list[float]:
    cells: dict[int, int] = {}
    for term, times in _damped(folded):
        for hashed, weighted in _features(term):
            cell = hashed % dimensions
            cells[cell] = cells.get(cell, 0) + round(times * weighted)
    return _unit_vector(cells, dimensions, folded)


def _damped(folded: str) -> list[tuple[str, float]]:
    """The terms of a text and how much their number counts: twice is more than once, but not twice as much.

    A text without a single word, such as "?!" or an emoji, has its visible characters as terms.
    """
    counts = Counter(_terms(folded)) or Counter("".join(folded.split()))
    return [(term, 1.0 + math.log(count)) for term, count in counts.items()]


@lru_cache(maxsize=16384)
def _features(term: str) -> tuple[tuple[int, int], ...]:
    """(hash, signed weight) of a term and of its parts; the sign lets chance collisions cancel out."""
    whole = weight(term)
    parts = [] if is_cjk(term) or whole < _WORD else grams(term)
    share = _GRAMS / math.sqrt(len(parts)) if parts else 0.0
    return (_feature("=" + term, whole), *(_feature(part, share) for part in parts))


def _feature(name: str, weighted: float) -> tuple[int, int]:
    mixed = (crc32(name.encode("utf-8", "surrogatepass")) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    signed = round(weighted * _UNIT)
    return mixed >> 33, signed if mixed & (1 << 32) else -signed


def _unit_vector(cells: dict[int, int], dimensions: int, folded: str) -> list[float]:
    length = math.sqrt(sum(value * value for value in cells.values()))
    if not length:
        return _lone_vector(folded, dimensions)
    vector = [0.0] * dimensions
    for cell, value in cells.items():
        vector[cell] = value / length
    return vector


def _lone_vector(folded: str, dimensions: int) -> list[float]:
    """For a text that leaves no weight, as when all met their opposites: it is still found by itself."""
    vector = [0.0] * dimensions
    vector[_feature(folded, 1.0)[0] % dimensions] = 1.0
    return vector


# -- the same with numpy: twice as fast for long texts, equal to the last bit ----------------------


def _worth_numpy(contents: Sequence[str]) -> bool:
    """A short query should not pay for importing numpy, a pile of documents not wait for plain Python."""
    return sum(map(len, contents)) > _NUMPY_FROM_CHARACTERS and find_spec("numpy") is not None


@lru_cache(maxsize=16384)
def _feature_arrays(term: str) -> tuple[IntArray, IntArray]:
    import numpy as np

    hashes, weights = np.array(_features(term), dtype=np.int64).T.copy()
    return hashes, weights


def _numpy_vector(folded: str, dimensions: int) -> list[float]:
    import numpy as np

    damped = _damped(folded)
    if not damped:
        return _lone_vector(folded, dimensions)
    hashes, weights = zip(*(_feature_arrays(term) for term, _ in damped), strict=True)
    times = np.repeat([times for _, times in damped], [len(part) for part in weights])
    sums = np.bincount(
        np.concatenate(hashes) % dimensions, np.rint(times * np.concatenate(weights)), minlength=dimensions
    )
    length = math.sqrt(float(sums @ sums))
    return (sums / length).tolist() if length else _lone_vector(folded, dimensions)
