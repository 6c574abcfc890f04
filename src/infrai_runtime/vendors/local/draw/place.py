"""Landscape and buildings."""

from __future__ import annotations

from infrai_runtime.vendors.local.draw.pen import INK, WHITE, Colour, Pen, mix, shade

GLASS: Colour = (170, 215, 238)
WALL: Colour = (240, 222, 190)
WOOD: Colour = (120, 76, 44)


def mountain(pen: Pen, rock: Colour) -> None:
    for x, top, half in ((-0.55, -0.35, 0.75), (0.6, -0.2, 0.7), (0.05, -0.85, 0.8)):
        pen.shape([(x - half, 1), (x, top), (x + half, 1)], rock)
        pen.shape([(x, top), (x + half, 1), (x + half * 0.15, 1)], shade(rock, 0.8))
        cap = 0.28
        left, right, low = x - half * cap, x + half * cap, top + (1 - top) * cap
        jag = [
            (left, low),
            (x - half * 0.1, low - 0.08),
            (x, low + 0.08),
            (x + half * 0.12, low - 0.06),
            (right, low),
        ]
        pen.shape([(x, top), *reversed(jag)], WHITE)


def house(pen: Pen, wall: Colour) -> None:
    roof = mix(wall, (150, 50, 40), 0.75)
    pen.box(0.32, -0.8, 0.52, -0.25, shade(roof, 0.75))
    pen.box(-0.7, -0.15, 0.7, 1.0, wall)
    pen.shape([(-0.9, -0.1), (0, -0.85), (0.9, -0.1)], roof)
    pen.box(-0.16, 0.35, 0.18, 1.0, WOOD)
    pen.dot(0.1, 0.7, 0.035, (240, 200, 80))
    for x in (-0.42, 0.45):
        pen.box(x - 0.17, 0.12, x + 0.17, 0.48, WHITE)
        pen.box(x - 0.14, 0.15, x + 0.14, 0.45, GLASS)
        pen.line([(x, 0.15), (x, 0.45)], 0.03, WHITE)


def castle(pen: Pen, stone: Colour) -> None:
    dark = shade(stone, 0.75)
    pen.box(-0.6, -0.1, 0.6, 1.0, stone)
    for x in (-0.72, 0.72):
        pen.box(x - 0.2, -0.4, x + 0.2, 1.0, shade(stone, 0.9))
        pen.shape([(x - 0.26, -0.38), (x, -0.95), (x + 0.26, -0.38)], (150, 60, 70))
        pen.box(x - 0.05, 0.0, x + 0.05, 0.22, INK)
    for step in range(5):
        pen.box(-0.5 + step * 0.22, -0.25, -0.38 + step * 0.22, -0.08, stone)
    pen.dot(0, 0.55, 0.2, dark)
    pen.box(-0.2, 0.55, 0.2, 1.0, dark)


def city(pen: Pen, wall: Colour) -> None:
    for index, (x, top) in enumerate(((-0.8, 0.0), (-0.42, -0.6), (-0.02, -0.2), (0.36, -0.9), (0.76, -0.35))):
        tone = shade(wall, (0.75, 0.95, 0.85, 1.1, 0.7)[index])
        pen.box(x - 0.18, top, x + 0.18, 1.0, tone)
        rows = int((1 - top) / 0.2)
        for row in range(rows):
            for side in (-0.08, 0.08):
                y = top + 0.1 + row * 0.2
                pen.box(x + side - 0.04, y, x + side + 0.04, y + 0.1, (250, 225, 140))


def bridge(pen: Pen, colour: Colour) -> None:
    pen.box(-1, 0.35, 1, 0.48, colour)
    for x in (-0.5, 0.5):
        pen.box(x - 0.06, -0.6, x + 0.06, 1.0, shade(colour, 0.8))
        pen.curve((x, -0.55), (x / 2, 0.3), (0, 0.35), 0.035, colour)
        pen.curve((x, -0.55), (x * 1.4, 0.2), (x * 2, 0.35), 0.035, colour)
