from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.draw import Picture, draw
from infrai_runtime.vendors.local.draw.prompt import STYLES, read
from infrai_runtime.vendors.local.draw.subject import SUBJECTS

SMALL = "128x128"
EXAMPLE = "a watercolor raccoon reading a book under a maple tree"


def _pixels(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)


def _names(prompt: str) -> list[str]:
    return [one.subject.name for one in read(prompt).wanted]


def test_the_same_prompt_gives_the_same_bytes() -> None:
    assert draw(EXAMPLE, size=SMALL, n=2) == draw(EXAMPLE, size=SMALL, n=2)


def test_each_of_several_pictures_is_different() -> None:
    assert len({picture.png for picture in draw("three birds over a house", size=SMALL, n=4)}) == 4


@pytest.mark.parametrize("size", ["64x64", "96x160", "300x128"])
def test_a_picture_has_the_size_that_was_asked_for(size: str) -> None:
    [picture] = draw("a cat", size=size)
    image = Image.open(io.BytesIO(picture.png))
    assert (image.format, f"{image.width}x{image.height}") == ("PNG", size)
    assert f"{picture.width}x{picture.height}" == size


def test_the_default_size_is_1024_squared() -> None:
    assert (draw("a cat", fast=True)[0].width, draw("a cat", fast=True)[0].height) == (1024, 1024)


def test_the_file_says_that_no_model_made_it() -> None:
    [picture] = draw(EXAMPLE, size=SMALL)
    assert Image.open(io.BytesIO(picture.png)).info["Description"] == picture.label
    assert "not made by a generative model" in picture.label
    assert "watercolor: raccoon, book, maple tree" in picture.label


def test_words_of_no_table_become_abstract_shapes_and_the_label_says_so() -> None:
    [picture], [other] = draw("jazz", size=SMALL), draw("silence", size=SMALL)
    assert "abstract" in picture.label
    assert picture.png != other.png


@pytest.mark.parametrize("style", STYLES)
def test_every_style_looks_different(style: str) -> None:
    words = STYLES[style].split("|")[0]
    styled, flat = draw(f"{words} cat", size=SMALL)[0], draw("cat flat", size=SMALL)[0]
    assert read(f"{words} cat").style == style
    assert style == "flat" or np.abs(_pixels(styled) - _pixels(flat)).mean() > 4


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_subject_is_found_by_all_its_words_and_leaves_a_mark(subject: object) -> None:
    assert subject in SUBJECTS
    words = next(one.words for one in SUBJECTS if one is subject)
    assert {tuple(_names(word)) for word in words} == {(words[0],)}
    drawn, empty = draw(words[0], size=SMALL, fast=True)[0], draw("desert", size=SMALL, fast=True)[0]
    assert (np.abs(_pixels(drawn) - _pixels(empty)).max(axis=2) > 40).mean() > 0.005


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        (EXAMPLE, ["raccoon", "book", "maple tree"]),
        ("一只猫在枫树下看书", ["cat", "maple tree", "book"]),
        ("熊猫和猫头鹰", ["panda", "owl"]),
        ("a catalogue of carpets", []),
    ],
)
def test_subjects_are_whole_words_in_the_prompts_order(prompt: str, names: list[str]) -> None:
    assert _names(prompt) == names


def test_a_colour_belongs_to_the_noun_after_it() -> None:
    car, cat = read("a green car and a cat").wanted
    assert car.colour == (70, 156, 78)
    assert cat.colour == cat.subject.colour


@pytest.mark.parametrize(("prompt", "count"), [("a cat", 1), ("cats", 2), ("three cats", 3), ("五只猫", 5)])
def test_numbers_and_plurals_are_counted(prompt: str, count: int) -> None:
    assert [one.count for one in read(prompt).wanted] == [count]


def test_a_named_colour_is_seen_in_the_picture() -> None:
    blue, red = (_pixels(draw(f"a {colour} car", size=SMALL)[0]) for colour in ("blue", "red"))
    assert (blue[..., 2] - blue[..., 0] > 120).sum() > 300
    assert (red[..., 0] - red[..., 2] > 120).sum() > 300


@pytest.mark.parametrize("size", [" ", "big", "63x64", "64x2049", "1024", "64x64x64", "-64x64"])
def test_a_size_out_of_bounds_is_refused(size: str) -> None:
    with pytest.raises(Failure, match="64 to 2048") as caught:
        draw("a cat", size=size)
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "size")


@pytest.mark.parametrize("n", [0, 11])
def test_a_number_of_pictures_out_of_bounds_is_refused(n: int) -> None:
    with pytest.raises(Failure, match="1 to 10") as caught:
        draw("a cat", n=n)
    assert caught.value.param == "n"


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(Failure) as caught:
        draw("  ")
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "prompt")
