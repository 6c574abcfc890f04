"""People, machines and things of use."""

from __future__ import annotations

from infrai_runtime.vendors.local.draw.pen import INK, WHITE, Colour, Pen, mix, shade
from infrai_runtime.vendors.local.draw.place import GLASS, WOOD

SKIN: Colour = (232, 184, 148)
STEEL: Colour = (150, 158, 168)
PAPER: Colour = (250, 244, 228)


def person(pen: Pen, clothes: Colour) -> None:
    for side in (-1, 1):
        pen.line([(side * 0.13, 0.5), (side * 0.15, 0.92)], 0.17, (60, 70, 105))
        pen.oval(side * 0.19, 0.95, 0.14, 0.06, INK)
        pen.curve((side * 0.26, 0.05), (side * 0.48, 0.25), (side * 0.3, 0.48), 0.13, shade(clothes, 0.85))
        pen.dot(side * 0.28, 0.5, 0.08, SKIN)
    pen.shape([(-0.3, -0.02), (0.3, -0.02), (0.27, 0.58), (-0.27, 0.58)], clothes)
    pen.dot(0, -0.42, 0.34, (80, 52, 36))
    pen.oval(0, -0.32, 0.29, 0.31, SKIN)
    pen.shape([(-0.3, -0.42), (-0.1, -0.7), (0.25, -0.66), (0.3, -0.42), (0.02, -0.52)], (80, 52, 36))
    for side in (-1, 1):
        pen.eye(side * 0.11, -0.31, 0.042)
        pen.dot(side * 0.18, -0.2, 0.05, (240, 160, 140))
    pen.curve((-0.1, -0.16), (0, -0.07), (0.1, -0.16), 0.03, INK)


def robot(pen: Pen, body: Colour) -> None:
    pen.line([(0, -0.7), (0, -0.92)], 0.05, STEEL)
    pen.dot(0, -0.92, 0.08, (225, 60, 60))
    for side in (-1, 1):
        pen.line([(side * 0.4, 0.1), (side * 0.62, 0.25), (side * 0.58, 0.5)], 0.13, STEEL)
        pen.dot(side * 0.58, 0.55, 0.11, shade(body, 0.7))
        pen.box(side * 0.2 - 0.1, 0.6, side * 0.2 + 0.1, 0.95, STEEL)
        pen.oval(side * 0.22, 0.95, 0.18, 0.06, shade(body, 0.6))
    pen.box(-0.4, -0.02, 0.4, 0.68, body)
    pen.box(-0.42, -0.72, 0.42, -0.08, shade(body, 1.2))
    pen.box(-0.33, -0.6, 0.33, -0.24, (40, 52, 66))
    for side in (-1, 1):
        pen.dot(side * 0.16, -0.44, 0.09, (110, 235, 240))
    pen.line([(-0.12, -0.3), (0.12, -0.3)], 0.03, (110, 235, 240))
    for place, colour in enumerate(((225, 80, 70), (240, 200, 70), (90, 190, 100))):
        pen.dot(-0.16 + place * 0.16, 0.16, 0.055, colour)
    pen.box(-0.22, 0.34, 0.22, 0.54, shade(body, 0.75))


def car(pen: Pen, paint: Colour) -> None:
    pen.shape([(-0.6, 0.35), (-0.38, -0.12), (0.3, -0.12), (0.58, 0.35)], paint)
    pen.shape([(-0.48, 0.32), (-0.32, -0.02), (-0.06, -0.02), (-0.06, 0.32)], GLASS)
    pen.shape([(0.02, 0.32), (0.02, -0.02), (0.25, -0.02), (0.45, 0.32)], GLASS)
    pen.shape([(-0.98, 0.8), (-0.98, 0.42), (-0.85, 0.32), (0.6, 0.32), (0.98, 0.46), (0.98, 0.8)], paint)
    pen.box(-0.98, 0.68, 0.98, 0.8, shade(paint, 0.75))
    pen.oval(0.92, 0.52, 0.07, 0.08, (255, 235, 150))
    pen.oval(-0.95, 0.52, 0.05, 0.08, (200, 40, 40))
    for x in (-0.55, 0.55):
        pen.dot(x, 0.79, 0.21, INK)
        pen.dot(x, 0.79, 0.1, (205, 208, 214))
    pen.line([(0.02, 0.45), (0.14, 0.45)], 0.035, shade(paint, 0.6))


def bicycle(pen: Pen, paint: Colour) -> None:
    for x in (-0.55, 0.55):
        pen.dot(x, 0.6, 0.4, INK)
        pen.dot(x, 0.6, 0.34, (236, 238, 240))
        pen.dot(x, 0.6, 0.06, INK)
    frame = [(-0.55, 0.6), (-0.2, 0.05), (0.38, 0.05), (0.0, 0.6), (-0.55, 0.6)]
    pen.line(frame, 0.07, paint)
    pen.line([(0.0, 0.6), (-0.24, -0.1)], 0.06, paint)
    pen.line([(0.55, 0.6), (0.34, -0.2), (0.55, -0.26)], 0.06, paint)
    pen.oval(-0.26, -0.13, 0.17, 0.06, INK)


def train(pen: Pen, paint: Colour) -> None:
    pen.box(-0.95, -0.35, -0.3, 0.65, paint)
    pen.box(-1.0, -0.45, -0.25, -0.33, shade(paint, 0.65))
    pen.box(-0.8, -0.2, -0.45, 0.12, GLASS)
    pen.box(-0.3, 0.05, 0.85, 0.65, shade(paint, 0.85))
    pen.shape([(0.4, 0.05), (0.34, -0.4), (0.7, -0.4), (0.64, 0.05)], INK)
    pen.dot(0.86, 0.35, 0.1, (255, 235, 150))
    for x, r in ((-0.7, 0.22), (-0.1, 0.18), (0.3, 0.18), (0.68, 0.18)):
        pen.dot(x, 1 - r, r, INK)
        pen.dot(x, 1 - r, r * 0.5, (210, 60, 50))
    for x, y, r in ((0.52, -0.6, 0.13), (0.34, -0.78, 0.16)):
        pen.dot(x, y, r, (225, 228, 232))


def boat(pen: Pen, hull: Colour) -> None:
    pen.line([(0, 0.5), (0, -0.9)], 0.05, WOOD)
    pen.shape([(0.06, -0.85), (0.72, 0.32), (0.06, 0.32)], WHITE)
    pen.shape([(-0.06, -0.65), (-0.56, 0.32), (-0.06, 0.32)], shade(hull, 1.6))
    pen.shape([(0.02, -0.9), (0.3, -0.82), (0.02, -0.74)], (215, 60, 55))
    pen.shape([(-0.85, 0.45), (0.9, 0.45), (0.6, 0.9), (-0.55, 0.9)], hull)
    pen.line([(-0.8, 0.5), (0.84, 0.5)], 0.05, shade(hull, 0.7))


def rocket(pen: Pen, paint: Colour) -> None:
    pen.shape([(-0.2, 0.62), (0, 1.0), (0.2, 0.62)], (250, 170, 50))
    pen.shape([(-0.1, 0.62), (0, 0.84), (0.1, 0.62)], (255, 235, 140))
    for side in (-1, 1):
        pen.shape([(side * 0.25, 0.15), (side * 0.58, 0.65), (side * 0.22, 0.6)], paint)
    pen.oval(0, 0, 0.32, 0.72, (235, 238, 242))
    pen.shape([(-0.26, -0.42), (0, -1.0), (0.26, -0.42)], paint)
    pen.dot(0, -0.12, 0.15, shade(paint, 0.7))
    pen.dot(0, -0.12, 0.11, GLASS)


def plane(pen: Pen, paint: Colour) -> None:
    pen.shape([(-0.6, -0.05), (-0.95, -0.5), (-0.72, -0.5), (-0.35, -0.05)], paint)
    pen.oval(0, 0, 0.9, 0.2, (238, 240, 244))
    pen.shape([(0.15, 0.05), (-0.35, 0.6), (-0.1, 0.6), (0.4, 0.05)], paint)
    pen.shape([(0.1, -0.12), (-0.2, -0.5), (0.02, -0.5), (0.35, -0.12)], shade(paint, 0.8))
    for step in range(5):
        pen.dot(-0.3 + step * 0.17, -0.04, 0.045, (70, 120, 170))
    pen.shape([(0.62, -0.1), (0.8, -0.09), (0.84, 0.0), (0.62, 0.0)], GLASS)


def book(pen: Pen, cover: Colour) -> None:
    """An open book, seen by the one who looks at the picture from a little above."""
    for side in (-1, 1):
        pen.shape([(0, -0.32), (side * 0.98, -0.55), (side * 0.98, 0.52), (0, 0.75)], cover)
        pen.shape(
            [
                (0, -0.28),
                (side * 0.45, -0.46),
                (side * 0.9, -0.5),
                (side * 0.9, 0.42),
                (side * 0.45, 0.44),
                (0, 0.62),
            ],
            PAPER,
        )
        for row in range(4):
            y = -0.22 + row * 0.17
            pen.line([(side * 0.14, y), (side * 0.76, y - 0.13)], 0.03, (165, 155, 140))
    pen.line([(0, -0.28), (0, 0.62)], 0.035, shade(PAPER, 0.7))


def cup(pen: Pen, glaze: Colour) -> None:
    for x in (-0.2, 0.12):
        pen.curve((x, -0.42), (x + 0.18, -0.62), (x + 0.02, -0.88), 0.05, (222, 222, 226))
    pen.oval(0, 0.93, 0.75, 0.09, shade(glaze, 0.8))
    pen.line([(0.45, 0.0), (0.82, 0.05), (0.78, 0.45), (0.4, 0.52)], 0.1, glaze)
    pen.shape([(-0.55, -0.2), (0.55, -0.2), (0.4, 0.75), (0.25, 0.9), (-0.25, 0.9), (-0.4, 0.75)], glaze)
    pen.oval(0, -0.2, 0.55, 0.13, shade(glaze, 1.3))
    pen.oval(0, -0.18, 0.46, 0.09, (98, 62, 38))


def apple(pen: Pen, skin: Colour) -> None:
    pen.curve((0, -0.35), (0.02, -0.6), (0.14, -0.78), 0.07, WOOD)
    pen.tilted(0.32, -0.6, 0.22, 0.1, -24, (95, 165, 70))
    for side in (-1, 1):
        pen.oval(side * 0.26, 0.22, 0.46, 0.62, skin)
    pen.tilted(-0.38, 0.02, 0.09, 0.2, 18, shade(skin, 1.5))


def cake(pen: Pen, icing: Colour) -> None:
    pen.box(-0.7, 0.2, 0.7, 0.95, (222, 178, 120))
    pen.box(-0.7, 0.52, 0.7, 0.62, shade(icing, 1.2))
    pen.box(-0.7, 0.05, 0.7, 0.25, icing)
    for step in range(7):
        pen.dot(-0.6 + step * 0.2, 0.26, 0.1, icing)
    for x in (-0.35, 0, 0.35):
        pen.box(x - 0.04, -0.4, x + 0.04, 0.05, (90, 150, 220))
        pen.oval(x, -0.5, 0.05, 0.11, (250, 190, 60))


def chair(pen: Pen, wood: Colour) -> None:
    for x in (-0.38, 0.38):
        pen.line([(x, -0.85), (x, 0.95)], 0.1, shade(wood, 0.85))
    for y in (-0.75, -0.45):
        pen.box(-0.38, y, 0.38, y + 0.14, wood)
    pen.shape([(-0.42, 0.08), (0.42, 0.08), (0.52, 0.28), (-0.52, 0.28)], wood)
    for x in (-0.47, 0.47):
        pen.line([(x, 0.28), (x, 0.97)], 0.1, wood)


def clock(pen: Pen, rim: Colour) -> None:
    pen.dot(0, 0.1, 0.85, rim)
    pen.dot(0, 0.1, 0.72, PAPER)
    for step in range(12):
        pen.at(0, 0.1, 1).star(*_hour(step), 0.05, 4, 0.7, INK)
    pen.line([(0, 0.1), (-0.22, -0.2)], 0.07, INK)
    pen.line([(0, 0.1), (0.38, -0.1)], 0.05, INK)


def _hour(step: int) -> tuple[float, float]:
    import math

    return 0.6 * math.cos(step * math.pi / 6), 0.6 * math.sin(step * math.pi / 6)


def heart(pen: Pen, red: Colour) -> None:
    for side in (-1, 1):
        pen.dot(side * 0.38, -0.22, 0.45, red)
    pen.shape([(-0.79, -0.02), (0.79, -0.02), (0.4, 0.45), (0, 0.85), (-0.4, 0.45)], red)
    pen.tilted(-0.45, -0.34, 0.15, 0.09, -40, shade(red, 1.6))


def guitar(pen: Pen, wood: Colour) -> None:
    dark = mix(wood, INK, 0.6)
    pen.line([(0, 0.2), (0, -0.85)], 0.13, dark)
    pen.box(-0.12, -1.0, 0.12, -0.78, dark)
    pen.dot(0, 0.6, 0.42, wood)
    pen.dot(0, 0.12, 0.31, wood)
    pen.dot(0, 0.3, 0.13, INK)
    pen.box(-0.18, 0.68, 0.18, 0.75, dark)
    for x in (-0.03, 0.03):
        pen.line([(x, -0.8), (x, 0.7)], 0.012, WHITE)


def umbrella(pen: Pen, cloth: Colour) -> None:
    pen.line([(0, -0.3), (0, 0.8), (0.12, 0.95), (0.26, 0.8)], 0.06, WOOD)
    pen.shape([(-0.95, 0.02), (-0.7, -0.5), (0, -0.85), (0.7, -0.5), (0.95, 0.02)], cloth)
    pen.shape([(-0.32, 0.02), (-0.2, -0.5), (0, -0.85), (0.2, -0.5), (0.32, 0.02)], shade(cloth, 1.35))


def lamp(pen: Pen, cloth: Colour) -> None:
    pen.line([(0, 0.0), (0, 0.9)], 0.08, STEEL)
    pen.oval(0, 0.93, 0.42, 0.07, STEEL)
    pen.shape([(-0.28, -0.75), (0.28, -0.75), (0.6, 0.05), (-0.6, 0.05)], cloth)
    pen.box(-0.6, 0.0, 0.6, 0.07, (255, 240, 180))
