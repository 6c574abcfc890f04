from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.callbacks import CallbackManager, CBEventType, TokenCountingHandler
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import BaseModel, Field, ValidationError

from infrai_core import ConfigError, ModelInfo, RateLimited, StreamInterrupted, UnsupportedContent, facts
from infrai_core.testing import Script, failure, reply, streamed
from llama_index_infrai import Infrai

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 5,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 4},
}
Scripted = Callable[..., tuple[Infrai, Script]]
HI = [ChatMessage(content="hi")]


async def acollected(stream: Any) -> list[Any]:
    return [item async for item in await stream]


def whole_chat(llm: Infrai, **options: Any) -> Any:
    return llm.chat(HI, **options)


def whole_achat(llm: Infrai, **options: Any) -> Any:
    return asyncio.run(llm.achat(HI, **options))


def whole_complete(llm: Infrai, **options: Any) -> Any:
    return llm.complete("hi", **options)


def whole_acomplete(llm: Infrai, **options: Any) -> Any:
    return asyncio.run(llm.acomplete("hi", **options))


def last_of_stream_chat(llm: Infrai, **options: Any) -> Any:
    return list(llm.stream_chat(HI, **options))[-1]


def last_of_astream_chat(llm: Infrai, **options: Any) -> Any:
    return asyncio.run(acollected(llm.astream_chat(HI, **options)))[-1]


def last_of_stream_complete(llm: Infrai, **options: Any) -> Any:
    return list(llm.stream_complete("hi", **options))[-1]


def last_of_astream_complete(llm: Infrai, **options: Any) -> Any:
    return asyncio.run(acollected(llm.astream_complete("hi", **options)))[-1]


WHOLE = [whole_chat, whole_achat, whole_complete, whole_acomplete]
STREAMS = [last_of_stream_chat, last_of_astream_chat, last_of_stream_complete, last_of_astream_complete]
every_endpoint = pytest.mark.parametrize("endpoint", [*WHOLE, *STREAMS])


def answer(endpoint: Any, **options: Any) -> Any:
    return streamed(["Par", "is"], **options) if endpoint in STREAMS else reply("Paris", **options)


def text_of(response: Any) -> str:
    return str(getattr(response, "text", None) or response.message.content)


def test_it_is_an_llm_of_llama_index() -> None:
    assert issubclass(Infrai, BaseLLM)


# -- answers, usage, cost ------------------------------------------------------------------------------------------


@every_endpoint
def test_every_endpoint_gives_text_usage_and_cost(scripted: Scripted, endpoint: Any) -> None:
    llm, _ = scripted(answer(endpoint, usage=USAGE, cost_usd=0.00012, vendor="deepseek", model="m-1"))
    response = endpoint(llm)
    assert text_of(response) == "Paris"
    assert type(response.raw) is dict
    assert response.raw["usage"] == USAGE
    served = response.raw["metadata"]
    assert (served["vendor"], served["model"], served["cost_usd"]) == ("deepseek", "m-1", Decimal("0.00012"))
    counts = {name: response.additional_kwargs[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    assert counts == {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


@every_endpoint
def test_an_unknown_cost_is_none_and_not_zero(scripted: Scripted, endpoint: Any) -> None:
    llm, _ = scripted(answer(endpoint, cost_usd=None))
    assert endpoint(llm).raw["metadata"]["cost_usd"] is None


@every_endpoint
def test_every_call_is_in_the_ledger_once(scripted: Scripted, endpoint: Any) -> None:
    llm, script = scripted(answer(endpoint, usage=USAGE, cost_usd=0.5))
    endpoint(llm)
    assert len(script.requests) == 1
    assert (llm.ledger.total.calls, llm.ledger.total.total_tokens) == (1, 16)
    assert llm.ledger.total.cost_usd == Decimal("0.5")


@every_endpoint
def test_the_token_counter_counts_each_call_once(scripted: Scripted, endpoint: Any) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    llm, _ = scripted(answer(endpoint, usage=USAGE), callback_manager=CallbackManager([counter]))
    endpoint(llm)
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (11, 5)
    assert len(counter.llm_token_counts) == 1


# -- events --------------------------------------------------------------------------------------------------------


class Events(BaseEventHandler):
    seen: list[Any]

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.seen.append(event)


@pytest.fixture
def events() -> Any:
    handler = Events(seen=[])
    root = get_dispatcher()
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


class Callbacks(BaseCallbackHandler):
    def __init__(self) -> None:
        super().__init__([], [])
        self.starts: list[Any] = []
        self.ends: list[Any] = []

    def on_event_start(
        self, event_type: CBEventType, payload: Any = None, event_id: str = "", parent_id: str = "", **kwargs: Any
    ) -> str:
        self.starts.append((event_type, payload))
        return ""

    def on_event_end(self, event_type: CBEventType, payload: Any = None, event_id: str = "", **kwargs: Any) -> None:
        self.ends.append((event_type, payload))

    def start_trace(self, trace_id: str | None = None) -> None: ...

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None: ...


@every_endpoint
def test_every_call_is_reported_exactly_once(scripted: Scripted, endpoint: Any, events: Events) -> None:
    callbacks = Callbacks()
    llm, _ = scripted(answer(endpoint, usage=USAGE), callback_manager=CallbackManager([callbacks]))
    endpoint(llm)
    names = [event.class_name() for event in events.seen]
    kind = "LLMCompletion" if "complete" in endpoint.__name__ else "LLMChat"
    assert [name for name in names if "Start" in name] == [f"{kind}StartEvent"]
    assert [name for name in names if "End" in name] == [f"{kind}EndEvent"]
    (ended,) = [event for event in events.seen if event.class_name() == f"{kind}EndEvent"]
    assert ended.response.raw["usage"] == USAGE
    assert [kind for kind, _ in callbacks.starts] == [CBEventType.LLM]
    assert [kind for kind, _ in callbacks.ends] == [CBEventType.LLM]


@every_endpoint
def test_no_event_shows_a_secret(scripted: Scripted, endpoint: Any, events: Events) -> None:
    callbacks = Callbacks()
    llm, _ = scripted(
        answer(endpoint),
        callback_manager=CallbackManager([callbacks]),
        headers={"x-token": "hidden-token"},
        user="user-7",
        temperature=0.5,
    )
    endpoint(llm)
    shown = repr(events.seen) + repr(callbacks.starts) + repr(callbacks.ends)
    assert "'temperature': 0.5" in shown
    for secret in ("ifr_secret_key", "hidden-token", "user-7"):
        assert secret not in shown


@every_endpoint
def test_what_is_secret_or_personal_in_a_call_is_sent_and_not_shown(
    scripted: Scripted, endpoint: Any, events: Events
) -> None:
    callbacks = Callbacks()
    llm, script = scripted(answer(endpoint), callback_manager=CallbackManager([callbacks]))
    hidden = {"extra_headers": {"x-token": "hidden-token"}, "user": "user-7", "session_id": "session-8"}
    endpoint(llm, temperature=0.5, **hidden)
    (request,) = script.requests
    assert (request.headers["x-token"], request.body["user"]) == ("hidden-token", "user-7")
    shown = repr(events.seen) + repr(callbacks.starts)
    assert "'temperature': 0.5" in shown
    assert not [text for text in ("hidden-token", "user-7", "session-8") if text in shown]


class Spans(BaseSpanHandler[BaseSpan]):
    """Keeps what spans get of their calls, as tracers do."""

    seen: list[str] = Field(default_factory=list)

    def new_span(self, id_: str, bound_args: Any, **kwargs: Any) -> None:
        self.seen.append(f"{id_}: {bound_args.arguments}")

    def prepare_to_exit_span(self, id_: str, result: Any = None, **kwargs: Any) -> None:
        self.seen.append(f"{id_} gave {result}")

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to keep."""


class Person(BaseModel):
    name: str


def with_tools(llm: Infrai, **options: Any) -> Any:
    return llm.chat_with_tools([TOOL], user_msg="hi", **options)


def predict_and_call(llm: Infrai, **options: Any) -> Any:
    return llm.predict_and_call([TOOL], user_msg="hi", **options)


def apredict_and_call(llm: Infrai, **options: Any) -> Any:
    return asyncio.run(llm.apredict_and_call([TOOL], user_msg="hi", **options))


def predicted(llm: Infrai, **options: Any) -> Any:
    return llm.structured_predict(Person, PromptTemplate("Who?"), llm_kwargs=options)


def apredicted(llm: Infrai, **options: Any) -> Any:
    return asyncio.run(llm.astructured_predict(Person, PromptTemplate("Who?"), llm_kwargs=options))


TOOL = FunctionTool.from_defaults(lambda: "done", name="work", description="Works.")
MORE = {use: reply(tool_calls=[("work", {})]) for use in (with_tools, predict_and_call, apredict_and_call)}
MORE |= dict.fromkeys((predicted, apredicted), reply('{"name": "Ada"}'))


@pytest.mark.parametrize("use", [*WHOLE, *STREAMS, *MORE])
def test_spans_show_nothing_secret_or_personal(scripted: Scripted, use: Any) -> None:
    spans, root = Spans(), get_dispatcher()
    root.add_span_handler(spans)
    llm, script = scripted(MORE.get(use) or answer(use))
    try:
        use(llm, temperature=0.5, extra_headers={"x-token": "hidden-token"}, user="user-7", session_id="session-8")
    finally:
        root.span_handlers.remove(spans)
    assert script.requests[0].headers["x-token"] == "hidden-token"
    assert "'temperature': 0.5" in str(spans.seen)
    assert not [text for text in ("hidden-token", "user-7", "session-8") if text in str(spans.seen)]


# -- options -------------------------------------------------------------------------------------------------------


@every_endpoint
def test_what_is_not_set_is_not_sent(scripted: Scripted, endpoint: Any) -> None:
    llm, script = scripted(answer(endpoint))
    endpoint(llm)
    assert set(script.requests[0].body) <= {"messages", "stream", "idempotency_key", "timeout_seconds"}


ROUTING = {
    "model": "m-1",
    "vendor": "v",
    "task": "coding",
    "prefer": "cheapest",
    "max_cost_multiplier": 2.0,
    "cache_strategy": "none",
    "session_id": "s",
    "vendor_options": {"v": {"a": 1}},
    "temperature": 0.0,
    "top_p": 0.5,
    "max_tokens": 7,
    "stop": ["x"],
    "seed": 3,
    "reasoning_effort": "low",
    "user": "u",
}


@every_endpoint
def test_fields_of_the_instance_are_sent(scripted: Scripted, endpoint: Any) -> None:
    llm, script = scripted(answer(endpoint), **ROUTING)
    endpoint(llm)
    assert script.requests[0].body.items() >= ROUTING.items()


@every_endpoint
def test_options_of_the_call_win_and_none_unsets(scripted: Scripted, endpoint: Any) -> None:
    llm, script = scripted(answer(endpoint), temperature=0.1, model="m-1", max_tokens=5)
    endpoint(llm, temperature=0.9, max_tokens=None)
    body = script.requests[0].body
    assert (body["temperature"], body["model"]) == (0.9, "m-1")
    assert "max_tokens" not in body


@every_endpoint
def test_an_unknown_option_of_a_call_is_refused_by_name(scripted: Scripted, endpoint: Any) -> None:
    llm, script = scripted(answer(endpoint))
    with pytest.raises(ConfigError, match="temprature"):
        endpoint(llm, temprature=1)
    assert script.requests == []


def test_an_unknown_constructor_argument_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="temprature"):
        Infrai(api_key="k", temprature=1)  # type: ignore[call-arg]  # the misspelling is the point


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", 3), ("task", "poetry"), ("prefer", "fast"), ("max_tokens", 0)]
)
def test_a_field_outside_its_range_is_refused_at_construction(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        Infrai(api_key="k", **{name: value})


def test_connection_settings_cannot_change_later() -> None:
    llm = Infrai(api_key="k")
    with pytest.raises(ValidationError, match="frozen"):
        llm.base_url = "https://elsewhere.invalid"  # type: ignore[misc]  # being read-only is the point


def test_without_key_and_base_url_construction_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="embedded"):
        Infrai()


@pytest.mark.parametrize("endpoint", STREAMS)
def test_a_batch_job_cannot_stream(scripted: Scripted, endpoint: Any) -> None:
    llm, script = scripted(streamed(["x"]), batch_mode=True)
    with pytest.raises(ConfigError, match="batch_mode"):
        endpoint(llm)
    assert script.requests == []
    assert text_of(endpoint(llm, batch_mode=False)) == "x"


def test_a_formatted_prompt_is_sent_as_it_is(scripted: Scripted) -> None:
    llm, script = scripted(reply("a"), reply("b"), completion_to_prompt=lambda prompt: f"<<{prompt}>>")
    llm.complete("hi")
    llm.complete("hi", formatted=True)
    sent = [request.body["messages"][0]["parts"][0]["text"] for request in script.requests]
    assert sent == ["<<hi>>", "hi"]


# -- errors --------------------------------------------------------------------------------------------------------


@every_endpoint
def test_an_error_of_the_service_keeps_its_class(scripted: Scripted, endpoint: Any) -> None:
    llm, _ = scripted(failure("RATE_LIMITED", "slow down"), max_retries=0)
    with pytest.raises(RateLimited, match="slow down"):
        endpoint(llm)


@pytest.mark.parametrize("endpoint", STREAMS)
def test_a_cut_stream_raises_and_is_never_taken_for_whole(scripted: Scripted, endpoint: Any) -> None:
    llm, _ = scripted(streamed(["Par"], cut=True))
    with pytest.raises(StreamInterrupted) as caught:
        endpoint(llm)
    assert caught.value.partial.content == "Par"


NOTHING = [ChatMessage(blocks=[ImageBlock()])]


@pytest.mark.parametrize(
    "call",
    [
        lambda llm: llm.chat(NOTHING),
        lambda llm: asyncio.run(llm.achat(NOTHING)),
        lambda llm: list(llm.stream_chat(NOTHING)),
        lambda llm: asyncio.run(acollected(llm.astream_chat(NOTHING))),
    ],
    ids=["chat", "achat", "stream_chat", "astream_chat"],
)
def test_content_without_a_mapping_is_refused_before_anything_is_sent(scripted: Scripted, call: Any) -> None:
    llm, script = scripted()
    with pytest.raises(UnsupportedContent, match="ImageBlock"):
        call(llm)
    assert script.requests == []


# -- facts ---------------------------------------------------------------------------------------------------------


def test_a_known_model_has_its_own_facts() -> None:
    found = Infrai(api_key="k", model="infrai-offline").metadata
    known = facts.facts_of("infrai-offline")
    assert (found.context_window, found.model_name) == (known.context_window, "infrai-offline")
    assert (found.is_chat_model, found.is_function_calling_model) == (True, True)


def test_every_model_of_the_catalogue_has_room_for_prompt_and_answer() -> None:
    rows = json.loads((files("infrai_core") / "data" / "vendor_models.json").read_text("utf-8"))
    for row in (row for row in rows if row["capability"] == "chat"):
        found = Infrai(api_key="k", model=row["id"]).metadata
        assert found.context_window == row["context_window"] != DEFAULT_CONTEXT_WINDOW, row["id"]
        assert 0 < found.num_output <= found.context_window // 4, row["id"]
        assert found.is_function_calling_model == ("tools" in row["abilities"]), row["id"]


def test_without_a_model_the_facts_are_the_common_ground_of_the_route() -> None:
    found = Infrai(api_key="k").metadata
    assert found.context_window == facts.facts_of(None).context_window
    assert found.model_name == "auto"


@pytest.fixture
def learned() -> None:
    rows = [
        ModelInfo(id="test-small", capability="test", context_window=8192, max_output_tokens=8192, abilities=["json"]),
        ModelInfo(
            id="test-large", capability="test", context_window=200_000, max_output_tokens=16_000, abilities=["tools"]
        ),
    ]
    facts.learn(rows)


@pytest.mark.usefixtures("learned")
@pytest.mark.parametrize(
    ("options", "num_output"),
    [
        ({"model": "test-small"}, 2048),
        ({"model": "test-large"}, 16_000),
        ({"model": "test-small", "max_tokens": 99}, 99),
    ],
)
def test_the_room_left_for_the_answer_never_eats_the_context(options: dict[str, Any], num_output: int) -> None:
    assert Infrai(api_key="k", **options).metadata.num_output == num_output


@pytest.mark.usefixtures("learned")
def test_a_model_takes_tools_when_its_facts_or_the_caller_say_so() -> None:
    def takes(**options: Any) -> bool:
        return Infrai(api_key="k", **options).metadata.is_function_calling_model

    assert takes(model="test-large")
    assert not takes(model="test-small")
    assert takes(model="nobody-knows-it")
    assert not takes(model="nobody-knows-it", function_calling=False)


def test_an_unknown_model_has_the_context_that_the_caller_names() -> None:
    assert Infrai(api_key="k", model="nobody-knows-it", context_window=50_000).metadata.context_window == 50_000


# -- event loops ---------------------------------------------------------------------------------------------------


def test_one_instance_serves_several_event_loops(scripted: Scripted) -> None:
    llm, script = scripted(*[reply(str(i)) for i in range(3)])
    found = [asyncio.run(llm.achat(HI)).message.content for _ in range(3)]
    assert found == ["0", "1", "2"]
    assert len(script.requests) == 3


def test_the_clients_behind_it_share_its_ledger(scripted: Scripted) -> None:
    llm, _ = scripted(reply("a"), reply("b"))
    llm.client.chat("hi")
    asyncio.run(llm.aclient.chat("hi"))
    assert llm.ledger.total.calls == 2
