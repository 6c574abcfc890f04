"""Trees and flowers."""

from __future__ import annotations

import math

from infrai_runtime.vendors.local.draw.pen import Colour, Pen, shade

BARK: Colour = (108, 74, 48)
STEM: Colour = (70, 140, 70)

_CROWN = (
    (-0.5, -0.25, 0.36),
    (0.5, -0.25, 0.36),
    (-0.3, -0.55, 0.38),
    (0.32, -0.56, 0.36),
    (0, -0.3, 0.48),
    (0, -0.68, 0.3),
)


def _trunk(pen: Pen) -> None:
    pen.shape([(-0.14, 1.0), (-0.09, 0.0), (0.09, 0.0), (0.14, 1.0)], BARK)
    pen.line([(0, 0.2), (-0.35, -0.15)], 0.07, BARK)
    pen.line([(0, 0.1), (0.34, -0.2)], 0.07, BARK)
    pen.line([(0.03, 0.9), (0.02, 0.3)], 0.025, shade(BARK, 0.75))


def _crown(pen: Pen, leaf: Colour) -> None:
    for x, y, r in _CROWN:
        pen.dot(x, y + 0.03, r, shade(leaf, 0.82))
    for x, y, r in _CROWN:
        pen.dot(x - 0.03, y - 0.04, r * 0.9, leaf)
    for x, y, r in _CROWN:
        pen.dot(x - 0.08, y - 0.1, r * 0.45, shade(leaf, 1.18))


def tree(pen: Pen, leaf: Colour) -> None:
    _trunk(pen)
    _crown(pen, leaf)


def maple(pen: Pen, leaf: Colour) -> None:
    _trunk(pen)
    _crown(pen, leaf)
    for step in range(26):
        angle, reach = step * 2.4, 0.16 * math.sqrt(step)
        tone = shade(leaf, (0.72, 1.3, 0.9)[step % 3])
        maple_leaf(pen.at(reach * math.cos(angle), -0.36 + 0.62 * reach * math.sin(angle), 0.13), tone)
    for x, y in (
        (-0.62, 0.95),
        (-0.34, 1.02),
        (0.46, 0.98),
        (0.72, 1.03),
        (-0.88, 1.05),
        (0.6, 0.45),
        (-0.5, 0.4),
    ):
        maple_leaf(pen.at(x, y, 0.1), shade(leaf, 0.9))


def maple_leaf(pen: Pen, leaf: Colour) -> None:
    half = [
        (0, -1),
        (0.2, -0.6),
        (0.42, -0.7),
        (0.36, -0.25),
        (0.7, -0.5),
        (0.78, -0.25),
        (1, -0.2),
        (0.72, 0.1),
    ]
    half += [(0.8, 0.3), (0.4, 0.42), (0.06, 0.5)]
    pen.shape([*half, *((-x, y) for x, y in reversed(half))], leaf)
    pen.line([(0, 0.2), (0, 1)], 0.12, shade(leaf, 0.7))


def pine(pen: Pen, leaf: Colour) -> None:
    pen.box(-0.1, 0.6, 0.1, 1.0, BARK)
    for top, bottom, half in ((0.0, 0.75, 0.62), (-0.45, 0.3, 0.5), (-0.95, -0.15, 0.36)):
        pen.shape([(0, top), (half, bottom), (-half, bottom)], leaf)
        pen.shape([(0, top), (half, bottom), (half * 0.25, bottom)], shade(leaf, 0.82))


def palm(pen: Pen, leaf: Colour) -> None:
    pen.curve((-0.1, 1.0), (0.25, 0.3), (0.05, -0.45), 0.13, BARK)
    for x, y in ((-0.85, -0.35), (0.9, -0.35), (-0.6, 0.05), (0.65, 0.05), (-0.5, -0.85), (0.55, -0.85)):
        pen.curve((0.05, -0.48), (x * 0.6, y - 0.4), (x, y), 0.12, leaf)
    for x in (-0.05, 0.12):
        pen.dot(x, -0.38, 0.085, shade(BARK, 0.7))


def flower(pen: Pen, petal: Colour) -> None:
    pen.curve((0, 1.0), (0.08, 0.4), (0, -0.2), 0.07, STEM)
    pen.tilted(0.24, 0.55, 0.27, 0.1, -32, STEM)
    pen.tilted(-0.22, 0.7, 0.25, 0.09, 32, STEM)
    for step in range(6):
        angle = step * 60
        x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        pen.tilted(0.36 * x, -0.35 + 0.36 * y, 0.28, 0.17, angle, petal)
    pen.dot(0, -0.35, 0.19, (245, 195, 50))


def mushroom(pen: Pen, cap: Colour) -> None:
    pen.shape([(-0.2, 0.0), (0.2, 0.0), (0.27, 1.0), (-0.27, 1.0)], (243, 232, 210))
    pen.shape([(-0.8, 0.12), (-0.62, -0.42), (-0.22, -0.74), (0.22, -0.74), (0.62, -0.42), (0.8, 0.12)], cap)
    for x, y, r in ((-0.4, -0.2, 0.13), (0.08, -0.45, 0.14), (0.45, -0.12, 0.12), (0.02, 0.0, 0.09)):
        pen.dot(x, y, r, (250, 246, 236))


def cactus(pen: Pen, green: Colour) -> None:
    pen.line([(0, 0.95), (0, -0.6)], 0.34, green)
    for side, y in ((-1, 0.3), (1, 0.1)):
        pen.line([(side * 0.1, y), (side * 0.5, y), (side * 0.5, y - 0.4)], 0.22, green)
    for x in (-0.07, 0.07):
        pen.line([(x, 0.9), (x, -0.55)], 0.02, shade(green, 0.75))
    pen.dot(0, -0.8, 0.1, (235, 110, 150))
