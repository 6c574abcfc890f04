from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infrai_core.tokens import estimate

from .api import client
from .fake import FakeChat, FakeEmbed, catalogue, model, says

pytestmark = pytest.mark.anyio

ROWS = catalogue(
    model("a", "small", usd={"input_mtok": 1, "output_mtok": 1}, quality=40, reason="small"),
    model("b", "large", usd={"input_mtok": 9, "output_mtok": 9}, quality=90),
    model("c", "unpriced", usd={}, quality=60),
    model("z", "elsewhere"),
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def explained(home: Path, body: dict[str, Any], **more: Any) -> Any:
    there = [FakeChat(name, says("x")) for name in "abc"]
    async with client(home, there, ROWS) as api:
        answer = await api.post("/ai/route/explain", json=body)
    assert not any(vendor.calls for vendor in there)
    return answer.json()


async def test_a_plan_is_told_with_places_costs_roles_and_reasons_and_nothing_is_called(tmp_path: Path) -> None:
    told = (await explained(tmp_path, {"messages": "hi", "prefer": "cheapest", "max_tokens": 100}))["data"]
    rows = [(row["rank"], row["name"], row["role"]) for row in told["candidates"]]
    assert rows == [
        (1, "a/small", "first"),
        (2, "b/large", "skipped:cost_cap"),
        (3, "c/unpriced", "skipped:unknown_price"),
    ]
    first = told["candidates"][0]
    assert first["expected_cost_usd"] == pytest.approx(101e-6)
    assert first["quality_reason"] == "small"
    assert told["candidates"][1]["why"].endswith("dearer than the cap allows")
    assert told["candidates"][2]["why"].endswith("its price is unknown")
    assert {"name": "z/elsewhere", "reason": "vendor not configured"} in told["dropped"]
    assert told["estimate"]["prompt_tokens_careful"] >= told["estimate"]["prompt_tokens"]
    assert told["error"] is None


async def test_a_request_that_nobody_can_answer_is_explained_too(tmp_path: Path) -> None:
    told = (await explained(tmp_path, {"capability": "embed", "input": "x"}))["data"]
    assert told["candidates"] == []
    assert told["error"]["code"] == "NO_VENDOR_AVAILABLE"


async def test_a_wrong_body_is_refused_as_on_its_own_route(tmp_path: Path) -> None:
    for body, param in (({"capability": "smell"}, "capability"), ({"messages": "x", "colour": 1}, "colour")):
        error = (await explained(tmp_path, body))["error"]
        assert (error["code"], error["param"]) == ("INVALID_REQUEST", param)


async def test_the_operator_chooses_the_model_of_an_unpinned_embed(tmp_path: Path) -> None:
    rows = catalogue(
        model("e", "one", capability="embed", default=True, dimensions=2),
        model("f", "two", capability="embed", dimensions=2),
    )
    there = [FakeEmbed("e"), FakeEmbed("f")]
    async with client(tmp_path, there, rows, embed_model="two") as api:
        unpinned = await api.post("/ai/embed", json={"input": "x"})
        pinned = await api.post("/ai/embed", json={"input": "x", "model": "one"})
        told = await api.post("/ai/route/explain", json={"capability": "embed", "input": "x"})
    assert (unpinned.json()["data"]["model"], pinned.json()["data"]["model"]) == ("two", "one")
    assert told.json()["data"]["reason"] == "f/two: pinned model two"


LONG = "The raccoon opens doors with its clever paws and reads maps at night. " * 20


async def ratios(home: Path, asked: dict[str, Any], prompt_tokens: int, times: int = 1) -> list[float]:
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 5}
    async with client(home, [FakeChat("a", says("x", usage=usage))], ROWS) as api:
        for _ in range(times):
            assert (await api.post("/ai/chat", json=asked)).status_code == 200
        answer = await api.post("/ai/route/explain", json={"messages": "hi"})
    return [row["token_ratio"] for row in answer.json()["data"]["candidates"]]


async def test_the_runtime_learns_how_a_model_counts_tokens(tmp_path: Path) -> None:
    estimated = estimate(LONG)
    assert await ratios(tmp_path, {"messages": LONG}, round(1.3 * estimated)) == [pytest.approx(1.3, abs=0.01)]
    assert await ratios(tmp_path, {"messages": LONG, "stream": True}, estimated) == [pytest.approx(1.0, abs=0.01)]
    assert await ratios(tmp_path, {"messages": LONG}, 40 * estimated, times=3) == [2.0]
    assert await ratios(tmp_path, {"messages": LONG}, 1) == [0.5]


async def test_it_learns_nothing_from_what_is_not_text_alone(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    pixel = {"type": "image", "base64": "aGk=", "mime": "image/png"}
    seen = [{"role": "user", "content": [{"type": "text", "text": LONG}, pixel]}]
    for asked in ({"messages": "short"}, {"messages": LONG, "tools": [tool]}, {"messages": seen}):
        assert await ratios(tmp_path, asked, 9999) == [1.0]
