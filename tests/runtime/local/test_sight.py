from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.read_text import READER
from infrai_runtime.vendors.local.sight import NOT_READ, NOT_RECOGNISED, look


def _file(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format=format, **options)
    return out.getvalue()


def _page(*lines: str) -> Image.Image:
    image = Image.new("RGB", (640, 80 + 70 * len(lines)), "white")
    sheet = ImageDraw.Draw(image)
    for place, line in enumerate(lines):
        sheet.text((30, 40 + 70 * place), line, font=ImageFont.load_default(40), fill="black")
    return image


def _two_colours() -> Image.Image:
    image = Image.new("RGB", (300, 200), (225, 30, 35))
    image.paste((35, 85, 215), (0, 150, 300, 200))
    return image


def test_text_is_read_in_order() -> None:
    sight = look([_file(_page("Invoice 2041", "Total due: 99 EUR"))], "What does it say?")
    assert sight.images[0]["text_lines"] == ["Invoice 2041", "Total due: 99 EUR"]
    assert sight.text.endswith("Invoice 2041\nTotal due: 99 EUR")
    assert sight.read_text is True


def test_threads_share_the_reader() -> None:
    pages = [_file(_page(word)) for word in ("Apple", "Orange", "Lemon")]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda page: look([page], "read").images[0]["text_lines"], pages))
    assert found == [["Apple"], ["Orange"], ["Lemon"]]


def test_colours_are_named_with_their_shares() -> None:
    sight = look([_file(_two_colours())], "Which colors are in it?", read_text=False)
    colours = sight.images[0]["colors"]
    assert [(row["name"], row["hex"]) for row in colours] == [("red", "#e11e23"), ("blue", "#2355d7")]
    assert [row["share"] for row in colours] == pytest.approx([0.75, 0.25], abs=0.02)
    assert "red #e11e23" in sight.text
    assert "pixels" not in sight.text


@pytest.mark.parametrize(
    ("prompt", "words"),
    [("How large is it in pixels?", "300 x 200"), ("Which file format?", "PNG"), ("图片是什么颜色?", "red")],
)
def test_the_answer_is_about_what_was_asked(prompt: str, words: str) -> None:
    assert words in look([_file(_two_colours())], prompt, read_text=False).text


def test_an_open_question_gets_every_fact_and_the_limits() -> None:
    text = look([_file(_two_colours())], "What is in this picture?", read_text=False).text
    assert all(part in text for part in ("300 x 200", "PNG", "Main colours", NOT_RECOGNISED))


def test_one_even_area_is_blank() -> None:
    blank, drawn = look([_file(Image.new("L", (50, 50), 200)), _file(_two_colours())], "blank?", read_text=False).images
    assert (blank["blank"], drawn["blank"]) == (True, False)


def test_an_animation_is_seen_by_its_first_frame() -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    animation = _file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    facts = look([animation], "colour", read_text=False).images[0]
    assert (facts["format"], facts["mime"], facts["colors"][0]["name"]) == ("gif", "image/gif", "red")


def test_a_transparent_ground_counts_as_white() -> None:
    facts = look([_file(Image.new("RGBA", (20, 20), (0, 0, 0, 0)))], "colour", read_text=False).images[0]
    assert facts["colors"][0]["name"] == "white"


def test_a_turned_photo_is_measured_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = look([_file(_two_colours(), "JPEG", exif=exif)], "size", read_text=False).images[0]
    assert (facts["width"], facts["height"]) == (200, 300)


@pytest.mark.parametrize("data", [b"", b"not a picture", _file(_two_colours())[:60]])
def test_an_unreadable_picture_is_an_invalid_request(data: bytes) -> None:
    with pytest.raises(Failure, match=r"images\[1\]") as caught:
        look([_file(_two_colours()), data], "?", read_text=False)
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "images")


@pytest.mark.parametrize("count", [0, 17])
def test_the_number_of_pictures_is_bounded(count: int) -> None:
    with pytest.raises(Failure, match="1 to 16") as caught:
        look([b""] * count, "?")
    assert caught.value.param == "images"


@pytest.mark.parametrize("side", [7_000, 12_000, 30_000])
def test_a_decompression_bomb_is_refused_unopened(side: int) -> None:
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    with pytest.raises(Failure, match="pixels") as caught:
        look([bomb + struct.pack(">I", 0) + b"IDAT"], "?", read_text=False)
    assert (caught.value.code, caught.value.param) == ("PAYLOAD_TOO_LARGE", "images")


@pytest.mark.parametrize("prompt", ["What does it say?", "Read the text", "Describe it.", "How much is the total?"])
def test_a_model_that_does_not_read_says_so_where_text_was_wanted(prompt: str) -> None:
    assert NOT_READ in look([_file(_page("Total: 45 EUR"))], prompt, read_text=False).text


def test_nothing_is_said_of_text_that_nobody_asked_for() -> None:
    assert NOT_READ not in look([_file(_page("Total: 45 EUR"))], "Which colours?", read_text=False).text


def test_a_late_reading_ends_with_its_process() -> None:
    page = _file(_page(*(["many words in a long line"] * 8)))
    with pytest.raises(Failure) as caught:
        look([page], "read", limit_s=0.001)
    assert caught.value.code == "VENDOR_TIMEOUT"
    assert READER.process_id() is None
    assert len(look([page], "read").images[0]["text_lines"]) == 8


_LEAVES_EARLY = """
import sys
from pathlib import Path
from infrai_core import Infrai, InfraiError, Retry

client = Infrai(base_url="embedded", retry=Retry(attempts=0))
try:
    client.vision("What?", images=[Path(sys.argv[1])], model="infrai-sight", timeout_seconds=float(sys.argv[2]))
except InfraiError as error:
    print("late:", error)
"""


def test_a_process_that_ends_while_a_picture_is_read_ends_well(tmp_path: Path) -> None:
    large = _page(*(["many words in a long line"] * 40)).resize((2000, 2000))
    picture = tmp_path / "page.png"
    picture.write_bytes(_file(large))
    environment = {**os.environ, "INFRAI_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", _LEAVES_EARLY, str(picture), "1"], capture_output=True, text=True, env=environment
    )
    assert (done.stdout[:5], done.stderr, done.returncode) == ("late:", "", 0)
