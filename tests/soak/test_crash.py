"""``kill -9`` between a vendor's charge and the booking, and attempts that cost without an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_core import Infrai
from infrai_runtime.store.durable import UNKNOWN
from infrai_runtime.testing import Till
from infrai_runtime.testing.till import price
from infrai_runtime.testing.wall import PLAYS

from .shop import Shop, shop

OK_NANO = price(PLAYS["ok"](False))


def ask(at: Shop, **more: Any) -> httpx.Response:
    body = {"messages": "Hello", "model": "ok", "max_tokens": 50, "idempotency_key": "k", **more}
    headers = {"authorization": f"Bearer {at.key}"}
    return httpx.post(f"{at.url}/ai/chat", json=body, headers=headers, timeout=60, trust_env=False)


def killing(at: Shop) -> Callable[[Mapping[str, Any]], None]:
    """Kills the runtime when the vendor has charged for the first request and not yet answered it."""

    def once(body: Mapping[str, Any]) -> None:
        assert at.runtime is not None
        if at.till.charges == 1:
            at.runtime.process.kill()

    return once


def died_over_its_first_call(at: Shop, **more: Any) -> None:
    at.till.asked = killing(at)
    at.start()
    with pytest.raises(httpx.TransportError):
        ask(at, **more)
    at.kill()
    at.find_the_dead()
    at.start()


@pytest.mark.parametrize("stream", [False, True])
def test_a_vendor_that_honours_a_key_charges_once_for_a_call_that_was_killed_and_made_again(
    tmp_path: Path, stream: bool
) -> None:
    with shop(tmp_path, Till(keyed=True), ("ok",)) as at:
        died_over_its_first_call(at, stream=stream)
        again = ask(at, stream=stream)
        assert (again.status_code, "idempotent-replay" in again.headers) == (200, False)
        repeated = ask(at, stream=stream)
        assert repeated.headers.get("idempotent-replay") == "true", repeated.text
        at.stop()
        books = at.books()
        assert (at.till.charges, at.till.charged_nano) == (1, OK_NANO)
        assert books.settled_nano == books.attempts_nano == OK_NANO
        (unknown,) = (row for row in books.rows if row.outcome == UNKNOWN)
        assert (unknown.idempotency_key, unknown.cost_nano) == ("k", None)


def test_without_a_key_the_outcome_is_on_record_as_unknown_and_covers_the_second_charge(tmp_path: Path) -> None:
    with shop(tmp_path, Till(), ("ok",)) as at:
        died_over_its_first_call(at)
        assert ask(at).status_code == 200
        at.stop()
        books = at.books()
        assert (at.till.charges, books.settled_nano, books.reserved_nano) == (2, OK_NANO, 0)
        (unknown,) = (row for row in books.rows if row.outcome == UNKNOWN)
        assert books.settled_nano < at.till.charged_nano <= books.settled_nano + unknown.reserved_nano


def test_a_key_is_sent_only_to_a_vendor_that_is_said_to_honour_it(tmp_path: Path) -> None:
    seen: list[Mapping[str, str]] = []

    class Noting(Till):
        def play(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
            seen.append(headers)
            return super().play(body, headers)

    for keyed in (False, True):
        with shop(tmp_path / str(keyed), Noting(keyed=keyed), ("ok",)) as at:
            at.start()
            ask(at)
            ask(at, idempotency_key=None)
            at.stop()
    assert ["idempotency-key" in headers for headers in seen] == [False, False, True, False]


@pytest.mark.parametrize("fault", ["http-503", "no-choices", "closed", "cut-mid-content", "usage-absent", "error-late"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_failed_attempts_cost_is_settled_or_on_record(tmp_path: Path, fault: str, stream: bool) -> None:
    with shop(tmp_path, Till(), (fault, "ok")) as at:
        at.start()
        answer = ask(at, model=fault, stream=stream)
        assert answer.status_code in (200, 502)
        at.stop()
        books, account = at.books(), at.till.charged_nano
        assert books.settled_nano == books.attempts_nano
        assert books.settled_nano <= account <= books.settled_nano + books.open_nano
        assert (books.open_nano == 0) == (fault in ("http-503", "no-choices"))
        if fault == "no-choices":
            assert books.settled_nano == account == OK_NANO * at.till.charges > 0


def test_usage_counts_what_a_call_without_an_answer_has_cost(tmp_path: Path) -> None:
    with shop(tmp_path, Till(), ("no-choices",)) as at:
        at.start()
        assert ask(at, model="no-choices").status_code == 502
        with Infrai(at.key, base_url=at.url) as client:
            assert client is not None
        headers = {"authorization": f"Bearer {at.key}"}
        used = httpx.get(f"{at.url}/account/usage", headers=headers, trust_env=False).json()["data"]["total"]
        assert (used["calls"], used["cost_usd"]) == (0, at.till.charged_nano / 10**9)
        at.stop()


def test_a_caller_that_goes_away_from_a_stream_is_booked_with_an_estimate(tmp_path: Path) -> None:
    with shop(tmp_path, Till(), ("stall-late",)) as at:
        at.start()

        async def leave() -> None:
            body = {"messages": "Hello", "model": "stall-late", "stream": True}
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                headers = {"authorization": f"Bearer {at.key}"}
                async with client.stream("POST", f"{at.url}/ai/chat", json=body, headers=headers) as answer:
                    async for line in answer.aiter_lines():
                        if "raccoon" in line:
                            return

        asyncio.run(leave())
        at.stop()
        books = at.books()
        (attempt,) = (row for row in books.rows if row.kind == "attempt")
        assert (attempt.outcome, attempt.estimated) == ("cancelled", True)
        assert 0 < books.settled_nano <= at.till.charged_nano <= books.settled_nano + books.open_nano
