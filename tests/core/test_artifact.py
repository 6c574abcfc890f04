from __future__ import annotations

import base64
import copy
import pickle
from pathlib import Path

import pytest

from infrai_core import Artifacts


@pytest.fixture(params=["memory", "directory"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path if request.param == "directory" else None)


def test_what_a_tool_made_can_be_named_to_the_next(artifacts: Artifacts) -> None:
    name = artifacts.keep(b"picture", "image", "image/png")
    assert name.startswith("image-")
    assert artifacts.read(name) == b"picture"
    assert artifacts.media(name) == {"base64": base64.b64encode(b"picture").decode(), "mime": "image/png"}


def test_web_addresses_are_handed_on(artifacts: Artifacts) -> None:
    url = "https://nowhere.invalid/a.png"
    assert artifacts.media(url) == {"url": url}


@pytest.mark.parametrize("reference", ["file:///etc/hostname", "data:,x", "ftp://nowhere.invalid/a", "/etc/hostname"])
def test_nothing_else_can_be_named(artifacts: Artifacts, reference: str) -> None:
    with pytest.raises(ValueError, match="tools"):
        artifacts.media(reference)


def test_without_a_directory_no_file_of_this_machine_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="names that the tools gave"):
        Artifacts().media("a.png")
    assert Artifacts(tmp_path).read("a.png") == b"picture"


def test_memory_is_bounded_and_the_newest_stays() -> None:
    artifacts = Artifacts(max_bytes=10)
    first, second = (artifacts.keep(b"123456", "image", "image/png") for _ in range(2))
    assert artifacts.read(second) == b"123456"
    with pytest.raises(ValueError, match="allowed"):
        artifacts.read(first)
    larger = artifacts.keep(b"x" * 100, "image", "image/png")
    assert artifacts.read(larger) == b"x" * 100


def test_a_copy_finds_what_the_original_made(artifacts: Artifacts) -> None:
    name = artifacts.keep(b"picture", "image", "image/png")
    assert copy.deepcopy(artifacts).read(name) == b"picture"
    assert pickle.loads(pickle.dumps(artifacts)).read(name) == b"picture"
