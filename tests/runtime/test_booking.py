"""A store that refuses for a while, handed to a runtime: what could not be booked is booked, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from infrai_core import ConfigError
from infrai_runtime import booking
from infrai_runtime.failure import Failure
from infrai_runtime.live import Live
from infrai_runtime.runtime import Runtime
from infrai_runtime.settings import Settings
from infrai_runtime.store.durable import Booking, Durable, LedgerRow
from infrai_runtime.store.ephemeral import Ephemeral
from infrai_runtime.store.memory import MemoryEphemeral
from infrai_runtime.store.sqlite import SqliteDurable
from infrai_runtime.trace import Trace

from .api import client, settings
from .fake import FakeChat, catalogue, model, says

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Refusing(SqliteDurable):
    """Takes no booking of the calls with these idempotency keys."""

    def __init__(self, path: Path, *keys: str) -> None:
        super().__init__(path)
        self.refused = set(keys)
        self.tried: list[str] = []

    async def book(self, booking: Booking) -> None:
        self.tried.append(booking.admission.key)
        if booking.admission.key in self.refused:
            raise OSError("the disk is full")
        await super().book(booking)


async def run(home: Path, store: Refusing, *keys: str) -> None:
    """A runtime on this store that answers a call with each key, and ends when the store has had all it refuses."""

    async def stores(settings: Settings) -> tuple[Durable, Ephemeral]:
        return store, MemoryEphemeral()

    async with client(home, [FakeChat("a", says("Hi"))], catalogue(model("a")), stores=stores) as api:
        for key in keys:
            answer = await api.post("/ai/chat", json={"messages": "Hello", "model": "big", "idempotency_key": key})
            assert answer.json()["data"]["content"] == "Hi"
        store.refused &= {"never"}


def answers(path: Path) -> list[str]:
    """The idempotency keys of the answers in the ledger."""

    async def read() -> list[LedgerRow]:
        store = SqliteDurable(path)
        ids = {row[0] for row in await store._fetch("SELECT DISTINCT request_id FROM ledger")}
        rows = [row for name in ids for row in await store.rows(name)]
        await store.close()
        return rows

    return sorted(row.idempotency_key or "" for row in asyncio.run(read()) if row.kind == "answer")


def test_what_a_store_did_not_take_is_booked_when_the_runtime_ends(tmp_path: Path) -> None:
    asyncio.run(run(tmp_path, Refusing(tmp_path / "x.db", "one", "two"), "one", "two"))
    assert answers(tmp_path / "x.db") == ["one", "two"]


async def test_while_too_many_calls_wait_to_be_booked_none_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking, "MOST_UNBOOKED", 2)
    store, vendor = Refusing(tmp_path / "x.db", "one", "two", "three"), FakeChat("a", says("Hi"))

    async def stores(settings: Settings) -> tuple[Durable, Ephemeral]:
        return store, MemoryEphemeral()

    async with client(tmp_path, [vendor], catalogue(model("a")), stores=stores) as api:
        asked = [{"messages": "Hello", "model": "big", "idempotency_key": key} for key in ("one", "two", "three")]
        answers = [await api.post("/ai/chat", json=body) for body in asked]
        assert [answer.status_code for answer in answers] == [200, 200, 503]
        assert answers[2].json()["error"]["code"] == "OVERLOADED"
        assert int(answers[2].headers["retry-after"]) >= 1
        assert len(vendor.requests) == 2
        store.refused.clear()


class Slow(SqliteDurable):
    """Never comes back from the first booking."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked = asyncio.Event()

    async def book(self, booking: Booking) -> None:
        if not self.asked.is_set():
            self.asked.set()
            await asyncio.Event().wait()
        await super().book(booking)


class Told:
    """How the calls ended that it was told of."""

    def __init__(self) -> None:
        self.of: list[Failure | None] = []

    def ended(self, trace: Trace, failure: Failure | None) -> None:
        self.of.append(failure)


def test_a_call_whose_caller_leaves_while_it_is_booked_is_booked_and_told_of_once(tmp_path: Path) -> None:
    told = Told()

    async def leave() -> None:
        store = Slow(tmp_path / "x.db")

        async def stores(settings: Settings) -> tuple[Durable, Ephemeral]:
            return store, MemoryEphemeral()

        vendor, rows = FakeChat("a", says("Hi")), catalogue(model("a"))
        async with client(tmp_path, [vendor], rows, stores=stores, observers=[told]) as api:
            asking = asyncio.create_task(api.post("/ai/chat", json={"messages": "Hello", "model": "big"}))
            await store.asked.wait()
            asking.cancel()
            await asyncio.wait([asking])
            assert asking.cancelled()

    asyncio.run(leave())
    assert answers(tmp_path / "x.db") == [""]
    assert told.of == [None]


def test_a_booking_that_a_store_never_takes_holds_up_no_other(tmp_path: Path) -> None:
    store = Refusing(tmp_path / "x.db", "never", "one", "two")
    asyncio.run(run(tmp_path, store, "never", "one", "two"))
    assert answers(tmp_path / "x.db") == ["one", "two"]
    assert store.tried[-3:] == store.tried[:3] == ["never", "one", "two"]


async def test_an_answer_that_is_cancelled_at_once_is_settled_all_the_same() -> None:
    live, settled = Live(("p", "k"), cancel_after_s=None), asyncio.Event()

    async def producer() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            settled.set()

    live.start(producer(), lambda live: None)
    live.cancel()
    await live.ended()
    assert settled.is_set()


async def test_a_task_goes_on_whose_answer_is_cancelled_however_often_and_not_one_that_is_cancelled_itself() -> None:
    async def leads(live: Live) -> bool:
        live.lead()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return live.outlived()
        return False

    for times, itself, goes_on in ((1, False, True), (2, False, True), (1, True, False), (0, True, False)):
        live = Live(("p", "k"), cancel_after_s=None)
        task = asyncio.create_task(leads(live))
        await asyncio.sleep(0)
        for _ in range(times):
            live.cancel()
        if itself:
            task.cancel()
        assert await task is goes_on


async def test_no_comment_follows_the_end_of_an_answer_that_is_still_being_booked() -> None:
    live, booked = Live(("p", "k"), cancel_after_s=None), asyncio.Event()

    async def producer() -> None:
        await live.put(b"the end")
        live.seal()
        await booked.wait()
        live.finish()

    live.start(producer(), lambda live: None)
    reading = asyncio.ensure_future(collected(live))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.05, booked.set)
    assert await reading == [b"the end"]


async def collected(live: Live) -> list[bytes]:
    return [frame async for frame, _ in live.read(keep_alive_s=0.001)]


def test_a_runtime_that_cannot_start_closes_its_stores(tmp_path: Path) -> None:
    store = SqliteDurable(tmp_path / "x.db")

    async def stores(settings: Settings) -> tuple[Durable, Ephemeral]:
        return store, MemoryEphemeral()

    async def start() -> None:
        await Runtime(settings(tmp_path, vendors_file=tmp_path / "none.toml"), None, None, stores=stores).service()

    with pytest.raises(ConfigError, match="INFRAI_VENDORS_FILE"):
        asyncio.run(start())
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        asyncio.run(store._fetch("SELECT 1"))
