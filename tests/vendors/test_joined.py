"""What came at once goes on as one piece."""

from __future__ import annotations

from infrai_core.sse import Event as SentEvent
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Event, Finish, Fragment, Note
from infrai_runtime.vendors.remote import joined, made_of


def said(text: str, index: int = 0, choice: int = 0, **more: object) -> Fragment:
    return Fragment(index, {"type": "text", "text": text, **more}, choice)


def test_pieces_of_one_text_that_came_at_once_become_one() -> None:
    assert list(joined([said("Par"), said("is"), said(".")])) == [said("Paris.")]


def test_pieces_of_a_calls_arguments_become_one() -> None:
    pieces = [Fragment(1, {"type": "tool_call", "arguments": text}) for text in ('{"a"', ":1}")]
    assert list(joined(pieces)) == [Fragment(1, {"type": "tool_call", "arguments": '{"a":1}'})]


def test_pieces_of_other_parts_answers_and_kinds_stay_apart_and_in_order() -> None:
    events: list[Event] = [
        Note(warning="w"),
        Note(warning="w"),
        said("a"),
        said("b", index=1),
        said("c", choice=1),
        Fragment(0, {"type": "reasoning", "text": "d"}),
        said("e"),
        Fragment(0, {"type": "text", "done": True}),
        said("f", logprobs=[]),
        said("g", logprobs=[]),
        Finish("stop"),
    ]
    assert list(joined(events)) == events


def test_what_was_made_before_a_failure_is_passed_on() -> None:
    def read(sent: SentEvent) -> list[Event]:
        if sent.data == "bad":
            raise Failure("VENDOR_ERROR", "broken")
        return [said(sent.data)]

    made, failure = made_of([SentEvent("message", text) for text in ("a", "b", "bad", "c")], read)
    assert made == [said("a"), said("b")]
    assert failure is not None
