"""Answers of ``generateContent`` as our events, streamed or whole.

A stream is a row of whole ``GenerateContentResponse`` objects, each with the parts that are new
(https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse); it has no end mark, its last object has the
``finishReason``. So one reader takes both.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Event, Finish, Fragment, Note
from infrai_runtime.vendors.gemini.model import traits_of
from infrai_runtime.vendors.service_tier import tier_of

Json = Mapping[str, Any]

_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
        ),
        "content_filter",
    ),
}
"""https://ai.google.dev/api/generate-content#FinishReason; every other one is an answer that Gemini failed to make."""
_EMPTY: Json = {}
_OF_EVERY_CHUNK = frozenset({"content", "index"})
CODE = "code_execution"
SEARCH = "google_search"
FETCH = "url_context"
TIER = "x-gemini-service-tier"
SEARCHED = "Gemini bills its searches apart; where the catalogue has no price for them, cost_usd is without them"


@dataclass(slots=True)
class _Answer:
    """One candidate: its parts so far, which of them is still open for text, and why it ended."""

    parts: int = 0
    open: tuple[int, str] | None = None
    """(index, type) of the part that further unsigned text of its type joins."""
    texts: dict[int, list[str]] = field(default_factory=dict)
    called: bool = False
    reason: str | None = None
    explained: str | None = None
    grounding: dict[str, Any] = field(default_factory=dict)
    fetched: list[Json] = field(default_factory=list)
    """URLs that the vendor has read for the answer, and how that went."""
    sources: list[Json] = field(default_factory=list)


def made_id() -> str:
    """An id for a call that came without one."""
    return f"call_{secrets.token_hex(12)}"


class Reader:
    """Takes response objects in order and gives our events; ``end`` gives the last.

    ``answer_tool`` is the name of the tool whose arguments are the answer. Raises ``Failure`` for a blocked prompt and
    an answer that Gemini failed to make, KeyError and the like for what is not in the API's shape.
    """

    def __init__(
        self,
        vendor: str,
        answer_tool: str | None = None,
        new_id: Callable[[], str] = made_id,
        tier: Any = None,
    ) -> None:
        """``tier``: the service tier that was asked for; an answer says its own in a header alone (``served``)."""
        self._vendor = vendor
        self._tier = tier_of(tier)
        self._answer_tool = answer_tool
        self._new_id = new_id
        self._answers: dict[int, _Answer] = {}
        self._usage: dict[str, Any] | None = None
        self._model: str | None = None

    def served(self, headers: Mapping[str, str]) -> None:
        """Notes the tier that the answer was made at: ``priority`` is lowered to ``standard`` where there is no room
        (https://ai.google.dev/gemini-api/docs/priority-inference#graceful-downgrade)."""
        tier = headers.get(TIER)
        self._tier = tier_of(tier) if tier else self._tier

    @property
    def finished(self) -> bool:
        """Whether every answer has told why it ended: a stream that stops before was cut."""
        return bool(self._answers) and all(answer.reason for answer in self._answers.values())

    @property
    def usage(self) -> dict[str, Any] | None:
        """What the answer has used so far, as the API says."""
        return self._used({})

    def _used(self, grounding: Json) -> dict[str, Any] | None:
        usage = usage_of(self._usage, grounding, self._model or "")
        return usage | self._tier if usage else usage

    def feed(self, response: Json) -> Iterator[Event]:
        """The events that a response object brings."""
        self._usage = response.get("usageMetadata") or self._usage
        if "promptFeedback" in response:
            self._refuse_blocked(response["promptFeedback"])
        self._model = response.get("modelVersion") or self._model
        for candidate in response.get("candidates", ()):
            yield from self._candidate(candidate)

    def _refuse_blocked(self, feedback: Json) -> None:
        if feedback.get("blockReason"):
            raise Failure("CONTENT_FILTERED", f"{self._vendor}: the prompt was blocked ({feedback['blockReason']})")

    def whole(self, response: Json) -> Iterator[Event]:
        """The events of an answer that came in one piece."""
        yield from self.feed(response)
        yield from self.end()

    def _candidate(self, candidate: Json) -> Iterator[Event]:
        choice = candidate.get("index", 0)
        answer = self._answers.get(choice)
        if answer is None:
            answer = self._answers[choice] = _Answer()
        for part in candidate.get("content", _EMPTY).get("parts", ()):
            yield from self._part(part, answer, choice)
        if not candidate.keys() <= _OF_EVERY_CHUNK:
            yield from self._rest(candidate, answer, choice)

    def _rest(self, candidate: Json, answer: _Answer, choice: int) -> Iterator[Event]:
        """What stands beside the parts, mostly at the end."""
        if "logprobsResult" in candidate and answer.open:
            probabilities = logprobs(candidate["logprobsResult"])
            yield Fragment(answer.open[0], {"type": answer.open[1], "text": "", "logprobs": probabilities}, choice)
        answer.grounding.update(candidate.get("groundingMetadata", _EMPTY))
        answer.fetched += candidate.get("urlContextMetadata", _EMPTY).get("urlMetadata", ())
        answer.sources += candidate.get("citationMetadata", _EMPTY).get("citationSources", ())
        answer.explained = candidate.get("finishMessage") or answer.explained
        answer.reason = candidate.get("finishReason") or answer.reason
        if answer.reason is not None and answer.reason not in _REASONS:
            why = f"answer ended with {answer.reason}" + (f": {answer.explained}" if answer.explained else "")
            if choice == 0:
                raise Failure("VENDOR_ERROR", f"{self._vendor}: its {why}")
            yield Note(warning=f"the vendor failed to make answer {choice} of several; its {why}")

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _part(self, part: Json, answer: _Answer, choice: int) -> Iterator[Event]:
        signature = {"opaque": part["thoughtSignature"]} if "thoughtSignature" in part else _EMPTY
        if "text" in part:
            yield from self._text(part, signature, answer, choice)
        else:
            yield from self._other(part, signature, answer, choice)

    def _other(self, part: Json, signature: Json, answer: _Answer, choice: int) -> Iterator[Event]:
        kind = next((name for name in _PARTS if name in part), None)
        if kind is None:
            known = ", ".join(sorted(part.keys() - {"thoughtSignature"})) or "nothing"
            yield Note(warning=f"the reply has a part with {known}, which this version does not know; it is kept")
        yield from self._closed(answer, choice)
        made = self._answered(part) or (_PARTS[kind](part[kind], self) if kind else self._kept(part))
        answer.called = answer.called or made["type"] == "tool_call"
        if made["type"] == "text":
            answer.texts[answer.parts] = [made["text"]]
        closed = {} if made["type"] == "text" else {"done": True}
        yield Fragment(answer.parts, {**made, **signature, **closed}, choice)
        answer.parts += 1

    def _text(self, part: Json, signature: Json, answer: _Answer, choice: int) -> Iterator[Event]:
        """Text joins the part before it; a signed one stays by itself, because its signature is for it alone."""
        kind = "reasoning" if part.get("thought") else "text"
        if signature or answer.open is None or answer.open[1] != kind:
            yield from self._closed(answer, choice)
            answer.open = (answer.parts, kind)
            answer.parts += 1
        index = answer.open[0]
        if kind == "text":
            answer.texts.setdefault(index, []).append(part["text"])
        yield Fragment(index, {"type": kind, "text": part["text"], **signature}, choice)
        if signature:
            yield from self._closed(answer, choice)

    def _closed(self, answer: _Answer, choice: int) -> Iterator[Event]:
        """No more text joins the open part. A text's end waits for its citations, which come last."""
        opened, answer.open = answer.open, None
        if opened is not None and opened[1] == "reasoning":
            yield Fragment(opened[0], {"type": "reasoning", "done": True}, choice)

    def _answered(self, part: Json) -> dict[str, Any] | None:
        """The arguments of the answer tool as the text that they stand for."""
        call = part.get("functionCall", {})
        if self._answer_tool is None or call.get("name") != self._answer_tool:
            return None
        return {"type": "text", "text": orjson.dumps(call.get("args") or {}).decode()}

    def _function_call(self, call: Json) -> dict[str, Any]:
        arguments = orjson.dumps(call.get("args") or {}).decode()
        call_id = call.get("id") or self._new_id()
        return {"type": "tool_call", "id": call_id, "name": call["name"], "arguments": arguments}

    def _inline_data(self, blob: Json) -> dict[str, Any]:
        return {"type": kind_of(blob["mimeType"]), "base64": blob["data"], "mime": blob["mimeType"]}

    def _file_data(self, file: Json) -> dict[str, Any]:
        mime = {"mime": file["mimeType"]} if "mimeType" in file else {}
        return {"type": kind_of(file.get("mimeType", "")), "url": file["fileUri"], **mime}

    def _server_call(self, field_: str, value: Json, name: str, arguments: Any) -> dict[str, Any]:
        told = {"name": name, "vendor": self._vendor, "native": {field_: dict(value)}}
        ids = {"id": value["id"]} if value.get("id") else {}
        return {"type": "server_tool_call", **ids, **told, "arguments": orjson.dumps(arguments).decode()}

    def _server_result(self, field_: str, value: Json, name: str) -> dict[str, Any]:
        ids = {"id": value["id"]} if value.get("id") else {}
        return {"type": "server_tool_result", **ids, "name": name, "vendor": self._vendor} | {
            "native": {field_: dict(value)}
        }

    def _kept(self, part: Json) -> dict[str, Any]:
        """A part that none of ours can hold; it goes back as it came."""
        native = {name: value for name, value in part.items() if name != "thoughtSignature"}
        name = next(iter(native), None)
        return {"type": "server_tool_result", "name": name, "vendor": self._vendor, "native": native}

    def _executable_code(self, value: Json) -> dict[str, Any]:
        arguments = {name: value[name] for name in ("language", "code") if name in value}
        return self._server_call("executableCode", value, CODE, arguments)

    def _code_result(self, value: Json) -> dict[str, Any]:
        return self._server_result("codeExecutionResult", value, CODE)

    def _tool_call(self, value: Json) -> dict[str, Any]:
        return self._server_call("toolCall", value, str(value.get("toolType", "")).lower(), value.get("args") or {})

    def _tool_response(self, value: Json) -> dict[str, Any]:
        return self._server_result("toolResponse", value, str(value.get("toolType", "")).lower())

    # -- the end -------------------------------------------------------------------------------------------------------

    def end(self) -> Iterator[Event]:
        """The events that close the answer."""
        for choice, answer in self._answers.items():
            yield from self._ended(answer, choice)
        first = self._answers.get(0, _Answer())
        others = {choice: _reason(answer) for choice, answer in self._answers.items() if choice}
        usage = self._used(first.grounding)
        if usage and "search_units" in usage:
            yield Note(warning=SEARCHED)
        yield Finish(_reason(first), usage, self._model, others=others)

    def _ended(self, answer: _Answer, choice: int) -> Iterator[Event]:
        yield from self._closed(answer, choice)
        notes = citations(answer.grounding, answer.sources, answer.texts)
        for index in answer.texts:
            cited = {"annotations": notes[index]} if index in notes else {}
            yield Fragment(index, {"type": "text", **cited, "done": True}, choice)
        for field_, value, name in (
            ("groundingMetadata", answer.grounding, SEARCH),
            ("urlContextMetadata", {"urlMetadata": answer.fetched} if answer.fetched else {}, FETCH),
        ):
            if value:
                found = self._server_result(field_, value, name)
                yield Fragment(answer.parts, {**found, "done": True}, choice)
                answer.parts += 1
        if _reason(answer) == "content_filter" and answer.explained:
            yield Fragment(answer.parts, {"type": "refusal", "text": answer.explained, "done": True}, choice)


_PARTS: dict[str, Callable[[Json, Reader], dict[str, Any]]] = {
    "functionCall": lambda value, reader: reader._function_call(value),
    "inlineData": lambda value, reader: reader._inline_data(value),
    "fileData": lambda value, reader: reader._file_data(value),
    "executableCode": lambda value, reader: reader._executable_code(value),
    "codeExecutionResult": lambda value, reader: reader._code_result(value),
    "toolCall": lambda value, reader: reader._tool_call(value),
    "toolResponse": lambda value, reader: reader._tool_response(value),
}


def _reason(answer: _Answer) -> str:
    reason = _REASONS.get(answer.reason or "STOP", "stop")
    return "tool_calls" if reason == "stop" and answer.called else reason


def kind_of(mime: str) -> str:
    """The type of part that holds data of a media type."""
    kind = mime.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "file"


def logprobs(result: Json) -> list[dict[str, Any]]:
    """Probabilities of the tokens, in the OpenAI shape (https://ai.google.dev/api/generate-content#LogprobsResult)."""
    tops = result.get("topCandidates", ())
    return [
        _token(chosen) | {"top_logprobs": [_token(other) for other in tops[place]["candidates"]] if tops else []}
        for place, chosen in enumerate(result.get("chosenCandidates", ()))
    ]


def _token(candidate: Json) -> dict[str, Any]:
    text = candidate["token"]
    return {"token": text, "logprob": candidate["logProbability"], "bytes": list(text.encode())}


# -- citations ---------------------------------------------------------------------------------------------------------


def citations(
    grounding: Json, sources: Sequence[Json], texts: Mapping[int, Sequence[str]]
) -> dict[int, list[dict[str, Any]]]:
    """Text part -> its citations: what a search supports (https://ai.google.dev/gemini-api/docs/google-search) and what
    the text quotes (``citationMetadata``). Gemini counts places in bytes, the wire in characters."""
    joined = {index: "".join(pieces) for index, pieces in texts.items()}
    found: dict[int, list[dict[str, Any]]] = {}
    for segment, source, native in (*_supported(grounding), *_quoted(sources)):
        index = _place(segment, joined)
        if index is not None:
            places = _characters(joined[index], segment)
            found.setdefault(index, []).append({"type": "citation", **places, **source, "native": native})
    return found


_Cited = tuple[Json, dict[str, Any], dict[str, Any]]


def _supported(grounding: Json) -> Iterator[_Cited]:
    chunks = grounding.get("groundingChunks", ())
    for support in grounding.get("groundingSupports", ()):
        for place in support.get("groundingChunkIndices", ()):
            yield support.get("segment", {}), _source(chunks[place]), dict(chunks[place])


def _source(chunk: Json) -> dict[str, Any]:
    inner = next((value for value in chunk.values() if isinstance(value, Mapping)), {})
    known = {"url": inner.get("uri"), "title": inner.get("title"), "quote": inner.get("text")}
    return {name: value for name, value in known.items() if value}


def _quoted(sources: Sequence[Json]) -> Iterator[_Cited]:
    for source in sources:
        yield source, {"url": source["uri"]} if source.get("uri") else {}, dict(source)


def _place(segment: Json, texts: Mapping[int, str]) -> int | None:
    """The text part that a segment is of: the one that has its text there."""
    start, end, said = segment.get("startIndex", 0), segment.get("endIndex", 0), segment.get("text")
    fits = (index for index, text in texts.items() if text.encode()[start:end].decode("utf-8", "ignore") == said)
    return next(fits, next(iter(texts), None))


def _characters(text: str, segment: Json) -> dict[str, int]:
    raw = text.encode()
    start, end = (raw[: segment.get(name, 0)].decode("utf-8", "ignore") for name in ("startIndex", "endIndex"))
    return {"start": len(start), "end": len(end)}


# -- usage -------------------------------------------------------------------------------------------------------------


def usage_of(usage: Json | None, grounding: Json, model: str = "") -> dict[str, Any] | None:
    """Usage in the OpenAI meaning. Here thoughts are not part of the candidates' tokens, and what tools read is not
    part of the prompt's (https://ai.google.dev/api/generate-content#UsageMetadata)."""
    if not usage:
        return None
    prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    completion = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    inputs, outputs = usage.get("promptTokensDetails", ()), usage.get("candidatesTokensDetails", ())
    into = {"cached_tokens": usage.get("cachedContentTokenCount"), "audio_tokens": _of(inputs, "AUDIO")}
    out = {"reasoning_tokens": usage.get("thoughtsTokenCount"), "audio_tokens": _of(outputs, "AUDIO")}
    searches = len(grounding.get("webSearchQueries", ()))
    if not traits_of(model).modern:  # https://ai.google.dev/gemini-api/docs/google-search#pricing: one per prompt
        searches = min(searches, 1)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": usage.get("totalTokenCount", prompt + completion),
        **_details("prompt_tokens_details", into),
        **_details("completion_tokens_details", out | {"image_tokens": _of(outputs, "IMAGE")}),
        **({"search_units": searches} if searches else {}),
    }


def _of(details: Sequence[Json], modality: str) -> int | None:
    return next((row.get("tokenCount", 0) for row in details if row.get("modality") == modality), None)


def _details(name: str, counts: Json) -> dict[str, Any]:
    known = {key: value for key, value in counts.items() if value is not None}
    return {name: known} if known else {}
