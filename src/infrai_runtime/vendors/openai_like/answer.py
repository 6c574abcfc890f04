"""Answers of ``/chat/completions`` as events, whole and streamed alike
(https://platform.openai.com/docs/api-reference/chat-streaming).

A whole message is read as one large delta, so both ways share one reader.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from infrai_runtime.vendors.base import Event, Finish, Fragment, Note, unknown_reason
from infrai_runtime.vendors.openai_like.row import Row
from infrai_runtime.vendors.openai_like.thought import Marked
from infrai_runtime.vendors.openai_like.usage import cost_of, usage_of
from infrai_runtime.vendors.service_tier import tier_of

Json = Mapping[str, Any]

REASONS = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",
}
BROKEN = frozenset({"error", "network_error", "insufficient_system_resource", "abort"})
"""Finish reasons that say that the answer was not made: OpenRouter, Zhipu, DeepSeek, vLLM."""

_TEXT_ALONE = frozenset({"role", "content"})
_ABOUT_A_CHUNK = frozenset(
    {
        *("id", "object", "created", "model", "provider", "system_fingerprint", "service_tier", "obfuscation"),
        *("choices", "usage"),
    }
)
"""Fields of a chunk that say nothing of its answer."""
_MARK = re.compile(r"\[(\d{1,3})\]")
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.+)", re.DOTALL)


class Broken(Exception):
    """The answer says of itself that it was not made."""


@dataclass(slots=True)
class _Call:
    """A tool call on its way. ``place`` is its part's index, None until its name is known."""

    id: str | None = None
    name: str | None = None
    held: str = ""
    place: int | None = None
    whole: bool = True
    """Nothing of its arguments came."""
    custom: bool = False
    """Its arguments are a text, which is empty when nothing comes."""


class _Choice:
    """One of the answers: its parts so far."""

    parts = 0
    open: str | None = None
    """Kind of the text that is being written."""
    place = 0
    """Its part's index."""
    reason: str | None = None
    audio: int | None = None
    last_call: Any = None

    def __init__(self, number: int, marked: Marked | None) -> None:
        self.number = number
        self.marked = marked
        """Tells thoughts from text, where they stand in it."""
        self.text: list[str] = []
        self.calls: list[_Call] = []
        self.current: dict[Any, _Call] = {}
        """The call that the next piece with this index (or id) belongs to."""
        self.details: dict[tuple[Any, Any], dict[str, Any]] = {}
        self.executed: dict[Any, dict[str, Any]] = {}
        """Groq's own tools, by their index (https://console.groq.com/docs/compound/built-in-tools)."""

    def next(self) -> int:
        self.parts += 1
        return self.parts - 1


class Reader:
    """Reads one answer. ``feed`` takes a chunk, ``whole`` a completion; ``end`` gives the last events of a stream.

    Many chunks come at once. ``hold`` takes those that only go on with a text, which is then given out as one piece:
    before the events of the next chunk, or by ``held``.
    """

    _usage: Any = None
    _tier: Any = None
    _model: str | None = None
    _fingerprint: str | None = None
    _sources: Sequence[Json] = ()
    _along = True
    """Parts are told as they are made, and that they are done."""
    _held: _Choice | None = None
    _held_from = 0

    def __init__(self, row: Row, vendor: str = "") -> None:
        self._row = row
        self._vendor = vendor
        self._choices: dict[int, _Choice] = {}
        self._made: list[Event] = []

    @property
    def empty(self) -> bool:
        """Whether no answer began."""
        return not self._choices

    @property
    def finished(self) -> bool:
        """Whether every answer that began has said why it ended."""
        return bool(self._choices) and all(choice.reason for choice in self._choices.values())

    @property
    def usage(self) -> dict[str, Any] | None:
        """What the answer has used, as far as the vendor has said."""
        usage = usage_of(self._usage)
        if not usage:
            return usage
        tier = self._tier or self._usage.get("service_tier")  # Mistral says it there
        return usage | tier_of(tier, self._row.usual_tiers) if tier else usage

    def whole(self, completion: Json) -> list[Event]:
        """The events of a whole completion. Raises ``Broken``."""
        self._along = False
        self._read(completion, "message")
        return self.end()

    def feed(self, chunk: Json) -> list[Event]:
        """The events of a chunk, after those that were held. Raises ``Broken``."""
        self._let_go()
        before = len(self._made)
        try:
            self._read(chunk, "delta")
        except Exception:
            del self._made[before:]  # what a broken chunk says is not given out
            raise
        return self._given_out()

    def hold(self, chunk: Json) -> bool:
        """Takes what almost every chunk is: more of the text that is being written, and nothing else. For any other it
        is False, and nothing is done."""
        try:
            (row,) = chunk["choices"]
            delta = row["delta"]
            text = delta["content"]
            choice = self._choices[row.get("index") or 0]
        except (KeyError, TypeError, ValueError):
            return False
        if not text or not isinstance(text, str):
            return False
        if row.get("finish_reason") or row.get("logprobs") or (len(delta) > 1 and not delta.keys() <= _TEXT_ALONE):
            return False
        if chunk.get("usage") or chunk.get("object") == "error" or not _ABOUT_A_CHUNK.issuperset(chunk):
            return False
        if choice is not self._held:
            if choice.open != "text" or self._held is not None:
                return False
            self._held, self._held_from = choice, len(choice.text)
        choice.text.append(text)
        return True

    def held(self) -> list[Event]:
        """The text that was held, in one piece, where there is any."""
        self._let_go()
        return self._given_out()

    def _let_go(self) -> None:
        if self._held is not None:
            choice, self._held = self._held, None
            part = {"type": "text", "text": "".join(choice.text[self._held_from :])}
            self._made.append(Fragment(choice.place, part, choice.number))

    def end(self) -> list[Event]:
        """What closes the answer."""
        reasons: dict[int, str] = {}
        unknown: set[str] = set()
        for number, choice in self._choices.items():
            self._close_all(choice)
            reasons[number] = _reason(choice)
            if choice.reason and choice.reason not in REASONS:
                unknown.add(choice.reason)
        for reason in sorted(unknown):
            self._made.append(Note(warning=unknown_reason(reason)))
        first = reasons.pop(0, "stop")
        cost = cost_of(self._usage, self._row.cost, self._row.cost_units)
        self._made.append(Finish(first, self.usage, self._model, cost, reasons, self._fingerprint))
        return self._given_out()

    def _given_out(self) -> list[Event]:
        made, self._made = self._made, []
        return made

    def _make(self, choice: _Choice, index: int, **part: Any) -> None:
        self._made.append(Fragment(index, part, choice.number))

    def _read(self, chunk: Json, name: str) -> None:
        self._usage = chunk.get("usage") or _groq_usage(chunk) or self._usage
        if self._model is None:
            self._model = chunk.get("model") or None
        if self._fingerprint is None:
            self._fingerprint = chunk.get("system_fingerprint") or None
        self._tier = chunk.get("service_tier") or self._tier
        if "search_results" in chunk or "citations" in chunk:
            self._sources = _sources(chunk) or self._sources
        for row in chunk.get("choices") or ():
            number = row.get("index") or 0
            choice = self._choices.get(number)
            if choice is None:
                choice = self._choices[number] = _Choice(number, Marked() if self._row.thinks_in_text else None)
            self._delta(choice, row.get(name) or {}, row.get("logprobs"))
            reason = row.get("finish_reason")
            if reason in BROKEN:
                raise Broken(f"it ended its answer with {reason!r}")
            choice.reason = reason or choice.reason

    def _delta(self, choice: _Choice, delta: Json, logprobs: Any) -> None:
        more = not _TEXT_ALONE.issuperset(delta)
        if more:
            self._before_text(choice, delta)
        content = delta.get("content")
        if content:
            self._content(choice, content, logprobs.get("content") if logprobs else None)
        if more:
            self._after_text(choice, delta)

    def _before_text(self, choice: _Choice, delta: Json) -> None:
        details = delta.get("reasoning_details")
        thought = delta.get("reasoning_content") or delta.get("reasoning") or None
        if "reasoning_steps" in delta:
            thought = thought or _steps(delta["reasoning_steps"])
        if thought or details:
            self._reasoning(choice, thought, details)

    def _after_text(self, choice: _Choice, delta: Json) -> None:
        if delta.get("refusal"):
            self._say(choice, "refusal", delta["refusal"])
        if delta.get("annotations"):
            self._cite(choice, [_citation(row) for row in delta["annotations"]])
        for image in delta.get("images") or ():
            self._image(choice, image)
        if delta.get("audio"):
            self._audio(choice, delta["audio"])
        for position, call in enumerate(delta.get("tool_calls") or ()):
            self._tool_call(choice, call, position)
        for position, ran in enumerate(delta.get("executed_tools") or ()):
            choice.executed.setdefault(ran.get("index", position), {}).update(ran)

    # -- texts, of which one is open at a time

    def _say(self, choice: _Choice, kind: str, text: str, more: Json | None = None) -> None:
        if choice.open != kind:
            self._close(choice)
            choice.open, choice.place = kind, choice.next()
        if kind == "text":
            choice.text.append(text)
        part = {"type": kind, "text": text}
        self._made.append(Fragment(choice.place, {**part, **more} if more else part, choice.number))

    def _close(self, choice: _Choice) -> None:
        kind = choice.open
        if kind is None:
            return
        choice.open = None
        if kind == "reasoning" and choice.details:
            signed = list(choice.details.values())
            choice.details = {}
            self._make(choice, choice.place, type=kind, opaque=signed, done=True)
        elif self._along:
            self._make(choice, choice.place, type=kind, done=True)

    def _reasoning(self, choice: _Choice, thought: Any, details: Any) -> None:
        rows = [row for row in details or () if isinstance(row, dict)]
        text = thought if isinstance(thought, str) else "".join(map(_detail_text, rows))
        if text or choice.open != "reasoning":
            self._say(choice, "reasoning", text)
        for row in rows:
            _merge(choice.details, row)

    def _content(self, choice: _Choice, content: Any, tokens: Any) -> None:
        if isinstance(content, str):
            if choice.marked is None:
                self._say(choice, "text", content, {"logprobs": tokens} if tokens else None)
                return
            for kind, said in choice.marked.feed(content):
                self._say(choice, kind, said)
            return
        for chunk in content:  # Mistral: https://docs.mistral.ai/capabilities/reasoning, .../citations
            kind = chunk.get("type")
            if kind == "text" and chunk.get("text"):
                self._say(choice, "text", chunk["text"])
            elif kind == "thinking":
                self._say(choice, "reasoning", "".join(map(_thought, chunk.get("thinking") or ())))
            elif kind == "reference":
                place = len("".join(choice.text))
                row = {"type": "citation", "start": place, "end": place, "native": chunk}
                self._cite(choice, [row])
            elif kind != "text":
                self._kept(choice, str(kind), chunk)

    def _cite(self, choice: _Choice, rows: list[dict[str, Any]]) -> None:
        self._say(choice, "text", "", {"annotations": rows})

    # -- what no other part holds: it is kept as it came

    def _kept(self, choice: _Choice, name: str, native: Json) -> None:
        self._close(choice)
        kept = {"name": name, "vendor": self._vendor, "native": native, "done": True}
        self._make(choice, choice.next(), type="server_tool_result", **kept)

    # -- media

    def _image(self, choice: _Choice, image: Json) -> None:
        """https://openrouter.ai/docs/features/multimodal/image-generation"""
        url = (image.get("image_url") or {}).get("url") or ""
        found = _DATA_URL.fullmatch(url)
        data = {"base64": found[2], "mime": found[1]} if found else {"url": url}
        self._close(choice)
        self._make(choice, choice.next(), type="image", **data, done=True)

    def _audio(self, choice: _Choice, audio: Json) -> None:
        """https://platform.openai.com/docs/guides/audio"""
        if choice.audio is None:
            self._close(choice)
            choice.audio = choice.next()
        data = {"base64": audio["data"]} if audio.get("data") else {}
        said = {"transcript": audio["transcript"]} if audio.get("transcript") else {}
        about = {name: audio[name] for name in ("id", "expires_at") if audio.get(name)}
        if data or said or about:
            self._make(choice, choice.audio, type="audio", **data, **said, **about)

    # -- tool calls, which may be written in parallel

    def _tool_call(self, choice: _Choice, given: Json, position: int) -> None:
        called = _called(given)
        call = _call_of(choice, given, position)
        call.id = call.id or given.get("id") or None
        call.name = call.name or called.get("name") or None
        call.custom = call.custom or "custom" in given
        kind = {"type": "tool_call", "custom": True} if call.custom else {"type": "tool_call"}
        pieces = call.held + _arguments(called.get("input" if call.custom else "arguments"))
        if call.name is None:
            call.held = pieces
            return
        call.held = ""
        call.whole = call.whole and not pieces
        if call.place is None:
            self._close(choice)
            call.place = choice.next()
            call.id = call.id or f"call_{uuid.uuid4().hex[:24]}"  # Ollama and llama.cpp may leave it out
            self._make(choice, call.place, **kind, id=call.id, name=call.name, arguments=pieces)
        elif pieces:
            self._make(choice, call.place, **kind, arguments=pieces)

    def _close_all(self, choice: _Choice) -> None:
        for kind, said in choice.marked.end() if choice.marked else ():
            self._say(choice, kind, said)
        if self._sources and choice.text:
            self._cite(choice, _marked_sources("".join(choice.text), self._sources))
        self._close(choice)
        for ran in choice.executed.values():
            self._kept(choice, str(ran.get("type")), ran)
        if choice.audio is not None and self._along:
            self._make(choice, choice.audio, type="audio", done=True)
        for call in choice.calls:
            if call.place is not None:
                rest = {"arguments": "{}"} if call.whole and not call.custom else {}
                self._make(choice, call.place, type="tool_call", **rest, done=True)


def _reason(choice: _Choice) -> str:
    """Why an answer ended. Some servers say ``stop`` although they called tools."""
    reason = REASONS.get(choice.reason or "stop", "stop")
    return "tool_calls" if choice.calls and reason == "stop" else reason


def _call_of(choice: _Choice, given: Json, position: int) -> _Call:
    """The call that a delta belongs to: by its index, else by its id, else the last one.

    Some servers number all calls 0 and tell them apart by id, some give neither and a name begins a call.
    """
    index, given_id = given.get("index"), given.get("id") or None
    named = _called(given).get("name")
    last = position if choice.last_call is None else choice.last_call
    key = index if index is not None else given_id or last
    call = choice.current.get(key)
    if call is None or (named and _is_another(call, index, given_id)):
        call = choice.current[key] = _Call()
        choice.calls.append(call)
    choice.last_call = key
    return call


def _called(given: Json) -> Json:
    """What is called: a function, or a custom tool (https://platform.openai.com/docs/guides/function-calling)."""
    found: Json = given.get("function") or given.get("custom") or {}
    return found


def _is_another(call: _Call, index: Any, given_id: str | None) -> bool:
    if given_id is None:
        return index is None and call.name is not None
    return call.id not in (None, given_id)


def _arguments(given: Any) -> str:
    """Arguments as JSON text; Ollama's native form is an object."""
    if isinstance(given, str):
        return given
    return orjson.dumps(given).decode() if given is not None else ""


# -- reasoning details: https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks

_GROWN = ("text", "summary", "data")


def _detail_text(row: Json) -> str:
    return str(row.get("text") or row.get("summary") or "")


def _merge(details: dict[tuple[Any, Any], dict[str, Any]], row: Json) -> None:
    """Pieces of a block are put together; what identifies or signs it is kept as it came last."""
    key = (row.get("type"), row.get("index", len(details) if row.get("type") == "reasoning.encrypted" else None))
    before = details.setdefault(key, {})
    for name, value in row.items():
        if name in _GROWN and isinstance(value, str):
            before[name] = before.get(name, "") + value
        elif value is not None or name not in before:
            before[name] = value


def _steps(steps: Sequence[Json] | None) -> str:
    """Perplexity's steps of a search with reasoning (https://docs.perplexity.ai/docs/sonar/pro-search/stream-mode)."""
    return "".join(str(step.get("thought") or "") for step in steps or ())


def _thought(row: Any) -> str:
    return str(row.get("text") or "") if isinstance(row, Mapping) else str(row)


# -- citations: {type, start, end, url?, title?, native}; places in characters of the text


def _citation(row: Json) -> dict[str, Any]:
    """OpenAI's and OpenRouter's ``url_citation``."""
    inner = row.get("url_citation") or row
    facts = {"start": inner.get("start_index"), "end": inner.get("end_index")}
    about = {"url": inner.get("url"), "title": inner.get("title"), "quote": inner.get("content")}
    said = {name: value for name, value in (facts | about).items() if value is not None}
    return {"type": "citation", **said, "native": dict(row)}


def _sources(chunk: Json) -> list[Json]:
    """Perplexity's sources: ``search_results``, or the older list of URLs
    (https://docs.perplexity.ai/api-reference/chat-completions-post)."""
    results = chunk.get("search_results")
    if isinstance(results, list) and results:
        return [row for row in results if isinstance(row, dict)]
    urls = chunk.get("citations")
    return [{"url": url} for url in urls if isinstance(url, str)] if isinstance(urls, list) else []


def _marked_sources(text: str, sources: Sequence[Json]) -> list[dict[str, Any]]:
    """A citation for every ``[n]`` in the text that has a source."""
    marks = ((found, int(found[1])) for found in _MARK.finditer(text))
    return [
        _source(sources[number - 1]) | {"start": found.start(), "end": found.end()}
        for found, number in marks
        if 1 <= number <= len(sources)
    ]


def _source(row: Json) -> dict[str, Any]:
    named = {name: row[name] for name in ("url", "title") if row.get(name)}
    return {"type": "citation", **named, "native": dict(row)}


def _groq_usage(chunk: Json) -> Any:
    """Where Groq's streams had it before ``stream_options`` came (https://console.groq.com/docs/openai)."""
    inner = chunk.get("x_groq")
    return inner.get("usage") if isinstance(inner, Mapping) else None
