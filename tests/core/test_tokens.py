"""How many tokens a text is taken to have: so many for each run of characters of one kind."""

from __future__ import annotations

import random
import re
from math import ceil

import pytest

from infrai_core.tokens import PIECE, estimate, estimate_upper

RUN = re.compile(
    r"(?P<latin>[A-Za-z\u00c0-\u024f]+)|(?P<digit>\d+)|(?P<cjk>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+)"
    r"|(?P<blank>[ \t]+)|(?P<newline>[\r\n]+)"
    r"|(?P<punctuation>[!-/:-@\[-`{-~\u2000-\u206f\u3000-\u303f\uff00-\uffef]+)|(?P<letter>[^\W\d_]+)|(?P<other>.)",
    re.DOTALL,
)
USUAL = {"latin": 6, "digit": 3, "cjk": 1, "newline": 2, "punctuation": 1.5, "letter": 2.5, "other": 0.5}
CAREFUL = {"latin": 3, "digit": 1, "cjk": 0.5, "newline": 1, "punctuation": 1, "letter": 1, "other": 0.25}
ALPHABETS = (
    "a b",
    "abcXYZ 019",
    "a1 !\n",
    "  \t\r\na",
    '!"#_~aaaa ',
    "\0\x07\x7f a1",
    "é漢仮ж١…—“a1 .\n_",
    "漢字かな、。 ab",
    "жabc漢Ａ１",
)


def by_runs(text: str, per_token: dict[str, float], indent: float) -> int:
    """The number as it is defined, run by run."""
    found = 0
    for run in RUN.finditer(text):
        length = len(run[0])
        if run.lastgroup == "blank":
            found += ceil(length * indent) if length > 1 and indent else int(length > 1)
        else:
            found += ceil(length / per_token[str(run.lastgroup)])
    return found


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_text_has_the_tokens_of_its_runs(alphabet: str) -> None:
    chance = random.Random(alphabet)
    for _ in range(300):
        runs = (chance.choice(alphabet) * chance.choice((1, 1, 1, 2, 3, 4, 5, 6, 7, 20)) for _ in range(20))
        text = "".join(runs)
        usual, careful = by_runs(text, USUAL, 0), by_runs(text, CAREFUL, 0.5)
        assert estimate(text) == max(usual, 1)
        assert estimate_upper(text) == max(min(max(careful, 1), len(text.encode())), usual)


@pytest.mark.parametrize("text", ["", " ", "a", "é", "漢", "\n"])
def test_no_text_but_an_empty_one_has_no_token(text: str) -> None:
    assert (estimate(text) > 0, estimate_upper(text) > 0) == (bool(text), bool(text))


@pytest.mark.parametrize("run", ["a", " ", "b ", "\n", "1", "漢"])
def test_a_text_of_several_pieces_has_the_tokens_of_its_pieces(run: str) -> None:
    piece = (run * PIECE)[:PIECE]
    assert estimate(piece * 3) == 3 * estimate(piece)
    assert estimate_upper(piece * 3) == 3 * estimate_upper(piece)
