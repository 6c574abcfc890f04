"""The tools, rerank and the audio parser, on scripted answers."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_tests.unit_tests import ToolsUnitTests

from infrai_core import Artifacts, ConfigError
from infrai_core.testing import Script, envelope, failure, reply
from langchain_infrai import (
    InfraiASRTool,
    InfraiAudioParser,
    InfraiImageTool,
    InfraiRerank,
    InfraiToolkit,
    InfraiTTSTool,
    InfraiVisionTool,
)
from langchain_infrai.errors import InfraiAuthenticationError, InfraiConfigError, InfraiProtocolError

CONTENT = base64.b64encode(b"content").decode()
SERVED = {"cost_usd": 0.04, "vendor": "v", "model": "m"}
PICTURES = envelope(
    {"images": [{"b64": CONTENT, "mime": "image/png"}, {"b64": CONTENT, "mime": "image/jpeg"}], "usage": {"images": 2}},
    **SERVED,
)
SPEECH = envelope({"b64": CONTENT, "format": "wav"}, **SERVED)
SEGMENTS = [{"start": 0, "end": 1.5, "text": "hello"}, {"start": 1.5, "end": 2, "text": "world"}]
TRANSCRIPT = envelope({"text": "hello world", "language": "en", "segments": SEGMENTS}, **SERVED)


def made(kind: type[Any], *answers: Any, **fields: Any) -> tuple[Any, Script]:
    script = Script(answers)
    return kind(api_key="ifr_secret", client_options={"transport": script}, **fields), script


def called(tool: BaseTool, **arguments: Any) -> ToolMessage:
    message = tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments})
    assert isinstance(message, ToolMessage)
    return message


def acalled(tool: BaseTool, **arguments: Any) -> ToolMessage:
    message = asyncio.run(tool.ainvoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments}))
    assert isinstance(message, ToolMessage)
    return message


both = pytest.mark.parametrize("call", [called, acalled], ids=["sync", "async"])


# -- LangChain's standard suite ------------------------------------------------------------------------------------


class ToolSuite(ToolsUnitTests):
    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {"api_key": "test"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"INFRAI_API_KEY": "key-from-env"}, {}, {"api_key": "key-from-env"}


class TestImageTool(ToolSuite):
    @property
    def tool_constructor(self) -> type[BaseTool]:
        return InfraiImageTool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"prompt": "a red boat", "size": "256x256", "count": 2}


class TestVisionTool(ToolSuite):
    @property
    def tool_constructor(self) -> type[BaseTool]:
        return InfraiVisionTool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"question": "What is it?", "images": ["https://nowhere.invalid/a.png"]}


class TestTTSTool(ToolSuite):
    @property
    def tool_constructor(self) -> type[BaseTool]:
        return InfraiTTSTool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"text": "hello", "format": "wav"}


class TestASRTool(ToolSuite):
    @property
    def tool_constructor(self) -> type[BaseTool]:
        return InfraiASRTool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"audio": "https://nowhere.invalid/a.wav", "language": "en"}


# -- what the tools give -------------------------------------------------------------------------------------------


@both
def test_images_come_as_names_for_the_model_and_as_blocks_for_the_program(call: Any) -> None:
    tool, script = made(InfraiImageTool, PICTURES, model="draw", prefer="cheapest")
    message = call(tool, prompt="a cat", size="512x512", count=2)
    lines = message.content.splitlines()
    assert [line.split(" ")[1] for line in lines] == ["(image/png)", "(image/jpeg)"]
    assert CONTENT not in message.content
    blocks = message.artifact["media"]
    assert [block["id"] for block in blocks] == [line.split(" ")[0] for line in lines]
    assert {block["base64"] for block in blocks} == {CONTENT}
    assert (message.artifact["cost_usd"], message.artifact["vendor"], message.artifact["model_name"]) == (
        "0.04",
        "v",
        "m",
    )
    assert message.artifact["usage"] == {"images": 2}
    body = script.requests[0].body
    assert (body["prompt"], body["size"], body["n"], body["model"], body["prefer"]) == (
        "a cat",
        "512x512",
        2,
        "draw",
        "cheapest",
    )


@both
def test_speech_is_never_text_in_a_prompt(call: Any) -> None:
    tool, _ = made(InfraiTTSTool, SPEECH)
    message = call(tool, text="hi", voice="anna", format="wav")
    assert isinstance(message.content, str)
    assert len(message.content) < 100
    (block,) = message.artifact["media"]
    assert (block["type"], block["mime_type"], block["base64"]) == ("audio", "audio/wav", CONTENT)


@both
def test_transcripts_come_with_segments_in_the_artifact(call: Any) -> None:
    tool, script = made(InfraiASRTool, TRANSCRIPT)
    message = call(tool, audio="https://nowhere.invalid/a.wav", language="en")
    assert message.content == "hello world"
    assert message.artifact["segments"][1] == {"start": 1.5, "end": 2.0, "text": "world"}
    assert message.artifact["language"] == "en"
    assert script.requests[0].body["audio"] == {"url": "https://nowhere.invalid/a.wav"}


@both
def test_an_empty_transcript_is_said_to_be_one(call: Any) -> None:
    tool, _ = made(InfraiASRTool, envelope({"text": ""}))
    message = call(tool, audio="https://nowhere.invalid/a.wav")
    assert message.content == "(nothing was said)"
    assert message.artifact["text"] == ""


@both
def test_answers_about_images_are_text(call: Any) -> None:
    tool, script = made(InfraiVisionTool, reply("a cat", **SERVED), task="reasoning", max_tokens=9)
    message = call(tool, question="What?", images=["https://nowhere.invalid/a.png"])
    assert (message.content, message.artifact["cost_usd"]) == ("a cat", "0.04")
    assert (script.requests[0].body["task"], script.requests[0].body["max_tokens"]) == ("reasoning", 9)


def test_artifacts_are_json_and_their_blocks_fit_into_messages() -> None:
    tool, _ = made(InfraiImageTool, PICTURES)
    artifact = called(tool, prompt="a cat").artifact
    assert json.loads(json.dumps(artifact)) == artifact
    shown = HumanMessage([{"type": "text", "text": "Look:"}, *artifact["media"]])
    assert [block["type"] for block in shown.content_blocks] == ["text", "image", "image"]


def test_an_unknown_cost_is_absent_and_not_zero() -> None:
    tool, _ = made(InfraiTTSTool, envelope({"b64": CONTENT, "format": "mp3"}, cost_usd=None))
    assert "cost_usd" not in called(tool, text="hi").artifact


# -- what a model may name -----------------------------------------------------------------------------------------


@both
def test_one_tools_media_can_be_named_to_the_next(call: Any) -> None:
    kit, script = made(InfraiToolkit, PICTURES, reply("a cat"), SPEECH, TRANSCRIPT)
    paint, look, speak, listen = kit.get_tools()
    name = call(paint, prompt="a cat").content.split(" ")[0]
    assert call(look, question="What?", images=[name]).content == "a cat"
    assert script.requests[1].body["images"] == [{"base64": CONTENT, "mime": "image/png"}]
    name = call(speak, text="hello world").content.split(" ")[0]
    assert call(listen, audio=name).content == "hello world"
    assert script.requests[3].body["audio"] == {"base64": CONTENT, "mime": "audio/wav"}
    assert kit.ledger.total.calls == 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.png").write_bytes(b"picture")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    return root


@both
@pytest.mark.parametrize(
    "name", ["../secret.png", "link.png", "/etc/hostname", "file:///etc/hostname", "data:,x", "missing.png", ".", ""]
)
def test_no_way_leads_out_of_the_directory(root: Path, call: Any, name: str) -> None:
    tool, script = made(InfraiVisionTool, root_dir=root)
    message = call(tool, question="What?", images=[name])
    assert message.status == "error"
    assert "tools' directory" in message.content
    assert script.requests == []


@both
@pytest.mark.parametrize("name", ["a.png", "/etc/hostname", "pyproject.toml", "file:///etc/hostname"])
def test_without_a_directory_no_file_can_be_named(call: Any, name: str) -> None:
    tool, script = made(InfraiASRTool)
    message = call(tool, audio=name)
    assert (message.status, script.requests) == ("error", [])


@both
def test_files_are_read_from_and_saved_in_the_directory(root: Path, call: Any) -> None:
    kit, script = made(InfraiToolkit, reply("a cat"), PICTURES, root_dir=root)
    paint, look, *_ = kit.get_tools()
    call(look, question="What?", images=["a.png"])
    assert base64.b64decode(script.requests[0].body["images"][0]["base64"]) == b"picture"
    names = [block["id"] for block in call(paint, prompt="a cat").artifact["media"]]
    assert [(root / name).read_bytes() for name in names] == [b"content", b"content"]


def test_a_directory_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InfraiConfigError, match="root_dir"):
        InfraiToolkit(root_dir=tmp_path / "nothing")


# -- errors --------------------------------------------------------------------------------------------------------


@both
def test_a_model_is_told_what_it_can_mend(call: Any) -> None:
    tool, _ = made(InfraiImageTool, failure("INVALID_REQUEST", "size 9x9 is not offered"))
    message = call(tool, prompt="a cat", size="9x9")
    assert message.status == "error"
    assert "size 9x9 is not offered" in message.content
    assert message.artifact is None


@both
def test_arguments_that_do_not_fit_are_told_by_name(call: Any) -> None:
    tool, script = made(InfraiImageTool, failure("UNAUTHORIZED"))
    message = call(tool, prompt="a cat", size="big", count=99)
    assert message.status == "error"
    assert "size='big': " in message.content
    assert "count=99: Input should be less than or equal to 10" in message.content
    assert script.requests == []


@both
def test_what_a_model_cannot_mend_is_raised(call: Any) -> None:
    tool, _ = made(InfraiImageTool, failure("UNAUTHORIZED"))
    with pytest.raises(InfraiAuthenticationError):
        call(tool, prompt="a cat")


@both
def test_a_missing_key_is_not_the_models_business(call: Any) -> None:
    with pytest.raises(ConfigError, match="no API key"):
        call(InfraiTTSTool(), text="hi")


# -- life ----------------------------------------------------------------------------------------------------------


def test_models_see_how_to_call_the_tools() -> None:
    kit, _ = made(InfraiToolkit)
    shown = {tool.name: convert_to_openai_tool(tool)["function"]["parameters"] for tool in kit.get_tools()}
    assert list(shown) == ["generate_image", "look_at_images", "speak", "transcribe"]
    for parameters in shown.values():
        assert all("description" in property for property in parameters["properties"].values()), parameters
    assert shown["speak"]["properties"]["format"]["enum"] == ["mp3", "wav", "ogg", "pcm"]


def test_a_toolkit_makes_the_tools_that_are_asked_for() -> None:
    kit, _ = made(InfraiToolkit, capabilities=("asr", "tts"), models={"tts": "speech"})
    assert [(tool.name, tool.model) for tool in kit.get_tools()] == [("transcribe", None), ("speak", "speech")]
    with pytest.raises(ValueError, match="music"):
        made(InfraiToolkit, models={"music": "m"})


def test_tools_show_no_key() -> None:
    kit, _ = made(InfraiToolkit)
    for thing in (kit, *kit.get_tools()):
        assert "ifr_secret" not in repr(thing)
        assert "ifr_secret" not in str(thing)


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(ValueError, match="modle"):
        InfraiImageTool(modle="m")


def test_copies_find_what_the_original_made_and_pickles_keep_no_key() -> None:
    kit, _ = made(InfraiToolkit, PICTURES, artifacts=Artifacts())
    paint = kit.get_tools()[0]
    name = called(paint, prompt="a cat").artifact["media"][0]["id"]
    assert copy.deepcopy(paint).artifacts.read(name) == b"content"
    assert b"ifr_secret" not in pickle.dumps(InfraiImageTool(api_key="ifr_secret"))


# -- rerank --------------------------------------------------------------------------------------------------------

DOCUMENTS = [Document("a", metadata={"n": 0}), Document("b", metadata={"n": 1}), Document("c", metadata={"n": 2})]


def ranking(*rows: tuple[int, float]) -> Any:
    return envelope({"results": [{"index": index, "relevance_score": score} for index, score in rows]})


def compress(rank: InfraiRerank, documents: list[Document]) -> list[Document]:
    return rank.compress_documents(documents, "which?")


def acompress(rank: InfraiRerank, documents: list[Document]) -> list[Document]:
    return asyncio.run(rank.acompress_documents(documents, "which?"))


ranked = pytest.mark.parametrize("order", [compress, acompress], ids=["sync", "async"])


@ranked
def test_the_best_documents_come_first_as_copies_with_scores(order: Any) -> None:
    rank, script = made(InfraiRerank, ranking((2, 0.9), (0, 0.5)), top_n=2, model="rank")
    best = order(rank, DOCUMENTS)
    assert [(d.page_content, d.metadata) for d in best] == [
        ("c", {"n": 2, "relevance_score": 0.9}),
        ("a", {"n": 0, "relevance_score": 0.5}),
    ]
    assert "relevance_score" not in DOCUMENTS[2].metadata
    body = script.requests[0].body
    assert (body["query"], body["candidates"], body["top_k"], body["model"]) == ("which?", ["a", "b", "c"], 2, "rank")


def test_both_names_of_a_model_work() -> None:
    other: Any = {"model_name": "m"}
    assert InfraiRerank(model="m").model == InfraiRerank(**other).model == "m"


@ranked
def test_no_documents_are_no_call(order: Any) -> None:
    rank, script = made(InfraiRerank)
    assert order(rank, []) == []
    assert script.requests == []


@ranked
@pytest.mark.parametrize("rows", [[(3, 0.9)], [(-1, 0.9)], [(1, 0.9), (1, 0.8)]])
def test_a_ranking_of_other_documents_raises(order: Any, rows: Any) -> None:
    rank, _ = made(InfraiRerank, ranking(*rows))
    with pytest.raises(InfraiProtocolError, match="ranking names"):
        order(rank, DOCUMENTS)


def test_all_documents_are_kept_when_there_is_no_limit() -> None:
    rank, script = made(InfraiRerank, ranking((1, 3.0), (0, 2.0), (2, 1.0)), top_n=None)
    assert len(compress(rank, DOCUMENTS)) == 3
    assert "top_k" not in script.requests[0].body


# -- audio ---------------------------------------------------------------------------------------------------------


def parse(parser: InfraiAudioParser, blob: Blob) -> list[Document]:
    return list(parser.lazy_parse(blob))


def aparse(parser: InfraiAudioParser, blob: Blob) -> list[Document]:
    return asyncio.run(parser.aparse(blob))


heard = pytest.mark.parametrize("hear", [parse, aparse], ids=["sync", "async"])


@heard
def test_a_recording_becomes_a_document_per_segment(hear: Any, tmp_path: Path) -> None:
    (tmp_path / "talk.mp3").write_bytes(b"sound")
    parser, script = made(InfraiAudioParser, TRANSCRIPT, language="en")
    first, second = hear(parser, Blob.from_path(tmp_path / "talk.mp3", metadata={"speaker": "anna"}))
    assert (first.page_content, second.page_content) == ("hello", "world")
    assert (second.metadata["start"], second.metadata["end"], second.metadata["segment"]) == (1.5, 2.0, 1)
    assert second.metadata["source"] == str(tmp_path / "talk.mp3")
    assert (second.metadata["speaker"], second.metadata["language"], second.metadata["vendor"]) == ("anna", "en", "v")
    assert (first.metadata["cost_usd"], "cost_usd" in second.metadata) == ("0.04", False)
    assert script.requests[0].body["audio"] == {"base64": base64.b64encode(b"sound").decode(), "mime": "audio/mpeg"}
    assert script.requests[0].body["language"] == "en"


@heard
@pytest.mark.parametrize("segments", [None, SEGMENTS])
def test_a_recording_becomes_one_document_when_asked_or_when_there_are_no_segments(hear: Any, segments: Any) -> None:
    mode = "segments" if segments is None else "single"
    parser, _ = made(InfraiAudioParser, envelope({"text": "hello world", "segments": segments}, **SERVED), mode=mode)
    (document,) = hear(parser, Blob.from_data(b"sound", mime_type="audio/wav"))
    assert (document.page_content, document.metadata["cost_usd"]) == ("hello world", "0.04")
    assert "start" not in document.metadata


def test_an_empty_recording_is_refused_before_anything_is_sent() -> None:
    parser, script = made(InfraiAudioParser)
    for read in (parser.parse, lambda blob: asyncio.run(parser.aparse(blob))):
        with pytest.raises(InfraiConfigError, match=r"blob: talk\.wav is empty"):
            read(Blob.from_data(b"", path="talk.wav"))
    assert script.requests == []
