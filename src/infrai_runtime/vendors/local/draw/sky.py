"""What stands in the sky."""

from __future__ import annotations

import math

from infrai_runtime.vendors.local.draw.pen import Colour, Pen, shade

_BOW: tuple[Colour, ...] = (
    (222, 60, 60),
    (240, 145, 50),
    (246, 215, 70),
    (90, 180, 90),
    (70, 130, 215),
    (130, 80, 180),
)


def sun(pen: Pen, gold: Colour) -> None:
    for step in range(12):
        x, y = math.cos(step * math.pi / 6), math.sin(step * math.pi / 6)
        pen.line([(0.7 * x, 0.7 * y), (0.95 * x, 0.95 * y)], 0.09, gold)
    pen.dot(0, 0, 0.55, gold)
    pen.dot(-0.08, -0.08, 0.42, shade(gold, 1.35))


def moon(pen: Pen, pale: Colour) -> None:
    """A crescent: the rim of one circle, and back along another that cuts it at the same two points."""
    rim = [(math.cos(math.radians(d)), math.sin(math.radians(d))) for d in range(60, 301, 6)]
    back = [(0.5 + 0.62 * (x - 0.5), y) for x, y in reversed(rim)]
    pen.shape([(0.85 * x, 0.85 * y) for x, y in (*rim, *back)], pale)


def star(pen: Pen, gold: Colour) -> None:
    pen.star(0, 0, 0.95, 5, 0.42, gold)
    pen.star(0, 0, 0.6, 5, 0.42, shade(gold, 1.4))


def cloud(pen: Pen, white: Colour) -> None:
    puffs = ((-0.55, 0.15, 0.3), (0.55, 0.15, 0.3), (-0.2, -0.05, 0.42), (0.25, -0.02, 0.38))
    for x, y, r in puffs:
        pen.dot(x, y + 0.06, r, shade(white, 0.88))
    pen.box(-0.55, 0.12, 0.55, 0.45, shade(white, 0.9))
    for x, y, r in puffs:
        pen.dot(x, y, r * 0.95, white)


def rainbow(pen: Pen, _: Colour) -> None:
    for band, colour in enumerate(_BOW):
        reach = 1 - band * 0.07
        turns = [math.radians(degrees) for degrees in range(0, 181, 5)]
        arc = [(reach * math.cos(turn), 0.6 - 1.2 * reach * math.sin(turn)) for turn in turns]
        pen.line(arc, 0.085, colour)


def balloon(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.line([(side * 0.3, 0.3), (side * 0.14, 0.72)], 0.02, (90, 70, 50))
    pen.oval(0, -0.3, 0.6, 0.66, colour)
    pen.oval(0, -0.3, 0.3, 0.66, shade(colour, 1.4))
    pen.oval(0, -0.3, 0.1, 0.66, colour)
    pen.box(-0.17, 0.7, 0.17, 0.95, (150, 105, 60))
