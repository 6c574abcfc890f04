"""`draw`: from a prompt to PNG files, each saying of itself what it is."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.draw import abstract, compose, style
from infrai_runtime.vendors.local.draw.prompt import Scene, read
from infrai_runtime.vendors.local.package import load

if TYPE_CHECKING:
    from PIL.Image import Image

SIDES = (64, 2048)
COUNTS = (1, 10)
DEFAULT_SIZE = "1024x1024"
MAX_CHARACTERS = 32_000

_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_SMOOTH_UP_TO = 1024


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file, its size in pixels, and what it is in words (also in the file's ``Description`` text)."""

    png: bytes
    width: int
    height: int
    label: str


def draw(prompt: str, *, size: str | None = None, n: int = 1, fast: bool = False) -> list[Picture]:
    """``n`` illustrations of the prompt's subjects; no generative model is involved, and the label says so.

    ``size`` is ``WIDTHxHEIGHT``, each 64 to 2048 (1024x1024 if not given). The same arguments give the same
    bytes. ``fast`` leaves out the smoothing of edges. Raises INVALID_REQUEST naming ``prompt``, ``size`` or
    ``n``, and NO_VENDOR_AVAILABLE without Pillow and numpy.
    """
    _check(prompt, n)
    width_height = _parsed_size(size or DEFAULT_SIZE)
    load("PIL", extra="local", package="pillow", what="Drawing")
    load("numpy", extra="local", package="numpy", what="Drawing")
    scene = read(prompt)
    return [_picture(scene, prompt, place, width_height, fast) for place in range(n)]


def _picture(scene: Scene, prompt: str, place: int, size: tuple[int, int], fast: bool) -> Picture:
    seed = int.from_bytes(hashlib.sha256(f"{prompt}|{place}".encode("utf-8", "replace")).digest()[:8], "big")
    label = _label(scene)
    flat = _composed(scene, size, Random(seed), fast)
    return Picture(_png(style.apply(scene.style, flat, seed % 2**31), label), *size, label)


def _composed(scene: Scene, size: tuple[int, int], random: Random, fast: bool) -> Image:
    """Drawn at twice the size and reduced, for smooth edges."""
    from PIL.Image import Resampling

    factor = 1 if fast or max(size) > _SMOOTH_UP_TO else 2
    sheet = (size[0] * factor, size[1] * factor)
    if scene.wanted or scene.settings:
        large = compose.compose(scene, sheet, random)
    else:
        large = abstract.compose(scene.colours, sheet, random)
    return large if factor == 1 else large.resize(size, Resampling.BOX)


def _label(scene: Scene) -> str:
    names = [one.subject.name for one in scene.wanted] + sorted(scene.settings)
    shown = ", ".join(names) if names else "abstract shapes: no word of the prompt is in the drawing table"
    made = f"Illustration drawn by a program from a table of shapes ({scene.style}: {shown})"
    return f"{made}; not made by a generative model"


def _png(image: Image, label: str) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("Description", label)
    about.add_text("Software", "infrai local drawing")
    out = io.BytesIO()
    image.save(out, format="PNG", pnginfo=about)
    return out.getvalue()


def _check(prompt: str, n: int) -> None:
    if not prompt.strip():
        raise Failure("INVALID_REQUEST", "prompt is empty", param="prompt")
    if len(prompt) > MAX_CHARACTERS:
        message = f"prompt has {len(prompt)} characters; at most {MAX_CHARACTERS} are read"
        raise Failure("PAYLOAD_TOO_LARGE", message, param="prompt")
    low, high = COUNTS
    if not low <= n <= high:
        raise Failure("INVALID_REQUEST", f"n is {n}; {low} to {high} pictures are drawn", param="n")


def _parsed_size(size: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(size)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    low, high = SIDES
    if not all(low <= side <= high for side in sides):
        message = f"size {size!r} is not WIDTHxHEIGHT with sides of {low} to {high} pixels"
        raise Failure("INVALID_REQUEST", message, param="size")
    return sides
