"""A picture for words that name nothing the tables know: shapes and palette follow from the seed."""

from __future__ import annotations

import colorsys
from random import Random
from typing import TYPE_CHECKING

from infrai_runtime.vendors.local.draw.pen import Colour, Pen, mix, shade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image


def compose(colours: Sequence[Colour], size: tuple[int, int], random: Random) -> Image:
    """Large shapes, then small ones, in the given colours or in a palette of the seed's."""
    from PIL import Image, ImageDraw

    palette = list(colours) * 3 or _palette(random)
    palette = [shade(colour, random.uniform(0.8, 1.3)) for colour in palette]
    image = Image.new("RGB", size, mix(random.choice(palette), (250, 247, 240), 0.75))
    sheet = ImageDraw.Draw(image)
    for step in range(26):
        reach = min(size) * (0.32 * 0.9**step + 0.02)
        pen = Pen(sheet, random.random() * size[0], random.random() * size[1], reach)
        random.choice(_SHAPES)(pen, random.choice(palette), random)
    return image


def _palette(random: Random) -> list[Colour]:
    first = random.random()
    return [_hsv((first + turn) % 1, random.uniform(0.4, 0.75), random.uniform(0.55, 0.95)) for turn in _TURNS]


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _disc(pen: Pen, colour: Colour, random: Random) -> None:
    pen.dot(0, 0, 1, colour)
    pen.dot(0, 0, 0.6, shade(colour, 1.3))


def _leaf(pen: Pen, colour: Colour, random: Random) -> None:
    pen.tilted(0, 0, 1, 0.42, random.uniform(0, 180), colour)


def _wave(pen: Pen, colour: Colour, random: Random) -> None:
    bend = random.uniform(-1.6, 1.6)
    pen.curve((-1.3, random.uniform(-0.5, 0.5)), (0, bend), (1.3, random.uniform(-0.5, 0.5)), 0.16, colour)


def _corner(pen: Pen, colour: Colour, random: Random) -> None:
    pen.shape([(random.uniform(-1, 1), random.uniform(-1, 1)) for _ in range(3)], colour)


_TURNS = (0.0, 0.06, 0.12, 0.5, 0.56)
_SHAPES = (_disc, _leaf, _wave, _corner)
