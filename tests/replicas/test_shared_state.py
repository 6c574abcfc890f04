"""Three runtimes behind a proxy are one service: what one knows, all know."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from functools import partial

import httpx

from infrai_cli.main import main
from infrai_runtime.store.durable import Budget, key_scope, tag_scope

from .fleet import Fleet, together, until
from .state import Key
from .vendor import COST_NANO

KEY_CHANGE_S = 5.0
"""Within this time a change of keys is known everywhere (docs/deploy.md)."""

# -- idempotency -------------------------------------------------------------------------------------------------------


def test_a_repetition_is_replayed_by_another_runtime(three: Fleet) -> None:
    key = three.key()
    first, second, third = three.replicas
    answer = three.ask(key, first, "replay", idempotency_key="k")
    assert answer.status_code == 200, answer.text
    for other in (second, third, three.proxy):
        again = three.ask(key, other, "replay", idempotency_key="k")
        assert again.headers["idempotent-replay"] == "true"
        assert again.content == answer.content
    refused = three.ask(key, second, "another", idempotency_key="k")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "IDEMPOTENCY_CONFLICT")
    assert three.vendor.charged("replay") == 1


def test_a_stream_is_replayed_by_another_runtime_as_it_was(three: Fleet) -> None:
    key = three.key()
    first, second, _ = three.replicas
    answer = three.ask(key, first, "told", idempotency_key="k", stream=True)
    again = three.ask(key, second, "told", idempotency_key="k", stream=True)
    assert answer.content.endswith(b"data: [DONE]\n\n")
    assert again.content == answer.content
    assert (again.headers["idempotent-replay"], again.headers["content-type"]) == ("true", "text/event-stream")
    assert three.vendor.charged("told") == 1


def test_a_call_that_runs_is_joined_in_its_process_and_waited_for_from_others(three: Fleet) -> None:
    key = three.key()
    first, second, _ = three.replicas
    with three.vendor.holding("slow") as gate, ThreadPoolExecutor(3) as pool:
        made = pool.submit(three.ask, key, first, "slow", idempotency_key="k")
        gate.wait()
        joined = pool.submit(three.ask, key, first, "slow", idempotency_key="k")
        refused = three.ask(key, second, "slow", idempotency_key="k")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
        assert int(refused.headers["retry-after"]) >= 1
        with three.client(key, second) as client:
            waiting = pool.submit(client.chat, "slow", model="m", max_tokens=5, idempotency_key="k")
            gate.open()
            assert joined.result().content == made.result().content
            assert waiting.result().content == "Answer to slow"
    assert three.vendor.charged("slow") == 1
    assert three.money(key) == (COST_NANO, 0)


def test_the_proxy_brings_a_repetition_to_the_process_that_makes_its_answer(three: Fleet) -> None:
    key = three.key()
    headers = {"authorization": f"Bearer {key.secret}", "idempotency-key": "brought"}
    asked = {"messages": "brought", "model": "m", "max_tokens": 5}
    ask = partial(httpx.post, f"{three.proxy}/v1/ai/chat", json=asked, headers=headers, timeout=30, trust_env=False)
    with three.vendor.holding("brought") as gate, ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask)
        gate.wait()
        others = [pool.submit(ask) for _ in range(3)]
        gate.open()
        assert {reply.result().content for reply in [first, *others]} == {first.result().content}
    assert first.result().status_code == 200
    assert three.vendor.charged("brought") == 1


# -- limits ------------------------------------------------------------------------------------------------------------


def test_requests_per_minute_are_counted_together(three: Fleet) -> None:
    key, began = three.key(requests_per_minute=3), time.monotonic()
    answers = [three.ask(key, at, "rpm") for at in three.replicas * 3]
    granted = [answer.status_code for answer in answers].count(200)
    came_back = int((time.monotonic() - began) / 20)  # one every twenty seconds, for which a machine may be slow enough
    assert 3 <= granted <= 3 + came_back
    for refused in (answer for answer in answers if answer.status_code != 200):
        assert (refused.status_code, refused.headers["x-ratelimit-limit-requests"]) == (429, "3")
        assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert three.vendor.charged("rpm") == granted


def test_tokens_per_minute_are_counted_together(three: Fleet) -> None:
    key = three.key(tokens_per_minute=50)
    left = [int(three.ask(key, at, "tpm").headers["x-ratelimit-remaining-tokens"]) for at in three.replicas]
    assert left == sorted(left, reverse=True)
    assert left[0] > left[2]
    codes = [three.ask(key, at, "tpm").status_code for at in three.replicas]
    assert 429 in codes
    assert three.vendor.charged("tpm") == 3 + codes.count(200) <= 50 // 15 + 1


def test_calls_at_the_same_time_are_counted_together(three: Fleet) -> None:
    key = three.key(concurrency=2)
    first, second, third = three.replicas
    with three.vendor.holding("crowd") as gate, ThreadPoolExecutor(2) as pool:
        inside = [pool.submit(three.ask, key, at, "crowd") for at in (first, second)]
        gate.wait(2)
        refused = three.ask(key, third, "crowd")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        gate.open()
        assert [call.result().status_code for call in inside] == [200, 200]
    assert three.ask(key, third, "crowd").status_code == 200


# -- money -------------------------------------------------------------------------------------------------------------


def test_no_budget_is_overspent_by_calls_to_all_of_them(three: Fleet) -> None:
    key = three.key(credit_nano=9 * COST_NANO)
    tagged = Budget(tag_scope(key.project_id, "team", "red"), key.project_id, 6 * COST_NANO)
    three.on_store(lambda store: store.set_budget(tagged))
    three.on_store(lambda store: store.set_budget(Budget(key_scope(key.key_id), key.project_id, 7 * COST_NANO)))
    calls = [partial(three.ask, key, three.replicas[n % 3], "dear", tags={"team": "red"}) for n in range(30)]
    codes = [answer.status_code for answer in together(calls)]
    # What is set aside is more than what it costs, so that the last of the money may be left: asked one by one until
    # nothing is.
    codes += [three.ask(key, at, "dear", tags={"team": "red"}).status_code for at in three.replicas * 2]
    paid = codes.count(200)
    assert set(codes) == {200, 402}
    assert paid <= 6
    assert three.vendor.charged("dear") == paid
    assert three.money(key) == (paid * COST_NANO, 0)
    assert sum(row.cost_nano or 0 for row in three.ledger(key) if row.kind == "answer") == paid * COST_NANO


# -- cache, breaker, media ---------------------------------------------------------------------------------------------


def test_an_answer_that_one_cached_is_a_hit_at_the_others(three: Fleet) -> None:
    key, stranger = three.key(), three.key()
    first, second, third = three.replicas
    told = three.ask(key, first, "cached", cache_strategy="infrai").json()
    hits = [three.ask(key, at, "cached", cache_strategy="infrai").json() for at in (second, third)]
    assert [hit["metadata"]["cache_hit"] for hit in hits] == [True, True]
    assert {hit["data"]["content"] for hit in hits} == {told["data"]["content"]}
    assert three.vendor.charged("cached") == 1
    assert not three.ask(stranger, second, "cached", cache_strategy="infrai").json()["metadata"]["cache_hit"]
    assert three.money(key) == (COST_NANO, 0)


def test_a_vendor_that_asked_one_of_them_for_a_pause_is_left_alone_by_all(three: Fleet) -> None:
    key = three.key()
    first, second, third = three.replicas
    three.vendor.limited.add("acme")

    def tried(at: str) -> list[tuple[str, str]]:
        rows = three.ask(key, at, "ill", model="twice").json()["metadata"]["attempts"]
        return [(row["vendor"], row["outcome"]) for row in rows]

    assert tried(first) == [("acme", "RATE_LIMITED"), ("beta", "ok")]
    for at in (second, third):  # each looks again twice a second
        until(lambda: tried(at)[0] != ("acme", "RATE_LIMITED"), "it is left alone")  # noqa: B023  # called at once
    before = three.vendor.asked["acme"]
    assert {tried(at)[-1] for at in three.replicas} == {("beta", "ok")}
    three.vendor.limited.clear()
    assert three.vendor.asked["acme"] == before


def test_a_file_that_one_made_is_given_out_by_all(three: Fleet) -> None:
    key = three.key()
    with three.client(key, three.replicas[0]) as client:
        picture = client.image("a red circle", size="64x64", model="infrai-draw-fast")
    link = picture.images[0].url or ""
    assert link.startswith(f"{three.proxy}/v1/media/")
    for at in (three.proxy, *three.replicas):
        assert httpx.get(link.replace(three.proxy, at), trust_env=False).content.startswith(b"\x89PNG")


# -- keys --------------------------------------------------------------------------------------------------------------


def infrai(three: Fleet, *words: str) -> str:
    """What the operator's command prints."""
    told = io.StringIO()
    with redirect_stdout(told):
        assert main([*words, "--database", three.postgres.url()]) == 0
    return told.getvalue()


def test_a_revoked_key_opens_nothing_anywhere(three: Fleet) -> None:
    key = three.key()
    assert {three.ask(key, at, "open").status_code for at in three.replicas} == {200}
    infrai(three, "keys", "revoke", key.key_id)
    for at in three.replicas:
        until(lambda: three.ask(key, at, "shut").status_code == 401, "the key ended", KEY_CHANGE_S)  # noqa: B023
    before = three.vendor.charged("shut")
    assert {three.ask(key, at, "shut").status_code for at in three.replicas} == {401}
    assert three.vendor.charged("shut") == before


def test_a_rotated_key_and_the_new_one_open_everything_in_the_time_between(three: Fleet) -> None:
    old = three.key()
    told = infrai(three, "keys", "rotate", old.key_id, "--grace-hours", "1")
    new = Key(next(line.split()[1] for line in told.splitlines() if line.startswith("key  ")), "", old.project_id)
    assert {three.ask(key, at, "both").status_code for at in three.replicas for key in (old, new)} == {200}
    rows = three.on_store(lambda store: store.keys(old.project_id))
    assert [row.ended(time.time() + 3601) for row in rows] == [True, False]
