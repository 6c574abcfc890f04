"""One attempt at a vendor: a request in, the reply's data out. One small function per capability.

Also the streaming twin for chat and vision: it returns as soon as there is content, so that until then another
vendor can take over.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from infrai_runtime.assembly import Assembly, estimated_usage
from infrai_runtime.failure import Failure
from infrai_runtime.opaque import marked, without_foreign
from infrai_runtime.pricing import nano_of_usd
from infrai_runtime.request import Ask
from infrai_runtime.vendors.base import AnswersAtOnce, Call, Event, File, Finish, Fragment, Note, Origins, Vendor
from infrai_runtime.vendors.bill import Bill
from infrai_runtime.wire import Json, chat_data, encoded


@dataclass(slots=True)
class Outcome:
    """What a vendor answered: reply data (still without links to ``files``), usage, and notes."""

    data: Json
    usage: Json
    files: Sequence[File] = ()
    warnings: Sequence[str] = ()
    reported_nano: int | None = None
    """The price that the vendor itself reported."""
    origins: Origins | None = None


@dataclass(slots=True)
class Opened:
    """A stream that has begun: the events up to the first content, and the rest, which the one who has it closes."""

    first: Sequence[Event]
    rest: AsyncGenerator[Event, None]


class Silence:
    """Moves a timeout along while events come: it ends a silence of ``idle_s``, and everything after ``left_s``.

    It is moved at most ten times in that long, not for every event, so a silence may last a tenth longer.
    """

    def __init__(self, limit: asyncio.Timeout, left_s: float, idle_s: float) -> None:
        self._limit = limit
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + left_s
        self._idle_s = idle_s
        self._moved = -math.inf
        self.broken()

    def broken(self) -> None:
        """Something came."""
        now = self._now()
        if now - self._moved >= self._idle_s / 10:
            self._moved = now
            self._limit.reschedule(min(self._end, now + 1.1 * self._idle_s))

    def pause(self) -> None:
        """Who is waited for until ``broken`` is called is not the vendor."""
        self._moved = -math.inf
        self._limit.reschedule(self._end)

    def why(self) -> str:
        """What the timeout ended, in words."""
        if self._now() >= self._end:
            return "was not done when the time limit of the request was reached"
        return f"was silent for {self._idle_s:g} s"


Work = Callable[[Any, Ask, Call], Awaitable[Outcome]]


def cut(vendor: Vendor) -> Failure:
    """A cut answer must never look complete, whatever an adapter made of it."""
    return Failure("VENDOR_ERROR", f"{vendor.name}: its answer ended before its end mark")


async def open_stream(vendor: Any, ask: Ask, call: Call) -> Opened:
    """Reads a stream up to its first content. Raises where neither that nor an end mark came."""
    body, warnings = _own_words(vendor, ask, call)
    seen: list[Event] = [Note(warning=warning) for warning in warnings]
    rest: AsyncGenerator[Event, None] = (vendor.see if ask.capability == "vision" else vendor.chat)(body, call)
    try:
        async for event in rest:
            seen.append(event)
            if isinstance(event, Finish) or (isinstance(event, Fragment) and _has_content(event.part)):
                return Opened(seen, rest)
        raise cut(vendor)
    except BaseException:
        await rest.aclose()
        raise


def _has_content(part: Mapping[str, Any]) -> bool:
    return any(value for name, value in part.items() if name not in ("type", "done"))


async def _chat(vendor: Any, ask: Ask, call: Call) -> Outcome:
    body, warnings = _own_words(vendor, ask, call)
    at_once: AnswersAtOnce | None = vendor if hasattr(vendor, "answer") else None
    events = await at_once.answer(body, call) if at_once else await _all(vendor.chat(body, call))
    return _whole(vendor, ask, call, events, warnings)


def _own_words(vendor: Vendor, ask: Ask, call: Call) -> tuple[Mapping[str, Any], Sequence[str]]:
    """The request without what other makers signed, and what is said of that."""
    return without_foreign(ask.body, vendor.name, call.model) if ask.prompt.signed else (ask.body, ())


async def _see(vendor: Any, ask: Ask, call: Call) -> Outcome:
    return _whole(vendor, ask, call, await _all(vendor.see(ask.body, call)))


async def _all(said: AsyncGenerator[Event, None]) -> list[Event]:
    async with aclosing(said) as events:
        return [event async for event in events]


def _whole(vendor: Vendor, ask: Ask, call: Call, events: Iterable[Event], warnings: Iterable[str] = ()) -> Outcome:
    """The outcome of an answer that came whole. Raises where the end mark is missing."""
    assembly = Assembly()
    assembly.warnings += warnings
    for event in events:
        assembly.add(marked(event, vendor.name, call.model))
    if assembly.finish is None:
        raise cut(vendor)
    return chat_outcome(assembly, ask, call.model)


def chat_outcome(assembly: Assembly, ask: Ask, model: str, bill: Bill | None = None) -> Outcome:
    """The outcome of what came. Of an answer that was cut, ``bill`` has what the vendor has said of its usage."""
    finish = assembly.finish
    usage = usage_of(assembly, ask, bill)
    reported = None if finish is None or finish.cost_usd is None else nano_of_usd(finish.cost_usd)
    named = (finish and finish.model) or model
    data = chat_data("", named, assembly.parts, assembly.finish_reason, usage, assembly.others())
    if finish is not None and finish.fingerprint:
        data["system_fingerprint"] = finish.fingerprint
    return Outcome(data, usage, (), assembly.warnings, reported, assembly.origins)


def usage_of(assembly: Assembly, ask: Ask, bill: Bill | None = None) -> Json:
    """The vendor's usage, or an estimate where it did not say. Of an answer that was cut it is what it had said, unless
    more came than that."""
    if assembly.finish is not None and assembly.finish.usage is not None:
        return assembly.finish.usage
    written = [*assembly.parts, *(part for parts, _ in assembly.others() for part in parts)]
    known = dict((bill and bill.reported) or {})
    guess = estimated_usage(known.get("prompt_tokens") or ask.prompt.likely, written)
    return known | (guess if guess["completion_tokens"] > known.get("completion_tokens", 0) else {"estimated": True})


async def _embed(vendor: Any, ask: Ask, call: Call) -> Outcome:
    made = await vendor.embed(ask.body, call)
    vectors = encoded(made.vectors, ask.encoding_format)
    size = len(made.vectors[0]) if made.vectors else 0
    data = {"embeddings": vectors, "model": call.model, "dimensions": size, "usage": made.usage}
    return Outcome(data, made.usage, (), made.warnings)


async def _image(vendor: Any, ask: Ask, call: Call) -> Outcome:
    made = await vendor.draw(ask.body, call)
    reported = None if made.cost_usd is None else nano_of_usd(made.cost_usd)
    data = {"model": call.model, "usage": made.usage}
    return Outcome(data, made.usage, made.files, made.warnings, reported_nano=reported)


async def _tts(vendor: Any, ask: Ask, call: Call) -> Outcome:
    made = await vendor.speak(ask.body, call)
    return Outcome({"model": call.model, "usage": made.usage}, made.usage, made.files, made.warnings)


async def _asr(vendor: Any, ask: Ask, call: Call) -> Outcome:
    heard = await vendor.listen(ask.body, call)
    data = {"text": heard.text, "language": heard.language, "segments": [dict(s) for s in heard.segments]}
    told = {"words": heard.words, "logprobs": heard.logprobs}
    more = {name: [dict(row) for row in rows] for name, rows in told.items() if rows}
    return Outcome(data | more | {"model": call.model, "usage": heard.usage}, heard.usage, (), heard.warnings)


async def _rerank(vendor: Any, ask: Ask, call: Call) -> Outcome:
    ranked = await vendor.rerank(ask.body, call)
    results = [{"index": index, "relevance_score": score} for index, score in ranked.results]
    return Outcome({"results": results, "model": call.model, "usage": ranked.usage}, ranked.usage)


async def _realtime(vendor: Any, ask: Ask, call: Call) -> Outcome:
    opened = await vendor.open(ask.body, call)
    return Outcome({"ice_servers": [], **opened, "model": call.model}, {})


WORK: dict[str, Work] = {
    "chat": _chat,
    "vision": _see,
    "embed": _embed,
    "image": _image,
    "tts": _tts,
    "asr": _asr,
    "rerank": _rerank,
    "realtime": _realtime,
}
"""Capability -> the function that makes an attempt at it."""
