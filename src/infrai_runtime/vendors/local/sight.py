"""What can be said about a picture without a vision model: its size, its colours and the text in it."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local import read_text as ocr
from infrai_runtime.vendors.local.colour import hex_of, name_of
from infrai_runtime.vendors.local.package import load

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 40_000_000
MAX_IMAGES = 16
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")

NOT_RECOGNISED = (
    "Objects, people and scenes are not recognised: no vision model runs on this machine, "
    "only colour measurement and text reading."
)
NO_READER = 'Text was not read: the reader is not installed (pip install "infrai-integrations[local-vision]").'
NOT_READ = "Text was not read: this model measures sizes and colours only; infrai-sight reads text."

_THUMB = 160
_PALETTE = 12
_SMALLEST_SHARE = 0.03
_MOST_COLOURS = 6
_BLANK_RANGE = 10

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sight:
    """An answer in words, and what it rests on.

    ``images`` holds one dict per picture: ``width``, ``height`` (pixels), ``format`` (as ``png``), ``mime``,
    ``colors`` (``{name, hex, share}``, largest first, share 0 to 1), ``blank``, ``text_lines``.
    ``read_text`` says whether text was looked for.
    """

    text: str
    images: list[Facts]
    read_text: bool


def look(images: Sequence[bytes], prompt: str, *, read_text: bool = True, limit_s: float = 60.0) -> Sight:
    """What can be measured in the pictures, as an answer to ``prompt``; of an animation, its first frame.

    Raises INVALID_REQUEST (param ``images``) for none, too many or unreadable pictures, PAYLOAD_TOO_LARGE
    above 40 million pixels, NO_VENDOR_AVAILABLE without Pillow, VENDOR_TIMEOUT when reading one of them takes longer
    than ``limit_s``. Where text was not read the answer says so.
    """
    if not 1 <= len(images) <= MAX_IMAGES:
        message = f"images holds {len(images)} pictures; 1 to {MAX_IMAGES} are allowed"
        raise Failure("INVALID_REQUEST", message, param="images")
    reads = read_text and ocr.can_read()
    facts = [_facts(data, place, limit_s if reads else None) for place, data in enumerate(images)]
    note = "" if reads else NO_READER if read_text else NOT_READ
    return Sight(_answer(facts, prompt, reads, note), facts, reads)


def _facts(data: bytes, place: int, read_within_s: float | None) -> Facts:
    format, image = _opened(data, place)
    blank = _is_blank(image)
    return {
        "width": image.width,
        "height": image.height,
        "format": format.lower(),
        "mime": f"image/{format.lower()}",
        "colors": _colours(image),
        "blank": blank,
        "text_lines": ocr.lines_in(image, read_within_s) if read_within_s and not blank else [],
    }


def _opened(data: bytes, place: int) -> tuple[str, Image]:
    """The format's name, and the first frame upright in RGB on white."""
    pillow = load("PIL.Image", extra="local", package="pillow", what="Looking at a picture")
    try:
        with pillow.open(io.BytesIO(data), formats=FORMATS) as file:
            _check_pixels(file.width * file.height, place)
            return str(file.format), _upright_on_white(file)
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise _too_large(place, "far more") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        allowed = ", ".join(FORMATS).lower()
        message = f"images[{place}] cannot be read as one of {allowed}"
        raise Failure("INVALID_REQUEST", message, param="images") from error


def _upright_on_white(file: Image) -> Image:
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(file).convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture).convert("RGB")


def _check_pixels(pixels: int, place: int) -> None:
    if pixels > MAX_PIXELS:
        raise _too_large(place, str(pixels))


def _too_large(place: int, pixels: str) -> Failure:
    message = f"images[{place}] has {pixels} pixels; at most {MAX_PIXELS} are looked at"
    return Failure("PAYLOAD_TOO_LARGE", message, param="images")


def _is_blank(image: Image) -> bool:
    import numpy as np

    return int(np.ptp(np.asarray(image), axis=(0, 1)).max()) <= _BLANK_RANGE


def _colours(image: Image) -> list[Facts]:
    """The named colours, largest share first; of one name the largest patch gives the hex."""
    thumb = image.copy()
    thumb.thumbnail((_THUMB, _THUMB))
    reduced = thumb.quantize(_PALETTE)
    palette = reduced.getpalette() or []
    total = thumb.width * thumb.height
    named: dict[str, Facts] = {}
    for index, count in _counted(reduced):
        rgb = palette[3 * index], palette[3 * index + 1], palette[3 * index + 2]
        row = named.setdefault(name_of(rgb), {"name": name_of(rgb), "hex": hex_of(rgb), "share": 0.0})
        row["share"] += count / total
    rows = sorted(named.values(), key=lambda row: -row["share"])[:_MOST_COLOURS]
    kept = [row for row in rows if row["share"] >= _SMALLEST_SHARE] or rows[:1]
    return [{**row, "share": round(row["share"], 3)} for row in kept]


def _counted(reduced: Image) -> list[tuple[int, int]]:
    """(palette index, pixels), most pixels first."""
    import numpy as np

    return Counter(np.asarray(reduced).ravel().tolist()).most_common()


def _say_size(facts: Facts) -> str:
    shape = _shape(facts["width"], facts["height"])
    return f"It is {facts['width']} x {facts['height']} pixels ({shape})."


def _say_format(facts: Facts) -> str:
    return f"It is a {facts['format'].upper()} file."


def _say_colours(facts: Facts) -> str:
    shares = ", ".join(f"{row['name']} {row['hex']} ({row['share']:.0%})" for row in facts["colors"])
    return f"Main colours: {shares}."


def _say_text(facts: Facts) -> str:
    lines = facts["text_lines"]
    return "Text in it:\n" + "\n".join(lines) if lines else "No text was found in it."


def _say_blank(facts: Facts) -> str:
    if facts["blank"]:
        return f"It is blank: one even {facts['colors'][0]['name']} area."
    return "It is not blank."


_Say = Callable[[Facts], str]
_ASKED: tuple[tuple[str, _Say], ...] = (
    (r"\bcolou?rs?\b|颜色|顏色|色彩", _say_colours),
    (
        r"\b(text|words?|read|written|writing|says?|letters?|ocr|transcribe|line)\b|文字|文本|写了|字",
        _say_text,
    ),
    (r"\b(size|dimensions?|resolution|width|height|wide|tall|pixels?)\b|大小|尺寸|分辨率", _say_size),
    (r"\b(format|file ?type|mime)\b|格式", _say_format),
    (r"\b(blank|empty)\b|空白", _say_blank),
)
_WITHOUT_OBJECTS = {_say_text, _say_size, _say_format, _say_blank}
_ABOUT_TEXT = re.compile(r"\b(how much|total|amount|date|name|number|price|invoice|receipt|title|sign)\b", re.I)


def _answer(facts: list[Facts], prompt: str, reads: bool, note: str) -> str:
    asked = [say for pattern, say in _ASKED if re.search(pattern, prompt, re.I)]
    if not asked and reads and _ABOUT_TEXT.search(prompt):
        asked = [_say_text]
    says = asked or [_say_size, _say_format, _say_colours, _say_text]
    says = [say for say in says if reads or say is not _say_text]
    parts = [_about(one, place, len(facts), says) for place, one in enumerate(facts)]
    honest = "" if asked and set(asked) <= _WITHOUT_OBJECTS else NOT_RECOGNISED
    wants_text = not asked or _say_text in asked
    return "\n\n".join(part for part in (*parts, note if wants_text else "", honest) if part)


def _about(facts: Facts, place: int, total: int, says: Sequence[_Say]) -> str:
    head = f"Image {place + 1}: " if total > 1 else ""
    blank = [] if not facts["blank"] or _say_blank in says else [_say_blank(facts)]
    said = blank + [say(facts) for say in says if not (blank and say is _say_text)]
    return head + "\n".join(said) if said else ""


def _shape(width: int, height: int) -> str:
    if width == height:
        return "square"
    return "landscape" if width > height else "portrait"
