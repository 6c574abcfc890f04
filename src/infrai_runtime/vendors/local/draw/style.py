"""Turns a picture in flat colours into one that looks made by hand, after the style's name."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

_PAPER = (252, 249, 240)
_GRAPHITE = (52, 50, 54)
_PIXELS_WIDE = 72
_PIXEL_COLOURS = 28


def apply(style: str, image: Image, seed: int) -> Image:
    """The picture in ``style``, a key of `STYLES`; the same seed gives the same strokes."""
    styled: Image = _STYLES[style](image, seed)
    return styled


def _watercolor(image: Image, seed: int) -> Image:
    """Wandering edges, pigment gathered at them, washes of uneven strength, and the grain of paper."""
    import numpy as np
    from PIL import Image, ImageFilter

    short = min(image.size)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(short * 0.0016)), dtype=np.float32)
    pixels = _displaced(pixels, short * 0.006, seed)
    wandered = Image.fromarray(pixels.astype(np.uint8))
    soft = np.asarray(wandered.filter(ImageFilter.GaussianBlur(short * 0.008)), dtype=np.float32)
    edges = np.abs(pixels - soft).mean(axis=2, keepdims=True) / 255
    height, width = pixels.shape[:2]
    wash = _cloudy((height, width), 5, seed + 2)[:, :, None] - 0.5
    grain = np.random.default_rng(seed).normal(0, 1, (height, width, 1)).astype(np.float32)
    ink = 1 - (pixels * 0.7 + soft * 0.3) / 255
    ink = ink * (0.84 + 0.42 * wash) + edges * 0.55 + grain * 0.012
    paper = np.array(_PAPER, dtype=np.float32)
    return _image(_bare_rim(paper * (1 - np.clip(ink, 0, 1)), paper, seed + 3))


def _bare_rim(pixels: NDArray[Any], paper: NDArray[Any], seed: int) -> NDArray[Any]:
    """Leaves an uneven rim of paper unpainted."""
    import numpy as np

    height, width = pixels.shape[:2]
    down = np.minimum(np.arange(height), np.arange(height)[::-1])[:, None]
    across = np.minimum(np.arange(width), np.arange(width)[::-1])[None, :]
    inward = np.minimum(down, across) / min(height, width) + 0.03 * (_cloudy((height, width), 9, seed) - 0.5)
    share = np.clip((inward - 0.025) / 0.012, 0, 1)[:, :, None]
    return np.asarray(pixels * share + paper * (1 - share))


def _displaced(pixels: NDArray[Any], reach: float, seed: int) -> NDArray[Any]:
    import numpy as np

    height, width = pixels.shape[:2]
    rows, columns = np.indices((height, width))
    rows = rows + ((_cloudy((height, width), 22, seed) - 0.5) * 4 * reach).astype(int)
    columns = columns + ((_cloudy((height, width), 22, seed + 1) - 0.5) * 4 * reach).astype(int)
    return np.asarray(pixels[rows.clip(0, height - 1), columns.clip(0, width - 1)])


def _cloudy(shape: tuple[int, int], cells: int, seed: int) -> NDArray[Any]:
    """Smooth noise from 0 to 1, about ``cells`` hills along each side."""
    import numpy as np
    from PIL import Image

    small = np.random.default_rng(seed).random((cells + 2, cells + 2)).astype(np.float32)
    large = Image.fromarray(small).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(np.clip(np.asarray(large), 0, 1))


def _pixel(image: Image, seed: int) -> Image:
    from PIL import Image

    width, height = image.size
    short = max(1, round(_PIXELS_WIDE * height / width))
    small = image.resize((_PIXELS_WIDE, short), Image.Resampling.BOX)
    few = small.quantize(_PIXEL_COLOURS, dither=Image.Dither.NONE).convert("RGB")
    return few.resize(image.size, Image.Resampling.NEAREST)


def _sketch(image: Image, seed: int) -> Image:
    """Pencil lines where colours meet, hatching where it is dark."""
    import numpy as np
    from PIL import ImageFilter

    short = min(image.size)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(short * 0.0012)), dtype=np.float32)
    pixels = _displaced(pixels, short * 0.0025, seed)
    step = max(1, round(short * 0.002))
    across = np.abs(np.roll(pixels, step, axis=1) - np.roll(pixels, -step, axis=1)).max(axis=2)
    down = np.abs(np.roll(pixels, step, axis=0) - np.roll(pixels, -step, axis=0)).max(axis=2)
    lines = np.clip(np.maximum(across, down) / 70, 0, 1)
    lines[:step], lines[-step:], lines[:, :step], lines[:, -step:] = 0, 0, 0, 0
    graphite = np.clip(lines * 0.9 + _hatching(pixels.mean(axis=2) / 255, short, seed), 0, 1)[:, :, None]
    return _image(np.array(_PAPER) * (1 - graphite) + np.array(_GRAPHITE) * graphite)


def _hatching(light: NDArray[Any], short: int, seed: int) -> NDArray[Any]:
    import numpy as np

    rows, columns = np.indices(light.shape)
    wobble = _cloudy((light.shape[0], light.shape[1]), 14, seed + 5) * short * 0.02
    gap = short * 0.011
    tone = np.zeros(light.shape, dtype=np.float32)
    for limit, slope in ((0.78, 1), (0.5, -1), (0.3, 0.3)):
        stripes = np.sin((rows + slope * columns + wobble) * 2 * math.pi / gap) > 0.45
        tone += np.where(stripes & (light < limit), 0.42, 0.0)
    return tone


def _oil(image: Image, seed: int) -> Image:
    """Short strokes, broad ones first, each in the colour below it, following slow curves."""
    import numpy as np
    from PIL import ImageDraw

    random = Random(seed)
    short = min(image.size)
    colours = np.asarray(image)
    flow = _cloudy((image.height, image.width), 6, seed)
    canvas = image.copy()
    sheet = ImageDraw.Draw(canvas)
    for count, long, wide in ((1500, 0.05, 0.022), (5000, 0.028, 0.011), (9000, 0.014, 0.006)):
        for _ in range(count):
            x, y = random.randrange(image.width), random.randrange(image.height)
            angle = float(flow[y, x]) * 2 * math.pi
            dx, dy = math.cos(angle) * long * short / 2, math.sin(angle) * long * short / 2
            tone = random.uniform(-16, 16)
            fill = tuple(max(0, min(255, round(float(part) + tone))) for part in colours[y, x])
            sheet.line((x - dx, y - dy, x + dx, y + dy), fill=fill, width=max(1, round(wide * short)))
    return _canvas_light(canvas, short)


def _canvas_light(image: Image, short: int) -> Image:
    """Light from the upper left on raised paint."""
    import numpy as np

    pixels = np.asarray(image, dtype=np.float32)
    height = pixels.mean(axis=2)
    step = max(1, short // 500)
    relief = height - np.roll(height, (step, step), axis=(0, 1))
    return _image(pixels + np.clip(relief * 0.16, -14, 14)[:, :, None])


def _flat(image: Image, seed: int) -> Image:
    return image


def _image(pixels: NDArray[Any]) -> Image:
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


_STYLES: dict[str, Callable[[Any, int], Any]] = {
    "watercolor": _watercolor,
    "pixel": _pixel,
    "sketch": _sketch,
    "oil": _oil,
    "flat": _flat,
}
