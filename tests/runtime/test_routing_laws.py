"""Laws of a plan that hold for any catalogue, request and health."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infrai_runtime.catalogue import Catalogue, Model, Prices, canonical
from infrai_runtime.eligible import Fleet
from infrai_runtime.failover import beyond_cap
from infrai_runtime.failure import Failure
from infrai_runtime.health import Health
from infrai_runtime.request import read
from infrai_runtime.routing import Plan, plan

from .fake import FakeChat, says

VENDORS = ("a", "b", "c", "d")
IDS = ("m", "maker/m", "n", "glm-5.3", "glm-5p3")
usd = st.none() | st.sampled_from(["0", "0.01", "0.5", "3", "40"])
few = settings(max_examples=150)


@st.composite
def models(draw: st.DrawFn) -> Model:
    into, out = draw(usd), draw(usd)
    prices = Prices.of_usd({n: v for n, v in (("input_mtok", into), ("output_mtok", out)) if v is not None})
    return Model(
        draw(st.sampled_from(IDS)),
        draw(st.sampled_from(VENDORS)),
        "chat",
        prices=prices,
        context_window=draw(st.none() | st.integers(1, 100)),
        abilities=frozenset(draw(st.sets(st.sampled_from(["tools", "json"])))),
        tiers={"general": draw(st.integers(0, 100)), "coding": draw(st.integers(0, 100))},
    )


def unique(rows: list[Model]) -> list[Model]:
    return list({row.name: row for row in rows}.values())


catalogues = st.lists(models(), max_size=12).map(unique)
names = st.sampled_from([f"{vendor}/{model}" for vendor in VENDORS for model in IDS])
healths = st.builds(Health, st.dictionaries(names, st.floats(0.1, 60)), st.dictionaries(names, st.floats(1, 1000)))


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": draw(st.text(max_size=60)) or "x"}
    body["prefer"] = draw(st.sampled_from(["cheapest", "balanced", "smartest"]))
    body["task"] = draw(st.sampled_from(["general", "coding"]))
    body["max_cost_multiplier"] = draw(st.floats(1, 10))
    pins = {"vendor": st.sampled_from(VENDORS), "model": st.sampled_from(IDS), "max_tokens": st.integers(1, 50)}
    for name, values in pins.items():
        if draw(st.booleans()) and draw(st.booleans()):
            body[name] = draw(values)
    if draw(st.booleans()):
        body["response_format"] = {"type": "json_object"}
    return body


def planned(body: Mapping[str, Any], rows: list[Model], health: Health, last: str | None = None) -> Plan | Failure:
    there = Fleet({name: FakeChat(name, says("x")) for name in VENDORS})
    try:
        return plan(read("chat", body), Catalogue(tuple(rows)), there, health, last=last)
    except Failure as failure:
        return failure


@few
@given(bodies(), catalogues, healths, st.none() | names, st.randoms(use_true_random=False))
def test_a_plan_does_not_depend_on_the_order_of_the_catalogue(
    body: dict[str, Any], rows: list[Model], health: Health, last: str | None, chance: random.Random
) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    one, other = planned(body, rows, health, last), planned(body, shuffled, health, last)
    if isinstance(one, Plan):
        assert isinstance(other, Plan)
        assert one.candidates == other.candidates
        assert one.reason == other.reason
    else:
        assert isinstance(other, Failure)
        assert one.code == other.code


@few
@given(bodies(), catalogues, healths, st.none() | names)
def test_every_model_is_a_candidate_or_dropped_with_a_reason(
    body: dict[str, Any], rows: list[Model], health: Health, last: str | None
) -> None:
    made = planned(body, rows, health, last)
    if not isinstance(made, Plan) or "vendor" in body:
        return
    kept, dropped = {c.name for c in made.candidates}, {row.name for row in made.dropped}
    assert kept | dropped == {row.name for row in rows}
    assert not kept & dropped
    assert all(row.reason for row in made.dropped)


@few
@given(bodies(), catalogues, healths, st.none() | names)
def test_pins_are_never_left(body: dict[str, Any], rows: list[Model], health: Health, last: str | None) -> None:
    made = planned(body, rows, health, last)
    if not isinstance(made, Plan):
        return
    if "vendor" in body:
        assert len(made.candidates) == 1
        assert made.candidates[0].model.vendor == body["vendor"]
    if "model" in body:
        assert {canonical(c.model.id) for c in made.candidates} == {canonical(body["model"])}


@few
@given(bodies(), catalogues, healths)
def test_a_candidate_can_do_what_is_asked_and_has_room_for_it(
    body: dict[str, Any], rows: list[Model], health: Health
) -> None:
    made = planned(body, rows, health)
    for candidate in made.candidates if isinstance(made, Plan) else ():
        if candidate.model.assumed:
            continue
        assert "response_format" not in body or "json" in candidate.model.abilities
        assert candidate.model.context_window is None or candidate.model.context_window >= body.get("max_tokens", 1)


@few
@given(bodies(), catalogues, healths)
def test_a_failover_is_never_dearer_than_the_cap_and_never_of_unknown_price(
    body: dict[str, Any], rows: list[Model], health: Health
) -> None:
    made = planned(body, rows, health)
    if not isinstance(made, Plan):
        return
    first, *others = made.candidates
    for other in others:
        if not beyond_cap(other, first, body["max_cost_multiplier"]):
            assert other.expected_nano is not None
            assert other.expected_nano <= (first.expected_nano or 0) * body["max_cost_multiplier"]


@few
@given(bodies(), catalogues)
def test_the_first_is_the_best_by_what_was_preferred(body: dict[str, Any], rows: list[Model]) -> None:
    made = planned(body, rows, Health())
    if not isinstance(made, Plan):
        return
    first = made.candidates[0]
    if body["prefer"] == "smartest":
        assert first.model.quality(body["task"]) == max(c.model.quality(body["task"]) for c in made.candidates)
    known = [c.expected_nano for c in made.candidates if c.expected_nano is not None]
    if body["prefer"] == "cheapest" and known:
        assert first.expected_nano == min(known)
    if body["prefer"] == "balanced" and known:
        assert first.expected_nano is not None


@few
@given(bodies(), catalogues, healths)
def test_rest_and_latency_change_no_costs_and_drop_nobody(
    body: dict[str, Any], rows: list[Model], health: Health
) -> None:
    with_health, without = planned(body, rows, health), planned(body, rows, Health())
    assert isinstance(with_health, Plan) == isinstance(without, Plan)
    if isinstance(with_health, Plan) and isinstance(without, Plan) and "vendor" not in body:
        assert {(c.name, c.expected_nano) for c in with_health.candidates} == {
            (c.name, c.expected_nano) for c in without.candidates
        }
