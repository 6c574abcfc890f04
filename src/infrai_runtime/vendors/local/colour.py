"""Colour names and the nearest name to a colour."""

from __future__ import annotations

from functools import cache

RGB = tuple[int, int, int]

NAMED: dict[str, RGB] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "gray": (128, 128, 128),
    "light gray": (200, 200, 200),
    "dark gray": (70, 70, 70),
    "red": (225, 30, 35),
    "dark red": (130, 15, 20),
    "orange": (255, 140, 0),
    "yellow": (250, 220, 40),
    "cream": (250, 240, 210),
    "beige": (215, 195, 160),
    "brown": (125, 75, 35),
    "dark brown": (70, 42, 22),
    "gold": (210, 165, 40),
    "olive": (110, 115, 35),
    "green": (40, 160, 60),
    "light green": (150, 220, 140),
    "dark green": (15, 80, 35),
    "teal": (0, 128, 128),
    "turquoise": (60, 210, 200),
    "sky blue": (135, 200, 240),
    "light blue": (180, 215, 245),
    "blue": (35, 85, 215),
    "dark blue": (15, 30, 100),
    "purple": (125, 50, 160),
    "lavender": (195, 175, 230),
    "magenta": (215, 30, 160),
    "pink": (250, 165, 195),
    "salmon": (245, 135, 115),
}


def hex_of(colour: RGB) -> str:
    """``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


@cache
def name_of(colour: RGB) -> str:
    """The name of `NAMED` that looks nearest, by distance in CIE L*a*b*."""
    here = _lab(colour)
    return min(NAMED, key=lambda name: sum((a - b) ** 2 for a, b in zip(here, _lab(NAMED[name]), strict=True)))


@cache
def _lab(colour: RGB) -> tuple[float, float, float]:
    red, green, blue = (_linear(part / 255) for part in colour)
    x = _cube_root((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505)
    y = _cube_root(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    z = _cube_root((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _linear(part: float) -> float:
    return float(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)


def _cube_root(part: float) -> float:
    return float(part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116)
