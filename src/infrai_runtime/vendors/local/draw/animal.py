"""Animals, sitting and facing the viewer unless they swim or fly. Each takes a pen and its main colour."""

from __future__ import annotations

from infrai_runtime.vendors.local.draw.pen import INK, WHITE, Colour, Pen, mix, shade

PINK: Colour = (236, 150, 160)
BEAK: Colour = (240, 165, 40)


def _sitting(pen: Pen, coat: Colour, belly: Colour) -> None:
    pen.oval(0, 0.5, 0.46, 0.5, coat)
    pen.oval(0, 0.58, 0.28, 0.36, belly)
    for side in (-1, 1):
        pen.oval(side * 0.3, 0.93, 0.22, 0.1, shade(coat, 0.85))


def _paws(pen: Pen, colour: Colour) -> None:
    for side in (-1, 1):
        pen.curve((side * 0.36, 0.28), (side * 0.46, 0.5), (side * 0.2, 0.56), 0.15, colour)


def _muzzle(pen: Pen, y: float, nose: Colour) -> None:
    pen.oval(0, y, 0.075, 0.055, nose)
    for side in (-1, 1):
        pen.curve((0, y + 0.05), (side * 0.02, y + 0.14), (side * 0.12, y + 0.11), 0.022, INK)


def _eyes(pen: Pen, y: float = -0.28, apart: float = 0.18, r: float = 0.065) -> None:
    for side in (-1, 1):
        pen.eye(side * apart, y, r)


def _round_ears(pen: Pen, coat: Colour, inner: Colour, x: float = 0.32, y: float = -0.6, r: float = 0.16) -> None:
    for side in (-1, 1):
        pen.dot(side * x, y, r, coat)
        pen.dot(side * x, y + 0.02, r * 0.58, inner)


def _pointed_ears(pen: Pen, coat: Colour, inner: Colour) -> None:
    for side in (-1, 1):
        pen.shape([(side * 0.42, -0.88), (side * 0.08, -0.6), (side * 0.44, -0.4)], coat)
        pen.shape([(side * 0.37, -0.76), (side * 0.19, -0.6), (side * 0.37, -0.48)], inner)


def _whiskers(pen: Pen, y: float) -> None:
    for side in (-1, 1):
        for slope in (-0.05, 0.02, 0.09):
            pen.line([(side * 0.16, y + slope / 2), (side * 0.5, y + slope)], 0.014, INK)


def raccoon(pen: Pen, coat: Colour) -> None:
    dark, light = mix(coat, INK, 0.72), shade(coat, 1.72)
    _ringed_tail(pen, coat, dark)
    _sitting(pen, coat, shade(coat, 1.45))
    _round_ears(pen, dark, light, 0.34, -0.6, 0.16)
    pen.oval(0, -0.26, 0.5, 0.38, coat)
    for side in (-1, 1):
        pen.shape([(side * 0.42, -0.2), (side * 0.64, -0.06), (side * 0.36, 0.02)], coat)
        pen.tilted(side * 0.25, -0.35, 0.26, 0.13, side * 24, light)
        pen.tilted(side * 0.24, -0.24, 0.25, 0.13, side * 26, dark)
    pen.shape([(-0.06, -0.62), (0.06, -0.62), (0.04, -0.2), (-0.04, -0.2)], dark)
    pen.oval(0, -0.06, 0.2, 0.15, light)
    for side in (-1, 1):
        pen.dot(side * 0.2, -0.27, 0.075, WHITE)
        pen.eye(side * 0.195, -0.265, 0.055)
    _muzzle(pen, -0.12, INK)
    _paws(pen, dark)


def _ringed_tail(pen: Pen, coat: Colour, dark: Colour) -> None:
    path = [(0.34, 0.84), (0.56, 0.84), (0.74, 0.76), (0.86, 0.6), (0.9, 0.42), (0.86, 0.24), (0.78, 0.1)]
    for index, (x, y) in enumerate(path):
        pen.dot(x, y, 0.155 - 0.006 * index, dark if index % 2 else coat)


def cat(pen: Pen, coat: Colour) -> None:
    pen.curve((0.35, 0.88), (0.95, 0.85), (0.72, 0.2), 0.13, coat)
    _sitting(pen, coat, shade(coat, 1.5))
    _pointed_ears(pen, coat, PINK)
    pen.oval(0, -0.26, 0.45, 0.36, coat)
    for side in (-1, 0, 1):
        pen.line([(side * 0.1, -0.6), (side * 0.08, -0.46)], 0.04, shade(coat, 0.7))
    for side in (-1, 1):
        pen.oval(side * 0.18, -0.28, 0.09, 0.11, (170, 205, 90))
        pen.oval(side * 0.18, -0.28, 0.035, 0.1, INK)
    _whiskers(pen, -0.1)
    _muzzle(pen, -0.14, PINK)
    _paws(pen, shade(coat, 0.9))


def dog(pen: Pen, coat: Colour) -> None:
    dark = shade(coat, 0.6)
    pen.curve((0.36, 0.82), (0.75, 0.75), (0.72, 0.4), 0.12, coat)
    _sitting(pen, coat, shade(coat, 1.5))
    pen.oval(0, -0.26, 0.42, 0.4, coat)
    for side in (-1, 1):
        pen.tilted(side * 0.45, -0.22, 0.15, 0.36, side * -14, dark)
    pen.oval(0, -0.06, 0.24, 0.2, shade(coat, 1.6))
    pen.oval(0, 0.11, 0.08, 0.12, (226, 92, 104))
    _eyes(pen, -0.34, 0.17, 0.07)
    _muzzle(pen, -0.14, INK)
    pen.line([(-0.26, 0.16), (0.26, 0.16)], 0.07, (205, 50, 50))
    pen.dot(0, 0.22, 0.06, (235, 195, 60))
    _paws(pen, shade(coat, 0.88))


def fox(pen: Pen, coat: Colour) -> None:
    pen.tilted(0.62, 0.6, 0.2, 0.42, 28, coat)
    pen.tilted(0.75, 0.34, 0.12, 0.16, 28, WHITE)
    _sitting(pen, coat, WHITE)
    _pointed_ears(pen, coat, INK)
    pen.shape([(-0.52, -0.36), (0, -0.68), (0.52, -0.36), (0, 0.16)], coat)
    for side in (-1, 1):
        pen.shape([(side * 0.52, -0.36), (side * 0.06, -0.14), (0, 0.16)], WHITE)
    _eyes(pen, -0.3, 0.17, 0.055)
    pen.dot(0, 0.12, 0.07, INK)
    _paws(pen, mix(coat, INK, 0.6))


def bear(pen: Pen, coat: Colour) -> None:
    _sitting(pen, coat, shade(coat, 1.4))
    _round_ears(pen, coat, shade(coat, 1.5), 0.34, -0.58, 0.17)
    pen.oval(0, -0.26, 0.47, 0.4, coat)
    pen.oval(0, -0.1, 0.22, 0.17, shade(coat, 1.6))
    _eyes(pen, -0.34, 0.18, 0.055)
    _muzzle(pen, -0.16, INK)
    _paws(pen, shade(coat, 0.85))


def panda(pen: Pen, coat: Colour) -> None:
    _sitting(pen, WHITE, WHITE)
    _round_ears(pen, coat, coat, 0.36, -0.58, 0.17)
    pen.oval(0, -0.26, 0.48, 0.4, WHITE)
    for side in (-1, 1):
        pen.tilted(side * 0.2, -0.28, 0.13, 0.16, side * 30, coat)
        pen.dot(side * 0.18, -0.29, 0.045, WHITE)
        pen.oval(side * 0.3, 0.92, 0.22, 0.12, coat)
    _muzzle(pen, -0.1, INK)
    _paws(pen, coat)


def rabbit(pen: Pen, coat: Colour) -> None:
    pen.dot(0.45, 0.8, 0.15, WHITE)
    _sitting(pen, coat, shade(coat, 1.6))
    for side in (-1, 1):
        pen.tilted(side * 0.2, -0.74, 0.11, 0.36, side * 12, coat)
        pen.tilted(side * 0.2, -0.72, 0.055, 0.27, side * 12, PINK)
    pen.oval(0, -0.2, 0.38, 0.34, coat)
    _eyes(pen, -0.24, 0.16, 0.065)
    pen.box(-0.05, 0.02, 0.05, 0.12, WHITE)
    _muzzle(pen, -0.08, PINK)
    _paws(pen, shade(coat, 0.9))


def owl(pen: Pen, coat: Colour) -> None:
    pen.oval(0, 0.2, 0.5, 0.78, coat)
    pen.oval(0, 0.42, 0.33, 0.5, shade(coat, 1.5))
    for row in range(3):
        for x in (-0.16, 0, 0.16):
            pen.curve(
                (x - 0.07, 0.28 + row * 0.18),
                (x, 0.4 + row * 0.18),
                (x + 0.07, 0.28 + row * 0.18),
                0.03,
                coat,
            )
    for side in (-1, 1):
        pen.shape([(side * 0.5, -0.78), (side * 0.05, -0.5), (side * 0.46, -0.3)], coat)
        pen.tilted(side * 0.47, 0.3, 0.13, 0.48, side * 8, shade(coat, 0.65))
        pen.dot(side * 0.21, -0.22, 0.23, WHITE)
        pen.dot(side * 0.2, -0.22, 0.16, (245, 190, 50))
        pen.dot(side * 0.19, -0.22, 0.09, INK)
        pen.oval(side * 0.17, 0.96, 0.13, 0.06, BEAK)
    pen.shape([(-0.09, -0.14), (0.09, -0.14), (0, 0.1)], BEAK)


def bird(pen: Pen, coat: Colour) -> None:
    pen.shape([(-0.5, 0.1), (-1.0, -0.12), (-0.92, 0.2)], shade(coat, 0.75))
    pen.tilted(-0.05, 0.1, 0.58, 0.36, -14, coat)
    pen.tilted(-0.02, 0.22, 0.4, 0.2, -10, shade(coat, 1.6))
    pen.dot(0.45, -0.22, 0.28, coat)
    pen.shape([(0.7, -0.28), (1.0, -0.16), (0.7, -0.08)], BEAK)
    pen.shape([(0.15, 0.05), (-0.55, 0.28), (-0.62, -0.62), (-0.1, -0.2)], shade(coat, 0.7))
    pen.eye(0.53, -0.28, 0.065)


def duck(pen: Pen, coat: Colour) -> None:
    pen.shape([(-0.6, 0.3), (-1.0, 0.02), (-0.62, 0.75)], coat)
    pen.oval(-0.05, 0.55, 0.7, 0.43, coat)
    pen.oval(-0.15, 0.52, 0.4, 0.24, shade(coat, 0.82))
    pen.tilted(0.42, 0.1, 0.2, 0.4, -8, coat)
    pen.dot(0.45, -0.3, 0.3, coat)
    pen.oval(0.82, -0.24, 0.22, 0.09, BEAK)
    pen.eye(0.55, -0.38, 0.065)


def fish(pen: Pen, coat: Colour) -> None:
    pen.shape([(-0.5, 0.0), (-1.0, -0.42), (-0.86, 0.0), (-1.0, 0.42)], shade(coat, 0.75))
    pen.shape([(-0.3, -0.3), (0.15, -0.68), (0.35, -0.3)], shade(coat, 0.75))
    pen.oval(0.1, 0, 0.68, 0.42, coat)
    for x in (-0.3, -0.08, 0.14):
        pen.curve((x, -0.3), (x + 0.2, 0), (x, 0.3), 0.04, shade(coat, 1.5))
    pen.shape([(0.05, 0.08), (-0.2, 0.35), (0.2, 0.28)], shade(coat, 0.7))
    pen.dot(0.52, -0.1, 0.11, WHITE)
    pen.eye(0.54, -0.1, 0.07)
    pen.curve((0.74, 0.12), (0.62, 0.2), (0.56, 0.12), 0.03, INK)


def butterfly(pen: Pen, coat: Colour) -> None:
    for side in (-1, 1):
        pen.tilted(side * 0.46, -0.3, 0.5, 0.36, side * -35, coat)
        pen.tilted(side * 0.38, 0.36, 0.36, 0.28, side * 35, shade(coat, 0.78))
        pen.dot(side * 0.54, -0.36, 0.15, shade(coat, 1.6))
        pen.dot(side * 0.42, 0.4, 0.1, shade(coat, 1.6))
        pen.curve((0, -0.45), (side * 0.05, -0.8), (side * 0.28, -0.86), 0.035, INK)
    pen.oval(0, 0, 0.075, 0.55, INK)


def horse(pen: Pen, coat: Colour) -> None:
    mane = mix(coat, INK, 0.65)
    pen.curve((-0.6, 0.05), (-0.95, 0.15), (-0.82, 0.7), 0.14, mane)
    for x in (-0.5, -0.32, 0.2, 0.38):
        pen.line([(x, 0.3), (x, 0.9)], 0.13, shade(coat, 0.85 if x in (-0.32, 0.2) else 1))
        pen.box(x - 0.08, 0.9, x + 0.08, 1.0, INK)
    pen.oval(-0.08, 0.15, 0.6, 0.32, coat)
    pen.shape([(0.15, 0.1), (0.42, -0.75), (0.68, -0.65), (0.52, 0.25)], coat)
    pen.tilted(0.72, -0.6, 0.32, 0.17, 32, coat)
    pen.shape([(0.42, -0.7), (0.46, -0.98), (0.58, -0.72)], coat)
    pen.curve((0.44, -0.8), (0.12, -0.5), (0.12, 0.02), 0.15, mane)
    pen.eye(0.62, -0.68, 0.05)


def elephant(pen: Pen, coat: Colour) -> None:
    for x in (-0.6, -0.3, 0.1, 0.38):
        pen.box(x - 0.13, 0.3, x + 0.13, 1.0, shade(coat, 0.85))
    pen.oval(-0.12, 0.12, 0.68, 0.52, coat)
    pen.dot(0.52, -0.2, 0.4, coat)
    pen.curve((0.78, -0.1), (1.02, 0.5), (0.74, 0.82), 0.2, coat)
    pen.oval(0.26, -0.16, 0.28, 0.4, shade(coat, 0.78))
    pen.curve((0.66, 0.16), (0.8, 0.34), (0.96, 0.26), 0.08, WHITE)
    pen.curve((-0.78, 0.0), (-0.95, 0.2), (-0.9, 0.45), 0.06, shade(coat, 0.8))
    pen.eye(0.64, -0.3, 0.055)


def penguin(pen: Pen, coat: Colour) -> None:
    for side in (-1, 1):
        pen.tilted(side * 0.46, 0.25, 0.12, 0.42, side * -18, coat)
        pen.oval(side * 0.2, 0.95, 0.19, 0.07, BEAK)
    pen.oval(0, 0.12, 0.46, 0.84, coat)
    pen.oval(0, 0.36, 0.34, 0.55, WHITE)
    for side in (-1, 1):
        pen.dot(side * 0.15, -0.35, 0.19, WHITE)
        pen.eye(side * 0.14, -0.36, 0.06)
    pen.shape([(-0.12, -0.24), (0.12, -0.24), (0, -0.05)], BEAK)
