"""Reads a prompt: which subjects, how many, in what colours and style, at what time and in what weather."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeVar

from infrai_runtime.vendors.local.draw.pen import Colour
from infrai_runtime.vendors.local.draw.subject import SUBJECTS, Subject

STYLES: dict[str, str] = {
    "watercolor": "watercolor|watercolour|aquarelle|水彩",
    "pixel": "pixel art|pixel|pixels|8-bit|16-bit|8 bit|像素",
    "sketch": "sketch|pencil|line drawing|charcoal|line art|素描|铅笔",
    "oil": "oil painting|oil|impressionist|impressionism|van gogh|monet|油画",
    "flat": "flat|vector|minimalist|clip art|clip-art|icon|cartoon|扁平|卡通",
}

COLOURS: dict[str, tuple[str, Colour]] = {
    "red": ("red|crimson|scarlet|红色|红", (208, 48, 46)),
    "orange": ("orange|橙色|橙", (238, 134, 40)),
    "yellow": ("yellow|黄色|黄", (246, 210, 64)),
    "gold": ("gold|golden|金色", (216, 168, 50)),
    "green": ("green|绿色|绿", (70, 156, 78)),
    "teal": ("teal|turquoise|青色", (44, 156, 156)),
    "blue": ("blue|navy|蓝色|蓝", (52, 104, 204)),
    "purple": ("purple|violet|紫色|紫", (128, 76, 172)),
    "pink": ("pink|magenta|粉色|粉红", (238, 134, 172)),
    "brown": ("brown|棕色|褐色", (132, 88, 54)),
    "black": ("black|黑色|黑", (48, 46, 52)),
    "white": ("white|白色|白", (244, 243, 238)),
    "gray": ("gray|grey|silver|灰色|银色", (150, 152, 158)),
}

NUMBERS: dict[int, str] = {
    2: "two|2|couple of|两|二",
    3: "three|3|三",
    4: "four|4|四",
    5: "five|5|五",
    6: "six|6|六",
}

SETTINGS: dict[str, str] = {
    "night": "night|midnight|starry|moonlit|space|夜晚|夜|太空",
    "evening": "sunset|sunrise|dusk|dawn|evening|日落|日出|黄昏",
    "sea": "sea|ocean|lake|river|beach|water|underwater|island|海|湖|河|海洋",
    "snow": "snow|snowy|winter|ice|雪|冬天",
    "desert": "desert|sand|dunes|沙漠",
    "rain": "rain|rainy|storm|下雨|雨天",
}

_T = TypeVar("_T")
_REACH = 18
"""How many characters may stand between a colour or number and the noun that it belongs to."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One subject of the prompt, its colour, and how many of it."""

    subject: Subject
    colour: Colour
    count: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """What a prompt asks for, as far as the tables know its words."""

    style: str
    wanted: tuple[Wanted, ...]
    colours: tuple[Colour, ...]
    settings: frozenset[str]


def _pattern(words: str) -> str:
    """English words as whole words, in the singular or plural; Chinese words anywhere."""
    return "|".join(_word(word) for word in sorted(words.split("|"), key=len, reverse=True))


def _word(word: str) -> str:
    return rf"\b{re.escape(word)}(?:s|es)?\b" if word.isascii() else re.escape(word)


def _table() -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [("|".join(subject.words), subject) for subject in SUBJECTS]
    rows += [(words, ("colour", rgb)) for words, rgb in COLOURS.values()]
    rows += [(words, ("count", number)) for number, words in NUMBERS.items()]
    singles = [(word, meaning) for words, meaning in rows for word in words.split("|")]
    return sorted(singles, key=lambda row: -len(row[0]))


_MEANINGS = _table()
_ANY = re.compile("|".join(f"({_word(word)})" for word, _ in _MEANINGS), re.IGNORECASE)
_IRREGULAR = {"children": "kids", "men": "boys", "women": "girls", "puppies": "dogs", "ponies": "horses"}


def read(prompt: str) -> Scene:
    """The scene that the prompt describes. Words of no table are left out; they only move the seed."""
    text = re.sub(r"\w+", lambda found: _IRREGULAR.get(found.group().lower(), found.group()), prompt)
    style = _first(STYLES, text) or "flat"
    settings = frozenset(name for name, words in SETTINGS.items() if re.search(_pattern(words), text, re.I))
    bare = re.sub(_pattern(STYLES[style]), " ", text, flags=re.IGNORECASE)
    return Scene(style, _wanted(bare), _colours(bare), settings)


def _first(table: dict[str, str], text: str) -> str | None:
    return next((name for name, words in table.items() if re.search(_pattern(words), text, re.I)), None)


def _colours(text: str) -> tuple[Colour, ...]:
    return tuple(rgb for words, rgb in COLOURS.values() if re.search(_pattern(words), text, re.I))


def _wanted(text: str) -> tuple[Wanted, ...]:
    found: dict[str, Wanted] = {}
    colour: tuple[int, Colour] | None = None
    count: tuple[int, int] | None = None
    for match in _ANY.finditer(text):
        meaning = _MEANINGS[(match.lastindex or 1) - 1][1]
        if isinstance(meaning, Subject):
            paint = _near(colour, match.start(), meaning.colour)
            some = 2 if _is_plural(match.group(), meaning) else 1
            found.setdefault(meaning.name, Wanted(meaning, paint, _near(count, match.start(), some)))
            colour = count = None
        elif meaning[0] == "colour":
            colour = match.end(), meaning[1]
        else:
            count = match.end(), meaning[1]
    return tuple(found.values())


def _is_plural(word: str, subject: Subject) -> bool:
    return word.isascii() and word.lower() not in subject.words


def _near(given: tuple[int, _T] | None, start: int, otherwise: _T) -> _T:
    return given[1] if given is not None and start - given[0] <= _REACH else otherwise
