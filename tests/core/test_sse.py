from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrai_core import ProtocolError
from infrai_core.sse import Decoder, Event

STREAM = (
    "\ufeff: hello\r\n"
    "data: one\r\n\r\n"
    "event: error\ndata: two\ndata: 2\n\n"
    "id: 7\nretry: 10\nnonsense\ndata:three\r\r"
    ": keep-alive\n\n"
    "data: 浣熊 🦝\n\n"
    "data\n\n"
    "event: lost\n\n"
    "data:  indented\n\n"
).encode()
EVENTS = [
    Event("message", "one"),
    Event("error", "two\n2"),
    Event("message", "three"),
    Event("message", "浣熊 🦝"),
    Event("message", ""),
    Event("message", " indented"),
]


SIMPLE = (
    "data: one\n\ndata: 浣熊 🦝\n\ndata: three\n\n: keep-alive\n\ndata: four\n\n\n"
    "data: two\ndata: 2\n\nevent: error\ndata: five\n\ndata:six\n\ndata: seven\r\n\r\ndata: eight\n\n"
).encode()
"""A stream of which most is as almost all streams are: events of one line, LF, no byte order mark."""
SIMPLE_EVENTS = [
    *(Event("message", text) for text in ("one", "浣熊 🦝", "three", "four", "two\n2")),
    Event("error", "five"),
    *(Event("message", text) for text in ("six", "seven", "eight")),
]


def decode(*chunks: bytes, **options: int) -> list[Event]:
    decoder = Decoder(**options)
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.end()


def test_events_are_the_same_whole_and_byte_by_byte() -> None:
    assert decode(STREAM) == EVENTS
    assert decode(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == EVENTS


@pytest.mark.parametrize("at", range(1, len(STREAM)))
def test_events_are_the_same_cut_at_any_point(at: int) -> None:
    assert decode(STREAM[:at], STREAM[at:]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_cut_at_any_points(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert decode(*(STREAM[a:b] for a, b in pairwise(places))) == EVENTS


@given(st.lists(st.integers(0, len(SIMPLE)), max_size=12))
def test_events_of_a_simple_stream_are_the_same_cut_at_any_points(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(SIMPLE)]
    assert decode(*(SIMPLE[a:b] for a, b in pairwise(places))) == SIMPLE_EVENTS


@pytest.mark.parametrize("at", range(1, len(SIMPLE)))
def test_an_event_is_given_out_with_the_bytes_that_complete_it(at: int) -> None:
    decoder = Decoder()
    before = SIMPLE[:at].replace(b"\r\n", b"\n")
    # Events end where a blank line does, and of three line ends in a row the last two end nothing.
    assert len(decoder.feed(before)) == len([b for b in before.split(b"\n\n")[:-1] if b"data" in b])


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert decode(b"data: a\xffb\n\n") == [Event("message", "a\ufffdb")]


def test_an_unfinished_event_is_never_given_out() -> None:
    assert decode(b"data: whole\n\ndata: cut\n") == [Event("message", "whole")]


def test_a_stream_of_lone_carriage_returns_ends_well() -> None:
    assert decode(b"data: a\r\rdata: b\r\r") == [Event("message", "a"), Event("message", "b")]


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 50, b"data: xxxxxxxxxx\n"], ids=["one line", "many lines"])
def test_an_event_that_never_ends_raises_instead_of_filling_the_memory(chunk: bytes) -> None:
    decoder = Decoder(max_event_bytes=200)
    with pytest.raises(ProtocolError, match="larger than 200"):
        all(decoder.feed(chunk) == [] for _ in range(100))


def test_a_large_event_in_small_pieces_costs_linear_time() -> None:
    # Quadratic copying would take minutes here and run into the test's time limit.
    decoder = Decoder()
    decoder.feed(b"data: ")
    for _ in range(100_000):
        assert decoder.feed(b"x" * 100) == []
    (event,) = decoder.feed(b"\n\n")
    assert len(event.data) == 10_000_000
