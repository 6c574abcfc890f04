from __future__ import annotations

from typing import Any

import pytest

from infrai_runtime.admission import MOST_NANO, may_cost_nano
from infrai_runtime.catalogue import Model, builtin
from infrai_runtime.eligible import Allowed, Fleet
from infrai_runtime.failure import Failure
from infrai_runtime.health import Health
from infrai_runtime.prompt import MESSAGE_TOKENS
from infrai_runtime.request import read
from infrai_runtime.routing import Plan, plan
from infrai_runtime.vendors.base import Vendor
from infrai_runtime.vendors.local import Local

from .fake import FakeChat, FakeEmbed, catalogue, model, says


def vendors(*names: str, embed: tuple[str, ...] = (), local: bool = False, tmp: Any = None) -> dict[str, Vendor]:
    found: dict[str, Vendor] = {name: FakeChat(name, says("x")) for name in names}
    found |= {name: FakeEmbed(name) for name in embed}
    return found | ({"local": Local(tmp)} if local else {})


def planned(
    body: dict[str, Any], models: list[Model], there: dict[str, Vendor], capability: str = "chat", **more: Any
) -> Plan:
    given = {"messages": "hi"} | body if capability == "chat" else body
    return plan(read(capability, given), catalogue(*models), Fleet(there), more.pop("health", Health()), **more)


def order(made: Plan) -> list[str]:
    return [candidate.name for candidate in made.candidates]


CHEAP = model("a", "small", usd={"input_mtok": 0.1, "output_mtok": 0.2}, quality=40)
GOOD = model("b", "large", usd={"input_mtok": 10, "output_mtok": 20}, quality=90)
FAIR = model("c", "medium", usd={"input_mtok": 0.5, "output_mtok": 1}, quality=75)
UNPRICED = model("d", "new", usd={}, quality=80)
TOOL = {"type": "function", "function": {"name": "f"}}
ALL = [GOOD, UNPRICED, CHEAP, FAIR]


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("cheapest", ["a/small", "c/medium", "b/large", "d/new"]),
        ("smartest", ["b/large", "d/new", "c/medium", "a/small"]),
        ("balanced", ["c/medium", "a/small", "b/large", "d/new"]),
    ],
)
def test_prefer_orders_models_and_an_unknown_price_never_counts_as_cheap(prefer: str, expected: list[str]) -> None:
    made = planned({"prefer": prefer}, ALL, vendors("a", "b", "c", "d"))
    assert order(made) == expected
    assert made.reason == f"{expected[0]}: {prefer} for general"


def test_the_task_chooses_the_tier() -> None:
    coder = model("a", "coder", tiers={"general": 10, "coding": 99})
    writer = model("b", "writer", tiers={"general": 60, "coding": 20})
    there = vendors("a", "b")
    assert order(planned({"prefer": "smartest"}, [coder, writer], there))[0] == "b/writer"
    assert order(planned({"prefer": "smartest", "task": "coding"}, [coder, writer], there))[0] == "a/coder"


def test_a_pinned_vendor_is_alone_in_its_plan() -> None:
    more = model("a", "other")
    assert order(planned({"vendor": "a", "prefer": "cheapest"}, [*ALL, more], vendors("a", "b"))) == ["a/small"]


def test_a_pinned_model_goes_to_every_vendor_of_that_model_and_to_no_other_model() -> None:
    twin = model("b", "small")
    assert order(planned({"model": "small"}, [*ALL, twin], vendors("a", "b", "c"))) == ["a/small", "b/small"]


def test_on_machine_models_answer_only_without_another_vendor_or_when_pinned(tmp_path: Any) -> None:
    with_real = vendors("a", local=True, tmp=tmp_path)
    assert order(planned({"prefer": "cheapest"}, [CHEAP], with_real)) == ["a/small"]
    assert order(planned({"vendor": "local"}, [CHEAP], with_real)) == ["local/infrai-offline"]
    assert order(planned({"model": "infrai-offline-fast"}, [CHEAP], with_real)) == ["local/infrai-offline-fast"]
    assert order(planned({}, [CHEAP], vendors(local=True, tmp=tmp_path)))[0] == "local/infrai-offline"


@pytest.mark.parametrize(
    ("capability", "body", "good", "fast"),
    [
        ("chat", {"messages": "x"}, "infrai-offline", "infrai-offline-fast"),
        ("vision", {"prompt": "x", "images": ["https://x/y"]}, "infrai-sight", "infrai-sight-fast"),
        ("rerank", {"query": "x", "candidates": ["y"]}, "infrai-rerank", "infrai-rerank-fast"),
        ("tts", {"input": "x"}, "infrai-speech", "infrai-speech-fast"),
        ("asr", {"audio": "https://x/y"}, "infrai-listen", "infrai-listen-fast"),
        ("image", {"prompt": "x"}, "infrai-draw", "infrai-draw-fast"),
    ],
)
def test_on_machine_cheapest_is_the_fast_model_and_smartest_the_better(
    tmp_path: Any, capability: str, body: dict[str, Any], good: str, fast: str
) -> None:
    there = vendors(local=True, tmp=tmp_path)
    best = {
        prefer: planned(body | {"prefer": prefer}, [], there, capability).candidates[0]
        for prefer in ("cheapest", "balanced", "smartest")
    }
    assert [best[p].model.id for p in ("cheapest", "balanced", "smartest")] == [fast, good, good]
    assert best["cheapest"].expected_nano == 0


def test_an_unpinned_embed_has_one_default_model(tmp_path: Any) -> None:
    there = vendors(local=True, tmp=tmp_path)
    for prefer in ("cheapest", "balanced", "smartest"):
        made = planned({"input": "x", "prefer": prefer}, [], there, "embed")
        assert order(made) == ["local/infrai-keyword-1024"]
    real = [
        model("e", "emb", capability="embed", dimensions=2, default=True),
        model("f", "emb", capability="embed", dimensions=2),
        model("f", "other", capability="embed", dimensions=2),
    ]
    made = planned({"input": "x"}, real, there | vendors(embed=("e", "f")), "embed")
    assert sorted(order(made)) == ["e/emb", "f/emb"]
    assert "an unpinned embed is served by emb" in made.reason


@pytest.mark.parametrize(
    ("configured", "chosen"),
    [
        (("jina",), "jina/jina-embeddings-v5-text-small"),
        (("dashscope",), "dashscope/text-embedding-v4"),
        (("perplexity",), "perplexity/pplx-embed-v1-4b"),
        (("jina", "dashscope", "openai"), "openai/text-embedding-3-small"),
        (("jina", "voyage"), "voyage/voyage-4"),
    ],
)
def test_every_vendor_of_embeddings_answers_unpinned_and_a_new_one_changes_no_index(
    tmp_path: Any, configured: tuple[str, ...], chosen: str
) -> None:
    there = vendors(local=True, tmp=tmp_path, embed=configured)
    made = plan(read("embed", {"input": "x"}), builtin(), Fleet(there), Health())
    assert order(made) == [chosen]


def test_a_pulled_model_embeds_only_when_pinned(tmp_path: Any) -> None:
    there = vendors(local=True, tmp=tmp_path)
    assert order(planned({"input": "x", "model": "infrai-minilm-384"}, [], there, "embed")) == [
        "local/infrai-minilm-384"
    ]


def test_dimensions_that_a_model_lacks_are_refused_by_name(tmp_path: Any) -> None:
    there = vendors(local=True, tmp=tmp_path)
    with pytest.raises(Failure, match="has no vectors of 99 dimensions") as caught:
        planned({"input": "x", "model": "infrai-keyword-256", "dimensions": 99}, [], there, "embed")
    assert (caught.value.code, caught.value.param) == ("UNSUPPORTED_CAPABILITY", "dimensions")


def test_what_was_dropped_is_told_with_its_reason() -> None:
    small = model("a", "tiny", context_window=10)
    made = planned({"messages": "word " * 50}, [small, GOOD], vendors("a", "b"))
    reasons = {row.name: row.reason for row in made.dropped}
    assert "too small for about" in reasons["a/tiny"]
    assert reasons["local/infrai-offline"] == "vendor not configured"
    assert order(made) == ["b/large"]


def test_messages_that_fit_nowhere_are_too_long() -> None:
    with pytest.raises(Failure, match="too small") as caught:
        planned({"messages": "word " * 50}, [model("a", "tiny", context_window=10)], vendors("a"))
    assert (caught.value.code, caught.value.param) == ("CONTEXT_LENGTH_EXCEEDED", "messages")


def test_an_ability_that_no_model_has_is_unsupported() -> None:
    plain = model("a", "plain", abilities=frozenset())
    with pytest.raises(Failure, match="a/plain lacks json") as caught:
        planned({"response_format": {"type": "json_object"}}, [plain], vendors("a"))
    assert caught.value.code == "UNSUPPORTED_CAPABILITY"


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({"vendor": "nobody"}, "VENDOR_NOT_FOUND", "configured are a"),
        ({"model": "smal"}, "MODEL_NOT_FOUND", "'smal'"),
        ({"model": "infrai-speech"}, "UNSUPPORTED_CAPABILITY", "cannot do chat"),
        ({"model": "infrai-offline"}, "NO_VENDOR_AVAILABLE", "no vendor is configured"),
        ({"model": "spoken", "vendor": "a"}, "UNSUPPORTED_CAPABILITY", "cannot do chat"),
    ],
)
def test_a_pin_that_leads_nowhere_says_why(body: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(Failure, match=says) as caught:
        planned(body, [CHEAP, GOOD, model("a", "spoken", capability="tts")], vendors("a"))
    assert caught.value.code == code


def test_an_unknown_model_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(Failure) as caught:
        planned({"model": "infrai-ofline"}, [], vendors("a"))
    assert caught.value.hint == "did you mean 'infrai-offline'?"


def test_no_vendor_at_all_is_no_vendor_available() -> None:
    with pytest.raises(Failure) as caught:
        planned({}, [], {})
    assert caught.value.code == "NO_VENDOR_AVAILABLE"


def test_a_session_stays_where_it_was_unless_that_is_cooling() -> None:
    there = vendors("a", "b", "c")
    body = {"prefer": "cheapest"}
    assert order(planned(body, ALL, there, last="b/large"))[0] == "b/large"
    resting = Health(cooling_s={"b/large": 9.0})
    assert order(planned(body, ALL, there, last="b/large", health=resting)) == ["a/small", "c/medium", "b/large"]


def test_a_resting_model_keeps_its_place_so_that_the_cost_cap_does_not_move() -> None:
    made = planned({"prefer": "cheapest"}, ALL, vendors("a", "b"), health=Health(cooling_s={"a/small": 9.0}))
    assert [(c.name, c.cooling_s) for c in made.candidates] == [("a/small", 9.0), ("b/large", 0.0)]


def test_among_equals_the_faster_goes_first_then_the_name() -> None:
    rows = [model("b"), model("a"), model("c")]
    there = vendors("a", "b", "c")
    assert order(planned({}, rows, there)) == ["a/big", "b/big", "c/big"]
    fast = Health(latency_ms={"c/big": 100.0, "b/big": 200.0})
    assert order(planned({}, rows, there, health=fast)) == ["c/big", "b/big", "a/big"]


def test_the_maker_of_a_signed_part_in_the_history_goes_first() -> None:
    signed = {"type": "reasoning", "text": "So", "opaque": "sig", "vendor": "b", "model": "large"}
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "parts": [signed, {"type": "text", "text": "hello"}]},
        {"role": "user", "content": "go on"},
    ]
    made = planned({"messages": history, "prefer": "cheapest"}, ALL, vendors("a", "b"))
    assert order(made)[0] == "b/large"
    assert order(planned({"messages": history, "vendor": "a"}, ALL, vendors("a", "b"))) == ["a/small"]


def test_a_pinned_model_is_found_under_every_vendors_spelling() -> None:
    rows = [model("a", "glm-5.3"), model("b", "zai-org/GLM-5.3"), model("c", "accounts/x/glm-5p3"), model("c", "glm-5")]
    made = planned({"model": "glm-5.3"}, rows, vendors("a", "b", "c"))
    assert order(made) == ["a/glm-5.3", "b/zai-org/GLM-5.3", "c/accounts/x/glm-5p3"]


@pytest.mark.parametrize("body", [{"vendor": "a", "model": "unheard-of"}, {"model": "a/unheard-of"}])
def test_a_model_that_the_catalogue_lacks_is_used_when_its_vendor_is_named(body: dict[str, Any]) -> None:
    made = planned(body | {"tools": [TOOL]}, [CHEAP], vendors("a"))
    (candidate,) = made.candidates
    assert (candidate.name, candidate.expected_nano, candidate.model.assumed) == ("a/unheard-of", None, True)
    assert "a/unheard-of is not in the catalogue; its price is unknown" in made.warnings[0]


def test_an_unknown_model_of_the_on_machine_vendor_is_not_assumed(tmp_path: Any) -> None:
    with pytest.raises(Failure) as caught:
        planned({"vendor": "local", "model": "unheard-of"}, [], vendors(local=True, tmp=tmp_path))
    assert caught.value.code == "MODEL_NOT_FOUND"


def test_an_id_with_a_slash_that_a_vendor_has_is_a_model_and_no_vendor() -> None:
    rows = [model("a", "b/thing"), model("b", "thing")]
    assert order(planned({"model": "b/thing"}, rows, vendors("a", "b"))) == ["a/b/thing", "b/thing"]


def test_a_key_reaches_only_what_it_may_use() -> None:
    there = vendors("a", "b", "c")
    some = planned({"prefer": "cheapest"}, ALL, there, allowed=Allowed(models=frozenset({"large", "c/medium"})))
    assert order(some) == ["c/medium", "b/large"]
    assert order(planned({}, ALL, there, allowed=Allowed(vendors=frozenset({"a"})))) == ["a/small"]
    with pytest.raises(Failure, match="this key may not use model 'large'") as caught:
        planned({"model": "large"}, ALL, there, allowed=Allowed(vendors=frozenset({"a"})))
    assert (caught.value.code, caught.value.param) == ("FORBIDDEN", "model")


def test_a_vendor_whose_adapter_lacks_the_capability_is_told_apart_from_one_that_is_not_there() -> None:
    spoken = model("e", "voice", capability="chat")
    made = planned({}, [CHEAP, spoken], vendors("a", embed=("e",)))
    reasons = {row.name: row.reason for row in made.dropped}
    assert reasons["e/voice"] == "the vendor's adapter cannot do chat"


def test_the_builtin_rows_belong_to_known_capabilities() -> None:
    from infrai_runtime.vendors.base import CAPABILITIES

    assert {row.capability for row in builtin().models} <= CAPABILITIES.keys()


# -- how a model counts tokens ----------------------------------------------------------------------------------------

LONG = "The raccoon opens doors with its clever paws and reads maps at night. " * 20


def needed(made: Plan) -> int:
    return int(made.dropped[0].reason.rpartition(" ")[2])


def test_the_context_that_a_prompt_needs_follows_how_the_model_has_counted() -> None:
    narrow = [model("a", "tiny", context_window=10), GOOD]
    there = vendors("a", "b")
    usual = needed(planned({"messages": LONG}, narrow, there))
    doubled = needed(planned({"messages": LONG}, narrow, there, health=Health(token_ratio={"a/tiny": 2.0})))
    halved = needed(planned({"messages": LONG}, narrow, there, health=Health(token_ratio={"a/tiny": 0.5})))
    assert halved < usual < doubled
    beside = MESSAGE_TOKENS + 1  # and one token of the answer
    assert doubled - beside == min(2 * (usual - beside), len(LONG))
    assert 2 * (halved - beside) - (usual - beside) in (0, 1)


def test_a_model_that_counts_less_keeps_a_prompt_that_another_has_no_room_for() -> None:
    rows = [model("a", "one", context_window=400), model("b", "two", context_window=400)]
    made = planned({"messages": LONG}, rows, vendors("a", "b"), health=Health(token_ratio={"a/one": 0.6}))
    assert order(made) == ["a/one"]
    assert made.token_ratio == 0.6


def test_many_texts_need_no_more_room_than_the_longest_of_them() -> None:
    row = model("a", "vectors", capability="embed", context_window=400, default=True)
    there = vendors(embed=("a",))
    assert order(planned({"input": [LONG[:1000]] * 50}, [row], there, "embed")) == ["a/vectors"]
    with pytest.raises(Failure, match="too long"):
        planned({"input": ["short", LONG * 2]}, [row], there, "embed")


def test_tools_need_room_too() -> None:
    tools = [{"type": "function", "function": {"name": f"f{n}", "description": LONG}} for n in range(5)]
    narrow = model("a", "tiny", context_window=1000)
    made = planned({"tools": tools}, [narrow, GOOD], vendors("a", "b"))
    assert order(made) == ["b/large"]
    assert "context of 1000 tokens is too small" in made.dropped[0].reason


def test_what_is_set_aside_follows_it_too() -> None:
    ask = read("chat", {"messages": LONG, "max_tokens": 1})
    plain = plan(ask, catalogue(GOOD), Fleet(vendors("b")), Health())
    often = plan(ask, catalogue(GOOD), Fleet(vendors("b")), Health(token_ratio={"b/large": 1.5}))
    less, more = may_cost_nano(ask, plain), may_cost_nano(ask, often)
    assert less is not None
    assert more is not None
    answer = 20_000  # one token of the answer, in nano-USD
    assert (more - answer) / (less - answer) == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize(
    ("cap", "of"),
    [
        (1, "c/medium"),
        (1.5, "c/medium"),  # the next one is twenty times dearer and may never answer
        (10_000, "b/large"),
        (1e300, "b/large"),
    ],
)
def test_no_more_is_set_aside_than_the_dearest_that_may_answer_costs(cap: float, of: str) -> None:
    body = {"messages": LONG, "max_cost_multiplier": cap}
    made = plan(read("chat", body), catalogue(*ALL), Fleet(vendors("a", "b", "c", "d")), Health())
    alone = plan(
        read("chat", {"messages": LONG, "model": of}), catalogue(*ALL), Fleet(vendors("a", "b", "c")), Health()
    )
    assert order(made)[0] == "c/medium"
    assert may_cost_nano(read("chat", body), made) == may_cost_nano(read("chat", body), alone)


def test_what_is_set_aside_goes_by_the_model_that_a_session_stays_with() -> None:
    body = {"messages": LONG, "max_cost_multiplier": 1}
    made = planned(body, ALL, vendors("a", "b", "c"), last="b/large")
    alone = planned(body | {"model": "large"}, ALL, vendors("a", "b", "c"))
    assert order(made)[0] == "b/large"
    assert may_cost_nano(read("chat", body), made) == may_cost_nano(read("chat", body), alone)


def test_no_more_is_set_aside_than_the_cap_allows() -> None:
    """What is careful about a long prompt weighs more with a model that is dear to read for."""
    writes = model("a", "writes", usd={"input_mtok": 0.01, "output_mtok": 0.8})
    reads = model("b", "reads", usd={"input_mtok": 3.4, "output_mtok": 0.01})
    ask = read("chat", {"prefer": "cheapest", "messages": "x" * 4000, "max_tokens": 4000, "max_cost_multiplier": 1.2})
    both, first, second = (
        may_cost_nano(ask, plan(ask, catalogue(*rows), Fleet(vendors("a", "b")), Health()))
        for rows in ([writes, reads], [writes], [reads])
    )
    assert None not in (both, first, second)
    assert both == int((first or 0) * 1.2) < (second or 0)


def test_what_is_set_aside_stays_within_what_a_database_can_add() -> None:
    ask = read("chat", {"messages": LONG, "max_tokens": 2**63 - 1})
    made = plan(
        ask,
        catalogue(GOOD, model("a", "m", usd={"input_mtok": 1, "output_mtok": 1})),
        Fleet(vendors("a", "b")),
        Health(),
    )
    assert may_cost_nano(ask, made) == MOST_NANO
