"""Claude through the Messages API (https://platform.claude.com/docs/en/api/messages): chat, vision, batches."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import orjson

from infrai_core.sse import Event as SentEvent
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.anthropic.answer import Reader
from infrai_runtime.vendors.anthropic.part import vendor_fetches
from infrai_runtime.vendors.anthropic.request import ALLOWED_OPTIONS, Draft, drafted
from infrai_runtime.vendors.base import Call, Event, Request, Result
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.documented import documented, read
from infrai_runtime.vendors.http import Endpoint, Http, Pool
from infrai_runtime.vendors.keyring import Keyring
from infrai_runtime.vendors.remote import RemoteChat, made_of

VERSION = "2023-06-01"
"""The one that still takes ``temperature``, ``top_p`` and ``top_k``; 2026-10-21, which the vendor's SDK sends by now,
refuses them (https://platform.claude.com/docs/en/api/versioning)."""
MESSAGES = "/v1/messages"
BATCHES = "/v1/messages/batches"


def make(entry: Entry, pool: Pool) -> Anthropic:
    """The vendor of a configured entry."""
    headers = {"anthropic-version": VERSION, **entry.headers}
    endpoint = Endpoint(
        entry.name, entry.base_url, ("x-api-key", ""), headers, "", entry.proxy, entry.idempotency_header
    )
    return Anthropic(Http(endpoint, Keyring(entry.name, entry.keys), pool))


class Anthropic(RemoteChat[Draft]):
    """Chat, vision and batches of a service that speaks the Messages API."""

    allowed_options = ALLOWED_OPTIONS

    def drafted(self, request: Request, call: Call) -> Draft:
        """The body of ``POST /v1/messages``."""
        return drafted(request, call.model, call.options, mark_cache=call.mark_cache)

    def fetches(self, part: Mapping[str, Any]) -> bool:
        """What has a place in a request as a URL."""
        return vendor_fetches(part)

    async def whole(self, draft: Draft, call: Call) -> Sequence[Event]:
        """The events of a message."""
        message = await self.http.post(MESSAGES, draft.body, call, headers=_betas(draft))
        return read(self.http, self._reader(draft, call).whole(message))

    async def streamed(self, draft: Draft, call: Call) -> AsyncGenerator[Sequence[Event], None]:
        """The events of a message as they come."""
        reader = self._reader(draft, call)
        sent = self.http.stream(MESSAGES, draft.body | {"stream": True}, call, ends=_ends, headers=_betas(draft))
        async with aclosing(sent) as lists:
            async for events in lists:
                made, failure = made_of(events, partial(self._read_event, reader))
                yield made
                if failure is not None:
                    raise failure.again()
        if not reader.finished:
            raise self.http.broken("its stream ended without a stop_reason, as one that was cut does")
        yield list(reader.end())

    def _reader(self, draft: Draft, call: Call) -> Reader:
        reader = call.bill.reading = Reader(self.name, draft.answer.name if draft.answer else None)
        return reader

    def _read_event(self, reader: Reader, sent: SentEvent) -> list[Event]:
        return read(self.http, self._events(reader, sent))

    def _events(self, reader: Reader, sent: SentEvent) -> Iterator[Event]:
        event = orjson.loads(sent.data)
        if event["type"] == "error":
            raise self._failure(event)
        return reader.feed(event)

    def _failure(self, error: Mapping[str, Any]) -> Failure:
        """The failure for an error that came with status 200."""
        wrong = error["error"].get("type") == "invalid_request_error"
        return self.http.failure(400 if wrong else 200, error)

    # -- batches: https://platform.claude.com/docs/en/build-with-claude/batch-processing

    def takes(self, request: Request, call: Call) -> bool:
        """Yes: every model has the service."""
        return True

    async def submit(self, requests: Sequence[Request], call: Call) -> str:
        """Hands in a batch of chats; the id that the service gave it."""
        drafts = await self.drafts(requests, call)
        rows = [{"custom_id": _row_id(place, draft), "params": draft.body} for place, draft in enumerate(drafts)]
        betas = sorted({beta for draft in drafts for beta in draft.betas})
        headers = {"anthropic-beta": ",".join(betas)} if betas else {}
        batch = await self.http.post(BATCHES, {"requests": rows}, call, headers=headers)
        with documented(self.http):
            return str(batch["id"])

    async def find(self, call: Call) -> str | None:
        """None: a batch carries nothing of whoever handed it in, so it cannot be known again."""
        return None

    async def poll(self, job: str, call: Call) -> Mapping[str, Any]:
        """How far a batch is."""
        batch = await self.http.get(_path(job), call)
        with documented(self.http):
            return _progress(batch)

    async def results(self, job: str, call: Call) -> AsyncGenerator[Result, None]:
        """The rows of a batch that has ended, in whichever order the service gives them."""
        async with aclosing(self.http.get_lines(f"{_path(job)}/results", call)) as lines:
            async for line in lines:
                with documented(self.http):
                    row = orjson.loads(line)
                    found = _ROW_ID.fullmatch(str(row["custom_id"]))
                if found is not None:
                    yield self._row(int(found[1]), found[2], row)

    async def cancel(self, job: str, call: Call) -> None:
        """Stops a batch; what is done by then can still be read."""
        await self.http.post(f"{_path(job)}/cancel", {}, call)

    def _row(self, place: int, answer_tool: str | None, row: Mapping[str, Any]) -> Result:
        """The result that a row tells; one that cannot be read is a failure of its request alone."""
        try:
            with documented(self.http):
                result = row["result"]
                if result["type"] == "succeeded":
                    return Result(place, list(Reader(self.name, answer_tool).whole(result["message"])))
                if result["type"] == "errored":
                    return Result(place, failure=self._failure(result["error"]))
                raise self.http.broken(f"the request was {result['type']} before its turn came")
        except Failure as failure:
            return Result(place, failure=failure)


def _ends(event: SentEvent) -> bool:
    return event.event == "message_stop"


def _betas(draft: Draft) -> dict[str, str]:
    return {"anthropic-beta": ",".join(draft.betas)} if draft.betas else {}


def _row_id(place: int, draft: Draft) -> str:
    """The place of a request, and the name of its answer tool: what is needed to read its result."""
    return f"{place}-{draft.answer.name}" if draft.answer else str(place)


_ROW_ID = re.compile(r"(\d{1,9})(?:-(.+))?")


def _path(job: str) -> str:
    if not _JOB.fullmatch(job):
        raise Failure("INVALID_REQUEST", f"batch_id: came {job[:80]!r}, allowed are letters, digits, _ and -")
    return f"{BATCHES}/{job}"


_JOB = re.compile(r"[A-Za-z0-9_-]{1,200}")


def _progress(batch: Mapping[str, Any]) -> Mapping[str, Any]:
    counts = batch["request_counts"]
    failed = counts["errored"] + counts["expired"] + counts["canceled"]
    return {"state": _state(batch, counts), "completed_count": counts["succeeded"], "failed_count": failed}


def _state(batch: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    if batch["processing_status"] != "ended":
        return "running"
    if counts["canceled"]:
        return "cancelled"
    return "expired" if counts["expired"] and not counts["succeeded"] else "completed"
