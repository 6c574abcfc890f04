from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    BaseContentBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from infrai_core import ChatChunk, ChatReply, ConfigError, UnsupportedContent
from llama_index_infrai._convert import messages_of, parts_of
from llama_index_infrai._progress import Progress, response_of

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PNG_B64 = base64.b64encode(PNG).decode()


def one(block: Any) -> dict[str, Any]:
    (part,) = parts_of([block])
    return part


def sent(message: ChatMessage) -> dict[str, Any]:
    (shaped,) = messages_of([message])
    return shaped


# -- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (MessageRole.SYSTEM, "system"),
        (MessageRole.DEVELOPER, "developer"),
        (MessageRole.USER, "user"),
        (MessageRole.ASSISTANT, "assistant"),
        (MessageRole.CHATBOT, "assistant"),
        (MessageRole.MODEL, "assistant"),
    ],
)
def test_every_role_has_a_place_on_the_wire(role: MessageRole, expected: str) -> None:
    assert sent(ChatMessage(role=role, content="hi")) == {"role": expected, "parts": [{"type": "text", "text": "hi"}]}


@pytest.mark.parametrize("role", [MessageRole.TOOL, MessageRole.FUNCTION])
def test_a_tool_message_becomes_the_result_of_its_call(role: MessageRole) -> None:
    blocks = [TextBlock(text="4 C"), ImageBlock(image=PNG)]
    message = ChatMessage(role=role, blocks=blocks, additional_kwargs={"tool_call_id": "call_1", "is_error": True})
    (result,) = sent(message)["parts"]
    assert result == {
        "type": "tool_result",
        "tool_call_id": "call_1",
        "is_error": True,
        "parts": [{"type": "text", "text": "4 C"}, {"type": "image", "base64": PNG_B64, "mime": "image/png"}],
    }


def test_a_tool_message_without_its_call_is_refused() -> None:
    with pytest.raises(ConfigError, match="tool_call_id"):
        messages_of([ChatMessage(role="tool", content="4 C")])


@pytest.mark.parametrize(
    "block", [ImageBlock(image=PNG), ImageBlock(image=BytesIO(PNG), image_mimetype="image/png")], ids=["bytes", "io"]
)
def test_an_image_goes_as_base64_with_its_type(block: ImageBlock) -> None:
    assert one(block) == {"type": "image", "base64": PNG_B64, "mime": "image/png"}


def test_a_file_given_by_path_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "a.mp3").write_bytes(b"sound")
    assert one(ImageBlock(path=tmp_path / "a.png")) == {"type": "image", "base64": PNG_B64, "mime": "image/png"}
    assert one(AudioBlock(path=tmp_path / "a.mp3"))["mime"] == "audio/mpeg"


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (ImageBlock(url="https://nowhere.invalid/a.png"), "image"),
        (AudioBlock(url="https://nowhere.invalid/a.mp3"), "audio"),
        (VideoBlock(url="https://nowhere.invalid/a.mp4"), "video"),
        (DocumentBlock(url="https://nowhere.invalid/a.pdf"), "file"),
    ],
)
def test_a_url_is_handed_on_and_never_downloaded(block: Any, kind: str) -> None:
    part = one(block)
    assert part["type"] == kind
    assert part["url"].startswith("https://nowhere.invalid/a.")
    assert "base64" not in part


def test_a_data_url_goes_as_base64() -> None:
    part = one(ImageBlock(url=f"data:image/png;base64,{PNG_B64}"))
    assert part == {"type": "image", "base64": PNG_B64, "mime": "image/png"}


def test_media_carry_what_their_blocks_say() -> None:
    assert one(ImageBlock(image=PNG, detail="low"))["detail"] == "low"
    assert one(AudioBlock(audio=b"RIFF0000WAVEfmt ", format="wav")) == {
        "type": "audio",
        "base64": base64.b64encode(b"RIFF0000WAVEfmt ").decode(),
        "mime": "audio/wav",
    }
    assert one(VideoBlock(video=b"a film", video_mimetype="video/mp4", detail="high")) == {
        "type": "video",
        "base64": base64.b64encode(b"a film").decode(),
        "mime": "video/mp4",
        "detail": "high",
    }
    assert one(DocumentBlock(data=b"%PDF-1.4", title="terms.pdf", document_mimetype="application/pdf")) == {
        "type": "file",
        "base64": base64.b64encode(b"%PDF-1.4").decode(),
        "mime": "application/pdf",
        "filename": "terms.pdf",
    }


def test_a_frame_rate_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedContent, match="fps"):
        parts_of([VideoBlock(video=b"a film", fps=2)])


@pytest.mark.parametrize("kind", [ImageBlock, AudioBlock, VideoBlock, DocumentBlock])
def test_a_media_block_without_content_is_refused_by_name(kind: Any) -> None:
    with pytest.raises(UnsupportedContent, match=kind.__name__):
        parts_of([kind()])


def test_a_block_of_unknown_class_is_refused_by_name() -> None:
    class HologramBlock(BaseContentBlock):
        block_type: Literal["hologram"] = "hologram"

    with pytest.raises(UnsupportedContent, match="HologramBlock"):
        parts_of([HologramBlock()])


def test_a_cache_point_keeps_its_place_and_lifetime() -> None:
    blocks = [TextBlock(text="long"), CachePoint(cache_control=CacheControl(type="ephemeral", ttl="1h"))]
    assert parts_of(blocks) == [{"type": "text", "text": "long"}, {"type": "cache_point", "ttl": "1h"}]


def test_thinking_goes_back_with_its_signature_and_maker() -> None:
    made_by = {"opaque": "sig", "vendor": "anthropic", "model": "m", "other": 1}
    part = one(ThinkingBlock(content="So", additional_information=made_by))
    assert part == {"type": "reasoning", "text": "So", "opaque": "sig", "vendor": "anthropic", "model": "m"}


def test_a_citation_hangs_on_the_text_before_it() -> None:
    cited = CitationBlock(cited_content="the sky", source="doc-1", title="Sky", additional_location_info={"page": 3})
    message = sent(ChatMessage(role="assistant", blocks=[TextBlock(text="It is blue."), cited]))
    annotation = {"type": "citation", "source": "doc-1", "title": "Sky", "quote": "the sky", "page": 3}
    assert message["parts"] == [{"type": "text", "text": "It is blue.", "annotations": [annotation]}]


def test_a_citation_that_stands_alone_gives_what_it_cites() -> None:
    cited = CitationBlock(cited_content="the sky", source="doc-1", title="Sky", additional_location_info={})
    (result,) = sent(ChatMessage(role="tool", blocks=[cited], additional_kwargs={"tool_call_id": "c"}))["parts"]
    assert [part["type"] for part in result["parts"]] == ["text"]
    assert result["parts"][0]["text"] == "the sky"


def test_a_citable_document_goes_as_text_under_its_title() -> None:
    parts = parts_of([CitableBlock(title="Sky", source="doc-1", content=[TextBlock(text="It is blue.")])])
    assert [part["text"] for part in parts] == ["[Sky | doc-1]", "It is blue."]


@pytest.mark.parametrize("given", [{"city": "Åre"}, '{"city": "Åre"}'], ids=["dict", "text"])
def test_a_tool_call_goes_with_its_arguments_as_text(given: Any) -> None:
    part = one(ToolCallBlock(tool_call_id="call_1", tool_name="weather", tool_kwargs=given))
    assert part == {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": '{"city": "Åre"}'}


def call(arguments: str) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": arguments}}


def test_a_call_that_stands_as_block_and_as_legacy_entry_is_sent_once_as_it_was_written() -> None:
    block = ToolCallBlock(tool_call_id="call_1", tool_name="weather", tool_kwargs={"city": "Rome"})
    extra = {"tool_calls": [call('{"city":"Rome"}')]}
    (part,) = sent(ChatMessage(role="assistant", blocks=[block], additional_kwargs=extra))["parts"]
    assert part["arguments"] == '{"city":"Rome"}'


def test_a_changed_block_wins_over_its_legacy_entry() -> None:
    block = ToolCallBlock(tool_call_id="call_1", tool_name="weather", tool_kwargs={"city": "Oslo"})
    extra = {"tool_calls": [call('{"city":"Rome"}')]}
    (part,) = sent(ChatMessage(role="assistant", blocks=[block], additional_kwargs=extra))["parts"]
    assert part["arguments"] == '{"city": "Oslo"}'


def test_a_call_that_stands_only_as_legacy_entry_is_sent() -> None:
    extra = {"tool_calls": [call('{"city":"Rome"}')]}
    (part,) = sent(ChatMessage(role="assistant", blocks=[], additional_kwargs=extra))["parts"]
    assert part == {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": '{"city":"Rome"}'}


def test_a_legacy_entry_of_unknown_shape_is_refused() -> None:
    with pytest.raises(UnsupportedContent, match="tool_calls"):
        messages_of([ChatMessage(role="assistant", additional_kwargs={"tool_calls": [object()]})])


def test_an_empty_message_goes_as_an_empty_text() -> None:
    assert sent(ChatMessage(role="assistant", blocks=[]))["parts"] == [{"type": "text", "text": ""}]


def test_the_given_messages_are_not_changed() -> None:
    cited = CitationBlock(cited_content="x", source="s", title="t", additional_location_info={})
    messages = [ChatMessage(role="assistant", blocks=[TextBlock(text="a"), cited], additional_kwargs={"name": "bob"})]
    before = [message.model_dump() for message in messages]
    assert messages_of(messages)[0]["name"] == "bob"
    assert [message.model_dump() for message in messages] == before


# -- replies -------------------------------------------------------------------------------------------------------


def replied(*parts: dict[str, Any]) -> ChatMessage:
    return response_of(ChatReply.model_validate({"parts": list(parts)})).message


def test_neighbouring_texts_are_one_text_without_line_breaks() -> None:
    message = replied({"type": "text", "text": "The sky "}, {"type": "text", "text": "is blue."})
    assert message.content == "The sky is blue."


def test_parts_become_blocks_in_their_order() -> None:
    message = replied(
        {"type": "reasoning", "text": "Hm", "opaque": "sig", "vendor": "v", "model": "m"},
        {"type": "text", "text": "Look"},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "image", "base64": PNG_B64, "mime": "image/png"},
        {"type": "file", "url": "https://x.invalid/a.pdf", "filename": "a.pdf", "mime": "application/pdf"},
    )
    thinking, text, called, image, document = message.blocks
    assert isinstance(thinking, ThinkingBlock)
    assert (thinking.content, thinking.additional_information["opaque"]) == ("Hm", "sig")
    assert text == TextBlock(text="Look")
    assert called == ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={"a": 1})
    assert isinstance(image, ImageBlock)
    assert image.resolve_image().read() == PNG
    assert isinstance(document, DocumentBlock)
    assert (document.url, document.title) == ("https://x.invalid/a.pdf", "a.pdf")


def test_sound_comes_with_its_transcript() -> None:
    sound = base64.b64encode(b"sound").decode()
    message = replied({"type": "audio", "base64": sound, "mime": "audio/mpeg", "transcript": "hello"})
    audio, text = message.blocks
    assert isinstance(audio, AudioBlock)
    assert audio.format == "mp3"
    assert text == TextBlock(text="hello")


def test_annotations_become_citations_behind_their_text() -> None:
    annotation = {"type": "citation", "start": 0, "end": 7, "url": "https://x.invalid", "title": "Sky"}
    message = replied({"type": "text", "text": "The sky is blue.", "annotations": [annotation]})
    _, cited = message.blocks
    assert isinstance(cited, CitationBlock)
    assert cited.cited_content == TextBlock(text="The sky")
    assert (cited.source, cited.title) == ("https://x.invalid", "Sky")
    assert cited.additional_location_info == {"start": 0, "end": 7}
    assert message.content == "The sky is blue."


def test_a_refusal_can_be_read_and_told_apart() -> None:
    message = replied({"type": "refusal", "text": "No."})
    assert (message.content, message.additional_kwargs["refusal"]) == ("No.", "No.")


def test_what_no_block_can_carry_is_kept_and_sent_back() -> None:
    search = {"type": "server_tool_call", "id": "s1", "name": "web_search", "vendor": "v", "input": {"q": "x"}}
    message = replied(search, {"type": "text", "text": "Found."})
    assert message.additional_kwargs["other_parts"] == [{**search, "after_blocks": 0}]
    assert sent(message)["parts"] == [search, {"type": "text", "text": "Found."}]


SIGNED = {"opaque": "c2ln", "vendor": "gemini", "model": "m"}
THOUGHT = {"type": "reasoning", "text": "Hm", **SIGNED}
LOOK = {"type": "text", "text": "Look"}
CALL = {"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a":1}'}
SEARCH = {"type": "server_tool_call", "id": "s1", "name": "web_search", "vendor": "v", "input": {"q": "x"}}
FOUND = {"type": "server_tool_result", "id": "s1", "name": "web_search", "vendor": "v", "output": ["a"]}
PICTURE = {"type": "image", "base64": PNG_B64, "mime": "image/png"}
REPLIES: dict[str, list[dict[str, Any]]] = {
    "thoughts, text and a call": [THOUGHT, LOOK, CALL],
    "a call before thoughts": [CALL, THOUGHT, LOOK],
    "a signed call": [LOOK, {**CALL, **SIGNED}, {**CALL, "id": "c2"}],
    "signed calls": [{**CALL, **SIGNED}, {**CALL, **SIGNED, "id": "c2", "opaque": "b3RoZXI="}],
    "a signed text": [{**LOOK, **SIGNED}],
    "a signed picture": [{**PICTURE, **SIGNED}, LOOK],
    "tools at the vendor": [LOOK, SEARCH, FOUND, {**LOOK, "text": "Found."}, SEARCH],
}


@pytest.mark.parametrize("parts", REPLIES.values(), ids=REPLIES)
def test_a_reply_goes_back_as_the_parts_it_came_as(parts: list[dict[str, Any]]) -> None:
    message = replied(*parts)
    assert sent(message)["parts"] == parts
    kept = ChatMessage.model_validate_json(message.model_dump_json())  # as stores of chats keep it
    assert sent(kept)["parts"] == parts


@pytest.mark.parametrize("parts", REPLIES.values(), ids=REPLIES)
def test_a_streamed_reply_goes_back_as_a_whole_one(parts: list[dict[str, Any]]) -> None:
    progress = Progress()
    for index, part in enumerate(parts):
        progress.add(chunk({**{n: v for n, v in part.items() if n not in SIGNED}, "index": index}))
        signed = {name: value for name, value in part.items() if name in SIGNED}
        progress.add(chunk({"index": index, "type": part["type"], "done": True, **signed}))
    last = progress.add(ChatChunk(finish_reason="stop"))
    assert sent(last.message)["parts"] == parts


def chunk(fragment: dict[str, Any]) -> ChatChunk:
    return ChatChunk.model_validate({"delta": {"parts": [fragment]}})


def test_a_signature_stays_with_what_was_signed() -> None:
    message = replied({**LOOK, **SIGNED}, {**CALL, **SIGNED})
    message.blocks[0] = TextBlock(text="Look elsewhere")
    assert sent(message)["parts"] == [{**LOOK, "text": "Look elsewhere"}, {**CALL, **SIGNED}]
