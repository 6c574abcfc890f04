"""Draws shapes in a subject's own coordinates: x and y from -1 to 1, y downwards, the ground at y = 1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (38, 34, 40)
WHITE: Colour = (250, 250, 247)


@dataclass(frozen=True, slots=True)
class Pen:
    """Where a subject stands on the sheet (pixels), how large one unit is, and whether it is mirrored."""

    sheet: ImageDraw
    x: float
    y: float
    unit: float
    flip: bool = False

    def at(self, x: float, y: float, scale: float) -> Pen:
        """A pen for a part of this subject, around (x, y) and ``scale`` times as large."""
        px, py = self.place(x, y)
        return Pen(self.sheet, px, py, self.unit * scale, self.flip)

    def place(self, x: float, y: float) -> Point:
        return self.x + (-x if self.flip else x) * self.unit, self.y + y * self.unit

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        cx, cy = self.place(x, y)
        rx, ry = abs(rx) * self.unit, abs(ry) * self.unit
        self.sheet.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=fill)

    def dot(self, x: float, y: float, r: float, fill: Colour) -> None:
        self.oval(x, y, r, r, fill)

    def shape(self, points: Iterable[Point], fill: Colour) -> None:
        self.sheet.polygon([self.place(x, y) for x, y in points], fill=fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A line with round ends and joints."""
        stroke = max(1, round(width * self.unit))
        placed = [self.place(x, y) for x, y in points]
        self.sheet.line(placed, fill=fill, width=stroke, joint="curve")
        for x, y in (placed[0], placed[-1]):
            half = stroke / 2
            self.sheet.ellipse((x - half, y - half, x + half, y + half), fill=fill)

    def curve(self, start: Point, bend: Point, end: Point, width: float, fill: Colour) -> None:
        """A line from ``start`` to ``end`` drawn towards ``bend``."""
        self.line([_bezier(start, bend, end, step / 16) for step in range(17)], width, fill)

    def tilted(self, x: float, y: float, rx: float, ry: float, degrees: float, fill: Colour) -> None:
        """An oval turned around its middle."""
        self.shape(turned_oval(x, y, rx, ry, degrees), fill)

    def star(self, x: float, y: float, r: float, points: int, inner: float, fill: Colour) -> None:
        corners = []
        for step in range(2 * points):
            reach = r if step % 2 == 0 else r * inner
            angle = math.pi * step / points - math.pi / 2
            corners.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
        self.shape(corners, fill)

    def eye(self, x: float, y: float, r: float) -> None:
        self.dot(x, y, r, INK)
        self.dot(x + r * 0.3, y - r * 0.35, r * 0.35, WHITE)


def turned_oval(x: float, y: float, rx: float, ry: float, degrees: float) -> list[Point]:
    turn = math.radians(degrees)
    points = []
    for step in range(48):
        angle = 2 * math.pi * step / 48
        a, b = rx * math.cos(angle), ry * math.sin(angle)
        points.append((x + a * math.cos(turn) - b * math.sin(turn), y + a * math.sin(turn) + b * math.cos(turn)))
    return points


def shade(colour: Colour, factor: float) -> Colour:
    """The colour darker (factor below 1) or nearer to white (above 1)."""
    if factor <= 1:
        return _triple(part * factor for part in colour)
    return _triple(part + (255 - part) * (factor - 1) for part in colour)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """``share`` of ``b`` in ``a``."""
    return _triple(one * (1 - share) + two * share for one, two in zip(a, b, strict=True))


def _triple(parts: Iterable[float]) -> Colour:
    red, green, blue = (max(0, min(255, round(part))) for part in parts)
    return red, green, blue


def _bezier(start: Point, bend: Point, end: Point, t: float) -> Point:
    near, mid, far = (1 - t) ** 2, 2 * (1 - t) * t, t * t
    return (
        near * start[0] + mid * bend[0] + far * end[0],
        near * start[1] + mid * bend[1] + far * end[1],
    )
