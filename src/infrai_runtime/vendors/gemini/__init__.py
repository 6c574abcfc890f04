"""Gemini through ``generateContent`` (https://ai.google.dev/api): chat, vision, embeddings, images, speech,
transcription, realtime tokens, batches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson

from infrai_core.sse import Event as SentEvent
from infrai_runtime.assembly import Assembly
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Event, Files, Request, Result, Transcript, Vectors
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.documented import documented, read
from infrai_runtime.vendors.gemini import batch, live, media
from infrai_runtime.vendors.gemini.answer import Reader
from infrai_runtime.vendors.gemini.embed import bodies, vectors_of
from infrai_runtime.vendors.gemini.part import vendor_fetches
from infrai_runtime.vendors.gemini.request import ALLOWED_OPTIONS, Draft, drafted
from infrai_runtime.vendors.http import Endpoint, Http, Pool
from infrai_runtime.vendors.keyring import Keyring
from infrai_runtime.vendors.material import material
from infrai_runtime.vendors.remote import RemoteChat, made_of

Json = dict[str, Any]

log = logging.getLogger("infrai_runtime")


def make(entry: Entry, pool: Pool) -> Gemini:
    """The vendor of a configured entry. The key is a header: the API also takes it in the URL, where it leaks."""
    auth = ("x-goog-api-key", "")
    endpoint = Endpoint(entry.name, entry.base_url, auth, entry.headers, "", entry.proxy, entry.idempotency_header)
    return Gemini(Http(endpoint, Keyring(entry.name, entry.keys), pool))


class Gemini(RemoteChat[Draft]):
    """Everything that a service does which speaks the Gemini API."""

    allowed_options = ALLOWED_OPTIONS

    # -- chat and vision

    def drafted(self, request: Request, call: Call) -> Draft:
        """The body of ``generateContent``."""
        return drafted(request, call.model, call.options)

    def fetches(self, part: Mapping[str, Any]) -> bool:
        """What has a place in a request as a URL."""
        return vendor_fetches(part)

    async def whole(self, draft: Draft, call: Call) -> Sequence[Event]:
        """The events of a response object."""
        response = await self.http.post(_path(call.model, "generateContent"), draft.body, call)
        reader = self._reader(draft, call)
        reader.served(call.bill.headers)
        return self._complete(reader, response)

    def _complete(self, reader: Reader, response: Json) -> list[Event]:
        events = read(self.http, reader.whole(response))
        if not reader.finished:
            raise self.http.broken("its answer has no candidate, or one that does not say why it ended")
        return events

    async def streamed(self, draft: Draft, call: Call) -> AsyncGenerator[Sequence[Event], None]:
        """The events of response objects as they come."""
        reader = self._reader(draft, call)
        path = f"{_path(call.model, 'streamGenerateContent')}?alt=sse"
        async with aclosing(self.http.stream(path, draft.body, call, ends=None)) as lists:
            async for events in lists:
                reader.served(call.bill.headers)
                made, failure = made_of(events, partial(self._read_event, reader))
                yield made
                if failure is not None:
                    raise failure.again()
        if not reader.finished:
            raise self.http.cut()
        yield read(self.http, reader.end())

    def _reader(self, draft: Draft, call: Call) -> Reader:
        answer_tool = draft.answer.name if draft.answer else None
        reader = call.bill.reading = Reader(self.name, answer_tool, tier=call.options.get("serviceTier"))
        return reader

    def _read_event(self, reader: Reader, sent: SentEvent) -> list[Event]:
        return read(self.http, self._events(reader, sent))

    def _events(self, reader: Reader, sent: SentEvent) -> Iterator[Event]:
        response = orjson.loads(sent.data)
        if "error" in response:
            raise self.http.failure(200, response)
        return reader.feed(response)

    # -- embeddings

    async def embed(self, request: Request, call: Call) -> Vectors:
        """Vectors by ``batchEmbedContents``, as many calls as the API's limit of texts needs."""
        path = _path(call.model, "batchEmbedContents")
        asked = bodies(request, call.model)
        replies = [await self.http.post(path, body, call) for body in asked]
        with documented(self.http):
            return vectors_of(replies, request, call.model)

    # -- media

    async def draw(self, request: Request, call: Call) -> Files:
        """Images, one call each: the API makes one at a time."""
        body, warnings = media.image_body(request, call.options)
        calls = (self._made(body, call) for _ in range(request.get("n", 1)))
        answers = await asyncio.gather(*calls)
        files = [file for answer in answers for file in media.files_of(answer.parts, "image")]
        if not files:
            raise self._nothing(answers[0], "an image")
        return Files(files, media.summed(answers) | {"images": len(files)}, warnings)

    async def speak(self, request: Request, call: Call) -> Files:
        """Speech; the API gives raw samples, which are put into the format that was asked for."""
        body, warnings = media.speech_body(request, call.options)
        answer = await self._made(body, call)
        found = media.files_of(answer.parts, "audio")
        if not found:
            raise self._nothing(answer, "sound")
        sound = await asyncio.to_thread(media.formatted, found[0], request.get("format", "mp3"))
        return Files([sound], media.summed([answer]), warnings)

    async def listen(self, request: Request, call: Call) -> Transcript:
        """A transcript, with times where the model gives them."""
        heard = await material(request["audio"], call, "audio")
        response = await self.http.post(
            _path(call.model, "generateContent"), media.listen_body(heard, request, call.options), call
        )
        with documented(self.http):
            return media.transcript_of(response, request)

    async def open(self, request: Request, call: Call) -> Mapping[str, Any]:
        """A token for one session of the Live API, which is a web socket and needs no ICE servers."""
        body, until = live.body_of(request, call.model, time.time())
        answer = await self.http.post(live.PATH, body, call)
        with documented(self.http):
            return live.session_of(answer, self.http.endpoint.base_url, until)

    async def _made(self, body: Json, call: Call) -> Assembly:
        response = await self.http.post(_path(call.model, "generateContent"), body, call)
        assembly = Assembly()
        for event in self._complete(Reader(self.name), response):
            assembly.add(event)
        return assembly

    def _nothing(self, answer: Assembly, wanted: str) -> Failure:
        if answer.finish_reason == "content_filter":
            return Failure("CONTENT_FILTERED", f"{self.name}: {wanted} for this prompt was blocked")
        return self.http.broken(f"{wanted} was asked for and none came")

    # -- batches: https://ai.google.dev/gemini-api/docs/batch-api

    def takes(self, request: Request, call: Call) -> bool:
        """Yes: every model has the service."""
        return True

    async def submit(self, requests: Sequence[Request], call: Call) -> str:
        """Hands in a batch of chats; the name that the service gave it."""
        drafts = await self.drafts(requests, call)
        body = batch.body_of(drafts, call.idempotency_key())
        job = await self.http.post(_path(call.model, "batchGenerateContent"), body, call)
        with documented(self.http):
            return str(job["name"])

    async def find(self, call: Call) -> str | None:
        """The name of the batch that was handed in with the call's key."""
        key = call.idempotency_key()
        if not key:
            return None
        listed = await self.http.get(f"{batch.PATH}?pageSize={batch.LISTED}", call)
        with documented(self.http):
            return batch.named(listed, key)

    async def poll(self, job: str, call: Call) -> Mapping[str, Any]:
        """How far a batch is."""
        found = await self.http.get(batch.path_of(job), call)
        with documented(self.http):
            return batch.progress(found)

    async def results(self, job: str, call: Call) -> AsyncGenerator[Result, None]:
        """The rows of a batch that has ended, in whichever order the service gives them."""
        found = await self.http.get(batch.path_of(job), call)
        with documented(self.http):
            rows = [(batch.place_of(row), row) for row in batch.rows(found)]
        unknown = sum(place is None for place, _ in rows)
        if unknown:
            log.warning("%s: %d rows of batch %s do not say which request they answer", self.name, unknown, job)
        for place, row in rows:
            if place is not None:
                yield self._row(place, row)

    async def cancel(self, job: str, call: Call) -> None:
        """Stops a batch; what is done by then can still be read."""
        await self.http.post(f"{batch.path_of(job)}:cancel", {}, call)

    def _row(self, place: int, row: Mapping[str, Any]) -> Result:
        """The result that a row tells; one that cannot be read is a failure of its request alone."""
        try:
            with documented(self.http):
                if "error" in row:
                    raise self.http.failure(batch.status_of(row["error"]), row)
                reader = Reader(self.name, batch.answer_tool(row))
                return Result(place, self._complete(reader, row["response"]))
        except Failure as failure:
            return Result(place, failure=failure)


def _path(model: str, method: str) -> str:
    return f"/v1beta/models/{quote(model.removeprefix('models/'), safe='')}:{method}"
