from __future__ import annotations

import pickle
import traceback

import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.keyring import Hidden, Keyring


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def labels(ring: Keyring, model: str = "m") -> list[str]:
    return [key.label for key in ring.turn(model)]


def test_keys_take_turns(clock: Clock) -> None:
    ring = Keyring("acme", ["a", "b", "c"], clock)
    assert [labels(ring)[0] for _ in range(4)] == ["#1", "#2", "#3", "#1"]
    assert labels(ring) == ["#2", "#3", "#1"]


def test_a_refused_key_rests_for_every_model_and_longer_each_time(clock: Clock) -> None:
    ring = Keyring("acme", ["a", "b"], clock)
    first = ring.turn("m")[0]
    assert ring.refused(first, "m", Failure("UNAUTHORIZED", "no"))
    assert labels(ring, "m") == labels(ring, "other") == ["#2"]
    clock.now += 61
    assert "#1" in labels(ring)
    ring.refused(first, "m", Failure("UNAUTHORIZED", "no"))
    clock.now += 61
    assert labels(ring) == ["#2"]
    clock.now += 60
    assert "#1" in labels(ring)


def test_calls_that_are_refused_together_are_one_refusal(clock: Clock) -> None:
    """Else a vendor that refuses a busy key for a moment is not asked again for an hour."""
    ring = Keyring("acme", ["a"], clock)
    turns = [ring.turn("m")[0] for _ in range(20)]
    for key in turns:
        ring.refused(key, "m", Failure("UNAUTHORIZED", "no"))
    with pytest.raises(Failure, match="is asked again in 60 s"):
        ring.turn("m")
    clock.now += 60
    assert labels(ring) == ["#1"]


def test_a_limited_key_rests_for_its_model_until_the_vendor_said(clock: Clock) -> None:
    ring = Keyring("acme", ["a"], clock)
    key = ring.turn("m")[0]
    ring.refused(key, "m", Failure("RATE_LIMITED", "slow down", retry_after_s=7))
    assert labels(ring, "other") == ["#1"]
    with pytest.raises(Failure, match="slow down") as caught:
        ring.turn("m")
    assert (caught.value.code, caught.value.retry_after_s) == ("RATE_LIMITED", 7)
    clock.now += 7
    assert labels(ring, "m") == ["#1"]


def test_a_key_that_works_again_is_forgiven(clock: Clock) -> None:
    ring = Keyring("acme", ["a"], clock)
    key = ring.turn("m")[0]
    ring.refused(key, "m", Failure("UNAUTHORIZED", "no"))
    assert not ring.health()[0].healthy
    assert ring.health()[0].rests == [("*", "UNAUTHORIZED", 60.0)]
    ring.worked(key, "m")
    assert ring.health()[0].healthy
    assert labels(ring) == ["#1"]


def test_a_wrong_request_says_nothing_of_the_key(clock: Clock) -> None:
    ring = Keyring("acme", ["a"], clock)
    assert not ring.refused(ring.turn("m")[0], "m", Failure("INVALID_REQUEST", "no"))
    assert not ring.refused(ring.turn("m")[0], "m", Failure("VENDOR_ERROR", "no"))
    assert ring.health()[0].healthy


def test_a_vendor_without_keys_has_a_turn_too() -> None:
    ring = Keyring("ollama", [])
    assert len(ring) == 0
    assert [key.secret for key in ring.turn("m")] == [""]


def test_no_key_is_seen_in_reprs_tracebacks_or_pickles() -> None:
    ring = Keyring("acme", ["sk-very-secret"])
    key = ring.turn("m")[0]
    header = Hidden("Bearer " + key.secret)
    assert "very" not in repr((ring, key, header, {"Authorization": header}))
    assert header == "Bearer sk-very-secret"
    try:
        raise ValueError("x")
    except ValueError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert "very-secret" not in "".join(told.format())
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
