"""``batch`` and its kin with ``batch_mode``: one native job on the runtime in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ModelNotFoundError
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from infrai_core import Infrai
from infrai_core.service import BatchRecord
from infrai_core.testing import Script, failure, reply
from langchain_infrai import ChatInfrai, get_infrai_callback
from langchain_infrai.errors import InfraiBudgetSpent, InfraiConfigError, InfraiInvalidRequest

from .conftest import Service

Batch = Callable[..., list[Any]]
SUMS = [f"What is {n} + {n}?" for n in range(5)]


def _sync(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> list[Any]:
    answers: list[Any] = model.batch(inputs, *args, **kwargs)
    return answers


def _async(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> list[Any]:
    return asyncio.run(model.abatch(inputs, *args, **kwargs))


def _sync_completed(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> list[Any]:
    return [answer for _, answer in sorted(model.batch_as_completed(inputs, *args, **kwargs), key=lambda row: row[0])]


def _async_completed(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> list[Any]:
    async def body() -> list[Any]:
        found = [row async for row in model.abatch_as_completed(inputs, *args, **kwargs)]
        return [answer for _, answer in sorted(found, key=lambda row: row[0])]

    return asyncio.run(body())


@pytest.fixture(params=[_sync, _async, _sync_completed, _async_completed], ids=lambda way: way.__name__)
def batch(request: pytest.FixtureRequest) -> Batch:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def model(service: Service) -> ChatInfrai:
    return ChatInfrai(**service.fields, batch_mode=True)


def ids(answers: list[Any]) -> set[Any]:
    return {answer.response_metadata.get("batch_id") for answer in answers}


def test_the_inputs_are_one_job_and_the_answers_in_order(model: ChatInfrai, batch: Batch) -> None:
    answers = batch(model, SUMS)
    assert [answer.text for answer in answers] == [str(2 * n) for n in range(5)] or all(
        str(2 * n) in answer.text for n, answer in enumerate(answers)
    )
    assert all(isinstance(answer, AIMessage) and answer.usage_metadata for answer in answers)
    assert len(ids(answers)) == 1
    assert None not in ids(answers)


def test_an_error_takes_its_own_place_or_is_raised(service: Service, batch: Batch) -> None:
    model = ChatInfrai(**service.fields, batch_mode=True)
    configs = [{}, {"configurable": {"model": "no-such-model"}}, {}]
    chosen = model.configurable_fields(model=_field())
    first, second, third = batch(chosen, SUMS[:3], configs, return_exceptions=True)
    assert ("0" in first.text, "4" in third.text) == (True, True)
    assert isinstance(second, ModelNotFoundError)
    with pytest.raises(ModelNotFoundError):
        batch(chosen, SUMS[:3], configs)


def _field() -> Any:
    from langchain_core.runnables import ConfigurableField

    return ConfigurableField(id="model")


def test_a_chain_batches_its_model_step(model: ChatInfrai, batch: Batch) -> None:
    chain = ChatPromptTemplate.from_template("What is {n} + {n}?") | model | StrOutputParser()
    seen: list[BatchRecord] = []
    answers = batch(chain, [{"n": n} for n in range(4)])
    assert [str(2 * n) in answer for n, answer in enumerate(answers)] == [True] * 4
    bound = model.bind(batch_progress=seen.append)
    batch(bound, SUMS)
    assert (len({record.batch_id for record in seen}), seen[-1].completed_count) == (1, 5)


class Runs(BaseCallbackHandler):
    """The runs of models as a handler sees them."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self.failed: list[Any] = []

    def on_chat_model_start(self, *args: Any, run_id: Any, **kwargs: Any) -> None:
        self.begun.append(run_id)

    def on_llm_end(self, *args: Any, run_id: Any, **kwargs: Any) -> None:
        self.ended.append(run_id)

    def on_llm_error(self, *args: Any, run_id: Any, **kwargs: Any) -> None:
        self.failed.append(run_id)


def test_every_input_is_a_run_of_its_own_with_its_usage(model: ChatInfrai, batch: Batch) -> None:
    runs = Runs()
    with get_infrai_callback() as counted:
        batch(model, SUMS, {"callbacks": [runs, counted]} if batch is _sync else {"callbacks": [runs]})
    assert len(set(runs.begun)) == 5
    assert (sorted(map(str, runs.ended)), runs.failed) == (sorted(map(str, runs.begun)), [])
    assert counted.total.calls == 5


def test_a_spent_budget_stops_the_job_before_it_is_handed_in(service: Service) -> None:
    model = ChatInfrai(**service.fields, batch_mode=True)
    script = Script([reply("dear", cost_usd=1.0)])
    dear = ChatInfrai(api_key="key", client_options={"transport": script})
    seen: list[BatchRecord] = []
    with get_infrai_callback(budget_usd=0.5):
        dear.invoke("x")
        with pytest.raises(InfraiBudgetSpent):
            model.batch([*SUMS], batch_progress=seen.append)
    assert seen == []


def test_a_job_is_found_again_by_its_id_or_its_key(model: ChatInfrai, batch: Batch) -> None:
    seen: list[BatchRecord] = []
    first = batch(model, SUMS, batch_progress=seen.append, idempotency_key=f"nightly-{batch.__name__}")
    by_key = batch(model, SUMS, idempotency_key=f"nightly-{batch.__name__}")
    by_id = batch(model, SUMS, batch_id=seen[0].batch_id)
    assert ids(first) == ids(by_key) == ids(by_id) == {seen[0].batch_id}
    assert [answer.text for answer in by_id] == [answer.text for answer in first]
    with pytest.raises(InfraiConfigError, match="that job has 5 requests, here are 2"):
        batch(model, SUMS[:2], batch_id=seen[0].batch_id)


def test_what_a_cache_has_stays_out_of_the_job(service: Service, batch: Batch) -> None:
    model = ChatInfrai(**service.fields, batch_mode=True, cache=InMemoryCache())
    before = batch(model, SUMS[:2])
    seen: list[BatchRecord] = []
    after = batch(model, SUMS[:4], batch_progress=seen.append)
    assert seen[0].total_count == 2
    assert [answer.text for answer in after[:2]] == [answer.text for answer in before]
    assert "6" in after[3].text


def test_a_bar_is_drawn_where_one_is_wanted(model: ChatInfrai, capsys: pytest.CaptureFixture[str]) -> None:
    model.batch([*SUMS], batch_progress=True)
    assert "5/5" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("batch_poll_s", 0), ("batch_poll_s", "2"), ("batch_progress", 5)])
def test_a_wrong_option_of_a_job_is_named(model: ChatInfrai, name: str, value: Any) -> None:
    with pytest.raises(InfraiConfigError, match=f"{name}={value!r}: allowed "):
        model.batch([*SUMS], **{name: value})


def test_batch_works_inside_a_running_loop(model: ChatInfrai) -> None:
    async def body() -> list[AIMessage]:
        return model.batch([*SUMS])

    assert len(asyncio.run(body())) == 5


def test_without_batch_mode_a_key_is_for_one_call(model: ChatInfrai) -> None:
    plain = model.model_copy(update={"batch_mode": None})

    async def acompleted() -> list[Any]:
        return [found async for found in plain.abatch_as_completed([*SUMS], idempotency_key="k")]

    calls: list[Callable[[], Any]] = [
        lambda: plain.batch([*SUMS], idempotency_key="k"),
        lambda: asyncio.run(plain.abatch([*SUMS], idempotency_key="k")),
        lambda: list(plain.batch_as_completed([*SUMS], idempotency_key="k")),
        lambda: asyncio.run(acompleted()),
    ]
    for call in calls:
        with pytest.raises(InfraiConfigError, match="idempotency_key: came one for 5 calls"):
            call()
    assert plain.ledger.total.calls == 0
    [answer] = plain.batch(["What is 1 + 1?"], idempotency_key="k")
    assert answer.text == "1 + 1 = 2"


def test_without_batch_mode_the_calls_at_the_same_time_are_bounded(service: Service) -> None:
    model = ChatInfrai(**service.fields)
    answers = _async(model, SUMS) + _async_completed(model, SUMS)
    assert ids(answers) == {None}
    running = most = 0

    class Counting:
        async def handle_async_request(self, request: Any) -> Any:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            try:
                return await service.fields["client_options"]["transport"].handle_async_request(request)
            finally:
                running -= 1

    counted = ChatInfrai(api_key="key", client_options={"transport": Counting()})
    _async(counted, ["What is 1 + 1?"] * 80)
    assert most <= 32
    _async(counted, ["What is 1 + 1?"] * 10, {"max_concurrency": 3})


class Holding:
    """Answers 'first', refuses 'bad', and never answers anything else."""

    def __init__(self) -> None:
        self.held = self.let_go = 0

    async def handle_async_request(self, request: Any) -> Any:
        text = json.loads(await request.aread())["messages"][0]["parts"][0]["text"]
        if text in ("first", "bad"):
            answer = reply("done") if text == "first" else failure("INVALID_REQUEST")
            return await Script([answer]).handle_async_request(request)
        self.held += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.let_go += 1


async def _left_early(model: ChatInfrai, inputs: list[str]) -> None:
    completed = model.abatch_as_completed(inputs)
    assert (await anext(completed))[1].text == "done"
    await completed.aclose()


async def _failed(model: ChatInfrai, inputs: list[str]) -> None:
    with pytest.raises(InfraiInvalidRequest):
        await model.abatch([*inputs, "bad"])


async def _failed_while_completed(model: ChatInfrai, inputs: list[str]) -> None:
    with pytest.raises(InfraiInvalidRequest):
        _ = [found async for found in model.abatch_as_completed([*inputs, "bad"])]


@pytest.mark.parametrize("use", [_left_early, _failed, _failed_while_completed])
def test_calls_that_nobody_waits_for_any_more_are_ended(use: Callable[..., Any]) -> None:
    transport = Holding()

    async def run() -> set[asyncio.Task[Any]]:
        model = ChatInfrai(api_key="key", client_options={"transport": transport})
        await use(model, ["held", "held", "first"])
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(run()) == set()
    assert (transport.held, transport.let_go) == (2, 2)


def test_a_row_has_no_key_or_headers_of_its_own() -> None:
    client = Infrai("key", transport=Script([]))
    for name, value in (("idempotency_key", "k"), ("extra_headers", {"x": "y"})):
        with pytest.raises(Exception, match=name):
            client.batch_request("x", **{name: value})  # type: ignore[arg-type]
