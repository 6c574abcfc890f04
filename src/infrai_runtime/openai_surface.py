"""The OpenAI-compatible surface: bodies in, objects and chunks out (docs/protocol.md, section 6).

Known fields become the same ``Ask`` as on the native surface. Fields that we do not know go to the vendor as
``passthrough``; a vendor that cannot use them says so in the reply's warnings.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from infrai_runtime import transcript
from infrai_runtime.body import ASR, CHAT, EMBED, IMAGE, TTS
from infrai_runtime.failure import Failure
from infrai_runtime.field import Field, Kind, Table, anything, check_table, choice, flag, integer, list_of, number, text
from infrai_runtime.message import KNOWN
from infrai_runtime.request import Ask, ask, fingerprint
from infrai_runtime.tool import FUNCTIONS_AND_CUSTOM
from infrai_runtime.vendors.base import Fragment
from infrai_runtime.wire import DONE, JSON, Frames, Json, ToolIndex, flat_delta, frame, is_retryable, status_of

# -- requests ---------------------------------------------------------------------------------------------------------


_OBJECT, _FLAG, _NON_EMPTY = anything(), flag(), text(empty=False)


def _stream_options(value: Any, path: str) -> Json:
    options: Json = _OBJECT.check(value, path)
    for name in ("include_usage", "include_obfuscation"):
        if options.get(name) is not None:
            _FLAG.check(options[name], f"{path}.{name}")
    return options


def _voice(value: Any, path: str) -> str:
    """A voice's name, or ``{"id"}`` of a voice that the user made."""
    named: str = _NON_EMPTY.check(value["id"] if isinstance(value, dict) and "id" in value else value, path)
    return named


def _flag_from_form(value: Any, path: str) -> bool:
    """True or false as a form carries it: as text."""
    checked: bool = _FLAG.check({"true": True, "false": False}.get(value, value), path)
    return checked


def _whole_only(value: Any, path: str) -> bool:
    if value is not False:
        raise Failure("INVALID_REQUEST", f"{path}: images come whole; leave {path} out", param=path)
    return False


def _sent_as(now: str) -> Field:
    """An option of OpenAI's that was replaced years ago; answered in its old form, a call would be lost."""

    def check(value: Any, path: str) -> Any:
        raise Failure("INVALID_REQUEST", f"{path}: is not taken any more; send {now}", param=path)

    return Field(Kind(check, {"not": {}}), f"not taken: send {now}")


def _from_form(kind: Kind) -> Kind:
    """A number as a form carries it: as text."""

    def check(value: Any, path: str) -> Any:
        try:
            return kind.check(float(value) if isinstance(value, str) else value, path)
        except ValueError:
            return kind.check(value, path)

    return Kind(check, kind.schema)


COMPLETION = Table(
    {name: field for name, field in CHAT.items() if name != "batch_mode"}
    | {
        **FUNCTIONS_AND_CUSTOM,
        "max_completion_tokens": Field(CHAT["max_tokens"].kind, "most tokens of the answer"),
        "stream_options": Field(
            Kind(_stream_options, {"type": "object"}), "include_usage: a last chunk with the usage"
        ),
        "n": Field(integer(1, 128), "how many answers"),
        "logprobs": Field(flag(), "probabilities of the tokens"),
        "top_logprobs": Field(integer(0, 20), "how many alternatives"),
        "modalities": Field(list_of(choice(("text", "audio")), low=1), "kinds of output"),
        "audio": Field(anything(), "voice and format of spoken output"),
        "temperature": Field(number(0, 2), "sampling temperature"),
        "functions": _sent_as("tools"),
        "function_call": _sent_as("tool_choice"),
    }
)
EMBEDDINGS = Table(EMBED | {"user": Field(text(), "an id of the end user")})
IMAGES = Table(
    IMAGE
    | {
        "response_format": Field(choice(("url", "b64_json")), "url (default) or b64_json"),
        "stream": Field(Kind(_whole_only, {"const": False}), "images come whole"),
    }
)
SPEECH = Table(
    {name: field for name, field in TTS.items() if name not in ("format", "inline")}
    | {
        "voice": Field(Kind(_voice, {"anyOf": [{"type": "string"}, {"type": "object"}]}), "id of the voice"),
        "response_format": Field(
            choice(("mp3", "opus", "aac", "flac", "wav", "pcm", "ogg")), "sound format, default mp3"
        ),
        "stream_format": Field(
            choice(("audio", "sse")), "audio (default): the sound's bytes; sse: events that hold them"
        ),
    }
)
TRANSCRIPTION = Table(
    ASR
    | {
        "response_format": Field(
            choice(("json", "verbose_json", "diarized_json", "text", "srt", "vtt")), "what a transcript looks like"
        ),
        "prompt": Field(text(), "words that are likely to be said"),
        "temperature": Field(_from_form(number(0, 1)), "sampling temperature"),
        "stream": Field(Kind(_flag_from_form, {"type": "boolean"}), "true: server-sent events"),
        "timestamp_granularities": Field(list_of(choice(("word", "segment"))), "which times verbose_json tells"),
        "max_cost_multiplier": Field(_from_form(ASR["max_cost_multiplier"].kind), ASR["max_cost_multiplier"].about),
        "timeout_seconds": Field(_from_form(ASR["timeout_seconds"].kind), ASR["timeout_seconds"].about),
    }
)


def chat_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/chat/completions`` body."""
    print_ = fingerprint("openai/chat", given)
    known, unused = _known_messages(given)
    body = _split(COMPLETION, known)
    include_usage = not _ONLY_HERE.isdisjoint(body) and _renamed(body)
    return ask("chat", body, print_, idempotency_key, include_usage=include_usage, warnings=unused)


_ONLY_HERE = frozenset(
    {"stream_options", "max_completion_tokens", "n", "logprobs", "top_logprobs", "modalities", "audio"}
)


def _renamed(body: Json) -> bool:
    """Makes options that only this surface has what vendors are told. Returns whether a stream ends with its usage."""
    stream_options = body.pop("stream_options", {})
    limit = body.pop("max_completion_tokens", None)
    if limit is not None:
        body["max_tokens"] = limit
    _check_output(body)
    if (answers := body.pop("n", 1)) > 1:
        body["choices"] = answers
    return bool(stream_options.get("include_usage"))


def _known_messages(given: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The body without fields of messages that only other gateways know (LiteLLM's ``provider_specific_fields``,
    OpenRouter's ``reasoning_details``), and what is said of them: an answer of theirs goes back as it came."""
    messages = given.get("messages")
    if not isinstance(messages, list):
        return given, ()
    foreign = [
        f"messages.{place}.{name}: not used"
        for place, message in enumerate(messages)
        if isinstance(message, dict) and not message.keys() <= KNOWN
        for name, value in message.items()
        if name not in KNOWN and value is not None
    ]
    if not foreign:
        return given, ()
    kept = [{n: v for n, v in m.items() if n in KNOWN} if isinstance(m, dict) else m for m in messages]
    return {**given, "messages": kept}, tuple(foreign)


def _check_output(body: Json) -> None:
    """Options that need each other, and what is the same as leaving an option out."""
    if "top_logprobs" in body and not body.get("logprobs"):
        raise Failure("INVALID_REQUEST", "top_logprobs needs logprobs: true", param="top_logprobs")
    if not body.get("logprobs"):
        body.pop("logprobs", None)
    if body.get("modalities") == ["text"]:
        del body["modalities"]
    if "audio" in body.get("modalities", ()) and "audio" not in body:
        raise Failure("INVALID_REQUEST", "audio is missing: modalities asks for audio", param="audio")


def embed_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/embeddings`` body."""
    print_ = fingerprint("openai/embed", given)
    body = _split(EMBEDDINGS, given)
    lost = [name for name in ("user",) if body.pop(name, None) is not None]
    warnings = tuple(f"{name}: not used" for name in [*lost, *body.pop("passthrough", ())])
    return ask("embed", body, print_, idempotency_key, warnings=warnings)


def image_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/images/generations`` body."""
    print_ = fingerprint("openai/image", given)
    body = _split(IMAGES, {n: v for n, v in given.items() if (n, v) != ("size", "auto")})
    body.pop("stream", None)
    inline = body.pop("response_format", _image_form(body.get("model", ""))) == "b64_json"
    return ask("image", body | {"inline": inline}, print_, idempotency_key)


def _image_form(model: str) -> str:
    """What an image is where nobody said: bytes from OpenAI's GPT Image models, which know no other form, so that who
    names one reads only those (https://platform.openai.com/docs/api-reference/images/create); else a link."""
    return "b64_json" if model.rpartition("/")[2].startswith(("gpt-image-", "chatgpt-image-")) else "url"


def speech_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/audio/speech`` body."""
    print_ = fingerprint("openai/tts", given)
    body = _split(SPEECH, given)
    raw = body.pop("stream_format", "audio") == "audio"
    sound = {"format": body.pop("response_format")} if "response_format" in body else {}
    return ask("tts", body | sound | {"inline": True, "stream": True}, print_, idempotency_key, raw=raw)


def transcription_ask(given: Mapping[str, Any], idempotency_key: str | None) -> Ask:
    """The ask of a ``/v1/audio/transcriptions`` form whose file became ``audio``."""
    print_ = fingerprint("openai/asr", given)
    body = _split(TRANSCRIPTION, given)
    wanted = body.pop("response_format", "json")
    if wanted == transcript.DIARIZED:
        body["diarize"] = True
    if body.pop("stream", False):
        if wanted != "json":
            raise Failure("INVALID_REQUEST", f"stream: not with response_format {wanted}", param="stream")
        wanted = transcript.STREAM
    return ask("asr", body, print_, idempotency_key, reply_format=wanted)


def _split(fields: Table, given: Mapping[str, Any]) -> Json:
    """Checked known fields; the set unknown ones are ``passthrough``, for the vendor."""
    if given.keys() <= fields.keys():
        return check_table(fields, given)
    known = check_table(fields, {name: value for name, value in given.items() if name in fields})
    passed = {name: value for name, value in given.items() if name not in fields and value is not None}
    return known | ({"passthrough": passed} if passed else {})


_CHAT_INSTEAD = "use /v1/chat/completions"
NOT_HERE = {
    "/responses": f"{_CHAT_INSTEAD} (langchain-openai: use_responses_api=False)",
    "/completions": _CHAT_INSTEAD,
    "/messages": f"{_CHAT_INSTEAD} or /v1/ai/chat",
    "/batches": "jobs of many requests are POST /v1/ai/batch/submit",
    "/files": "jobs of many requests are POST /v1/ai/batch/submit, with the requests in the body",
    "/realtime/client_secrets": "tokens for realtime sessions are POST /v1/ai/realtime/token",
    "/moderations": "there are no moderations here",
    "/images/edits": "images are made by /v1/images/generations",
    "/audio/translations": "transcripts are made by /v1/audio/transcriptions",
}
"""Paths that clients of this surface know and that are not here -> what is."""


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
    answers, usage = data.get("choices") or [data], data["usage"]
    made = {
        "id": f"chatcmpl-{data['id']}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": data["model"],
        "choices": [_choice(place, answer) for place, answer in enumerate(answers)],
        "usage": usage,
    }
    if usage.get("service_tier") in _TIERS:
        made["service_tier"] = usage["service_tier"]
    if "system_fingerprint" in data:
        made["system_fingerprint"] = data["system_fingerprint"]
    return made


_TIERS = frozenset({"auto", "default", "flex", "scale", "priority"})
"""Those that this surface knows; strict clients refuse an answer with another vendor's, which ``usage`` tells."""


def _choice(place: int, answer: Json) -> Json:
    parts, message, logprobs = answer["parts"], _message(answer), None
    if not all(map(_is_plain, parts)):
        message |= _beside(parts)
        logprobs = _logprobs(parts)
    return {"index": place, "message": message, "finish_reason": answer["finish_reason"], "logprobs": logprobs}


def _message(answer: Json) -> Json:
    """The flat fields of an answer's message."""
    content = "" if _says_nothing(answer) else answer["content"]
    message = {"role": "assistant", "content": content, "refusal": answer["refusal"]}
    if answer["tool_calls"]:
        message["tool_calls"] = answer["tool_calls"]
    if answer["reasoning"]:
        message["reasoning_content"] = answer["reasoning"]
    return message


def _beside(parts: Sequence[Json]) -> Json:
    """What a message has beside its flat fields, with ``parts`` where all of those do not say everything."""
    beside = {
        "annotations": _annotations(parts),
        "audio": next((spoken(part) for part in parts if part.get("type") == "audio"), None),
        "parts": parts if any(_is_more_than_flat(part) for part in parts) else None,
    }
    return {name: value for name, value in beside.items() if value}


def _says_nothing(answer: Json) -> bool:
    """Whether an answer has none of what a message must have one of. Its content is empty then and not null, which this
    surface takes in no history, and clients in no answer."""
    if answer["content"] is not None or answer["refusal"] is not None or answer["tool_calls"] is not None:
        return False
    return not any(part.get("type") == "audio" for part in answer["parts"])


_PLAIN_TYPES = frozenset({"text", "reasoning", "refusal", "tool_call"})
_PLAIN = frozenset({"type", "text", "id", "name", "arguments"})


def _is_plain(part: Json) -> bool:
    """Whether the flat fields show all that a part has, as they do of nearly every one."""
    return part.keys() <= _PLAIN and part.get("type") in _PLAIN_TYPES


_FLAT_TYPES = frozenset({"text", "reasoning", "refusal", "tool_call", "audio"})


def _is_more_than_flat(part: Json) -> bool:
    """Whether a part has what no flat field shows: a signature to send back, a picture, a vendor's own tool, a
    citation of what is no page."""
    notes = part.get("annotations", ())
    return part.get("type") not in _FLAT_TYPES or "opaque" in part or not all(map(_is_of_a_page, notes))


def _is_of_a_page(note: Json) -> bool:
    """Whether a citation is one that this surface has. Clients refuse an answer that has others, so these stand in
    ``parts`` alone."""
    return note.get("type") == "citation" and bool(note.get("url"))


def _logprobs(parts: Sequence[Json]) -> Json | None:
    """``logprobs`` of a choice: the tokens of its text and of its refusal."""
    told = [part for part in parts if part.get("logprobs") and part.get("type") in _TOKENS]
    if not told:
        return None
    return {
        name: [t for p in told if p["type"] == kind for t in p["logprobs"]] or None for kind, name in _TOKENS.items()
    }


_TOKENS = {"text": "content", "refusal": "refusal"}


def _annotations(parts: Sequence[Json]) -> list[Json]:
    """The citations of pages; their places are those in ``content``, which is all texts in one."""
    found: list[Json] = []
    begin = 0
    for part in parts:
        if part.get("type") == "text":
            end = begin + len(part["text"])
            if "annotations" in part:
                found += _cited_pages(part, begin, end)
            begin = end
    return found


def _cited_pages(part: Json, begin: int, end: int) -> list[Json]:
    """Citations as this surface has them, of a text that stands from ``begin`` to ``end``. All four fields are always
    there: without a place the whole text is meant, without a title the page is called by its address."""
    pages = [note for note in part["annotations"] if _is_of_a_page(note)]
    return [{"type": "url_citation", "url_citation": _page(note, begin, end)} for note in pages]


def _page(note: Json, begin: int, end: int) -> Json:
    places = {"start_index": begin + note.get("start", 0), "end_index": begin + note.get("end", end - begin)}
    return places | {"url": note["url"], "title": note.get("title") or note.get("source") or note["url"]}


def spoken(part: Json) -> Json:
    """``audio`` of a message or a delta."""
    names = {"id": "id", "base64": "data", "transcript": "transcript", "expires_at": "expires_at"}
    return {names[name]: value for name, value in part.items() if name in names}


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
    rows, usage = [_image(row) for row in data["images"]], data["usage"]
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    tokens = {theirs: usage[ours] for ours, theirs in names.items() if ours in usage}
    counted = tokens | ({"total_tokens": sum(tokens.values())} if tokens else {})
    return {"created": int(time.time()), "data": rows, "usage": usage | counted}


def _image(row: Json) -> Json:
    picture = {"b64_json": row["b64"]} if row.get("b64") else {"url": row["url"]}
    return picture | ({"revised_prompt": row["revised_prompt"]} if row.get("revised_prompt") else {})


_OBJECTS: dict[str, Callable[[Json], Json]] = {"chat": completion, "embed": embeddings, "image": images}


def infrai_of(metadata: Json) -> Json:
    """The top-level ``infrai`` object."""
    infrai = {
        "cost_usd": metadata["cost_usd"],
        "vendor": metadata["vendor"],
        "model": metadata["model"],
        "latency_ms": metadata["latency_ms"],
        "cache_hit": metadata["cache_hit"],
        "request_id": metadata["request_id"],
        "attempts": metadata["attempts"],
        "warnings": metadata["warnings"],
    }
    if "invented" in metadata:
        infrai["invented"] = metadata["invented"]
    if "quotes" in metadata:
        infrai["quotes"] = metadata["quotes"]
    if "route" in metadata:
        infrai["route"] = metadata["route"]
    return infrai


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
} | {402: "insufficient_quota", 413: "invalid_request_error", 422: "invalid_request_error", 429: "rate_limit_error"}


_CODES = {"CONTEXT_LENGTH_EXCEEDED": "context_length_exceeded", "CONTENT_FILTERED": "content_filter"}
"""Codes by which clients tell one 400 from another (https://platform.openai.com/docs/guides/error-codes): they shorten
a history, or say that a filter spoke. Every other error they know by its status, and has our code."""


_SAID = {"CONTEXT_LENGTH_EXCEEDED": " (context_length_exceeded: the prompt is too long for the maximum context length)"}
"""What stands behind a message: OpenAI's newer SDKs show nothing else in an error's text, which is where LangChain,
LiteLLM and CrewAI look for such words, whosever model it was."""


def error_object(failure: Failure, metadata: Json) -> Json:
    """``{"error": {message, type, code, param}}``; hint, retryable and attempts ride along."""
    status = status_of(failure)
    error = {
        "message": failure.message + _SAID.get(failure.code, ""),
        "type": _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error"),
        "code": _CODES.get(failure.code, failure.code),
        "param": failure.param,
        "retryable": is_retryable(failure),
    }
    hint = {"hint": failure.hint} if failure.hint else {}
    rows = {"attempts": list(failure.attempts)} if failure.attempts else {}
    return {"error": error | hint, "infrai": infrai_of(metadata) | rows}


class ChunkFrames:
    """Frames of ``/v1/chat/completions``. What is the same in every chunk is made once."""

    def __init__(self, answer_id: str, model: str, include_usage: bool) -> None:
        self._head = {
            "id": f"chatcmpl-{answer_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._begin = b"data: " + orjson.dumps(self._head)[:-1] + b',"choices":[{"index":'
        self._end = b"}]" + (b',"usage":null' if include_usage else b"")
        self._include_usage = include_usage
        self._told: dict[int, _Told] = {}

    def fragment(self, fragment: Fragment) -> bytes:
        """A chunk; reasoning is ``reasoning_content``, as vendors of this surface have it."""
        part, choice = fragment.part, fragment.choice
        told = self._told.get(choice)
        role: Json = {}
        if told is None:
            told, role = self._told.setdefault(choice, _Told()), {"role": "assistant"}
        delta = role | _delta(fragment, told)
        logprobs = _logprobs([part]) if "logprobs" in part else None
        return self._chunk(choice, delta, None, logprobs) if delta or logprobs else b""

    def end(self, data: Json, metadata: Json) -> bytes:
        """The finish chunk of every answer, the usage chunk where asked for, and the end mark."""
        answers, infrai = data.get("choices") or [data], infrai_of(metadata)
        if any(map(_is_more_than_flat, data["parts"])):
            infrai["parts"] = data["parts"]
        if "system_fingerprint" in data:
            fingerprint = {"system_fingerprint": data["system_fingerprint"]}
            self._head |= fingerprint
            self._end += b"," + orjson.dumps(fingerprint)[1:-1]
        last = None if self._include_usage else infrai
        ends = [self._end_of(place, answer) for place, answer in enumerate(answers[:-1])]
        ends.append(self._end_of(len(answers) - 1, answers[-1], last))
        if self._include_usage:
            ends.append(frame(self._head | {"choices": [], "usage": data["usage"], "infrai": infrai}))
        return b"".join(ends) + DONE

    def _end_of(self, choice: int, answer: Json, infrai: Json | None = None) -> bytes:
        role = {} if choice in self._told else {"role": "assistant"}
        content = {"content": ""} if _says_nothing(answer) else {}
        return self._chunk(choice, role | content, answer["finish_reason"], None, infrai)

    def error(self, failure: Failure, metadata: Json) -> bytes:
        """An error object as data; the stream ends without ``[DONE]``."""
        return frame(error_object(failure, metadata))

    def _chunk(
        self,
        choice: int,
        delta: Json,
        finish_reason: str | None,
        logprobs: Json | None = None,
        infrai: Json | None = None,
    ) -> bytes:
        rest = orjson.dumps({"delta": delta, "finish_reason": finish_reason, "logprobs": logprobs})
        more = b',"infrai":' + orjson.dumps(infrai) if infrai is not None else b""
        return b"%b%d,%b%b%b}\n\n" % (self._begin, choice, rest[1:-1], self._end, more)


class _Told:
    """What was said so far of one answer: its calls, and where its texts stand in ``content``."""

    def __init__(self) -> None:
        self.tools = ToolIndex()
        self._length = 0
        self._begins: dict[int, int] = {}

    def text(self, index: int, said: str) -> tuple[int, int]:
        """Where the text of part ``index`` stands, now that it grew by ``said``."""
        begin = self._begins.setdefault(index, self._length)
        self._length += len(said)
        return begin, self._length


def _delta(fragment: Fragment, told: _Told) -> Json:
    part = fragment.part
    if part.get("type") == "audio":
        return {"audio": spoken(part)}
    delta = flat_delta(fragment, told.tools)
    if part.get("custom"):
        return {"tool_calls": [_custom_delta(call) for call in delta.get("tool_calls", ())]} if delta else {}
    if "reasoning" in delta:
        delta["reasoning_content"] = delta.pop("reasoning")
    if part.get("type") == "text":
        begin, end = told.text(fragment.index, part.get("text", ""))
        if "annotations" in part and (pages := _cited_pages(part, begin, end)):
            delta["annotations"] = pages
    return delta


def _custom_delta(call: Json) -> Json:
    """A call of a custom tool: ``custom`` with its ``input``, where a function has its ``arguments``."""
    names = {"name": "name", "arguments": "input"}
    said = {names[name]: value for name, value in call.get("function", {}).items()}
    head = {"index": call["index"]} | ({"id": call["id"]} if "id" in call else {})
    return head | {"type": "custom"} | ({"custom": said} if said else {})


class OpenAI:
    """The OpenAI-compatible surface."""

    name = "openai"

    def reply(self, ask: Ask, data: Json, metadata: Json) -> tuple[str, bytes]:
        """A bare OpenAI object with a top-level ``infrai``; speech is the sound itself, a transcript may be text."""
        if ask.capability in _OBJECTS:
            return JSON, orjson.dumps(_OBJECTS[ask.capability](data) | {"infrai": infrai_of(metadata)})
        if ask.capability == "tts":
            return data["mime"], base64.b64decode(data["b64"])
        return transcript.reply(ask.reply_format, data, {"infrai": infrai_of(metadata)})

    def frames(self, answer_id: str, model: str, include_usage: bool) -> Frames:
        """Chunks."""
        return ChunkFrames(answer_id, model, include_usage)

    def failure(self, failure: Failure, metadata: Json) -> bytes:
        """An OpenAI-shaped error."""
        return orjson.dumps(error_object(failure, metadata))
