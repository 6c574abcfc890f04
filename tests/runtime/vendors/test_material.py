"""Media on their way to a vendor: brought by the guarded fetcher, named by their bytes, bounded together."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest

from infrai_core.fetch import Fetcher
from infrai_runtime.vendors import material as module
from infrai_runtime.vendors.anthropic import make as claude
from infrai_runtime.vendors.base import Call, Fragment
from infrai_runtime.vendors.gemini import make as gemini
from infrai_runtime.vendors.material import MAX_MEDIA_BYTES, MAX_REQUEST_MEDIA_BYTES, inlined
from tests.core.wall import Play, Wall, http
from tests.runtime.vendors import claude_answers, gemini_answers
from tests.runtime.vendors.oracle import STREAM_HEAD, call_of, failure_of, user, vendor

Json = dict[str, Any]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


def brought(parts: list[Json], fetcher: Fetcher | None = None, fetches: bool = False) -> list[Json]:
    call = Call("m", 10.0, fetcher) if fetcher else call_of("m")
    (message,) = asyncio.run(_inlined([user(*parts)], call, fetches))
    return list(message["parts"])


async def _inlined(messages: Any, call: Call, fetches: bool) -> Any:
    return (await inlined({"messages": messages}, call, lambda part: fetches))["messages"]


def test_what_is_in_place_stays_and_what_has_no_type_gets_that_of_its_bytes() -> None:
    data = base64.b64encode(PNG).decode()
    typed = {"type": "image", "base64": data, "mime": "image/webp"}
    assert brought([typed, {"type": "image", "base64": data}, {"type": "text", "text": "x"}]) == [
        typed,
        {"type": "image", "base64": data, "mime": "image/png"},
        {"type": "text", "text": "x"},
    ]


def test_media_inside_results_of_tools_are_brought_too_and_keep_their_names() -> None:
    with Wall([Play([http(PNG, kind="application/octet-stream")])]) as wall:
        inner = {"type": "file", "url": f"{wall.url}/a", "filename": "a.png"}
        (result,) = brought([{"type": "tool_result", "tool_call_id": "c", "parts": [inner]}])
    data = base64.b64encode(PNG).decode()
    assert result["parts"] == [{"type": "file", "filename": "a.png", "base64": data, "mime": "image/png"}]


def test_a_request_that_is_known_to_hold_no_media_is_handed_on_unread() -> None:
    class Unread(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            raise AssertionError(f"read {name}")

    request = {"messages": [Unread()]}
    assert asyncio.run(inlined(request, replace(call_of("m"), media=False), lambda part: False)) is request


def test_a_url_that_the_vendor_fetches_is_left_to_it() -> None:
    part = {"type": "image", "url": "https://example.com/a.png"}
    assert brought([part], fetches=True) == [part]


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/x", "http://2130706433/x", "http://0x7f.1/x", "http://[::ffff:127.0.0.1]/x"),
        *("http://169.254.169.254/latest/meta-data", "http://metadata.google.internal/x", "file:///etc/passwd"),
    ],
)
def test_no_part_makes_the_runtime_read_its_own_network(url: str) -> None:
    """All bypass forms of the guard are in tests/core/test_fetch.py; here: that the guard is on this path."""
    failure = failure_of(lambda: brought([{"type": "image", "url": url}], Fetcher()))
    assert (failure.code, failure.param) == ("INVALID_REQUEST", "messages.0.parts.0.url")


def test_the_media_of_a_request_are_bounded_together() -> None:
    asked: list[int] = []

    class Counted:
        """Says how much it may bring, and brings all of it."""

        async def get(self, url: str, *, max_bytes: int, timeout_s: float, accept: Any = None) -> Any:
            asked.append(max_bytes)
            return module.Material(bytes(max_bytes), "image/png")

    parts = [{"type": "image", "url": f"https://example.com/{n}"} for n in range(4)]
    brought(parts, Counted())  # type: ignore[arg-type]
    left = MAX_REQUEST_MEDIA_BYTES - 2 * MAX_MEDIA_BYTES
    assert asked == [MAX_MEDIA_BYTES, MAX_MEDIA_BYTES, left, left - min(left, MAX_MEDIA_BYTES)]
    assert sum(asked) <= MAX_REQUEST_MEDIA_BYTES


@pytest.mark.parametrize(
    ("make", "name", "data", "mark"),
    [
        (claude, "anthropic", claude_answers.stream_of(claude_answers.ANSWERS["text"]), b"\n\n"),
        (gemini, "gemini", gemini_answers.stream_of(gemini_answers.ANSWERS["text"]), b"\r\n\r\n"),
    ],
)
def test_leaving_a_stream_ends_the_vendors_work(make: Any, name: str, data: bytes, mark: bytes) -> None:
    started = data[: data.index(mark, data.index(b"Hi!")) + len(mark)]
    with Wall([Play([STREAM_HEAD, started], hang=True)]) as wall:

        async def body() -> None:
            async with vendor(make, name, wall) as made:
                events = made.chat({"messages": [user("hi")]}, call_of("m", stream=True))
                async for event in events:
                    if isinstance(event, Fragment) and event.part.get("text"):
                        break
                await events.aclose()

        asyncio.run(body())
        assert wall.client_closed.wait(5)
