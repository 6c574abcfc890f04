"""Puts a scene on the sheet: backdrop first, then far things, trees, and what stands before them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from infrai_runtime.vendors.local.draw.pen import Colour, Pen, mix, shade
from infrai_runtime.vendors.local.draw.prompt import Scene, Wanted
from infrai_runtime.vendors.local.draw.subject import Layer, Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_HORIZON = 0.64
_ABOVE: dict[str, tuple[Colour, Colour]] = {
    "night": ((16, 22, 58), (62, 66, 122)),
    "evening": ((96, 92, 160), (252, 186, 128)),
    "rain": ((120, 132, 148), (190, 198, 206)),
    "snow": ((168, 196, 222), (236, 242, 248)),
}
_DAY: tuple[Colour, Colour] = ((146, 202, 238), (238, 244, 236))
_ROOM: tuple[Colour, Colour] = ((240, 226, 204), (248, 238, 222))
_BELOW: dict[str, Colour] = {
    "sea": (58, 132, 178),
    "snow": (240, 245, 250),
    "desert": (228, 196, 134),
}
_MEADOW: Colour = (132, 182, 96)
_TABLE: Colour = (172, 122, 78)
_MOST_OF_A_KIND = 6
_BASELINES = {"boat": 0.8, "fish": 0.96}
_OVERHEAD = ("umbrella",)


def compose(scene: Scene, size: tuple[int, int], random: Random) -> Image:
    """The scene in flat colours."""
    from PIL import ImageDraw

    wanted = [one for one in scene.wanted for _ in range(min(one.count, _MOST_OF_A_KIND))]
    indoors = not scene.settings and bool(wanted) and all(one.subject.layer == "held" for one in wanted)
    image = _backdrop(scene, size, indoors)
    sheet = ImageDraw.Draw(image)
    _scatter(sheet, scene, size, indoors, random)
    layers: dict[Layer, list[Wanted]] = {}
    for one in wanted:
        layers.setdefault(one.subject.layer, []).append(one)
    _paint_layers(sheet, layers, size, random)
    if "rain" in scene.settings:
        _rain(sheet, size, random)
    return image


def _paint_layers(sheet: ImageDraw, layers: dict[Layer, list[Wanted]], size: tuple[int, int], random: Random) -> None:
    for one, x in _spread(layers.get("far", []), random):
        _stand(sheet, one, x, _HORIZON + 0.02, size, 0.85)
    _in_the_sky(sheet, layers.get("sky", []), size, random)
    front = layers.get("ground", []) + layers.get("water", [])
    for one, x in _behind(layers.get("tall", []), bool(front), random):
        _stand(sheet, one, x, 0.86, size)
    _in_front(sheet, front, layers.get("held", []), size, bool(layers.get("tall")), random)
    for index, one in enumerate(layers.get("small", [])):
        _grow(sheet, one, index, len(layers["small"]), size, random)


def _in_front(
    sheet: ImageDraw,
    front: list[Wanted],
    held: list[Wanted],
    size: tuple[int, int],
    beside: bool,
    random: Random,
) -> None:
    alone = 1.35 if not beside else 1.0
    scale = alone * min(1.0, 2.6 / max(1, len(front)) ** 0.8)
    places = _spread(front, random)
    for one, x in places:
        _stand(sheet, one, x, _baseline(one.subject), size, scale)
    holders = [(x, one.subject) for one, x in places if one.subject.living]
    for index, one in enumerate(held):
        if index < len(holders):
            x, holder = holders[index]
            _hold(sheet, one, x, holder, size, scale)
        else:
            _stand(sheet, one, (index + 1) / (len(held) + 1), 0.9, size, 2.0 if not front else 1.0)


def _hold(sheet: ImageDraw, one: Wanted, x: float, holder: Subject, size: tuple[int, int], scale: float) -> None:
    """Before the belly of the one who holds it, as large as paws can carry; an umbrella over the head."""
    unit = holder.size * min(size) * scale
    if one.subject.name in _OVERHEAD:
        shelter = Pen(sheet, x * size[0] + unit * 0.46, _baseline(holder) * size[1] - unit * 1.6, unit)
        one.subject.paint(shelter, one.colour)
        return
    middle = _baseline(holder) * size[1] - unit * 0.42
    one.subject.paint(Pen(sheet, x * size[0], middle, unit * 0.42), one.colour)


def _baseline(subject: Subject) -> float:
    return _BASELINES.get(subject.name, 0.93)


def _stand(sheet: ImageDraw, one: Wanted, x: float, ground: float, size: tuple[int, int], scale: float = 1.0) -> None:
    unit = one.subject.size * min(size) * scale
    y = ground * size[1] - unit
    one.subject.paint(Pen(sheet, x * size[0], y, unit), one.colour)


def _spread(row: Sequence[Wanted], random: Random) -> list[tuple[Wanted, float]]:
    count = len(row)
    return [(one, (place + 0.5) / count + random.uniform(-0.04, 0.04) / count) for place, one in enumerate(row)]


def _behind(row: Sequence[Wanted], something_before: bool, random: Random) -> list[tuple[Wanted, float]]:
    """One tall thing stands a little beside the middle, so that it shelters what is before it."""
    if len(row) == 1 and something_before:
        return [(row[0], random.choice((0.4, 0.6)))]
    return _spread(row, random)


def _in_the_sky(sheet: ImageDraw, row: Sequence[Wanted], size: tuple[int, int], random: Random) -> None:
    alone = 1.5 if len(row) == 1 else 1.0
    for place, one in enumerate(row):
        unit = one.subject.size * min(size) * alone
        wide = one.subject.size > 0.3
        x = 0.5 if wide else (0.8 - 0.62 * place / max(1, len(row) - 1) if len(row) > 1 else random.choice((0.2, 0.8)))
        y = 0.45 if wide else 0.2 + random.uniform(-0.05, 0.06) + 0.02 * (place % 2)
        flip = random.random() < 0.5
        one.subject.paint(Pen(sheet, x * size[0], max(y * size[1], unit), unit, flip), one.colour)


def _grow(sheet: ImageDraw, one: Wanted, index: int, kinds: int, size: tuple[int, int], random: Random) -> None:
    """Small plants come in a few, at both sides."""
    for step in range(3 if kinds < 4 else 1):
        x = (index + 0.5) / kinds * 0.3 + (0.02, 0.66, 0.34)[step % 3] + random.uniform(-0.03, 0.03)
        _stand(sheet, one, min(x, 0.96), 0.97 - 0.02 * step, size, random.uniform(0.85, 1.1))


def _backdrop(scene: Scene, size: tuple[int, int], indoors: bool) -> Image:
    import numpy as np
    from PIL import Image

    width, height = size
    top, low = _ROOM if indoors else _above(scene)
    horizon = round(height * (0.74 if indoors else _HORIZON))
    rows = np.empty((height, 3))
    rows[:horizon] = _ramp(top, low, horizon)
    rows[horizon:] = _ramp(*_ground(scene, indoors), height - horizon)
    return Image.fromarray(np.repeat(rows.round().astype(np.uint8)[:, None, :], width, axis=1))


def _ramp(start: Colour, end: Colour, count: int) -> NDArray[Any]:
    import numpy as np

    return np.linspace(start, end, count)


def _above(scene: Scene) -> tuple[Colour, Colour]:
    names = {one.subject.name for one in scene.wanted}
    settings = scene.settings | ({"night"} if names & {"moon", "star", "rocket"} else set())
    return next((_ABOVE[name] for name in _ABOVE if name in settings), _DAY)


def _ground(scene: Scene, indoors: bool) -> tuple[Colour, Colour]:
    wet = {"boat", "fish"} & {one.subject.name for one in scene.wanted}
    settings = scene.settings | ({"sea"} if wet else set())
    base = _TABLE if indoors else next((_BELOW[name] for name in _BELOW if name in settings), _MEADOW)
    if _above(scene) == _ABOVE["night"]:
        base = mix(base, (20, 28, 60), 0.5)
    return shade(base, 1.15), shade(base, 0.82)


def _scatter(sheet: ImageDraw, scene: Scene, size: tuple[int, int], indoors: bool, random: Random) -> None:
    """Small life in the backdrop: stars at night, waves on water, blades in a meadow."""
    if indoors:
        return
    width, height = size
    unit = min(size)
    light, dark = _ground(scene, False)
    if _above(scene) == _ABOVE["night"]:
        for _ in range(60):
            x, y, r = (
                random.random() * width,
                random.random() * 0.55 * height,
                random.uniform(0.001, 0.003) * unit,
            )
            sheet.ellipse((x - r, y - r, x + r, y + r), fill=(250, 246, 220))
    wet = "sea" in scene.settings or any(one.subject.layer == "water" for one in scene.wanted)
    for _ in range(90):
        x, y = random.random() * width, random.uniform(_HORIZON + 0.03, 1) * height
        _mark(Pen(sheet, x, y, unit * 0.02), wet, light, dark)


def _mark(pen: Pen, wet: bool, light: Colour, dark: Colour) -> None:
    if wet:
        pen.curve((-1.2, 0), (0, -0.9), (1.2, 0), 0.2, shade(light, 1.25))
    else:
        for lean in (-0.4, 0.0, 0.4):
            pen.line([(lean / 2, 0.3), (lean, -0.5)], 0.12, shade(dark, 0.92))


def _rain(sheet: ImageDraw, size: tuple[int, int], random: Random) -> None:
    for _ in range(160):
        pen = Pen(sheet, random.random() * size[0], random.random() * size[1], min(size) * 0.02)
        pen.line([(0.25, -0.9), (-0.25, 0.9)], 0.09, (214, 226, 240))
