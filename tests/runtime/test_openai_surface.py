"""What the official SDK reads of answers that only some vendors give: several, spoken, with probabilities, signed."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai.types.audio import TranscriptionDiarized
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from infrai_runtime.app import create_app
from infrai_runtime.vendors.base import Call, Event, Files, Finish, Fragment, Request, Transcript

from .api import served, settings
from .fake import FakeChat, Play, catalogue, model

openai: Any = pytest.importorskip("openai", reason="the SDK is a development tool")

ASKED: Any = [{"role": "user", "content": "hi"}]
USAGE = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
ABLE = frozenset({"tools", "n", "logprobs", "audio_output"})
Open = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def sdk_of(tmp_path: Path) -> Open:
    """The SDK on a server whose one vendor plays ``events``."""

    @contextmanager
    def opened(*events: Event) -> Iterator[Any]:
        vendor = FakeChat("a", plays(*events))
        app = create_app(settings(tmp_path), vendors=[vendor], catalogue=catalogue(model("a", abilities=ABLE)))
        with served(app) as url, openai.OpenAI(api_key="x", base_url=url, max_retries=0) as client:
            client.seen = vendor.requests
            yield client

    return opened


def plays(*events: Event) -> Play:
    async def play(request: Request, call: Call) -> AsyncIterator[Event]:
        for event in events:
            yield event

    return play


def texts(*pieces: str, choice: int = 0, **more: Any) -> list[Fragment]:
    return [Fragment(0, {"type": "text", "text": piece, **more}, choice) for piece in pieces]


def token(text: str) -> dict[str, Any]:
    return {"token": text, "logprob": -0.25, "bytes": list(text.encode()), "top_logprobs": []}


SEVERAL = (*texts("on", "e"), *texts("two", choice=1), Finish("stop", USAGE, others={1: "length"}))


def test_several_answers_stand_side_by_side(sdk_of: Open) -> None:
    with sdk_of(*SEVERAL) as sdk:
        made = sdk.chat.completions.create(model="big", messages=ASKED, n=2)
        assert sdk.seen[0]["choices"] == 2
    found = [(choice.index, choice.message.content, choice.finish_reason) for choice in made.choices]
    assert found == [(0, "one", "stop"), (1, "two", "length")]


def test_several_answers_are_told_apart_in_a_stream(sdk_of: Open) -> None:
    said, ended = {0: "", 1: ""}, {}
    with sdk_of(*SEVERAL) as sdk:
        for chunk in sdk.chat.completions.create(model="big", messages=ASKED, n=2, stream=True):
            [choice] = chunk.choices
            said[choice.index] += choice.delta.content or ""
            ended |= {choice.index: choice.finish_reason} if choice.finish_reason else {}
    assert said == {0: "one", 1: "two"}
    assert ended == {0: "stop", 1: "length"}


def test_several_answers_from_the_cache_stay_several(sdk_of: Open) -> None:
    wanted: Any = {"model": "big", "messages": ASKED, "n": 2, "extra_body": {"cache_strategy": "infrai"}}
    with sdk_of(*SEVERAL) as sdk:
        sdk.chat.completions.create(**wanted)
        again = list(sdk.chat.completions.create(**wanted, stream=True))
        assert len(sdk.seen) == 1
    assert {choice.index for chunk in again for choice in chunk.choices} == {0, 1}
    assert again[-1].infrai["cache_hit"] is True


PROBABLE = (
    Fragment(0, {"type": "text", "text": "Hel", "logprobs": [token("Hel")]}),
    Fragment(0, {"type": "text", "text": "lo", "logprobs": [token("lo")]}),
    Finish("stop", USAGE),
)


def test_probabilities_of_tokens_come_whole_and_streamed(sdk_of: Open) -> None:
    wanted: Any = {"model": "big", "messages": ASKED, "logprobs": True, "top_logprobs": 2}
    with sdk_of(*PROBABLE) as sdk:
        whole = sdk.chat.completions.create(**wanted)
        chunks = list(sdk.chat.completions.create(**wanted, stream=True))
    streamed = [t.token for c in chunks for ch in c.choices if ch.logprobs for t in ch.logprobs.content]
    assert [t.token for t in whole.choices[0].logprobs.content] == streamed == ["Hel", "lo"]
    assert whole.choices[0].logprobs.content[0].logprob == -0.25


def test_alternatives_without_probabilities_are_refused(sdk_of: Open) -> None:
    with sdk_of(Finish("stop")) as sdk, pytest.raises(openai.BadRequestError) as bad:
        sdk.chat.completions.create(model="big", messages=ASKED, top_logprobs=2)
    assert bad.value.param == "top_logprobs"


SPOKEN = (
    Fragment(0, {"type": "audio", "id": "audio_1", "base64": base64.b64encode(b"a").decode(), "transcript": "Hel"}),
    Fragment(0, {"type": "audio", "base64": base64.b64encode(b"bc").decode(), "transcript": "lo"}),
    Fragment(0, {"type": "audio", "expires_at": 1790000000}),
    Finish("stop", USAGE),
)


def test_a_spoken_answer_has_its_sound_and_its_words(sdk_of: Open) -> None:
    wanted: Any = {"model": "big", "messages": ASKED, "modalities": ["text", "audio"]}
    with sdk_of(*SPOKEN) as sdk:
        made = sdk.chat.completions.create(**wanted, audio={"voice": "alloy", "format": "pcm16"})
        chunks = list(sdk.chat.completions.create(**wanted, audio={"voice": "alloy", "format": "pcm16"}, stream=True))
        with pytest.raises(openai.BadRequestError, match="audio is missing"):
            sdk.chat.completions.create(**wanted)
    audio = made.choices[0].message.audio
    assert (audio.id, base64.b64decode(audio.data), audio.transcript) == ("audio_1", b"abc", "Hello")
    assert audio.expires_at == 1790000000
    deltas = [c.choices[0].delta.audio for c in chunks if getattr(c.choices[0].delta, "audio", None)]
    assert b"".join(base64.b64decode(getattr(d, "data", None) or "") for d in deltas) == b"abc"


def test_a_spoken_answer_goes_back_in_its_words_with_the_message_that_the_sdk_gave(sdk_of: Open) -> None:
    wanted: Any = {"model": "big", "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}}
    with sdk_of(*SPOKEN) as sdk:
        message = sdk.chat.completions.create(**wanted, messages=ASKED).choices[0].message
        sdk.chat.completions.create(**wanted, messages=[*ASKED, message, *ASKED])
        with pytest.raises(openai.BadRequestError) as bad:
            sdk.chat.completions.create(**wanted, messages=[{"role": "assistant", "audio": {"id": "audio_1"}}])
    assert sdk.seen[-1]["messages"][1]["parts"] == [{"type": "text", "text": "Hello"}]
    assert bad.value.param == "messages.0.audio"


THOUGHT_ONLY = (Fragment(0, {"type": "reasoning", "text": "Hm."}), Finish("length", USAGE))


@pytest.mark.parametrize("events", [(Finish("stop", USAGE),), THOUGHT_ONLY], ids=["nothing", "a thought"])
def test_an_answer_without_content_is_a_whole_message_that_goes_back(sdk_of: Open, events: tuple[Event, ...]) -> None:
    with sdk_of(*events) as sdk:
        message = sdk.chat.completions.create(model="big", messages=ASKED).choices[0].message
        deltas = [c.choices[0].delta for c in sdk.chat.completions.create(model="big", messages=ASKED, stream=True)]
        sdk.chat.completions.create(model="big", messages=[*ASKED, message, *ASKED])
        # the message that the stream helper of the SDK for Node makes of these deltas
        sdk.chat.completions.create(
            model="big", messages=[*ASKED, {"role": "assistant", "content": None, "refusal": None}, *ASKED]
        )
        with pytest.raises(openai.BadRequestError, match="content"):
            sdk.chat.completions.create(model="big", messages=[*ASKED, {"role": "assistant"}, *ASKED])
        assert [len(asked["messages"]) for asked in sdk.seen] == [1, 1, 3, 3]
    assert (message.role, message.content) == ("assistant", "")
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    assert "".join(delta.content or "" for delta in deltas) == ""
    assert deltas[-1].content == ""


def test_calls_alone_have_no_content(sdk_of: Open) -> None:
    called = Fragment(0, {"type": "tool_call", "id": "c", "name": "f", "arguments": "{}"})
    tools: Any = [{"type": "function", "function": {"name": "f"}}]
    with sdk_of(called, Finish("tool_calls", USAGE)) as sdk:
        message = sdk.chat.completions.create(model="big", messages=ASKED, tools=tools).choices[0].message
        chunks = list(sdk.chat.completions.create(model="big", messages=ASKED, tools=tools, stream=True))
    assert message.content is None
    assert [chunk.choices[0].delta.content for chunk in chunks] == [None, None]


CITED = [{"type": "citation", "start": 0, "end": 5, "url": "https://example.com/a", "source": "A page"}]


def test_reasoning_refusal_and_citations_stand_where_the_surface_has_them(sdk_of: Open) -> None:
    events = (
        Fragment(0, {"type": "reasoning", "text": "Hm."}),
        Fragment(1, {"type": "text", "text": "Paris", "annotations": CITED}),
        Fragment(2, {"type": "refusal", "text": "No more."}),
        Finish("stop", USAGE),
    )
    with sdk_of(*events) as sdk:
        message = sdk.chat.completions.create(model="big", messages=ASKED).choices[0].message
        chunks = list(sdk.chat.completions.create(model="big", messages=ASKED, stream=True))
    assert (message.reasoning_content, message.content, message.refusal) == ("Hm.", "Paris", "No more.")
    assert message.annotations[0].url_citation.url == "https://example.com/a"
    assert message.annotations[0].url_citation.title == "A page"
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas) == "Hm."
    assert "".join(d.refusal or "" for d in deltas) == "No more."


def test_citations_are_of_the_shape_that_the_sdk_declares_whatever_the_vendor_told(sdk_of: Open) -> None:
    page, document = (
        {"type": "citation", "url": "https://example.com/b", "title": "B"},
        {"type": "citation", "source": "doc"},
    )
    events = (
        Fragment(0, {"type": "text", "text": "Paris."}),
        Fragment(
            0, {"type": "text", "text": "", "annotations": [*CITED, {"type": "citation", "url": "https://c.example"}]}
        ),
        Fragment(
            1, {"type": "text", "text": " Rome", "annotations": [page | {"start": 1, "end": 5}, document], "done": True}
        ),
        Finish("stop", USAGE | {"service_tier": "us"}),
    )
    with sdk_of(*events) as sdk:
        whole = sdk.chat.completions.create(model="big", messages=ASKED)
        chunks = list(sdk.chat.completions.create(model="big", messages=ASKED, stream=True))
    message = ChatCompletion.model_validate(whole.to_dict()).choices[0].message
    streamed = [ChatCompletionChunk.model_validate(chunk.to_dict()).choices[0].delta for chunk in chunks]
    told = [note["url_citation"] for delta in streamed for note in (delta.model_extra or {}).get("annotations", ())]
    found = [note.url_citation.to_dict() for note in message.annotations or ()]
    assert (
        found
        == told
        == [
            {"start_index": 0, "end_index": 5, "url": "https://example.com/a", "title": "A page"},
            {"start_index": 0, "end_index": 6, "url": "https://c.example", "title": "https://c.example"},
            {"start_index": 7, "end_index": 11, "url": "https://example.com/b", "title": "B"},
        ]
    )
    assert whole.choices[0].message.parts == chunks[-1].infrai["parts"]
    assert whole.choices[0].message.parts[1]["annotations"][1] == document
    assert whole.usage.service_tier == "us"


def test_a_signature_goes_back_with_the_message_that_the_sdk_gave(sdk_of: Open) -> None:
    events = (
        Fragment(0, {"type": "reasoning", "text": "Hm.", "opaque": "signed"}),
        Fragment(1, {"type": "text", "text": "Paris"}),
        Finish("stop", USAGE),
    )
    with sdk_of(*events) as sdk:
        message = sdk.chat.completions.create(model="big", messages=ASKED).choices[0].message
        streamed = list(sdk.chat.completions.create(model="big", messages=ASKED, stream=True))
        sdk.chat.completions.create(model="big", messages=[*ASKED, message, *ASKED])
        back = sdk.seen[2]["messages"][1]["parts"]
    assert back[0] == {"type": "reasoning", "text": "Hm.", "opaque": "signed", "vendor": "a", "model": "big"}
    assert streamed[-1].infrai["parts"][0]["opaque"] == "signed"


def test_unknown_options_go_to_the_vendor(sdk_of: Open) -> None:
    with sdk_of(*texts("x"), Finish("stop", USAGE)) as sdk:
        sdk.chat.completions.create(model="big", messages=ASKED, logit_bias={"1": 2}, extra_body={"top_k": 3})
        assert sdk.seen[0]["passthrough"] == {"logit_bias": {"1": 2}, "top_k": 3}


@pytest.mark.parametrize(
    ("model_name", "extra", "vendor"),
    [
        ("cheapest", {}, "cheap"),
        ("smartest", {}, "smart"),
        ("auto", {"prefer": "smartest"}, "smart"),
        ("auto", {"vendor": "smart"}, "smart"),
        ("auto", {"task": "coding", "prefer": "smartest", "max_cost_multiplier": 2.0}, "cheap"),
    ],
)
def test_the_models_name_and_the_extra_fields_steer_the_route(
    tmp_path: Path, model_name: str, extra: Mapping[str, Any], vendor: str
) -> None:
    rows = (
        model("cheap", "small", usd={"input_mtok": 1, "output_mtok": 1}, tiers={"general": 20, "coding": 90}),
        model("smart", "large", usd={"input_mtok": 9, "output_mtok": 9}, tiers={"general": 80, "coding": 50}),
    )
    vendors = [FakeChat(name, plays(*texts("x"), Finish("stop", USAGE))) for name in ("cheap", "smart")]
    app = create_app(settings(tmp_path), vendors=vendors, catalogue=catalogue(*rows))
    with served(app) as url, openai.OpenAI(api_key="x", base_url=url, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(model=model_name, messages=ASKED, extra_body=dict(extra))
    assert raw.parse().infrai["vendor"] == raw.headers["X-Infrai-Vendor"] == vendor
    assert float(raw.headers["X-Infrai-Cost-Usd"]) > 0
    assert raw.headers["X-Infrai-Request-Id"] == raw.parse().infrai["request_id"]


class Hears:
    """Hears the same two sentences in everything, and remembers what it was asked."""

    name = "a"

    def __init__(self, segments: Sequence[Mapping[str, Any]] = ()) -> None:
        self.segments = segments
        self.requests: list[Request] = []

    async def listen(self, request: Request, call: Call) -> Transcript:
        self.requests.append(request)
        words = [{"start": 0.0, "end": 0.5, "word": "One."}]
        tokens = [{"token": "One", "logprob": -0.5, "bytes": [79]}]
        return Transcript("One. Two.", "en", self.segments, {"audio_seconds": 3.5}, (), words, tokens)

    async def close(self) -> None:
        pass


SEGMENTS = [{"start": 0.0, "end": 1.5, "text": " One."}, {"start": 3661.25, "end": 3662.0, "text": " Two."}]
SRT = "1\n00:00:00,000 --> 00:00:01,500\nOne.\n\n2\n01:01:01,250 --> 01:01:02,000\nTwo.\n\n"
VTT = "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne.\n\n01:01:01.250 --> 01:01:02.000\nTwo.\n\n"


@contextmanager
def hearing(home: Path, vendor: Hears, abilities: frozenset[str] = frozenset()) -> Iterator[Any]:
    rows = catalogue(model("a", capability="asr", usd={"audio_minute": 1}, abilities=abilities))
    with (
        served(create_app(settings(home), vendors=[vendor], catalogue=rows)) as url,
        openai.OpenAI(api_key="x", base_url=url, max_retries=0) as client,
    ):
        yield client


@pytest.mark.parametrize(("form", "text"), [("text", "One. Two.\n"), ("srt", SRT), ("vtt", VTT)])
def test_a_transcript_may_be_text_or_subtitles(tmp_path: Path, form: str, text: str) -> None:
    with hearing(tmp_path, Hears(SEGMENTS)) as sdk:
        assert sdk.audio.transcriptions.create(model="big", file=("a.wav", b"x"), response_format=form) == text


def test_what_a_transcript_that_is_text_leaves_out_is_told_in_a_header(tmp_path: Path) -> None:
    class Deaf(Hears):
        async def listen(self, request: Request, call: Call) -> Transcript:
            return replace(await super().listen(request, call), warnings=["prompt: not used\r\nX: é"])

    with hearing(tmp_path, Deaf()) as sdk:
        made = sdk.audio.transcriptions.with_raw_response.create(
            model="big", file=("a.wav", b"x"), response_format="text", prompt="p"
        )
    assert json.loads(made.headers["x-infrai-warnings"]) == ["prompt: not used\r\nX: é"]


def test_subtitles_of_a_vendor_without_segments_are_one_cue(tmp_path: Path) -> None:
    with hearing(tmp_path, Hears()) as sdk:
        made = sdk.audio.transcriptions.create(model="big", file=("a.wav", b"x"), response_format="srt")
    assert made == "1\n00:00:00,000 --> 00:00:03,500\nOne. Two.\n\n"


def test_a_verbose_transcript_has_times_and_the_form_reaches_the_vendor(tmp_path: Path) -> None:
    vendor = Hears(SEGMENTS)
    with hearing(tmp_path, vendor) as sdk:
        made = sdk.audio.transcriptions.create(
            model="big",
            file=("a.wav", b"RIFF", "audio/wav"),
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            prompt="numbers",
            temperature=0.5,
            language="en",
            extra_body={"max_cost_multiplier": 2},
        )
        plain = sdk.audio.transcriptions.create(model="big", file=("a.wav", b"RIFF"))
    assert (made.duration, made.language, made.text) == (3.5, "en", "One. Two.")
    assert [(s.id, s.start, s.end, s.text) for s in made.segments][1] == (1, 3661.25, 3662.0, " Two.")
    assert made.words[0].word == "One."
    assert (plain.logprobs[0].token, plain.logprobs[0].logprob) == ("One", -0.5)
    assert (plain.text, plain.usage.type, plain.usage.seconds) == ("One. Two.", "duration", 3.5)
    assert plain.to_dict().keys() == {"text", "logprobs", "usage", "infrai"}
    asked = vendor.requests[0]
    assert asked["audio"] == {"base64": base64.b64encode(b"RIFF").decode(), "mime": "audio/wav"}
    assert (asked["prompt"], asked["temperature"], asked["language"]) == ("numbers", 0.5, "en")
    assert asked["timestamp_granularities"] == ["word", "segment"]


def test_a_transcript_with_speakers_is_one_that_the_sdk_reads(tmp_path: Path) -> None:
    spoken = [segment | {"speaker": who} for segment, who in zip(SEGMENTS, "AB", strict=True)]
    vendor = Hears(spoken)
    with hearing(tmp_path, vendor, frozenset({"diarize"})) as sdk:
        made = sdk.audio.transcriptions.create(
            model="big", file=("a.wav", b"RIFF", "audio/wav"), response_format="diarized_json"
        )
    checked = TranscriptionDiarized.model_validate(made.to_dict())
    assert vendor.requests[0]["diarize"] is True
    assert (checked.duration, checked.text, checked.usage and checked.usage.type) == (3.5, "One. Two.", "duration")
    assert [(s.id, s.speaker, s.text) for s in checked.segments] == [
        ("seg_000", "A", " One."),
        ("seg_001", "B", " Two."),
    ]


def test_speakers_that_no_model_tells_are_refused_by_field(tmp_path: Path) -> None:
    vendor = Hears(SEGMENTS)
    with hearing(tmp_path, vendor) as sdk, pytest.raises(openai.BadRequestError) as bad:
        sdk.audio.transcriptions.create(model="big", file=("a.wav", b"x"), response_format="diarized_json")
    assert (bad.value.code, bad.value.param) == ("UNSUPPORTED_CAPABILITY", "response_format")
    assert ("lacks diarize" in bad.value.message, vendor.requests) == (True, [])


def test_a_pinned_model_that_nobody_knows_and_that_tells_no_speakers_is_an_error(tmp_path: Path) -> None:
    with hearing(tmp_path, Hears(SEGMENTS)) as sdk, pytest.raises(openai.BadRequestError, match="tells no speakers"):
        sdk.audio.transcriptions.create(model="a/new", file=("a.wav", b"x"), response_format="diarized_json")


def test_a_streamed_transcript_is_events_that_the_sdk_reads(tmp_path: Path) -> None:
    with hearing(tmp_path, Hears(SEGMENTS)) as sdk:
        piece, end = sdk.audio.transcriptions.create(model="big", file=("a.wav", b"RIFF"), stream=True)
        with pytest.raises(openai.BadRequestError) as bad:
            sdk.audio.transcriptions.create(model="big", file=("a.wav", b"x"), stream=True, response_format="srt")
    assert (piece.type, piece.delta) == ("transcript.text.delta", "One. Two.")
    assert (end.type, end.text, end.usage.seconds) == ("transcript.text.done", "One. Two.", 3.5)
    assert end.infrai["vendor"] == "a"
    assert bad.value.param == "stream"


def test_a_wrong_form_field_is_named(tmp_path: Path) -> None:
    with hearing(tmp_path, Hears()) as sdk, pytest.raises(openai.BadRequestError) as bad:
        sdk.audio.transcriptions.create(model="big", file=("a.wav", b"x"), extra_body={"temperature": "warm"})
    assert bad.value.param == "temperature"


class Paints:
    """Draws nothing, and remembers what it was asked."""

    name = "a"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def draw(self, request: Request, call: Call) -> Files:
        from infrai_runtime.vendors.base import File

        self.requests.append(request)
        used = {"images": 1, "prompt_tokens": 3, "completion_tokens": 4}
        return Files([File(b"png", "image/png", {"revised_prompt": "a redder circle"})], used)

    async def close(self) -> None:
        pass


def test_an_image_is_a_link_or_bytes_and_its_options_reach_the_vendor(tmp_path: Path) -> None:
    vendor = Paints()
    rows = catalogue(model("a", capability="image", usd={"image": 1}))
    app = create_app(settings(tmp_path), vendors=[vendor], catalogue=rows)
    with served(app) as url, openai.OpenAI(api_key="x", base_url=url, max_retries=0) as sdk:
        linked = sdk.images.generate(model="big", prompt="x", size="auto", quality="high")
        inline = sdk.images.generate(model="big", prompt="x", size="64x64", response_format="b64_json")
        with pytest.raises(openai.BadRequestError, match="images come whole"):
            sdk.images.generate(model="big", prompt="x", stream=True)
        with pytest.raises(openai.BadRequestError) as bad:
            sdk.images.generate(model="big", prompt="x", response_format="png")
    assert linked.data[0].url.startswith("http://127.0.0.1")
    assert linked.data[0].revised_prompt == "a redder circle"
    assert base64.b64decode(inline.data[0].b64_json) == b"png"
    assert (inline.usage.input_tokens, inline.usage.output_tokens, inline.usage.total_tokens) == (3, 4, 7)
    assert bad.value.param == "response_format"
    assert vendor.requests == [
        {"prompt": "x", "passthrough": {"quality": "high"}},
        {"prompt": "x", "size": "64x64"},
    ]


@pytest.mark.parametrize("name", ["gpt-image-2", "openai/gpt-image-2", "chatgpt-image-latest"])
def test_an_image_of_a_model_that_gives_nothing_but_bytes_is_bytes_unless_a_link_is_asked_for(
    tmp_path: Path, name: str
) -> None:
    rows = catalogue(model("a", name, capability="image", usd={"image": 1}))
    app = create_app(settings(tmp_path), vendors=[Paints()], catalogue=rows)
    with served(app) as url, openai.OpenAI(api_key="x", base_url=url, max_retries=0) as sdk:
        [made] = sdk.images.generate(model=name, prompt="x").data
        [linked] = sdk.images.generate(model=name, prompt="x", response_format="url").data
    assert (base64.b64decode(made.b64_json), made.url) == (b"png", None)
    assert (linked.b64_json, linked.url.startswith("http://")) == (None, True)


# -- what other gateways and their clients write into messages ---------------------------------------------------------

FOREIGN: Any = [
    {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
    {
        "role": "assistant",
        "content": None,
        "function_call": None,
        "tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        "provider_specific_fields": {"refusal": None},
        "reasoning_details": [{"type": "reasoning.text", "text": "So"}],
    },
    {"role": "tool", "tool_call_id": "c", "name": "f", "content": "ok"},
]


def test_an_answer_of_another_gateway_goes_back_and_what_is_not_used_is_told(sdk_of: Open) -> None:
    with sdk_of(*texts("one"), Finish("stop", USAGE)) as sdk:
        made = sdk.chat.completions.create(model="big", messages=FOREIGN)
        [asked] = sdk.seen
    assert made.infrai["warnings"] == [
        "messages.1.provider_specific_fields: not used",
        "messages.1.reasoning_details: not used",
    ]
    assert asked["messages"][0]["parts"] == [{"type": "text", "text": "hi"}, {"type": "cache_point", "ttl": "1h"}]
    assert [part["type"] for message in asked["messages"] for part in message["parts"]] == [
        *("text", "cache_point", "tool_call", "tool_result")
    ]


def test_a_video_needs_a_model_that_sees_videos(sdk_of: Open) -> None:
    messages: Any = [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://v.example/1"}}]}]
    with sdk_of() as sdk, pytest.raises(openai.BadRequestError, match="lacks video") as bad:
        sdk.chat.completions.create(model="big", messages=messages)
    assert (bad.value.code, bad.value.param) == ("UNSUPPORTED_CAPABILITY", "messages")


@pytest.mark.parametrize(
    ("mark", "param"),
    [
        ("ephemeral", "messages.0.content.0.cache_control"),
        ({"type": "forever"}, "messages.0.content.0.cache_control.type"),
        ({"type": "ephemeral", "for": 1}, "messages.0.content.0.cache_control.for"),
    ],
)
def test_a_wrong_mark_of_a_cache_is_named(sdk_of: Open, mark: Any, param: str) -> None:
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": mark}]}]
    with sdk_of() as sdk, pytest.raises(openai.BadRequestError) as bad:
        sdk.chat.completions.create(model="big", messages=messages)
    assert bad.value.param == param
