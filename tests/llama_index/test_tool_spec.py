from __future__ import annotations

import asyncio
import base64
import pickle
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import TextBlock
from llama_index.core.tools import FunctionTool, ToolOutput

from infrai_core import Artifacts, ConfigError
from infrai_core.testing import Answer, Script, envelope, reply
from llama_index_infrai import InfraiToolSpec

CONTENT = base64.b64encode(b"content").decode()
PICTURES = envelope({"images": [{"b64": CONTENT, "mime": "image/png"}, {"b64": CONTENT, "mime": "image/jpeg"}]})
PICTURE = envelope({"images": [{"b64": CONTENT, "mime": "image/png"}]})
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


def called(tool_spec: InfraiToolSpec, name: str, **arguments: Any) -> ToolOutput:
    return tool(tool_spec, name).call(**arguments)


def acalled(tool_spec: InfraiToolSpec, name: str, **arguments: Any) -> ToolOutput:
    return asyncio.run(tool(tool_spec, name).acall(**arguments))


def tool(tool_spec: InfraiToolSpec, name: str) -> FunctionTool:
    (found,) = [tool for tool in tool_spec.to_tool_list() if tool.metadata.name == name]
    return found


both = pytest.mark.parametrize("call", [called, acalled], ids=["sync", "async"])


@both
def test_images_come_back_as_blocks_with_names_and_none_is_discarded(root: Path, call: Any) -> None:
    tools, script = spec(root, PICTURES, models={"image": "m"}, prefer="cheapest")
    output = call(tools, "generate_image", prompt="a cat", size="512x512", count=2)
    first, picture, second, other = output.blocks
    assert [Path(name).suffix for name in output.content.splitlines()] == [".png", ".jpg"]
    assert [(root / name.text).read_bytes() for name in (first, second)] == [b"content"] * 2
    assert [block.resolve_image().read() for block in (picture, other)] == [b"content"] * 2
    assert [block.image_mimetype for block in (picture, other)] == ["image/png", "image/jpeg"]
    body = script.requests[0].body
    assert (body["prompt"], body["size"], body["n"], body["model"]) == ("a cat", "512x512", 2, "m")
    assert body["prefer"] == "cheapest"


@both
def test_speech_comes_back_in_the_form_it_came_in(root: Path, call: Any) -> None:
    tools, script = spec(root, SPEECH)
    name, sound = call(tools, "speak", text="hi", voice="anna", format="mp3").blocks
    assert (Path(name.text).suffix, (root / name.text).read_bytes()) == (".wav", b"content")
    assert (sound.resolve_audio().read(), sound.format) == (b"content", "wav")
    body = script.requests[0].body
    assert (body["input"], body["voice"], body["format"]) == ("hi", "anna", "mp3")


@both
def test_a_model_without_sight_gets_names_alone(root: Path, call: Any) -> None:
    tools, _ = spec(root, PICTURES, returns="names")
    assert [type(block) for block in call(tools, "generate_image", prompt="a cat").blocks] == [TextBlock] * 2


@both
def test_without_a_directory_media_stay_in_memory_and_go_from_tool_to_tool(call: Any) -> None:
    script = Script([SPEECH, TRANSCRIPT, PICTURES, reply("a cat")])
    tools = InfraiToolSpec(api_key="k", transport=script)
    name = call(tools, "speak", text="hi").blocks[0].text
    assert call(tools, "transcribe", audio=name).content == "hello"
    pictures = call(tools, "generate_image", prompt="a cat").content.splitlines()
    assert call(tools, "look_at_images", question="What?", images=pictures).content == "a cat"
    assert base64.b64decode(script.requests[1].body["audio"]["base64"]) == b"content"
    assert [image["mime"] for image in script.requests[3].body["images"]] == ["image/png", "image/jpeg"]


@both
@pytest.mark.parametrize("name", ["a.wav", "/etc/hostname", "file:///etc/hostname", "../a.wav", "data:,x"])
def test_without_a_directory_no_file_of_this_machine_can_be_named(
    root: Path, call: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    script = Script([])
    with pytest.raises(ValueError, match="names that the tools gave"):
        call(InfraiToolSpec(api_key="k", transport=script), "transcribe", audio=name)
    assert script.requests == []


def test_two_toolkits_can_share_their_media() -> None:
    shelf = Artifacts()
    speaker = InfraiToolSpec(api_key="k", transport=Script([SPEECH]), artifacts=shelf)
    listener = InfraiToolSpec(api_key="k", transport=Script([TRANSCRIPT]), artifacts=shelf)
    name = called(speaker, "speak", text="hi").blocks[0].text  # type: ignore[union-attr]
    assert called(listener, "transcribe", audio=name).content == "hello"


@both
def test_a_file_of_the_directory_is_transcribed(root: Path, call: Any) -> None:
    tools, script = spec(root, TRANSCRIPT)
    assert call(tools, "transcribe", audio="a.wav", language="en").content == "hello"
    audio = script.requests[0].body["audio"]
    assert base64.b64decode(audio["base64"]) == b"sound"
    assert script.requests[0].body["language"] == "en"


@both
def test_files_and_addresses_are_looked_at(root: Path, call: Any) -> None:
    tools, script = spec(root, reply("a cat"))
    images = ["a.png", "https://nowhere.invalid/b.png"]
    assert call(tools, "look_at_images", question="What?", images=images).content == "a cat"
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
    assert called(tools, "transcribe", audio="a.wav").content == "hello"


def test_a_directory_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="root_dir"):
        spec(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"models": {"music": "m"}}, "music"),
        ({"returns": "files"}, "returns='files'"),
        ({"model": "m"}, "models="),
        ({"artifacts": Artifacts()}, "artifacts"),
    ],
)
def test_a_wrong_option_is_refused_by_name(root: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        spec(root, **options)


def test_a_pickled_toolkit_still_knows_its_media(root: Path) -> None:
    tools = InfraiToolSpec(base_url="embedded", models={"image": "m"})
    name = tools.artifacts.keep(b"content", "image", "image/png")
    again = pickle.loads(pickle.dumps(tools))
    assert again.artifacts.read(name) == b"content"


def test_an_agent_sees_what_it_drew_and_is_told_what_went_wrong(tmp_path: Path) -> None:
    pytest.importorskip("infrai_runtime.embedded", reason="the runtime's extra is not installed")
    from tests.llama_index.played import played, said

    def look(request: Any) -> Any:
        name = said(request).splitlines()[-1]
        return "look_at_images", {"question": "What is it?", "images": [name]}

    turns = (
        ("look_at_images", {"question": "What is it?", "images": ["../secret.png"]}),
        ("generate_image", {"prompt": "a cat"}),
        look,
        "It is a cat.",
    )
    tools = InfraiToolSpec(api_key="k", transport=Script([PICTURE, reply("a cat")]))

    async def ask(llm: Any) -> str:
        return str(await FunctionAgent(tools=tools.to_tool_list(), llm=llm).run("Draw a cat and look at it."))

    with played(tmp_path, *turns) as (llm, model):
        assert asyncio.run(ask(llm)) == "It is a cat."
    assert "names that the tools gave" in model.prompts[1]
    (result,) = model.requests[2]["messages"][-1]["parts"]
    assert [part["type"] for part in result["parts"]] == ["text", "image"]
    assert base64.b64decode(result["parts"][1]["base64"]) == b"content"
    assert model.prompts[3].endswith("a cat")


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
