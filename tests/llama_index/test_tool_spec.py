from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.tools import FunctionTool

from infrai_core import ConfigError
from infrai_core.testing import Answer, Script, envelope, reply
from llama_index_infrai import InfraiToolSpec

CONTENT = base64.b64encode(b"content").decode()
PICTURES = envelope({"images": [{"b64": CONTENT, "mime": "image/png"}, {"b64": CONTENT, "mime": "image/jpeg"}]})
SPEECH = envelope({"b64": CONTENT, "format": "wav"})
TRANSCRIPT = envelope({"text": "hello"})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.png").write_bytes(b"picture")
    (root / "a.wav").write_bytes(b"sound")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    return root


def spec(root: Path, *answers: Answer, **options: Any) -> tuple[InfraiToolSpec, Script]:
    script = Script(answers)
    return InfraiToolSpec(root, api_key="ifr_secret_key", transport=script, **options), script


def called(tool_spec: InfraiToolSpec, name: str, **arguments: Any) -> str:
    return str(tool(tool_spec, name).call(**arguments).raw_output)


def acalled(tool_spec: InfraiToolSpec, name: str, **arguments: Any) -> str:
    return str(asyncio.run(tool(tool_spec, name).acall(**arguments)).raw_output)


def tool(tool_spec: InfraiToolSpec, name: str) -> FunctionTool:
    (found,) = [tool for tool in tool_spec.to_tool_list() if tool.metadata.name == name]
    return found


both = pytest.mark.parametrize("call", [called, acalled], ids=["sync", "async"])


@both
def test_images_are_saved_and_none_is_discarded(root: Path, call: Any) -> None:
    tools, script = spec(root, PICTURES, models={"image": "m"})
    names = call(tools, "generate_image", prompt="a cat", size="512x512", count=2).splitlines()
    assert [Path(name).suffix for name in names] == [".png", ".jpg"]
    assert [(root / name).read_bytes() for name in names] == [b"content"] * 2
    body = script.requests[0].body
    assert (body["prompt"], body["size"], body["n"], body["model"]) == ("a cat", "512x512", 2, "m")


@both
def test_speech_is_saved_in_the_form_it_came_in(root: Path, call: Any) -> None:
    tools, script = spec(root, SPEECH)
    name = call(tools, "speak", text="hi", voice="anna", format="wav")
    assert (Path(name).suffix, (root / name).read_bytes()) == (".wav", b"content")
    body = script.requests[0].body
    assert (body["input"], body["voice"], body["format"]) == ("hi", "anna", "wav")


@both
def test_a_file_of_the_directory_is_transcribed(root: Path, call: Any) -> None:
    tools, script = spec(root, TRANSCRIPT)
    assert call(tools, "transcribe", audio="a.wav", language="en") == "hello"
    audio = script.requests[0].body["audio"]
    assert base64.b64decode(audio["base64"]) == b"sound"
    assert script.requests[0].body["language"] == "en"


@both
def test_files_and_addresses_are_looked_at(root: Path, call: Any) -> None:
    tools, script = spec(root, reply("a cat"))
    images = ["a.png", "https://nowhere.invalid/b.png"]
    assert call(tools, "look_at_images", question="What?", images=images) == "a cat"
    file, address = script.requests[0].body["images"]
    assert (base64.b64decode(file["base64"]), file["mime"]) == (b"picture", "image/png")
    assert address == {"url": "https://nowhere.invalid/b.png"}


@both
@pytest.mark.parametrize(
    "name", ["../secret.png", "link.png", "/etc/hostname", "file:///etc/hostname", "data:,x", "missing.png", "."]
)
def test_no_way_leads_out_of_the_directory(root: Path, call: Any, name: str) -> None:
    tools, script = spec(root)
    with pytest.raises(ValueError, match="tools' directory"):
        call(tools, "look_at_images", question="What?", images=[name])
    assert script.requests == []


def test_the_directory_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    tools, _ = spec(tmp_path / "alias", TRANSCRIPT)
    assert called(tools, "transcribe", audio="a.wav") == "hello"


def test_a_directory_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="root_dir"):
        spec(tmp_path / "nothing")


def test_a_model_for_an_unknown_capability_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match="music"):
        spec(root, models={"music": "m"})


def test_every_tool_tells_a_model_what_it_does(root: Path) -> None:
    tools, _ = spec(root)
    names = ["generate_image", "speak", "transcribe", "look_at_images"]
    assert [tool.metadata.name for tool in tools.to_tool_list()] == names
    for made in tools.to_tool_list():
        described = made.metadata.to_openai_tool()["function"]["parameters"]["properties"]
        assert all("description" in parameter for parameter in described.values()), described
    speak = tool(tools, "speak").metadata.to_openai_tool()["function"]["parameters"]["properties"]
    assert speak["format"]["enum"] == ["mp3", "wav", "ogg", "pcm"]


def test_the_calls_are_in_the_ledger(root: Path) -> None:
    tools, _ = spec(root, TRANSCRIPT)
    called(tools, "transcribe", audio="a.wav")
    assert tools.ledger.total.calls == 1
