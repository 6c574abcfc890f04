"""Chat and vision over ``/chat/completions``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import orjson

from infrai_core.sse import Event as SentEvent
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Event, Note, Request
from infrai_runtime.vendors.bill import Bill
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.documented import NOT_THE_SHAPE, undocumented
from infrai_runtime.vendors.http import Http, segment
from infrai_runtime.vendors.openai_like.answer import Broken, Reader
from infrai_runtime.vendors.openai_like.request import Draft, drafted
from infrai_runtime.vendors.openai_like.row import Row
from infrai_runtime.vendors.remote import Remote, RemoteChat

CHAT = "/chat/completions"


class Base(Remote):
    """What every vendor of the dialect has: its row, its address, its keys."""

    def __init__(self, entry: Entry, row: Row, http: Http) -> None:
        super().__init__(http)
        self.row = row
        self.allowed_options = frozenset(row.allowed_options)
        self._deployments: Mapping[str, str] = entry.options.get("deployments", {})
        self._dated = bool(entry.options.get("api_version"))
        self.account: str | None = entry.options.get("account")
        self.says_why = entry.options.get("finish_reason") != "optional"
        """Every answer says why it ended; one that does not was cut, with or without its end mark."""

    def model(self, call: Call) -> str:
        """The vendor's name of the model: on Azure that of its deployment."""
        return self._deployments.get(call.model, call.model)

    def path(self, path: str, call: Call) -> str:
        """A path; Azure's dated interface has the deployment in it."""
        return f"/deployments/{segment(self.model(call))}{path}" if self._dated else path


class Chat(Base, RemoteChat[Draft]):
    """Answers messages, and prompts about images."""

    def drafted(self, request: Request, call: Call) -> Draft:
        """The body of a request."""
        return drafted(request, call, self.row, self.model(call))

    def fetches(self, part: Mapping[str, Any]) -> bool:
        """Pictures and films, where the vendor has its own way to them."""
        return self.row.fetches and part["type"] in ("image", "video")

    async def whole(self, draft: Draft, call: Call) -> Sequence[Event]:
        """The events of an answer in one piece."""
        completion = await self.http.post(self.path(CHAT, call), draft.body, call)
        return self.read(completion, call.bill)

    def read(self, completion: Mapping[str, Any], bill: Bill | None = None) -> list[Event]:
        """The events of a whole completion. Raises VENDOR_ERROR for one that is none; ``bill`` then knows what it
        used."""
        reader = Reader(self.row, self.name)
        if bill is not None:
            bill.reading = reader
        try:
            events = reader.whole(completion)
        except Broken as broken:
            raise self.http.broken(str(broken)) from None
        except NOT_THE_SHAPE as error:
            raise undocumented(self.http, error) from error
        if reader.empty:
            raise self.http.broken("its answer has no choices")
        return events

    async def streamed(self, draft: Draft, call: Call) -> AsyncGenerator[Sequence[Event], None]:
        """The events of a streamed answer."""
        reader = call.bill.reading = Reader(self.row, self.name)
        ends = _ends if self.row.end_mark else None
        sent = self.http.stream(self.path(CHAT, call), draft.body, call, ends=ends)
        async with aclosing(sent) as lists:
            async for events in lists:
                made, failure = self._made_of(events, reader)
                yield made
                if failure is not None:
                    raise failure.again()
        if reader.empty:
            raise self.http.broken("its answer has no choices")
        if ends is None and not reader.finished:
            raise self.http.cut()
        if self.says_why and not reader.finished:
            raise self.http.broken("its stream ended without a finish_reason, as one that was cut does")
        unsaid = [] if reader.finished else [Note(warning=_UNSAID)]
        yield [*unsaid, *reader.end()]

    def _made_of(self, sent: Iterable[SentEvent], reader: Reader) -> tuple[list[Event], Failure | None]:
        """What a reader makes of the chunks that came at once, up to the failure where there is one. Written as one
        loop, because it runs for every chunk."""
        made: list[Event] = []
        failure: Failure | None = None
        try:
            for event in sent:
                chunk = orjson.loads(event.data)
                if event.event == "error" or not reader.hold(chunk):
                    made += self._fed(chunk, event, reader)
        except orjson.JSONDecodeError:
            failure = self.http.broken("a chunk of its stream is not JSON")
        except Broken as broken:
            failure = self.http.broken(str(broken))
        except NOT_THE_SHAPE as error:
            failure = undocumented(self.http, error)
        except Failure as told:
            failure = told.again()
        return made + reader.held(), failure

    def _fed(self, chunk: Any, event: SentEvent, reader: Reader) -> list[Event]:
        if chunk.get("error") or chunk.get("object") == "error" or event.event == "error":
            raise self.http.failure(200, chunk)
        return reader.feed(chunk)


_UNSAID = "finish_reason: this vendor did not say why its answer ended; it is taken as whole"


def _ends(event: SentEvent) -> bool:
    return event.data == "[DONE]"
