"""Every fault × whole and stream × first and second vendor, on real sockets: the outcome is the one of ``faults.toml``.

One runtime has a vendor pair of its own for each cell, because a refused key rests for all models of its vendor. The
cells of a fault are asked for at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_core import AsyncInfrai, Retry, StatusError, StreamInterrupted
from infrai_core.errors import CODES
from infrai_runtime.app import create_app
from infrai_runtime.catalogue import Catalogue, Model, Prices
from infrai_runtime.testing import Wall, faults, table
from infrai_runtime.testing.expected import MODES, PLACES
from infrai_runtime.testing.wall import HUGE_CHARACTERS, PLAYS, TEXT
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.http import Pool
from infrai_runtime.vendors.keyring import Hidden
from infrai_runtime.vendors.openai_like import make
from tests.runtime.api import events, served, settings

AT_ONCE = 8
FACES = ("native", "openai")
REQUEST_IS_WRONG = {"INVALID_REQUEST", "CONTENT_FILTERED", "PAYLOAD_TOO_LARGE"}
PATIENCE: dict[str, Any] = {
    "first_token_timeout_s": 4.0,
    "idle_timeout_s": 4.0,
    "first_delta_wait_s": 30.0,
    "retries": 1,
    "retry_pause_s": 0.0,
}


@dataclass(frozen=True)
class Cell:
    """One cell of the table, over one of the two surfaces."""

    fault: str
    mode: str
    place: str
    face: str

    @property
    def label(self) -> str:
        return f"{self.fault}-{self.mode}-{self.place}-{self.face}"

    @property
    def plays(self) -> tuple[str, str]:
        """What the two vendors do."""
        return (self.fault, "ok") if self.place == "first" else ("http-503", self.fault)

    @property
    def own_first(self) -> bool:
        """Whether the first vendor answers."""
        return self.expected == "answer" and self.place == "first"

    @property
    def expected(self) -> str:
        return faults()[self.fault].of(self.mode, self.place)


CELLS = [Cell(fault, mode, place, face) for fault in faults() for mode in MODES for place in PLACES for face in FACES]


@dataclass
class Came:
    """What the caller saw: the status, and whole bodies or the data of all events."""

    status: int
    data: list[Any] = field(default_factory=list)
    retry_after: str | None = None


def pairs(wall: Wall, cell: Cell) -> Iterator[tuple[Entry, Model]]:
    """The two vendors of a cell and their rows: one model in two spellings, the second a little dearer."""
    for n, play in enumerate(cell.plays):
        name = f"{'ab'[n]}-{cell.label}"
        row = Prices.of_usd({"input_mtok": 1, "output_mtok": 1 + 0.1 * n})
        entry = Entry(name, "openai", wall.url_of(play), "test", keys=(Hidden(f"key-{n}"),))
        yield entry, Model(f"{play}/{cell.label}", name, "chat", prices=row)


def body_of(cell: Cell) -> dict[str, Any]:
    given = {"messages": [{"role": "user", "content": "hi"}], "model": cell.label, "stream": cell.mode == "stream"}
    return given | {
        "prefer": "cheapest",
        "timeout_seconds": 4 if "stall" in cell.fault and cell.mode == "whole" else 20,
    }


PATHS = {"native": "/ai/chat", "openai": "/chat/completions"}


async def ask(client: httpx.AsyncClient, cell: Cell) -> Came:
    answer = await client.post(PATHS[cell.face], json=body_of(cell))
    streamed = answer.headers["content-type"].startswith("text/event-stream")
    return Came(
        answer.status_code,
        events(answer.text) if streamed else [answer.json()],
        answer.headers.get("retry-after"),
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wall")


async def all_cells(url: str, cells: list[Cell]) -> dict[Cell, Came]:
    gate = asyncio.Semaphore(AT_ONCE)
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:

        async def one(cell: Cell) -> Came:
            async with gate:
                return await ask(client, cell)

        return dict(zip(cells, await asyncio.gather(*map(one, cells)), strict=True))


@pytest.fixture(scope="module")
def runtime(home: Path) -> Iterator[str]:
    with Wall() as wall:
        pool = Pool()
        made = [pair for cell in CELLS for pair in pairs(wall, cell)]
        vendors = [make(entry, pool) for entry, _ in made]
        rows = Catalogue(tuple(row for _, row in made))
        with served(create_app(settings(home, **PATIENCE), vendors, rows)) as url:
            yield url


def metadata_of(cell: Cell, came: Came) -> dict[str, Any]:
    holder = next(
        row for row in reversed(came.data) if isinstance(row, dict) and ("metadata" in row or "infrai" in row)
    )
    found: dict[str, Any] = holder["metadata" if cell.face == "native" else "infrai"]
    return found


def text_of(cell: Cell, came: Came) -> str:
    if cell.mode == "whole" and cell.face == "native":
        return str(came.data[0]["data"]["content"])
    if cell.mode == "whole":
        return str(came.data[0]["choices"][0]["message"]["content"])
    deltas = (row.get("delta") or row.get("choices") for row in came.data if isinstance(row, dict))
    flat = (d[0]["delta"] if isinstance(d, list) else d for d in deltas if d)
    return "".join(delta.get("content") or "" for delta in flat)


def code_of(came: Came) -> str | None:
    errors = [row["error"] for row in came.data if isinstance(row, dict) and row.get("error")]
    code = str(errors[-1]["code"]) if errors else None
    return "CONTENT_FILTERED" if code == "content_filter" else code  # the OpenAI surface says OpenAI's word


def outcome(cell: Cell, came: Came) -> str:
    """What came, in the words of the table."""
    code = code_of(came)
    whole = came.status == 200 and code is None and (cell.mode == "whole" or came.data[-1] == "[DONE]")
    if code is not None and came.status == 200:
        assert "[DONE]" not in came.data, "a cut stream has an end mark"
        return f"cut {code}"
    if not whole:
        return str(code)
    vendor = metadata_of(cell, came)["vendor"]
    return "answer" if vendor.startswith("a-" if cell.place == "first" else "b-") else "next"


@pytest.mark.parametrize("fault", faults())
def test_a_fault_has_its_outcomes_and_the_attempts_tell_it(fault: str, runtime: str) -> None:
    cells = [cell for cell in CELLS if cell.fault == fault]
    for cell, found in asyncio.run(all_cells(runtime, cells)).items():
        assert outcome(cell, found) == cell.expected, (cell, found)
        check_content(cell, found)
        check_attempts(cell, found)


def check_content(cell: Cell, came: Came) -> None:
    if cell.expected in ("answer", "next"):
        wanted = "raccoon " * (HUGE_CHARACTERS // 8) if cell.fault == "huge" and cell.expected == "answer" else TEXT
        assert text_of(cell, came) == wanted, cell
    elif cell.expected.startswith("cut"):
        assert TEXT.startswith(text_of(cell, came)), cell
    else:
        assert came.status == CODES[cell.expected].status, cell


def check_attempts(cell: Cell, came: Came) -> None:
    rows = metadata_of(cell, came)["attempts"]
    vendors = [row["vendor"] for row in rows]
    assert vendors[:2] == [f"{letter}-{cell.label}" for letter in "ab"][: len(vendors)], cell
    assert all(row["latency_ms"] is not None for row in rows), cell
    if cell.expected in ("answer", "next"):
        assert [row["outcome"] == "ok" for row in rows] == ([True] if cell.own_first else [False, True]), cell
    else:
        assert "ok" not in {row["outcome"] for row in rows}, cell
        assert cell.expected.split()[-1] in {row["outcome"] for row in rows}, cell
    if cell.expected in REQUEST_IS_WRONG:  # nobody was asked after the one who said so
        assert [row["outcome"] for row in rows].index(cell.expected) == len(rows) - 1, cell


@pytest.mark.parametrize("mode", MODES)
def test_usage_that_did_not_come_is_marked_as_an_estimate(mode: str, runtime: str) -> None:
    names = ("usage-twice", "usage-absent", "usage-null", "usage-zero")
    came = asyncio.run(all_cells(runtime, [Cell(name, mode, "first", "native") for name in names]))
    twice, *unsaid = [
        found.data[0]["data"]["usage"] if mode == "whole" else found.data[-2]["usage"] for found in came.values()
    ]
    assert twice["total_tokens"] == 21
    for usage in unsaid:  # zero tokens for something is nothing said
        assert usage["estimated"]
        assert usage["total_tokens"] > 10


# -- the client -------------------------------------------------------------------------------------------------------

STREAMS = [cell for cell in CELLS if cell.mode == "stream" and cell.face == "native" and cell.place == "first"]


async def read_by_the_client(url: str, dialect: Any) -> dict[Cell, Any]:
    """The text of every stream as our client gives it out, or the error that it raised."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with AsyncInfrai(api_key="none", base_url=url, dialect=dialect, retry=Retry(0)) as client:

        async def one(cell: Cell) -> Any:
            options = {name: value for name, value in body_of(cell).items() if name not in ("messages", "stream")}
            async with gate:
                try:
                    stream = client.stream_chat("hi", **options)
                    return "".join([chunk.delta.content or "" async for chunk in stream])
                except (StatusError, StreamInterrupted) as error:
                    return error

        return dict(zip(STREAMS, await asyncio.gather(*map(one, STREAMS)), strict=True))


@pytest.mark.parametrize("dialect", FACES)
def test_the_client_never_gives_out_a_cut_stream_as_whole(runtime: str, dialect: str) -> None:
    read = asyncio.run(read_by_the_client(runtime, dialect))
    for cell, found in read.items():
        whole = cell.expected in ("answer", "next")
        assert isinstance(found, str) == whole, (cell, found)


# -- the wall itself --------------------------------------------------------------------------------------------------


def test_the_wall_and_the_table_have_the_same_faults() -> None:
    assert {*PLAYS, "refused", "tls", "dns"} == faults().keys()


def test_the_documentation_shows_the_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "fault-wall.md"
    assert table() in page.read_text("utf-8")


def test_a_model_that_selects_no_fault_is_not_found() -> None:
    with Wall() as wall:
        answer = httpx.post(f"{wall.url}/chat/completions", json={"model": "no-such-fault", "messages": []})
    assert (answer.status_code, wall.requests[0]["model"]) == (404, "no-such-fault")
