"""Forms with files."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import pytest

from infrai_runtime.form import form_fields

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_large_file_needs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have none that can be written, and many files of a form are many open ones."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "there is none"))
    sound = bytes(range(256)) * 12_000
    head = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\ncontent-type: audio/wav\r\n\r\n'
    form = await form_fields("multipart/form-data; boundary=x", head + sound + b"\r\n--x--\r\n")
    assert form == {"audio": {"base64": base64.b64encode(sound).decode(), "mime": "audio/wav"}}
