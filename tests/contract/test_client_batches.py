"""Batch jobs by both clients on the real runtime: embedded, served, and as three processes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infrai_core import AsyncInfrai, ConfigError, Infrai, InvalidRequest, NotFound, ProtocolError, Retry, ServerError
from infrai_core.lines import LineReader, Upload
from infrai_core.testing import Script, failure
from infrai_runtime import embedded
from infrai_runtime.app import create_app
from infrai_runtime.settings import Settings

from ..replicas.fleet import Fleet
from .host import listening, serving

Client = Any
Body = Callable[[Client], Coroutine[Any, Any, None]]
SUM = "What is 17 * 3?"


class Kit:
    """Runs a body with one of the clients, whose answers it may await in both cases."""

    def __init__(self, mode: str, options: dict[str, Any], key: str = "key") -> None:
        self._mode = mode
        self._options = {"retry": Retry(0)} | options
        self._key = key

    def run(self, body: Body) -> None:
        made = (Infrai if self._mode == "sync" else AsyncInfrai)(self._key, **self._options)
        asyncio.run(body(made))

    async def of(self, value: Any) -> Any:
        """What a call gave, however it gave it."""
        if isinstance(value, AsyncIterator):
            return [row async for row in value]
        if isinstance(value, Iterator):
            return list(value)
        return await value if isinstance(value, Awaitable) else value


@contextmanager
def in_process(mode: str, home: Path) -> Iterator[Kit]:
    made = embedded.transport if mode == "sync" else embedded.async_transport
    yield Kit(mode, {"base_url": "embedded", "transport": made(create_app(Settings(home=home, embedded=True)))})
    embedded.shutdown()


@contextmanager
def served(mode: str, home: Path) -> Iterator[Kit]:
    with serving(create_app(Settings(home=home, no_auth=True)), listening()) as url:
        yield Kit(mode, {"base_url": url})


@pytest.fixture(params=["embedded", "served", "replicas"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "async"])
def kit(request: pytest.FixtureRequest, host: str, tmp_path: Path) -> Iterator[Kit]:
    if host == "replicas":
        three: Fleet = request.getfixturevalue("three")
        yield Kit(request.param, {"base_url": three.proxy}, three.key().secret)
    else:
        with (in_process if host == "embedded" else served)(request.param, tmp_path) as made:
            yield made


def made_one_by_one(count: int) -> Iterator[dict[str, Any]]:
    for n in range(count):
        yield {"capability": "embed", "body": {"input": f"text {n}"}}


def test_an_iterator_goes_in_and_results_come_out_line_by_line(kit: Kit) -> None:
    async def body(client: Client) -> None:
        record = await kit.of(client.batch_submit(made_one_by_one(700), batch_timeout="1h", metadata={"run": "7"}))
        assert record.total_count == 700
        seen: list[int] = []
        wait = client.batch_wait(record.batch_id, poll_s=0.02, progress=lambda r: seen.append(r.completed_count or 0))
        record = await kit.of(wait)
        assert (record.state, seen == sorted(seen), seen[-1]) == ("completed", True, 700)
        rows = await kit.of(client.batch_rows(record.batch_id))
        assert [row["index"] for row in rows] == list(range(700))
        whole = await kit.of(client.batch_results(record.batch_id))
        assert [row["data"] for row in whole.results] == [row["data"] for row in rows]

    kit.run(body)


def test_chats_are_made_requests_and_their_rows_replies(kit: Kit) -> None:
    async def body(client: Client) -> None:
        requests = [client.batch_request(SUM), client.batch_request("x", model="no-such-model")]
        record = await kit.of(client.batch_submit(requests))
        await kit.of(client.batch_wait(record.batch_id, poll_s=0.02))
        good, bad = await kit.of(client.batch_rows(record.batch_id))
        reply = client.batch_reply(good)
        assert ("51" in reply.content, reply.metadata.batch_id) == (True, record.batch_id)
        with pytest.raises(NotFound):
            client.batch_reply(bad)
        assert client.ledger.total.calls == 1

    kit.run(body)


def test_a_chat_in_batch_mode_is_the_ordinary_reply(kit: Kit) -> None:
    async def body(client: Client) -> None:
        reply = await kit.of(client.chat(SUM, batch_mode=True))
        assert ("51" in reply.content, str(reply.metadata.batch_id)[:6]) == (True, "batch_")
        assert client.ledger.total.calls == 1

    kit.run(body)


def test_a_wrong_request_of_an_iterator_is_refused_while_it_is_sent(kit: Kit) -> None:
    def requests() -> Iterator[dict[str, Any]]:
        yield from made_one_by_one(5)
        yield {"capability": "chat", "body": {"messages": 3}}
        yield from made_one_by_one(5000)

    async def body(client: Client) -> None:
        with pytest.raises(InvalidRequest) as raised:
            await kit.of(client.batch_submit(requests()))
        assert raised.value.param == "requests.5.body.messages"
        assert (await kit.of(client.batch_list())).data == []

    kit.run(body)


async def _one_by_one() -> AsyncIterator[dict[str, Any]]:
    for row in made_one_by_one(3):
        yield row


def test_an_asynchronous_iterator_is_for_the_asynchronous_client(kit: Kit) -> None:
    async def body(client: Client) -> None:
        if isinstance(client, Infrai):
            with pytest.raises(ConfigError, match="asynchronous client"):
                client.batch_submit(_one_by_one())
        else:
            assert (await client.batch_submit(_one_by_one())).total_count == 3

    kit.run(body)


# -- without a service -------------------------------------------------------------------------------------------------


def test_an_iterator_is_sent_once_and_a_collection_as_often_as_it_takes() -> None:
    script = Script([failure("OVERLOADED")] * 3)
    client = Infrai("key", transport=script, retry=Retry(1, first_s=0))
    with pytest.raises(ServerError):
        client.batch_submit(made_one_by_one(2))
    assert len(script.requests) == 1
    with pytest.raises(ServerError):
        client.batch_submit(list(made_one_by_one(1001)))
    assert [len(sent.content.splitlines()) for sent in script.requests] == [2, 1001, 1001]
    assert script.requests[1].headers["content-type"] == "application/x-ndjson"


def test_lines_are_put_together_over_any_cut_and_a_missing_one_is_noticed() -> None:
    data = b'{"index":0}\n\n{"index":1}\n{"index":2}'
    for size in (1, 2, 7, 100):
        reader = LineReader("3")
        rows = [row for at in range(0, len(data), size) for row in reader.feed(data[at : at + size])]
        assert [row["index"] for row in (*rows, *reader.end())] == [0, 1, 2]
    short = LineReader("4")
    short.feed(data)
    with pytest.raises(ProtocolError, match="3 of 4"):
        short.end()
    with pytest.raises(ProtocolError, match="not JSON"):
        LineReader(None).feed(b"{\n")
    with pytest.raises(ProtocolError, match="object"):
        LineReader(None).feed(b"[]\n")


def test_lines_that_are_made_slowly_are_sent_while_they_come() -> None:
    seconds = itertools.count()
    assert [*Upload(({"n": n} for n in range(3)), lambda: float(next(seconds)))] == [
        b'{"n":0}\n',
        b'{"n":1}\n',
        b'{"n":2}\n',
        b"",
    ]


def test_an_upload_is_made_in_pieces_of_a_bounded_size() -> None:
    pieces = list(Upload({"n": "x" * 1000} for _ in range(1000)))
    assert max(map(len, pieces)) < 70_000
    assert sum(piece.count(b"\n") for piece in pieces) == 1000
    with pytest.raises(ConfigError, match="JSON"):
        list(Upload([{"n": float("nan")}]))
