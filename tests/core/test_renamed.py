"""An exception that leaves a block as another one: which one, why, and what is kept of the block."""

from __future__ import annotations

import weakref

import pytest

from infrai_core.renamed import Renamed


class Held:
    """What a frame of the block holds."""


def named(error: Exception) -> Exception | None:
    return LookupError(f"no {error}") if isinstance(error, ValueError) else None


def without_cause(error: Exception) -> Exception:
    made = LookupError("no")
    made.__cause__ = None
    return made


def test_the_new_exception_has_the_old_one_as_its_cause() -> None:
    old = ValueError("x")
    with pytest.raises(LookupError, match="no x") as told, Renamed(named):
        raise old
    assert told.value.__cause__ is old


def test_a_cause_that_was_taken_away_stays_away() -> None:
    with pytest.raises(LookupError) as told, Renamed(without_cause):
        raise ValueError("x")
    assert (told.value.__cause__, told.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize("kind", [TypeError, KeyboardInterrupt])
def test_what_has_no_other_name_leaves_as_it_is(kind: type[BaseException]) -> None:
    old = kind("x")
    with pytest.raises(kind) as told, Renamed(named):
        raise old
    assert told.value is old
    assert old.__cause__ is None


@pytest.mark.usefixtures("uncollected")
def test_what_the_block_held_is_freed_with_the_exception() -> None:
    def block() -> None:
        held = Held()
        seen.append(weakref.ref(held))
        with Renamed(named):
            raise ValueError("x")

    seen: list[weakref.ref[Held]] = []
    with pytest.raises(LookupError):
        block()
    assert seen[0]() is None
