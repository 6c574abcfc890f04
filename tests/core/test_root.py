from __future__ import annotations

import os
from pathlib import Path

import pytest

from infrai_core import ConfigError, Root
from infrai_core import root as module


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "root"
    (place / "sub").mkdir(parents=True)
    (place / "a.png").write_bytes(b"picture")
    (place / "sub" / "b.png").write_bytes(b"deeper")
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "c.png").write_bytes(b"secret")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (place / "out.png").symlink_to(tmp_path / "secret.png")
    (place / "up").symlink_to(tmp_path)
    (place / "within.png").symlink_to(place / "a.png")
    (place / "round.png").symlink_to(place / "round.png")
    os.mkfifo(place / "pipe")
    return place


@pytest.mark.parametrize(
    ("name", "content"), [("a.png", b"picture"), ("sub/b.png", b"deeper"), ("within.png", b"picture")]
)
def test_files_of_the_directory_are_read(place: Path, name: str, content: bytes) -> None:
    assert Root(place).read(name) == content


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "sub/../../secret.png",
        "../root-beside/c.png",
        "/etc/hostname",
        "out.png",
        "up/secret.png",
        "round.png",
        "missing.png",
        "pipe",
        "sub",
        ".",
        "",
        "a.png/b",
        "x" * 5000,
        "a\0.png",
    ],
)
def test_nothing_else_is(place: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"tools' directory|zero byte"):
        Root(place).read(name)


def test_the_refusal_does_not_tell_what_lies_outside(place: Path) -> None:
    with pytest.raises(ValueError, match="outside") as refusal:
        Root(place).read("out.png")
    assert "secret" not in str(refusal.value)


def test_the_directory_itself_may_be_a_link(place: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(place)
    assert Root(tmp_path / "alias").read("a.png") == b"picture"


def test_a_file_too_large_to_send_is_refused(place: Path) -> None:
    with (place / "large.bin").open("wb") as file:
        file.truncate(module.MAX_BYTES + 1)
    with pytest.raises(ValueError, match=r"'large.bin' is larger than 64 MiB"):
        Root(place).read("large.bin")


def test_a_directory_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="root_dir"):
        Root(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="root_dir=''"):
        Root("")  # as pathlib has it that is the directory in which the program was started


def test_files_are_written_and_never_overwritten(place: Path) -> None:
    root = Root(place)
    root.write(b"new", "new.png")
    assert (place / "new.png").read_bytes() == b"new"
    with pytest.raises(ValueError, match="exists already"):
        root.write(b"other", "a.png")
    with pytest.raises(ValueError, match="exists already"):
        root.write(b"other", "out.png")
    assert (place / "a.png").read_bytes() == b"picture"


@pytest.mark.parametrize("name", ["../new.png", "sub/new.png", "/tmp/new.png", "..", ""])
def test_files_are_written_into_the_directory_itself_only(place: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        Root(place).write(b"new", name)


@pytest.mark.parametrize("mime", [*module.EXTENSIONS, "application/pdf"])
def test_new_names_tell_their_media_type_and_differ(mime: str) -> None:
    names = {module.new_name("it", mime) for _ in range(50)}
    assert len(names) == 50
    assert {module.mime_of(name) for name in names} == {mime}
