"""What a vendor's own SDK understands of its own ways equals what the adapter understands; where the vendor says to use
``openai``, that one. Errors too: the SDK raises what our code says."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import fireworks
import groq
import httpx
import openai
import openrouter
import perplexity
import pytest
import zai
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from infrai_core.fetch import stand_in
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Event
from infrai_runtime.vendors.openai_like import make
from tests.vendors.fake import (
    KEY,
    Fake,
    Said,
    assembled,
    call_of,
    entry,
    events_of,
    finish_of,
    says,
    serving,
    streams,
    with_vendor,
)
from tests.vendors.openai_answers import OPENAI, QUIRKS, Quirk, chunk
from tests.vendors.test_openai_media import fields

Json = dict[str, Any]
PATHS = ("/v1/chat/completions", "/openai/v1/chat/completions", "/chat/completions", "/v1/sonar")
ASKED: list[Any] = [{"role": "user", "content": "hi"}]
REQUEST = {"messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]}
Chunks = Iterator[Any]


def by_openai(url: str, stream: bool, http: Any) -> Any:
    sdk: Any = openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0, http_client=http)
    return sdk.chat.completions.create(model="m", messages=ASKED, stream=stream)


def by_groq(url: str, stream: bool, http: Any) -> Any:
    sdk: Any = groq.Groq(api_key=KEY, base_url=url, max_retries=0, http_client=http)
    return sdk.chat.completions.create(model="m", messages=ASKED, stream=stream)


def by_perplexity(url: str, stream: bool, http: Any) -> Any:
    sdk: Any = perplexity.Perplexity(api_key=KEY, base_url=url, max_retries=0, http_client=http)
    return sdk.chat.completions.create(model="m", messages=ASKED, stream=stream)


def by_mistral(url: str, stream: bool, http: Any) -> Any:
    chat: Any = Mistral(api_key=KEY, server_url=url, client=http).chat
    if not stream:
        return chat.complete(model="m", messages=ASKED)
    return (event.data for event in chat.stream(model="m", messages=ASKED))


def by_openrouter(url: str, stream: bool, http: Any) -> Any:
    sdk = openrouter.OpenRouter(api_key=KEY, server_url=f"{url}/v1", client=http)
    return sdk.chat.send(model="m", messages=ASKED, stream=stream, retries=None)


def by_zhipu(url: str, stream: bool, http: Any) -> Any:
    sdk: Any = zai.ZaiClient(api_key=KEY, base_url=f"{url}/v1", max_retries=0, http_client=http)
    return sdk.chat.completions.create(model="m", messages=ASKED, stream=stream)


def by_fireworks(url: str, stream: bool, http: Any) -> Any:
    sdk: Any = fireworks.Fireworks(api_key=KEY, base_url=url, max_retries=0, http_client=http)
    return sdk.chat.completions.create(model="m", messages=ASKED, stream=stream)


OWN: dict[str, Callable[[str, bool, Any], Any]] = {
    "fireworks": by_fireworks,
    "groq": by_groq,
    "mistral": by_mistral,
    "openrouter": by_openrouter,
    "perplexity": by_perplexity,
    "zhipu": by_zhipu,
}
"""The vendors of this dialect that have an SDK of their own for chat (the others' pages show ``openai``)."""


@pytest.fixture(scope="module")
def connections() -> Iterator[httpx.Client]:
    """Making a client of its own for every call would take most of the time of these tests."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


# -- what the SDK says, in plain words


def texts(content: Any) -> tuple[str, str]:
    """(thought, text) of a content: a text, or Mistral's list of chunks."""
    if not isinstance(content, list):
        return "", content if isinstance(content, str) else ""
    thoughts = "".join(one.text for part in content if part.type == "thinking" for one in part.thinking)
    return thoughts, "".join(part.text for part in content if part.type == "text")


def field(of: Any, name: str) -> Any:
    """A field of an SDK's object, also one that its types do not have; None where it is not set."""
    value = getattr(of, name, None)
    value = (getattr(of, "model_extra", None) or {}).get(name) if value is None else value
    return None if type(value).__name__ in ("Unset", "UNSET") else value


class Told:
    """What came, put together."""

    def __init__(self) -> None:
        self.thought, self.text, self.refusal, self.finish, self.usage = "", "", "", None, None
        self.calls: list[list[str]] = []
        self.at: dict[Any, list[str]] = {}
        """The call that the next piece with this index belongs to."""

    def add(self, answer: Any, name: str) -> None:
        self.usage = field(answer, "usage") or field(field(answer, "x_groq"), "usage") or self.usage
        for choice in answer.choices[:1]:
            said = getattr(choice, name)
            thought, text = texts(field(said, "content"))
            steps = "".join(step.thought for step in field(said, "reasoning_steps") or ())
            self.thought += thought + (field(said, "reasoning_content") or field(said, "reasoning") or steps)
            self.text += text
            self.refusal += field(said, "refusal") or ""
            self.finish = field(choice, "finish_reason") or self.finish
            for call in field(said, "tool_calls") or ():
                self._call(call)

    def _call(self, call: Any) -> None:
        called, index = call.function, field(call, "index")
        call_id = field(call, "id")
        if call_id and [call_id] not in [row[:1] for row in self.calls]:
            self.calls.append([call_id, called.name, ""])
            self.at[index] = self.calls[-1]
        arguments = called.arguments
        self.at[index][2] += arguments if isinstance(arguments, str) else json.dumps(arguments or {})

    def words(self) -> Json:
        usage: Any = self.usage
        calls = [(call_id, name, json.loads(arguments)) for call_id, name, arguments in self.calls]
        counts = (usage.prompt_tokens, usage.total_tokens, _cached(usage))
        # Perplexity's guide to structured outputs has its readers take the thoughts out of the text so
        in_text = re.fullmatch(r"<think>(.*?)</think>\s*(.*)", self.text, re.DOTALL)
        thought, text = in_text.groups() if in_text else (self.thought, self.text)
        said = {"thought": thought, "text": text, "refusal": self.refusal}
        return said | {"calls": calls, "finish": self.finish, "counts": counts}


def _cached(usage: Any) -> Any:
    """Cached tokens, also where DeepSeek and Moonshot have them."""
    inner = field(usage, "prompt_tokens_details")
    found = inner.get("cached_tokens") if isinstance(inner, dict) else field(inner, "cached_tokens")
    others = (field(usage, name) for name in ("prompt_cache_hit_tokens", "cached_tokens"))
    return next((value for value in others if value is not None), None) if found is None else found


def told_by_us(events: list[Event]) -> Json:
    parts, finish = assembled(events).parts, finish_of(events)
    assert finish.usage is not None

    def joined(kind: str) -> str:
        return "".join(part["text"] for part in parts if part["type"] == kind)

    calls = [(p["id"], p["name"], json.loads(p["arguments"])) for p in parts if p["type"] == "tool_call"]
    cached = finish.usage.get("prompt_tokens_details", {}).get("cached_tokens")
    counts = (finish.usage["prompt_tokens"], finish.usage["total_tokens"], cached)
    words = {"thought": joined("reasoning"), "text": joined("text"), "refusal": joined("refusal")}
    return words | {"calls": calls} | {"finish": finish.reason, "counts": counts}


SPOKEN = {name: quirk for name, quirk in QUIRKS.items() if quirk.faithful}


@pytest.mark.parametrize("quirk", SPOKEN.values(), ids=SPOKEN)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_vendors_own_way_means_what_its_sdk_says(quirk: Quirk, stream: bool, connections: httpx.Client) -> None:
    said = streams(quirk.chunks, mark=quirk.mark) if stream else says(quirk.completion)
    means_the_same(quirk.vendor, said, stream, connections)


def means_the_same(vendor: str, said: Said, stream: bool, connections: httpx.Client) -> None:
    told = Told()
    with serving(Fake(dict.fromkeys(PATHS, said))) as service:
        read = OWN.get(vendor, by_openai)(service.url, stream, connections)
        for answer in read if stream else [read]:
            told.add(answer, "delta" if stream else "message")

        async def body(made: Any) -> list[Event]:
            return await events_of(made.chat(REQUEST, call_of("m", stream=stream)))

        events = with_vendor(make, entry(vendor, f"{service.url}/v1"), body)
    assert told_by_us(events) == told.words()


# -- what all of them have, in the words of each


def in_the_words_of(vendor: str, row: Json) -> Any:
    """An answer of OpenAI's, or a chunk of one, as another vendor has it."""
    usage = {"usage": COUNTED} if row.get("usage") else {}
    choices = [_without(one, "logprobs") for one in row["choices"]]
    made = row | {"choices": choices} | usage
    plain = [{n: _without(v, "refusal", "annotations") for n, v in one.items()} for one in choices]
    if vendor == "zhipu":  # https://docs.z.ai/api-reference/llm/chat-completion
        return _without(made, "object", "service_tier", "system_fingerprint") | {"choices": plain}
    if vendor == "fireworks":  # https://docs.fireworks.ai/api-reference/post-chatcompletions
        counted = {"usage": _without(made["usage"], "completion_tokens_details")}
        return _without(made, "service_tier", "system_fingerprint") | {"choices": plain} | counted
    if vendor == "groq":
        return _without(made, "service_tier") | {"choices": plain}
    return made


def at_mistral(rows: list[Json]) -> list[Json]:
    """A stream of Mistral's: calls come whole, and the usage in the last chunk of the choice
    (https://docs.mistral.ai/capabilities/function_calling)."""
    last = rows[-2] | {"usage": COUNTED}
    calls: dict[int, Json] = {}
    for call in (call for row in rows[:-2] for call in row["choices"][0]["delta"].get("tool_calls") or ()):
        whole = calls.setdefault(call["index"], call | {"function": call["function"] | {"arguments": ""}})
        whole["function"]["arguments"] += call["function"]["arguments"]
    texts = [row for row in rows[:-2] if "tool_calls" not in row["choices"][0]["delta"]]
    return [*texts, *([chunk({"content": "", "tool_calls": list(calls.values())})] if calls else []), last]


def _without(value: Any, *names: str) -> Any:
    return {n: v for n, v in value.items() if n not in names} if isinstance(value, dict) else value


COUNTED = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
SAME = ("text", "cut by length", "one tool call", "parallel tool calls, one without arguments")
ALIKE = (
    *("groq", "mistral", "openrouter", "zhipu", "deepseek", "xai", "moonshot", "dashscope", "together", "fireworks"),
    *("ollama", "vllm", "llamacpp", "lmstudio"),
)


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("vendor", ALIKE)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_texts_tools_and_usage_mean_what_the_sdk_says(
    vendor: str, name: str, stream: bool, connections: httpx.Client
) -> None:
    rows = OPENAI[name].chunks if stream else [OPENAI[name].completion]
    told = [in_the_words_of(vendor, row) for row in rows]
    told = at_mistral(told) if stream and vendor == "mistral" else told
    means_the_same(vendor, streams(told) if stream else says(told[0]), stream, connections)


@pytest.mark.parametrize("name", ["refusal", "filtered"])
@pytest.mark.parametrize("vendor", ["openai", "openrouter"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_refusal_and_a_filtered_answer_mean_what_the_sdk_says(
    vendor: str, name: str, stream: bool, connections: httpx.Client
) -> None:
    """The models of the other vendors refuse in their text; their services refuse with an error, see below."""
    rows = OPENAI[name].chunks if stream else [OPENAI[name].completion]
    told = [_without(in_the_words_of(vendor, row), "prompt_filter_results") for row in rows]
    means_the_same(vendor, streams(told) if stream else says(told[0]), stream, connections)


# https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model, https://docs.fireworks.ai/guides/reasoning,
# https://www.alibabacloud.com/help/en/model-studio/deep-thinking,
# https://docs.vllm.ai/en/stable/features/reasoning_outputs, https://lmstudio.ai/docs/developer/openai-compat,
# https://github.com/ggml-org/llama.cpp/tree/master/tools/server (reasoning_content)
@pytest.mark.parametrize("vendor", ["moonshot", "fireworks", "dashscope", "vllm", "llamacpp", "lmstudio"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_thoughts_in_a_field_of_their_own_mean_what_the_sdk_says(
    vendor: str, stream: bool, connections: httpx.Client
) -> None:
    quirk = QUIRKS["deepseek: reasoning_content"]
    told = [in_the_words_of(vendor, row) for row in (quirk.chunks if stream else [quirk.completion])]
    means_the_same(vendor, streams(told) if stream else says(told[0]), stream, connections)


# -- sounds and pictures


def made_by(method: str, request: Any, vendor: str, url: str) -> Any:
    async def body(made: Any) -> Any:
        return await getattr(made, method)(request, call_of("m"))

    return with_vendor(make, entry(vendor, url), body)


def test_vectors_of_mistral_are_those_of_its_sdk(connections: httpx.Client) -> None:
    # https://docs.mistral.ai/api/endpoint/embeddings
    rows = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate([[0.25, -1.5], [3.0, 0.125]])]
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}
    said = says({"id": "e1", "object": "list", "data": rows[::-1], "model": "mistral-embed", "usage": usage})
    with serving(Fake({"/v1/embeddings": said})) as service:
        made = made_by("embed", {"input": ["a", "b"]}, "mistral", f"{service.url}/v1")
        sdk = Mistral(api_key=KEY, server_url=service.url, client=connections)
        theirs = sdk.embeddings.create(model="m", inputs=["a", "b"])
        mine, others = (seen.body for seen in service.requests)
    assert mine == {name: value for name, value in others.items() if value is not None}
    assert made.vectors == [row.embedding for row in sorted(theirs.data, key=lambda row: row.index or 0)]
    assert made.usage == usage == theirs.usage.model_dump(include={*usage})


# https://docs.ollama.com/api/openai-compatibility, https://docs.vllm.ai/en/stable/serving/openai_compatible_server,
# https://github.com/ggml-org/llama.cpp/tree/master/tools/server, https://lmstudio.ai/docs/developer/openai-compat,
# https://docs.fireworks.ai/guides/querying-embeddings-models,
# https://www.alibabacloud.com/help/en/model-studio/text-embedding-synchronous-api
@pytest.mark.parametrize(
    "vendor", ["dashscope", "fireworks", "llamacpp", "lmstudio", "ollama", "openrouter", "vllm", "zhipu"]
)
def test_vectors_are_those_of_the_sdk_that_the_vendor_names(vendor: str, connections: httpx.Client) -> None:
    rows = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate([[0.25, -1.5], [3.0, 0.125]])]
    counted = {"completion_tokens": 0} if vendor == "zhipu" else {}
    usage = {"prompt_tokens": 9, "total_tokens": 9, **counted}
    said = says({"object": "list", "data": rows[::-1], "model": "m", "usage": usage})
    with serving(Fake({"/v1/embeddings": said})) as service:
        made = made_by("embed", {"input": ["a", "b"]}, vendor, f"{service.url}/v1")
        theirs = VECTORS.get(vendor, vectors_by_openai)(service.url, connections)
        mine, others = (seen.body for seen in service.requests)
    assert mine == {name: value for name, value in others.items() if value is not None and name != "encoding_format"}
    assert made.vectors == [row.embedding for row in sorted(theirs.data, key=lambda row: row.index)]
    assert made.usage["total_tokens"] == theirs.usage.total_tokens


def vectors_by_openai(url: str, http: Any) -> Any:
    sdk = openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0, http_client=http)
    return sdk.embeddings.create(model="m", input=["a", "b"], encoding_format="float")


def vectors_by_openrouter(url: str, http: Any) -> Any:
    sdk = openrouter.OpenRouter(api_key=KEY, server_url=f"{url}/v1", client=http)
    return sdk.embeddings.generate(model="m", input=["a", "b"], retries=None)


def vectors_by_zhipu(url: str, http: Any) -> Any:
    sdk: Any = zai.ZaiClient(api_key=KEY, base_url=f"{url}/v1", max_retries=0, http_client=http)
    return sdk.embeddings.create(model="m", input=["a", "b"])


VECTORS: dict[str, Callable[[str, Any], Any]] = {"openrouter": vectors_by_openrouter, "zhipu": vectors_by_zhipu}


def test_a_picture_of_xai_is_that_of_the_sdk_that_it_names(connections: httpx.Client) -> None:
    # https://docs.x.ai/developers/model-capabilities/images/generation: "the OpenAI SDK"
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n0000").decode()
    usage = {"cost_in_usd_ticks": 200_000_000}
    said = says({"created": 1713833628, "data": [{"b64_json": picture}], "usage": usage})
    with serving(Fake({"/v1/images/generations": said})) as service:
        made = made_by("draw", {"prompt": "a fox", "n": 1}, "xai", f"{service.url}/v1")
        sdk = openai.OpenAI(api_key=KEY, base_url=f"{service.url}/v1", max_retries=0, http_client=connections)
        theirs: Any = sdk.images.generate(model="m", prompt="a fox", n=1, response_format="b64_json")
        mine, others = (seen.body for seen in service.requests)
    assert mine == others
    assert made.files[0].data == base64.b64decode(theirs.data[0].b64_json)
    assert made.cost_usd == theirs.usage.cost_in_usd_ticks / 10**10


def test_a_transcript_of_zhipu_is_that_of_its_sdk(connections: httpx.Client) -> None:
    # https://docs.z.ai/api-reference/audio/audio-transcriptions
    heard = {"id": "1", "created": 1760335349, "request_id": "r", "model": "m", "text": "A document."}
    sound = b"RIFF0000WAVEfmt "
    request = {
        "audio": {"base64": base64.b64encode(sound).decode(), "mime": "audio/wav"},
        "prompt": "letters",
        "language": "en",
        "temperature": 0.5,
    }
    with serving(Fake({"/v1/audio/transcriptions": says(heard)})) as service:
        made = made_by("listen", request, "zhipu", f"{service.url}/v1")
        sdk: Any = zai.ZaiClient(api_key=KEY, base_url=f"{service.url}/v1", max_retries=0, http_client=connections)
        theirs = sdk.audio.transcriptions.create(model="m", file=("audio.wav", sound, "audio/wav"), prompt="letters")
        mine, others = map(fields, service.requests)
    assert mine == others
    assert made.text == theirs.text
    assert made.warnings == [f"{n}: this vendor has no such option; not used" for n in ("language", "temperature")]


def test_speech_of_groq_is_that_of_its_sdk(connections: httpx.Client) -> None:
    # https://console.groq.com/docs/text-to-speech
    with serving(Fake({"/openai/v1/audio/speech": Said([b"RIFFsound"], "audio/wav")})) as service:
        made = made_by("speak", {"input": "Hi", "voice": "troy", "format": "wav"}, "groq", f"{service.url}/openai/v1")
        sdk = groq.Groq(api_key=KEY, base_url=service.url, max_retries=0, http_client=connections)
        theirs = sdk.audio.speech.create(model="m", voice="troy", input="Hi", response_format="wav")
        assert made.files[0].data == theirs.read()
        mine, others = (seen.body for seen in service.requests)
    assert mine == others


def test_a_transcript_of_groq_is_that_of_its_sdk(connections: httpx.Client) -> None:
    # https://console.groq.com/docs/speech-to-text (verbose_json)
    segment = {"id": 8, "seek": 3000, "start": 43.92, "end": 50.16, "text": " document that", "tokens": [51061]}
    more = {"temperature": 0, "avg_logprob": -0.097, "compression_ratio": 1.66, "no_speech_prob": 0.012}
    heard = {"task": "transcribe", "language": "English", "duration": 51.0, "text": "A document that"} | {
        "segments": [segment | more], "x_groq": {"id": "req_1"}
    }  # fmt: skip
    sound = base64.b64encode(b"RIFF0000WAVEfmt ").decode()
    request = {"audio": {"base64": sound, "mime": "audio/wav"}}
    path = "/openai/v1/audio/transcriptions"
    with serving(Fake({path: says(heard)})) as service:

        async def body(made: Any) -> Any:
            return await made.listen(request, call_of("whisper-large-v3"))

        made = with_vendor(make, entry("groq", f"{service.url}/openai/v1"), body)
        sdk: Any = groq.Groq(api_key=KEY, base_url=service.url, max_retries=0, http_client=connections)
        theirs = sdk.audio.transcriptions.create(
            model="whisper-large-v3", file=("audio.wav", b"RIFF0000WAVEfmt "), response_format="verbose_json"
        )
    assert (made.text, made.language) == (theirs.text, theirs.language)
    assert [(row["start"], row["text"]) for row in made.segments] == [(s["start"], s["text"]) for s in theirs.segments]


def test_a_picture_of_zhipu_is_that_of_its_sdk(connections: httpx.Client) -> None:
    # https://docs.z.ai/api-reference/image/generate-image: a link, which is fetched at once
    picture = b"\x89PNG\r\n\x1a\n0000"
    with serving(Fake({"/i.png": Said([picture], "image/png")}, auth=("host", "pictures.example"))) as pictures:
        place = ("127.0.0.1", int(pictures.url.rpartition(":")[2]))
        told: Any = {"created": 1760335349, "data": [{"url": "http://pictures.example/i.png"}]}
        with serving(Fake({"/v1/images/generations": says(told)})) as service:

            async def body(made: Any) -> Any:
                return await made.draw({"prompt": "a fox"}, Call("m", 10.0, stand_in({"pictures.example": place})))

            made = with_vendor(make, entry("zhipu", f"{service.url}/v1"), body)
            sdk: Any = zai.ZaiClient(api_key=KEY, base_url=f"{service.url}/v1", http_client=connections)
            theirs = sdk.images.generations(model="m", prompt="a fox", n=1)
            mine, others = (seen.body for seen in service.requests)
    assert (theirs.data[0].url, made.files[0].data) == (told["data"][0]["url"], picture)
    assert mine == {name: value for name, value in others.items() if value is not None}


# -- errors, as the vendors' pages have them


def openai_error(message: str, kind: str, code: str | None = None) -> Json:
    # https://platform.openai.com/docs/guides/error-codes, https://console.groq.com/docs/errors
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def mistral_error(message: str, kind: str, code: str) -> Json:
    # https://docs.mistral.ai/api (errors)
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


def fireworks_error(message: str, code: str = "error", kind: str = "error") -> Json:
    # https://docs.fireworks.ai/guides/inference-error-codes
    return {"error": {"message": message, "param": None, "code": code, "type": kind}, "request_id": "11650e2f"}


def dashscope_error(message: str, code: str, kind: str = "") -> Json:
    # https://www.alibabacloud.com/help/en/model-studio/error-code (the compatible interface)
    return {"error": {"code": code, "param": None, "message": message, "type": kind or code}, "request_id": "81a373d6"}


def openrouter_error(code: int, message: str, **metadata: Any) -> Json:
    # https://openrouter.ai/docs/api/reference/errors-and-debugging
    return {"error": {"code": code, "message": message, **({"metadata": metadata} if metadata else {})}}


def zhipu_error(code: str, message: str) -> Json:
    # https://docs.z.ai/api-reference/api-code
    return {"error": {"code": code, "message": message}}


FLAGGED = {"reasons": ["violence"], "flagged_input": "how", "provider_name": "OpenAI", "model_slug": "openai/gpt-5"}
MINUTE = "You exceeded your current quota. Details: https://help.aliyun.com/zh/model-studio/error-code#token-limit"
BAD = "invalid_request_error"

ERRORS: list[tuple[str, int, Json, str]] = [
    ("openai", 400, openai_error("Invalid value for 'temperature'.", "invalid_request_error"), "INVALID_REQUEST"),
    ("openai", 401, openai_error("Incorrect API key.", "invalid_request_error", "invalid_api_key"), "UNAUTHORIZED"),
    ("openai", 403, openai_error("Country not supported.", "request_forbidden"), "FORBIDDEN"),
    ("openai", 404, openai_error("No such model.", "invalid_request_error", "model_not_found"), "VENDOR_ERROR"),
    ("openai", 422, openai_error("Unprocessable.", "invalid_request_error"), "INVALID_REQUEST"),
    ("openai", 429, openai_error("Rate limit reached.", "requests", "rate_limit_exceeded"), "RATE_LIMITED"),
    ("openai", 429, openai_error("Quota.", "insufficient_quota", "insufficient_quota"), "INSUFFICIENT_CREDIT"),
    ("openai", 500, openai_error("The server had an error.", "server_error"), "VENDOR_ERROR"),
    ("openai", 503, openai_error("The engine is overloaded.", "server_error"), "VENDOR_ERROR"),
    (
        "groq",
        400,
        openai_error("Failed to call a function.", "invalid_request_error", "tool_use_failed"),
        "INVALID_REQUEST",
    ),
    ("groq", 413, openai_error("Request too large.", "tokens", "rate_limit_exceeded"), "RATE_LIMITED"),
    ("groq", 429, openai_error("Rate limit reached.", "tokens", "rate_limit_exceeded"), "RATE_LIMITED"),
    ("groq", 498, openai_error("Flex tier capacity exceeded.", "flex", "capacity_exceeded"), "RATE_LIMITED"),
    ("groq", 503, openai_error("Service unavailable.", "internal_server_error"), "VENDOR_ERROR"),
    ("mistral", 400, mistral_error("Invalid model: x", "invalid_model", "1500"), "INVALID_REQUEST"),
    ("mistral", 401, {"detail": "Unauthorized"}, "UNAUTHORIZED"),
    ("mistral", 429, mistral_error("Requests rate limit exceeded", "rate_limited", "1300"), "RATE_LIMITED"),
    ("mistral", 500, mistral_error("Service unavailable.", "internal_server_error", "3000"), "VENDOR_ERROR"),
    ("perplexity", 401, openai_error("Invalid API key.", "invalid_api_key"), "UNAUTHORIZED"),
    ("perplexity", 429, openai_error("Request rate limit exceeded.", "rate_limit"), "RATE_LIMITED"),
    (
        "mistral",
        403,
        {"error": {"code": "guardrail_triggered", "message": "Request blocked due to: harassment"}},
        "CONTENT_FILTERED",
    ),
    ("openrouter", 400, openrouter_error(400, "x is not a valid model ID"), "INVALID_REQUEST"),
    (
        "openrouter",
        400,
        openrouter_error(400, "This endpoint's maximum context length is 8 tokens."),
        "CONTEXT_LENGTH_EXCEEDED",
    ),
    ("openrouter", 401, openrouter_error(401, "No auth credentials found"), "UNAUTHORIZED"),
    ("openrouter", 402, openrouter_error(402, "Insufficient credits"), "INSUFFICIENT_CREDIT"),
    ("openrouter", 403, openrouter_error(403, "Your input was flagged.", **FLAGGED), "CONTENT_FILTERED"),
    ("openrouter", 403, openrouter_error(403, "The model declined.", error_type="refusal"), "CONTENT_FILTERED"),
    ("openrouter", 403, openrouter_error(403, "This key may not do that."), "FORBIDDEN"),
    ("openrouter", 404, openrouter_error(404, "No endpoints found for x."), "VENDOR_ERROR"),
    ("openrouter", 408, openrouter_error(408, "Request timed out"), "VENDOR_TIMEOUT"),
    ("openrouter", 429, openrouter_error(429, "Rate limit exceeded"), "RATE_LIMITED"),
    ("openrouter", 502, openrouter_error(502, "Provider returned error"), "VENDOR_ERROR"),
    ("openrouter", 503, openrouter_error(503, "No provider meets your requirements"), "VENDOR_ERROR"),
    ("zhipu", 400, zhipu_error("1210", "API call parameter error."), "INVALID_REQUEST"),
    ("zhipu", 400, zhipu_error("1261", "Prompt too long"), "CONTEXT_LENGTH_EXCEEDED"),
    (
        "zhipu",
        400,
        zhipu_error("1301", "The input or generation may contain unsafe or sensitive content."),
        "CONTENT_FILTERED",
    ),
    ("zhipu", 401, zhipu_error("1000", "Authentication Failed"), "UNAUTHORIZED"),
    (
        "zhipu",
        429,
        zhipu_error("1113", "Insufficient balance or no resource package. Please recharge."),
        "INSUFFICIENT_CREDIT",
    ),
    ("zhipu", 429, zhipu_error("1302", "High concurrency usage of this API, please reduce it."), "RATE_LIMITED"),
    ("zhipu", 500, zhipu_error("500", "Internal Error"), "VENDOR_ERROR"),
    ("fireworks", 400, fireworks_error("Extra inputs are not permitted", BAD, BAD), "INVALID_REQUEST"),
    (
        "fireworks",
        400,
        fireworks_error("The prompt is too long: 9000, model maximum context length: 8191", BAD, BAD),
        "CONTEXT_LENGTH_EXCEEDED",
    ),
    ("fireworks", 401, fireworks_error("The API key you provided is invalid.", "UNAUTHORIZED"), "UNAUTHORIZED"),
    ("fireworks", 402, fireworks_error("Payment required."), "INSUFFICIENT_CREDIT"),
    ("fireworks", 403, fireworks_error("Forbidden."), "FORBIDDEN"),
    ("fireworks", 404, fireworks_error("Model not found, inaccessible.", "NOT_FOUND"), "VENDOR_ERROR"),
    ("fireworks", 408, fireworks_error("Request timed out."), "VENDOR_TIMEOUT"),
    (
        "fireworks",
        412,
        fireworks_error("Account a is suspended, possibly due to the spending limit.", "PRECONDITION_FAILED"),
        "INSUFFICIENT_CREDIT",
    ),
    ("fireworks", 413, fireworks_error("Request entity too large."), "PAYLOAD_TOO_LARGE"),
    ("fireworks", 429, fireworks_error("Rate limit exceeded.", "RATE_LIMITED"), "RATE_LIMITED"),
    ("fireworks", 500, fireworks_error("Internal server error."), "VENDOR_ERROR"),
    ("fireworks", 502, fireworks_error("Bad gateway."), "VENDOR_ERROR"),
    ("fireworks", 503, fireworks_error("Service overloaded."), "VENDOR_ERROR"),
    ("fireworks", 504, fireworks_error("Gateway timeout."), "VENDOR_TIMEOUT"),
    ("dashscope", 400, dashscope_error("Unsupported parameter.", "invalid_parameter_error", BAD), "INVALID_REQUEST"),
    (
        "dashscope",
        400,
        dashscope_error(
            "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 983616]",
            "invalid_parameter_error",
            BAD,
        ),
        "CONTEXT_LENGTH_EXCEEDED",
    ),
    (
        "dashscope",
        400,
        dashscope_error("Input data may contain inappropriate content.", "data_inspection_failed"),
        "CONTENT_FILTERED",
    ),
    ("dashscope", 400, dashscope_error("Access denied: overdue payment.", "Arrearage"), "INSUFFICIENT_CREDIT"),
    ("dashscope", 401, dashscope_error("Incorrect API key provided.", "invalid_api_key", BAD), "UNAUTHORIZED"),
    ("dashscope", 403, dashscope_error("Access denied.", "access_denied"), "FORBIDDEN"),
    ("dashscope", 404, dashscope_error("The model does not exist.", "model_not_found", BAD), "VENDOR_ERROR"),
    ("dashscope", 429, dashscope_error("Requests rate limit exceeded.", "limit_requests"), "RATE_LIMITED"),
    ("dashscope", 429, dashscope_error(MINUTE, "insufficient_quota"), "RATE_LIMITED"),
    ("dashscope", 500, dashscope_error("An internal error has occurred.", "internal_error"), "VENDOR_ERROR"),
    ("dashscope", 503, dashscope_error("Too many requests for the system.", "ServiceUnavailable"), "VENDOR_ERROR"),
    (
        "deepseek",
        402,
        openai_error("Insufficient Balance", "unknown_error", "invalid_request_error"),
        "INSUFFICIENT_CREDIT",
    ),
    ("xai", 400, {"code": "Client specified an invalid argument", "error": "Model not found: m"}, "INVALID_REQUEST"),
]
RAISED = (
    *(openai.APIStatusError, groq.APIStatusError, perplexity.APIStatusError, fireworks.APIStatusError),
    *(SDKError, openrouter.errors.OpenRouterError, zai.core.APIStatusError),
)
CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
"""The classes of the SDKs that Stainless makes; those above them are InternalServerError, others APIStatusError."""


def words_of(body: Json) -> str:
    """What an error body says."""
    error = body.get("error", body)
    return str(error) if isinstance(error, str) else str(error.get("message") or error.get("detail"))


@pytest.mark.parametrize(("vendor", "status", "body", "code"), ERRORS)
def test_an_error_is_the_one_that_the_sdk_raises(
    vendor: str, status: int, body: Json, code: str, connections: httpx.Client
) -> None:
    said = says(body, status)
    with serving(Fake(dict.fromkeys(PATHS, said))) as service:
        with pytest.raises(RAISED) as raised:
            OWN.get(vendor, by_openai)(service.url, False, connections)

        async def ours(made: Any) -> list[Event]:
            return await events_of(made.chat(REQUEST, call_of("m")))

        with pytest.raises(Failure) as caught:
            with_vendor(make, entry(vendor, f"{service.url}/v1"), ours)
    error: Any = raised.value
    assert error.status_code == status
    assert caught.value.code == code
    assert f"HTTP {status}" in caught.value.message
    words = words_of(body).partition(" Details")[0]  # of a link only the place is shown
    assert words in caught.value.message
    assert words in f"{error} {getattr(error, 'body', '')}"  # xAI's stands in the body alone
    if not isinstance(error, SDKError | openrouter.errors.OpenRouterError | zai.core.APIStatusError):
        unnamed = "InternalServerError" if status >= 500 else "APIStatusError"
        assert type(error).__name__ == CLASSES.get(status, unnamed)
