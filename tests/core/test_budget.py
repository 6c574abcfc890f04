from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest

from infrai_core import AsyncInfrai, Budget, BudgetSpent, ConfigError, Entry, Infrai, InfraiError, Ledger
from infrai_core.testing import Script, envelope, reply, streamed


def limited(*answers: Any, limit: Any = 1) -> tuple[Infrai, Budget, Script]:
    ledger, script = Ledger(), Script(answers)
    budget = Budget(limit, ledger)
    return Infrai("test", transport=script, ledger=ledger, hooks=[budget]), budget, script


def test_the_next_call_is_not_made_once_the_budget_is_spent() -> None:
    client, budget, script = limited(reply("a", cost_usd=0.6), reply("b", cost_usd=0.6))
    client.chat("x")
    assert (budget.spent_usd, budget.left_usd) == (Decimal("0.6"), Decimal("0.4"))
    client.chat("x")
    assert budget.left_usd == 0
    with pytest.raises(BudgetSpent, match=r"budget of 1 USD is spent \(1.2 USD\)") as refusal:
        client.chat("x")
    with pytest.raises(BudgetSpent):
        client.stream_chat("x").reply()
    assert len(script.requests) == 2
    assert (refusal.value.limit_usd, refusal.value.spent_usd, refusal.value.retryable) == (1, Decimal("1.2"), False)


def test_a_budget_is_spent_at_its_limit() -> None:
    client, _, _ = limited(reply("a", cost_usd=1))
    client.chat("x")
    with pytest.raises(BudgetSpent):
        client.embed("x")


@pytest.mark.anyio
async def test_the_asynchronous_client_keeps_it_too() -> None:
    ledger, script = Ledger(), Script([streamed(["a"], cost_usd=5)])
    client = AsyncInfrai("test", transport=script, ledger=ledger, hooks=[Budget("0.10", ledger)])
    await client.stream_chat("x").reply()
    with pytest.raises(BudgetSpent):
        await client.chat("x")


def test_an_unknown_cost_does_not_count_and_is_told() -> None:
    client, budget, _ = limited(reply("a", cost_usd=None), reply("b", cost_usd=None))
    client.chat("x")
    client.chat("x")
    assert budget.spent_usd == 0
    assert client.ledger.total.unpriced_calls == 2


def test_what_costs_nothing_goes_on() -> None:
    status = envelope({"batch_id": "b", "state": "completed"})
    client, _, script = limited(reply("a", cost_usd=2), envelope({"data": []}), status, status)
    client.chat("x")
    client.models()
    client.batch_status("b")
    client.batch_cancel("b")
    assert len(script.requests) == 4
    with pytest.raises(BudgetSpent):
        client.batch_submit([{"capability": "chat", "body": {}}])


@pytest.mark.parametrize("limit", [0, -1, "none", float("nan"), float("inf"), True])
def test_a_limit_is_an_amount_above_zero(limit: Any) -> None:
    with pytest.raises(ConfigError, match="limit_usd"):
        Budget(limit, Ledger())


def test_the_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(BudgetSpent("spent", Decimal(1), Decimal(2))))
    assert isinstance(error, InfraiError)
    assert (error.message, error.limit_usd, error.spent_usd) == ("spent", 1, 2)


def test_one_budget_holds_for_several_clients() -> None:
    ledger = Ledger()
    budget = Budget(1, ledger)
    ledger.record(Entry("chat", None, None, 0, 0, Decimal(1), None, False, None))
    for client in (Infrai("test", ledger=ledger, hooks=[budget]), Infrai("test", hooks=[budget])):
        with pytest.raises(BudgetSpent):
            client.chat("x")
