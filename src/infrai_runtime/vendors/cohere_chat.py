"""Cohere's chat (https://docs.cohere.com/reference/chat, https://docs.cohere.com/v2/docs/streaming).

Messages and tools are OpenAI's; options, answers and events are Cohere's own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from infrai_core.sse import Event as SentEvent
from infrai_runtime.vendors import cohere_schema
from infrai_runtime.vendors.answer_tool import functions_of
from infrai_runtime.vendors.base import Call, Event, Finish, Fragment, Request
from infrai_runtime.vendors.documented import documented, read
from infrai_runtime.vendors.openai_like import schema
from infrai_runtime.vendors.openai_like.message import Writer
from infrai_runtime.vendors.openai_like.request import instructed
from infrai_runtime.vendors.openai_like.row import Row
from infrai_runtime.vendors.remote import RemoteChat, made_of

Json = dict[str, Any]

PATH = "/v2/chat"
ALLOWED_OPTIONS = frozenset({"k", "safety_mode", "citation_options", "documents", "thinking", "priority"})
_ROW = Row(page="https://docs.cohere.com/reference/chat", user_names=False)
_NAMES = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "p",
    "stop": "stop_sequences",
    "seed": "seed",
    "logprobs": "logprobs",
}
_PASSED = frozenset({"frequency_penalty", "presence_penalty"})
_BUDGETS = {"minimal": 512, "low": 1024, "medium": 4096, "high": 16_384, "xhigh": 31_000, "max": 31_000}
"""Effort -> ``token_budget``; https://docs.cohere.com/docs/reasoning allows up to 31,000 for every answer."""
_REASONS = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


@dataclass(slots=True)
class Draft:
    """A body, and what the caller should know of it."""

    body: Json
    warnings: list[str] = field(default_factory=list)


def drafted(request: Request, call: Call) -> Draft:
    """The body of a chat whose media are in place."""
    writer = Writer(_ROW, False)
    draft = Draft({"model": call.model, "messages": writer.messages(request["messages"])}, writer.warnings)
    for name, value in request.items():
        if name in _WRITE:
            _WRITE[name](draft, value, request)
        elif name in _NAMES:
            draft.body[_NAMES[name]] = value
        elif name not in ("messages", "passthrough"):
            draft.warnings.append(f"{name}: Cohere has no such option; not used")
    for name, value in request.get("passthrough", {}).items():
        if name in _PASSED:
            draft.body[name] = value
        else:
            draft.warnings.append(f"{name}: Cohere has no such option; not used")
    draft.body |= call.options
    if call.stream:
        draft.body["stream"] = True
    return draft


def _tools(draft: Draft, tools: Sequence[Any], request: Request) -> None:
    """All tools are strict or none is: where one cannot be, none is held to its schema."""
    functions = functions_of(tools)
    wanted = any(function.get("strict") for function in functions)
    held = [_held(function) for function in functions] if wanted else []
    strict = wanted and None not in held
    if wanted and not strict:
        draft.warnings.append("tools: Cohere cannot hold every call to its schema; none is strict here")
    plain = [{name: value for name, value in function.items() if name != "strict"} for function in functions]
    if functions:
        draft.body["tools"] = [{"type": "function", "function": made} for made in (held if strict else plain)]
    if strict:
        draft.body["strict_tools"] = True


def _held(function: Mapping[str, Any]) -> Json | None:
    """A function with a schema that its calls can be held to; None where it has none."""
    made = cohere_schema.held_to(function.get("parameters", {}))
    return None if made is None else {**{n: v for n, v in function.items() if n != "strict"}, "parameters": made}


def _tool_choice(draft: Draft, choice: Any, request: Request) -> None:
    """There is no word for one tool, so it is the only one that is shown."""
    if isinstance(choice, Mapping):
        name = choice["function"]["name"]
        draft.body["tools"] = [tool for tool in draft.body["tools"] if tool["function"]["name"] == name]
        draft.body["tool_choice"] = "REQUIRED"
    elif choice in ("required", "none"):
        draft.body["tool_choice"] = choice.upper()


def _response_format(draft: Draft, form: Mapping[str, Any], request: Request) -> None:
    """A schema and tools do not go together, so there the schema is an instruction
    (https://docs.cohere.com/docs/structured-outputs)."""
    if form["type"] == "text":
        return
    if request.get("tools"):
        draft.body["messages"] = instructed(draft.body["messages"], schema.instructions(form))
        return
    given = form.get("json_schema")
    held = cohere_schema.held_to(given["schema"]) if given else None
    draft.body["response_format"] = {"type": "json_object"} | ({"json_schema": held} if held else {})
    if held is None:
        draft.body["messages"] = instructed(draft.body["messages"], schema.instructions(form))
    if held is None and given and given.get("strict"):
        draft.warnings.append("response_format: Cohere cannot be held to this schema; it is an instruction")


def _effort(draft: Draft, effort: str, request: Request) -> None:
    thinks = {"type": "enabled", "token_budget": _BUDGETS[effort]} if effort in _BUDGETS else {"type": "disabled"}
    draft.body["thinking"] = thinks


_WRITE: dict[str, Callable[[Draft, Any, Request], None]] = {
    "tools": _tools,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
    "reasoning_effort": _effort,
}


class Broken(Exception):
    """The answer says of itself that it was not made."""


class Reader:
    """Reads an answer, whole or as events. Raises ``Broken``, and KeyError and the like for another shape."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._parts = 0
        self._open: tuple[int, str] | None = None
        self.finished = False

    def whole(self, answer: Mapping[str, Any]) -> Iterator[Event]:
        """The events of a whole answer."""
        message = answer["message"]
        if message.get("tool_plan"):
            yield from self._say("reasoning", message["tool_plan"])
        for block in message.get("content") or ():
            yield from self._block(block)
        yield from self._cite(message.get("citations") or ())
        for call in message.get("tool_calls") or ():
            yield from self._call(call)
        yield from self._end(answer["finish_reason"], answer.get("usage"))

    def feed(self, event: Mapping[str, Any]) -> Iterator[Event]:
        """The events that one of a stream brings."""
        take = _EVENTS.get(event["type"])
        if take is not None:
            yield from take(self, event.get("delta") or {})

    # -- one kind of event each

    def _content_start(self, delta: Json) -> Iterator[Event]:
        yield from self._close()
        yield from self._block(delta["message"]["content"])

    def _content(self, delta: Json) -> Iterator[Event]:
        yield from self._block(delta["message"]["content"])

    def _plan(self, delta: Json) -> Iterator[Event]:
        yield from self._say("reasoning", delta["message"]["tool_plan"])

    def _call_start(self, delta: Json) -> Iterator[Event]:
        call = delta["message"]["tool_calls"]
        yield from self._close()
        self._open = (self._next(), "tool_call")
        yield self._piece(id=call["id"], name=call["function"]["name"], arguments=call["function"].get("arguments", ""))

    def _arguments(self, delta: Json) -> Iterator[Event]:
        yield self._piece(arguments=delta["message"]["tool_calls"]["function"]["arguments"])

    def _citation(self, delta: Json) -> Iterator[Event]:
        yield from self._cite([delta["message"]["citations"]])

    def _message_end(self, delta: Json) -> Iterator[Event]:
        if delta.get("error"):
            raise Broken(str(delta["error"]))
        yield from self._end(delta["finish_reason"], delta.get("usage"))

    # -- parts

    def _block(self, block: Mapping[str, Any]) -> Iterator[Event]:
        if block.get("thinking"):
            yield from self._say("reasoning", block["thinking"])
        if block.get("text"):
            yield from self._say("text", block["text"])

    def _say(self, kind: str, text: str) -> Iterator[Event]:
        if self._open is None or self._open[1] != kind:
            yield from self._close()
            self._open = (self._next(), kind)
        yield self._piece(text=text)

    def _cite(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
        if rows and self._open is not None and self._open[1] == "text":
            found = [{"type": "citation", "start": row["start"], "end": row["end"], "native": row} for row in rows]
            yield self._piece(text="", annotations=found)

    def _call(self, call: Mapping[str, Any]) -> Iterator[Event]:
        yield from self._call_start({"message": {"tool_calls": call}})
        yield from self._close()

    def _piece(self, **part: Any) -> Fragment:
        assert self._open is not None
        return Fragment(self._open[0], {"type": self._open[1], **part})

    def _close(self, *_: Any) -> Iterator[Event]:
        if self._open is not None:
            yield self._piece(done=True)
            self._open = None

    def _next(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _end(self, reason: str, usage: Any) -> Iterator[Event]:
        if reason not in _REASONS:
            raise Broken(f"its answer ended with {reason}")
        yield from self._close()
        self.finished = True
        yield Finish(_REASONS[reason], usage_of(usage), self._model)


_EVENTS: dict[str, Callable[[Reader, Json], Iterator[Event]]] = {
    "content-start": Reader._content_start,
    "content-delta": Reader._content,
    "tool-plan-delta": Reader._plan,
    "tool-call-start": Reader._call_start,
    "tool-call-delta": Reader._arguments,
    "tool-call-end": Reader._close,
    "citation-start": Reader._citation,
    "message-end": Reader._message_end,
}


def usage_of(usage: Any) -> Json | None:
    """What is billed, or else what was counted (https://docs.cohere.com/docs/how-does-cohere-pricing-work)."""
    given = usage or {}
    counted = given.get("billed_units") or given.get("tokens") or {}
    if "input_tokens" not in counted:
        return None
    read_, written = int(counted["input_tokens"]), int(counted.get("output_tokens") or 0)
    cached = given.get("cached_tokens")
    details = {"prompt_tokens_details": {"cached_tokens": int(cached)}} if cached else {}
    return {"prompt_tokens": read_, "completion_tokens": written, "total_tokens": read_ + written, **details}


class CohereChat(RemoteChat[Draft]):
    """Answers messages, and prompts about images."""

    def drafted(self, request: Request, call: Call) -> Draft:
        """The body of a chat; images are sent along."""
        return drafted(request, call)

    async def whole(self, draft: Draft, call: Call) -> Sequence[Event]:
        """The events of a whole answer."""
        answer = await self.http.post(PATH, draft.body, call)
        return self._read(Reader(call.model).whole(answer))

    async def streamed(self, draft: Draft, call: Call) -> AsyncGenerator[Sequence[Event], None]:
        """The events of a streamed answer, which ends with ``message-end``."""
        reader = Reader(call.model)
        async with aclosing(self.http.stream(PATH, draft.body, call, ends=None)) as lists:
            async for events in lists:
                made, failure = made_of(events, partial(self._read_event, reader))
                yield made
                if failure is not None:
                    raise failure.again()
        if not reader.finished:
            raise self.http.cut()

    def _read_event(self, reader: Reader, event: SentEvent) -> list[Event]:
        if event.data == "[DONE]":
            return []
        with documented(self.http):
            told = orjson.loads(event.data)
        return self._read(reader.feed(told))

    def _read(self, events: Iterator[Event]) -> list[Event]:
        try:
            return read(self.http, events)
        except Broken as broken:
            raise self.http.broken(str(broken)) from None
