"""What models are like: shipped data, and what a service told of its own."""

from __future__ import annotations

import json
from typing import Literal

import pytest

from infrai_core import AsyncInfrai, Infrai
from infrai_core.facts import facts_of, known
from infrai_core.testing import Script, Scripted

ROWS = [
    {"id": "house-model", "capability": "chat", "context_window": 4321, "abilities": ["tools"]},
    {"id": "infrai-offline", "capability": "chat", "context_window": 7},
    {"id": "bare-id", "object": "model"},
]
LISTED = Scripted([json.dumps({"object": "list", "data": ROWS}).encode()])


@pytest.mark.parametrize("dialect", ["native", "openai"])
def test_a_model_that_only_the_service_knows_is_known_once_it_was_listed(dialect: Literal["native", "openai"]) -> None:
    client = Infrai("test", transport=Script([LISTED]), dialect=dialect)
    assert len(client.models().data) == 3
    found = facts_of("house-model")
    assert (found.context_window, found.abilities) == (4321, ["tools"])


@pytest.mark.anyio
async def test_the_asynchronous_client_learns_too() -> None:
    rows = [{"id": "other-house-model", "context_window": 99}]
    script = Script([Scripted([json.dumps({"object": "list", "data": rows}).encode()])])
    await AsyncInfrai("test", transport=script).models()
    assert facts_of("other-house-model").context_window == 99


def test_what_a_service_lists_changes_neither_shipped_facts_nor_those_of_a_route() -> None:
    before, route = facts_of("infrai-offline"), known("chat")
    Infrai("test", transport=Script([LISTED])).models()
    assert facts_of("infrai-offline") == before
    assert known("chat") == route
    assert facts_of("bare-id").context_window is None
