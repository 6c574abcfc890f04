"""What is lost when something dies: a runtime, Redis, PostgreSQL. Nothing that anybody pays for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from infrai_core import ChatReply, Retry
from infrai_runtime.store.durable import UNKNOWN

from .fleet import Fleet, until
from .state import Key
from .vendor import COST_NANO

CALLERS, CALLS = 8, 40


# -- a runtime ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def killed(three: Fleet) -> Iterator[Fleet]:
    """The fleet, whose second runtime comes back after the test has killed it."""
    yield three
    three.restart(1)


def test_nothing_is_lost_and_nothing_paid_twice_when_a_runtime_is_killed_under_load(killed: Fleet) -> None:
    three, key, doomed = killed, killed.key(), killed.key()
    patient = Retry(attempts=6, first_s=0.1, max_s=1.0)
    prompts = [f"load {n}" for n in range(CALLS)]
    with (
        three.vendor.holding("held") as gate,
        three.vendor.holding("load 20") as middle,
        ThreadPoolExecutor(CALLERS + 1) as pool,
        three.client(key, retry=patient) as client,
    ):
        held = pool.submit(three.ask, doomed, three.replicas[1], "held")
        gate.wait()
        owner = three.owner(doomed)

        def call(prompt: str) -> ChatReply:
            return client.chat(prompt, model="m", max_tokens=5)

        calls = [pool.submit(call, prompt) for prompt in prompts]
        middle.wait()
        three.kill(1)
        assert held.exception() is not None
        middle.open()

        def answered() -> bool:
            three.leases_are_over(owner)
            return all(made.done() for made in calls)

        until(answered, "every caller has its answer")
        replies = [made.result() for made in calls]
    assert [reply.content for reply in replies] == [f"Answer to {prompt}" for prompt in prompts]
    until(lambda: three.running(key) + three.running(doomed) == 0, "what the dead one left is found")
    check(three, key, prompts, {reply.metadata.request_id or "" for reply in replies})
    (unknown,) = three.ledger(doomed)
    assert (unknown.outcome, unknown.cost_nano, unknown.reserved_nano > 0) == (UNKNOWN, None, True)
    assert three.money(doomed) == (0, 0)


def check(three: Fleet, key: Key, prompts: list[str], answered: set[str]) -> None:
    """Every answer is booked once, and the vendor's account is explained: what was settled, and at most what had been
    set aside for calls whose outcome nobody knows."""
    rows = three.ledger(key)
    booked = [row for row in rows if row.kind == "answer"]
    assert {row.request_id for row in booked} >= answered
    assert len(booked) == len({row.request_id for row in booked})
    spent, reserved = three.money(key)
    assert (spent, reserved) == (sum(row.cost_nano or 0 for row in booked), 0)
    unknown = [row for row in rows if row.outcome == UNKNOWN]
    account = COST_NANO * sum(three.vendor.charged(prompt) for prompt in prompts)
    assert spent <= account <= spent + sum(row.reserved_nano for row in unknown)
    assert account <= COST_NANO * (len(prompts) + len(unknown))


def test_a_batch_that_a_killed_runtime_worked_on_is_finished_by_another(three: Fleet) -> None:
    key, names = three.key(), [three.name_of(number) for number in range(3)]
    prompts = [f"row {n}" for n in range(40)]
    requests = [{"capability": "chat", "body": {"messages": p, "model": "m", "max_tokens": 5}} for p in prompts]
    with three.vendor.holding("row 20") as gate, three.client(key) as client:
        made = client.batch_submit(requests)
        gate.wait()
        ((holder,),) = three.on_store(lambda store: store._fetch("SELECT owner FROM batch_shard WHERE done = 0"))
        number = names.index(holder)
        three.kill(number)
        gate.open()
        three.leases_are_over(holder)
        ended = client.batch_wait(made.batch_id, poll_s=0.1, timeout_s=30)
        results = client.batch_results(made.batch_id).results
    three.restart(number)
    assert (ended.state, ended.completed_count, ended.failed_count) == ("completed", 40, 0)
    assert [row["data"]["content"] for row in results] == [f"Answer to {prompt}" for prompt in prompts]
    check(three, key, prompts, {row["metadata"]["request_id"] for row in results})


def test_the_proxy_asks_no_dead_runtime_and_finds_one_that_is_back(three: Fleet) -> None:
    key = three.key()
    three.kill(2)
    answers = [three.ask(key, three.proxy, "two of three", idempotency_key=f"k{n}") for n in range(12)]
    assert {answer.status_code for answer in answers} == {200}
    three.restart(2)
    assert three.ask(key, three.replicas[2], "back").status_code == 200


# -- Redis -------------------------------------------------------------------------------------------------------------


def test_without_redis_each_runtime_goes_on_by_itself_until_it_is_back(three: Fleet) -> None:
    key, limited = three.key(), three.key(requests_per_minute=1)
    three.stop_redis()
    try:
        assert [three.ask(key, at, "alone").status_code for at in (*three.replicas, three.proxy)] == [200] * 4
        assert three.ready() == "degraded"
        # Each grants the whole limit by itself, and no more.
        assert [three.ask(limited, at, "each").status_code for at in three.replicas] == [200] * 3
        assert [three.ask(limited, at, "each").status_code for at in three.replicas] == [429] * 3
        own = [three.ask(key, at, "own", cache_strategy="infrai").json() for at in three.replicas]
        assert [answer["metadata"]["cache_hit"] for answer in own] == [False] * 3
    finally:
        three.start_redis()
    until(lambda: three.ready() == "ok", "Redis is back")

    def shared() -> bool:
        answers = [three.ask(key, at, "shared", cache_strategy="infrai").json() for at in three.replicas]
        return all(answer["metadata"]["cache_hit"] for answer in answers)

    until(shared, "the cache is shared again")


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


def test_without_postgres_no_vendor_is_asked_and_what_was_asked_is_booked_when_it_is_back(three: Fleet) -> None:
    key, (first, second, _) = three.key(), three.replicas
    with three.vendor.holding("under way") as gate, ThreadPoolExecutor(2) as pool:
        whole = pool.submit(three.ask, key, first, "under way", idempotency_key="whole")
        told = pool.submit(three.ask, key, second, "under way", idempotency_key="told", stream=True)
        gate.wait(2)
        three.stop_postgres()
        try:
            for at in (*three.replicas, three.proxy):
                refused = three.ask(key, at, "refused")
                error = refused.json()["error"]
                assert (refused.status_code, error["code"], error["retryable"]) == (503, "OVERLOADED", True)
                assert int(refused.headers["retry-after"]) >= 1
            gate.open()
            assert whole.result().json()["data"]["content"] == "Answer to under way"
            assert told.result().content.endswith(b"data: [DONE]\n\n")
            until(lambda: three.ready() == "unavailable", "they say so")
        finally:
            three.start_postgres()
    until(lambda: three.ready() == "ok", "PostgreSQL is back")
    until(lambda: three.money(key) == (2 * COST_NANO, 0), "both answers are booked")
    assert three.vendor.charged("refused") == 0
    assert (
        sorted((row.kind, row.outcome) for row in three.ledger(key)) == [("answer", "ok")] * 2 + [("attempt", "ok")] * 2
    )
    for name, stream, made in (("whole", {}, whole), ("told", {"stream": True}, told)):
        again = three.ask(key, three.proxy, "under way", idempotency_key=name, **stream)
        assert again.headers["idempotent-replay"] == "true"
        assert again.content == made.result().content
