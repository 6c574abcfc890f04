"""The OpenAI-compatible surface: bodies in, objects and chunks out (docs/protocol.md, section 6).

Known fields become the same ``Ask`` as on the native surface. Fields that we do not know go to the vendor as
``passthrough``; a vendor that cannot use them says so in the reply's warnings.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from infrai_core.errors import CODES
from infrai_runtime.failure import Failure
from infrai_runtime.field import (
    Field,
    Kind,
    Table,
    anything,
    check_table,
    flag,
    integer,
    known_choice,
    list_of,
    number,
    text,
)
from infrai_runtime.request import ASR, CHAT, EMBED, IMAGE, TTS, Ask, ask, fingerprint
from infrai_runtime.vendors.base import Fragment
from infrai_runtime.wire import DONE, JSON, Frames, Json, ToolIndex, flat_delta, frame

# -- requests ---------------------------------------------------------------------------------------------------------


def _stream_options(value: Any, path: str) -> Json:
    options: Json = anything().check(value, path)
    if options.get("include_usage") is not None:
        flag().check(options["include_usage"], f"{path}.include_usage")
    return options


COMPLETION: Table = {name: field for name, field in CHAT.items() if name != "batch_mode"} | {
    "max_completion_tokens": Field(CHAT["max_tokens"].kind, "most tokens of the answer"),
    "stream_options": Field(Kind(_stream_options, {"type": "object"}), "include_usage: a last chunk with the usage"),
    "n": Field(integer(1, 128), "how many answers"),
    "logprobs": Field(flag(), "probabilities of the tokens"),
    "top_logprobs": Field(integer(0, 20), "how many alternatives"),
    "modalities": Field(list_of(text()), "kinds of output"),
    "temperature": Field(number(0, 2), "sampling temperature"),
}
EMBEDDINGS: Table = EMBED | {"user": Field(text(), "an id of the end user")}
IMAGES: Table = IMAGE | {
    "response_format": Field(text(), "url (default) or b64_json"),
    "user": Field(text(), "an id of the end user"),
}
SPEECH: Table = {name: field for name, field in TTS.items() if name not in ("format", "inline")} | {
    "response_format": Field(known_choice("format"), "sound format, default mp3"),
}
TRANSCRIPTION: Table = ASR | {
    "response_format": Field(text(), "json (default), verbose_json or text"),
}


def chat_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/chat/completions`` body."""
    print_ = fingerprint("openai/chat", given)
    checked, passed = _split(COMPLETION, given)
    stream_options = checked.pop("stream_options", {})
    limit = checked.pop("max_completion_tokens", None)
    body = checked | ({"max_tokens": limit} if limit is not None else {}) | ({"passthrough": passed} if passed else {})
    if checked.get("n", 1) == 1:
        body.pop("n", None)
    else:
        body["choices"] = body.pop("n")
    return ask(
        "chat",
        body,
        print_,
        idempotency_key,
        include_usage=bool(stream_options.get("include_usage")),
    )


def embed_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/embeddings`` body."""
    return _plain_ask("embed", EMBEDDINGS, given, idempotency_key)


def image_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/images/generations`` body."""
    wanted = given.get("response_format")
    if wanted not in (None, "url", "b64_json"):
        raise Failure(
            "INVALID_REQUEST", f"response_format: came {wanted!r}, allowed are url, b64_json", param="response_format"
        )
    return _plain_ask("image", IMAGES, given, idempotency_key, inline=wanted == "b64_json")


def speech_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/audio/speech`` body."""
    renamed = {"format" if name == "response_format" else name: value for name, value in given.items()}
    return _plain_ask("tts", SPEECH | {"format": TTS["format"]}, renamed, idempotency_key, inline=True)


def transcription_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/audio/transcriptions`` form whose file became ``audio``."""
    return _plain_ask("asr", TRANSCRIPTION, given, idempotency_key)


def _plain_ask(capability: str, fields: Table, given: Mapping[str, Any], key: str | None, **more: Any) -> Ask:
    print_ = fingerprint(f"openai/{capability}", given)
    checked, passed = _split(fields, given)
    kept = {name: value for name, value in checked.items() if name not in ("response_format", "user")}
    return ask(
        capability,
        kept,
        print_,
        key,
        warnings=tuple(f"{name}: not used" for name in passed),
        **more,
    )


def _split(fields: Table, given: Mapping[str, Any]) -> tuple[Json, Json]:
    """Checked known fields, and the set unknown ones."""
    known = check_table(fields, {name: value for name, value in given.items() if name in fields})
    return known, {name: value for name, value in given.items() if name not in fields and value is not None}


ASKS: dict[str, Callable[[Mapping[str, Any], str | None], Ask]] = {
    "chat": chat_ask,
    "embed": embed_ask,
    "image": image_ask,
    "tts": speech_ask,
    "asr": transcription_ask,
}
"""Capability -> reader of its OpenAI-shaped body."""


# -- replies ----------------------------------------------------------------------------------------------------------


def completion(data: Json) -> Json:
    """A ``chat.completion`` object."""
    named = {"content": data["content"], "refusal": data["refusal"], "tool_calls": data["tool_calls"]}
    optional = {"tool_calls": data["tool_calls"], "reasoning_content": data["reasoning"]}
    message = {"role": "assistant", **{n: v for n, v in named.items() if n != "tool_calls"}} | {
        name: value for name, value in optional.items() if value
    }
    choice = {"index": 0, "message": message, "finish_reason": data["finish_reason"], "logprobs": None}
    return {
        "id": f"chatcmpl-{data['id']}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": data["model"],
        "choices": [choice],
        "usage": data["usage"],
    }


def embeddings(data: Json) -> Json:
    """A list of ``embedding`` objects."""
    rows = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(data["embeddings"])]
    tokens = data["usage"].get("prompt_tokens", 0)
    return {
        "object": "list",
        "data": rows,
        "model": data["model"],
        "usage": data["usage"] | {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def images(data: Json) -> Json:
    """Generated images: ``b64_json`` when the bytes were asked for, else ``url``."""
    rows = [{"b64_json": i["b64"]} if i.get("b64") else {"url": i["url"]} for i in data["images"]]
    return {"created": int(time.time()), "data": rows, "usage": data["usage"]}


def transcription(data: Json) -> Json:
    """A transcript with its segments."""
    return {name: data[name] for name in ("text", "language", "segments") if data.get(name) is not None}


_OBJECTS: dict[str, Callable[[Json], Json]] = {
    "chat": completion,
    "embed": embeddings,
    "image": images,
    "asr": transcription,
}

_SHOWN = (
    "cost_usd",
    "vendor",
    "model",
    "latency_ms",
    "cache_hit",
    "request_id",
    "attempts",
    "warnings",
    "invented",
    "route",
)


def infrai_of(metadata: Json) -> Json:
    """The top-level ``infrai`` object."""
    return {name: metadata[name] for name in _SHOWN if name in metadata}


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
} | {402: "insufficient_quota", 413: "invalid_request_error", 422: "invalid_request_error", 429: "rate_limit_error"}


def error_object(failure: Failure, metadata: Json) -> Json:
    """``{"error": {message, type, code, param}}``; hint, retryable and attempts ride along."""
    rule = CODES.get(failure.code)
    status = rule.status if rule else 500
    error = {
        "message": failure.message,
        "type": _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error"),
        "code": failure.code,
        "param": failure.param,
        "retryable": bool(rule and rule.retryable),
    }
    hint = {"hint": failure.hint} if failure.hint else {}
    rows = {"attempts": list(failure.attempts)} if failure.attempts else {}
    return {"error": error | hint, "infrai": infrai_of(metadata) | rows}


class ChunkFrames:
    """Frames of ``/v1/chat/completions``."""

    def __init__(self, answer_id: str, model: str, include_usage: bool) -> None:
        self._head = {
            "id": f"chatcmpl-{answer_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._usage = {"usage": None} if include_usage else {}
        self._include_usage = include_usage
        self._tools = ToolIndex()
        self._begun = False

    def fragment(self, fragment: Fragment) -> bytes:
        """A chunk; reasoning is ``reasoning_content``, as vendors of this surface have it."""
        delta = flat_delta(fragment, self._tools)
        if "reasoning" in delta:
            delta["reasoning_content"] = delta.pop("reasoning")
        role = {} if self._begun else {"role": "assistant"}
        self._begun = True
        return self._chunk(role | delta, None) if role or delta else b""

    def end(self, data: Json, metadata: Json) -> bytes:
        """The finish chunk, the usage chunk where asked for, and the end mark."""
        infrai = {"infrai": infrai_of(metadata)}
        if not self._include_usage:
            return self._chunk({}, data["finish_reason"], infrai) + DONE
        usage = frame(self._head | {"choices": [], "usage": data["usage"]} | infrai)
        return self._chunk({}, data["finish_reason"]) + usage + DONE

    def error(self, failure: Failure, metadata: Json) -> bytes:
        """An error object as data; the stream ends without ``[DONE]``."""
        return frame(error_object(failure, metadata))

    def _chunk(self, delta: Json, finish_reason: str | None, more: Json | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return frame(self._head | {"choices": [choice]} | self._usage | (more or {}))


class OpenAI:
    """The OpenAI-compatible surface."""

    name = "openai"

    def reply(self, capability: str, data: Json, metadata: Json) -> tuple[str, bytes]:
        """A bare OpenAI object with a top-level ``infrai``; speech is the sound itself."""
        if capability == "tts":
            return data["mime"], base64.b64decode(data["b64"])
        return JSON, orjson.dumps(_OBJECTS[capability](data) | {"infrai": infrai_of(metadata)})

    def frames(self, answer_id: str, model: str, include_usage: bool) -> Frames:
        """Chunks."""
        return ChunkFrames(answer_id, model, include_usage)

    def failure(self, failure: Failure, metadata: Json) -> bytes:
        """An OpenAI-shaped error."""
        return orjson.dumps(error_object(failure, metadata))
