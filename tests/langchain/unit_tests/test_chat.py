"""``ChatInfrai`` on a scripted service."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.exceptions import ModelInvalidRequestError
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.load import dumps, load
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.messages.ai import add_usage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run
from pydantic import ValidationError

from infrai_core import ConfigError, Ledger
from infrai_core.testing import Answer, Script, Scripted, failure, reply, streamed
from langchain_infrai import ChatInfrai, InfraiEmbeddings, __version__, get_infrai_callback
from langchain_infrai.errors import InfraiConfigError, InfraiRateLimited, InfraiStreamInterrupted

pytestmark = pytest.mark.filterwarnings("ignore:.*is in beta")  # so says LangChain of its own load and protocol

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def model_on(*answers: Answer, repeat: bool = False, **fields: Any) -> tuple[ChatInfrai, Script]:
    script = Script(answers, repeat_last=repeat)
    return ChatInfrai(api_key="key", max_retries=0, client_options={"transport": script}, **fields), script


# -- what is sent --------------------------------------------------------------------------------------------------


def test_without_settings_only_messages_are_sent() -> None:
    model, script = model_on(reply("hi"))
    model.invoke("hello")
    body = script.requests[0].body
    assert set(body) - {"idempotency_key", "timeout_seconds"} == {"messages"}
    assert body["messages"] == [{"role": "user", "parts": [{"type": "text", "text": "hello"}]}]


FIELDS: dict[str, Any] = {
    "model": "m",
    "vendor": "v",
    "task": "coding",
    "prefer": "cheapest",
    "max_cost_multiplier": 2.0,
    "cache_strategy": "none",
    "session_id": "s",
    "vendor_options": {"anthropic": {"top_k": 3}},
    "temperature": 0.0,
    "top_p": 0.5,
    "max_tokens": 9,
    "stop": ["END"],
    "seed": 0,
    "reasoning_effort": "low",
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_sent_with_every_call_and_an_argument_of_the_call_wins(name: str) -> None:
    model, script = model_on(reply("hi"), reply("hi"), **{name: FIELDS[name]})
    other: dict[str, Any] = {
        "task": "reasoning",
        "prefer": "smartest",
        "cache_strategy": "infrai",
        "max_cost_multiplier": 3.0,
    }
    given = other.get(name, {**FIELDS, "temperature": 1.0, "seed": 7}[name])
    model.invoke("hello")
    model.invoke("hello", **{name: given})
    assert [request.body[name] for request in script.requests] == [FIELDS[name], given]


def test_the_openai_spellings_work_too() -> None:
    model, script = model_on(reply("hi"), reply("hi"), model_name="m", stop_sequences=["x"])
    model.invoke("hello")
    model.invoke("hello", model_name="n", stop=["y"])
    sent = [(request.body["model"], request.body["stop"]) for request in script.requests]
    assert sent == [("m", ["x"]), ("n", ["y"])]


def test_an_unknown_argument_of_a_call_is_named() -> None:
    model, script = model_on(reply("hi"))
    with pytest.raises(ConfigError, match="'temprature'; did you mean 'temperature'"):
        model.invoke("hello", temprature=1)
    assert script.requests == []


def test_an_unknown_field_of_the_model_is_named() -> None:
    with pytest.raises(ValidationError, match="unknown field 'temprature'; did you mean 'temperature'"):
        ChatInfrai(temprature=1)


@pytest.mark.parametrize(
    "given",
    [
        {"apikey": "ifr_secret"},
        {"api_key": ["ifr_secret"]},
        {"headers": {"authorization": "ifr_secret"}},
        {"default_headers": "Bearer ifr_secret"},
        {"default_headers": {"authorization": "ifr_secret\n"}},
    ],
)
@pytest.mark.parametrize("kind", [ChatInfrai, InfraiEmbeddings])
def test_a_secret_in_a_wrong_place_or_of_a_wrong_kind_is_refused_and_not_shown(kind: Any, given: Any) -> None:
    with pytest.raises((ValidationError, InfraiConfigError)) as raised:
        kind(**given)
    assert "ifr_secret" not in f"{raised.value!s}{raised.value!r}"
    assert next(iter(given)) in str(raised.value)


def test_neither_key_nor_base_url_is_a_config_error_at_the_first_call() -> None:
    with pytest.raises(ConfigError, match="INFRAI_API_KEY"):
        ChatInfrai().invoke("hello")


# -- answers -------------------------------------------------------------------------------------------------------


def test_an_answer_has_usage_cost_and_the_model_that_served_it() -> None:
    model, _ = model_on(reply("hi", usage=USAGE, cost_usd=0.0001, model="served", vendor="v"), model="asked")
    message = model.invoke("hello")
    assert message.text == "hi"
    assert message.usage_metadata == {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    assert message.response_metadata["cost_usd"] == "0.0001"
    assert message.response_metadata["model_name"] == "served"
    assert message.response_metadata["model_provider"] == model._get_ls_params()["ls_provider"]
    assert model.ledger.total.cost_usd == Decimal("0.0001")


async def test_an_asynchronous_answer_is_the_same_message() -> None:
    model, _ = model_on(reply("hi", usage=USAGE), repeat=True)
    one, other = await model.ainvoke("hello"), model.invoke("hello")
    assert one == other


def test_the_usage_callback_counts_several_calls() -> None:
    model, _ = model_on(reply("hi", usage=USAGE, cost_usd=0.5, model="served"), repeat=True)
    counter = UsageMetadataCallbackHandler()
    for _ in range(3):
        model.invoke("hello", config={"callbacks": [counter]})
    assert counter.usage_metadata["served"]["total_tokens"] == 21


class Outputs(BaseCallbackHandler):
    """Keeps what LangChain says of each answer."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.seen.append(response.llm_output)


def test_llm_output_says_model_and_tokens_as_langchain_people_read_them() -> None:
    used = USAGE | {"prompt_tokens_details": {"cached_tokens": 4}}
    said = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    answers = [{**said, "model": "m1", "usage": used, "system_fingerprint": "fp"}, {**said, "model": "m2"}]
    script = Script([Scripted([json.dumps(answer).encode()]) for answer in answers])
    model = ChatInfrai(api_key="key", dialect="openai", client_options={"transport": script})
    handler = Outputs()
    message = model.invoke("hello", {"callbacks": [handler]})
    model.invoke("hello", {"callbacks": [handler]})
    one = {"model_name": "m1", "token_usage": used, "system_fingerprint": "fp"}
    assert handler.seen == [one, {"model_name": "m2"}]
    assert message.response_metadata["token_usage"] == used


async def test_the_tokens_of_several_prompts_are_added_up_and_counted_once() -> None:
    answers = [reply("hi", model="m1", usage=USAGE | {"prompt_tokens_details": {"cached_tokens": n}}) for n in (1, 2)]
    model, _ = model_on(*answers, reply("hi", model="m2", usage=USAGE), cache=InMemoryCache())
    prompts: Any = [[HumanMessage(text)] for text in ("a", "b")]
    with get_infrai_callback() as usage:
        whole = (await model.agenerate(prompts)).llm_output
        assert (usage.ledger.total.calls, usage.ledger.total.prompt_tokens) == (2, 10)
    summed = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
    assert whole == {"model_name": "m1", "token_usage": summed | {"prompt_tokens_details": {"cached_tokens": 3}}}
    again = model.generate([*prompts, [HumanMessage("c")]]).llm_output  # the first two are in LangChain's cache
    assert again == {"model_name": "m2", "token_usage": USAGE}
    assert model.generate(prompts).llm_output == {"model_name": "auto", "token_usage": {}}


def test_models_that_share_a_ledger_are_summed_up() -> None:
    ledger = Ledger()
    for vendor in ("a", "b"):
        model, _ = model_on(reply("hi", vendor=vendor, cost_usd=0.25), ledger=ledger)
        model.invoke("hello")
    assert ledger.total.cost_usd == Decimal("0.5")
    assert set(ledger.by("vendor")) == {"a", "b"}


@pytest.mark.parametrize("output_version", [None, "v1"])
def test_a_stream_is_the_text_in_pieces_and_ends_with_usage_and_cost(output_version: str | None) -> None:
    model, _ = model_on(streamed(["Hel", "lo"], usage=USAGE, cost_usd=0.5), output_version=output_version)
    chunks = list(model.stream("hello"))
    assert [chunk.text for chunk in chunks] == ["Hel", "lo", ""]
    assert [chunk.usage_metadata is not None for chunk in chunks] == [False, False, True]
    assert chunks[-1].response_metadata["cost_usd"] == "0.5"
    assert chunks[-1].chunk_position == "last"
    total = chunks[0] + chunks[1] + chunks[2]
    assert [block["type"] for block in total.content_blocks] == ["text"]
    assert total.text == "Hello"


def test_chunks_are_what_langchain_itself_would_make_of_their_values() -> None:
    model, _ = model_on(streamed(["Hel", "lo"], usage=USAGE))
    seen: list[ChatGenerationChunk] = []

    class Watch(BaseCallbackHandler):
        def on_llm_new_token(self, token: Any, *, chunk: Any = None, **kwargs: Any) -> None:
            seen.append(chunk)

    for message in model.stream("hello", {"callbacks": [Watch()]}):
        given = {name: value for name, value in message if name in message.model_fields_set}
        checked = AIMessageChunk(**given)
        assert (message, repr(message), message.__dict__) == (checked, repr(checked), checked.__dict__)
        assert (message.model_extra, message.__pydantic_private__) == ({}, None)
        again = ChatGenerationChunk(message=message, generation_info=seen[-1].generation_info)
        assert (seen[-1], repr(seen[-1]), seen[-1].__dict__) == (again, repr(again), again.__dict__)
    assert [chunk.text for chunk in seen] == ["Hel", "lo", ""]


def test_a_chunk_that_is_kept_does_not_change_later() -> None:
    model, _ = model_on(streamed(["Hel", "lo", "!"]))
    shown, kept = [], []
    for chunk in model.stream("hello"):
        shown.append(chunk.model_dump_json())
        kept.append(chunk)
    assert [chunk.model_dump_json() for chunk in kept] == shown
    kept[0].response_metadata["mine"] = kept[0].additional_kwargs["mine"] = True
    kept[0].tool_calls.append({"name": "f", "args": {}, "id": "1"})
    assert [chunk.model_dump_json() for chunk in kept[1:]] == shown[1:]


async def test_an_asynchronous_stream_is_the_same() -> None:
    model, _ = model_on(streamed(["Hel", "lo"]), repeat=True)
    assert [chunk.content async for chunk in model.astream("hello")] == [c.content for c in model.stream("hello")]


def test_leaving_a_stream_closes_the_response() -> None:
    model, script = model_on(streamed(["Hel", "lo", "!"]))
    stream = model.stream("hello")
    assert next(stream).content == "Hel"
    stream.close()  # type: ignore[attr-defined]  # a generator, whatever LangChain's annotation says
    assert script.closed == 1


def test_a_chain_passes_tokens_on_as_they_come() -> None:
    model, _ = model_on(streamed(["Hel", "lo", "!"]))
    assert list((model | StrOutputParser()).stream("hello"))[:3] == ["Hel", "lo", "!"]


async def test_leaving_an_asynchronous_stream_closes_the_response() -> None:
    model, script = model_on(streamed(["Hel", "lo", "!"]))
    stream = model.astream("hello")
    assert (await anext(stream)).content == "Hel"
    await stream.aclose()  # type: ignore[attr-defined]  # a generator, whatever LangChain's annotation says
    assert script.closed == 1


def test_a_streaming_model_invokes_through_a_stream() -> None:
    model, script = model_on(streamed(["Hel", "lo"], usage=USAGE), streaming=True)
    message = model.invoke("hello")
    assert (message.content, script.requests[0].body["stream"]) == ("Hello", True)
    assert message.usage_metadata is not None


def test_stream_false_in_a_call_is_not_sent() -> None:
    model, script = model_on(reply("hi"), streaming=True)
    assert model.invoke("hello", stream=False).content == "hi"
    assert "stream" not in script.requests[0].body


def test_v1_output_is_a_list_of_blocks_whole_and_streamed() -> None:
    model, _ = model_on(reply("Hello"), streamed(["Hello"]), output_version="v1")
    assert model.invoke("x").content == [{"type": "text", "text": "Hello"}]
    assert next(iter(model.stream("x"))).content == [{"type": "text", "text": "Hello", "index": 0}]


def test_tool_calls_stream_in_pieces_and_become_calls() -> None:
    fragments = [
        {"index": 0, "type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"a"'},
        {"index": 0, "type": "tool_call", "arguments": ": 1}"},
    ]
    for version in (None, "v1"):
        model, _ = model_on(streamed(fragments, finish_reason="tool_calls"), output_version=version)
        message = model.invoke("x", stream=True)
        assert message.tool_calls == [{"name": "f", "args": {"a": 1}, "id": "call_1", "type": "tool_call"}]
        assert [block["type"] for block in message.content_blocks] == ["tool_call"]


def test_a_stream_in_batch_mode_is_the_whole_answer_as_one_chunk() -> None:
    answers = _batch("hi")
    model, script = model_on(*answers, batch_mode=True)
    chunks = list(model.stream("hello"))
    assert [(chunk.content, chunk.chunk_position) for chunk in chunks] == [("hi", "last")]
    assert chunks[0].usage_metadata is not None
    assert script.requests[0].body["batch_mode"] is True


def _batch(text: str) -> list[Answer]:
    import json

    from infrai_core.testing import Scripted, envelope

    record = {"batch_id": "b1", "state": "completed", "total_count": 1}
    whole = json.loads(reply(text).pieces[0])  # type: ignore[arg-type]  # bytes, as reply() makes them
    return [Scripted(envelope(record).pieces, 202), envelope(record), envelope({"results": [whole]})]


# -- errors --------------------------------------------------------------------------------------------------------


def test_an_error_of_the_service_is_raised_as_its_twin() -> None:
    model, _ = model_on(failure("RATE_LIMITED", retry_after_s=7))
    with pytest.raises(InfraiRateLimited) as caught:
        model.invoke("hello")
    assert (caught.value.is_retryable, caught.value.retry_after_s) == (True, 7)


def test_max_retries_counts_further_tries() -> None:
    script = Script([failure("RATE_LIMITED", retry_after_s=0), failure("RATE_LIMITED", retry_after_s=0), reply("hi")])
    model = ChatInfrai(api_key="key", max_retries=2, client_options={"transport": script})
    assert model.invoke("hello").content == "hi"


def test_a_call_may_say_how_often_it_is_tried_again() -> None:
    model, script = model_on(failure("RATE_LIMITED", retry_after_s=0), repeat=True)

    async def last() -> Any:
        return [chunk async for chunk in model.astream("hello", max_retries=2)]

    calls: list[Callable[[], Any]] = [
        lambda: model.invoke("hello", max_retries=2),
        lambda: list(model.stream("hello", max_retries=2)),
        lambda: asyncio.run(model.ainvoke("hello", max_retries=2)),
        lambda: asyncio.run(last()),
    ]
    for count, call in enumerate(calls, 1):
        with pytest.raises(InfraiRateLimited):
            call()
        assert len(script.requests) == 3 * count
    assert "max_retries" not in script.requests[0].body


@pytest.mark.parametrize(("name", "value"), [("max_retries", -1), ("max_retries", "x"), ("idle_timeout", 0)])
def test_a_wrong_setting_of_a_call_is_named(name: str, value: Any) -> None:
    model, script = model_on(reply("hi"))
    with pytest.raises(InfraiConfigError, match=f"{name}.*={value!r}: allowed is"):
        model.invoke("hello", **{name: value})
    assert script.requests == []


def test_a_cut_stream_raises_and_is_not_taken_for_whole() -> None:
    model, _ = model_on(streamed(["Hel"], cut=True))
    seen: list[Any] = []
    with pytest.raises(InfraiStreamInterrupted) as caught:
        seen.extend(chunk.content for chunk in model.stream("hello"))
    assert seen == ["Hel"]
    assert caught.value.partial.content == "Hel"


def test_fallbacks_of_langchain_catch_our_errors() -> None:
    model, _ = model_on(failure("NO_VENDOR_AVAILABLE"))
    chain = model.with_fallbacks([FakeListChatModel(responses=["other"])])
    assert chain.invoke("hello").text == "other"


# -- what LangChain asks -------------------------------------------------------------------------------------------


def test_trace_parameters_follow_the_call() -> None:
    model, _ = model_on(model="m", temperature=0.5, max_tokens=3, stop="END")
    assert model._get_ls_params() == {
        "ls_provider": "infrai",
        "ls_model_name": "m",
        "ls_model_type": "chat",
        "ls_temperature": 0.5,
        "ls_max_tokens": 3,
        "ls_stop": ["END"],
    }
    assert model._get_ls_params(stop=["x"], model="n", temperature=0)["ls_model_name"] == "n"
    assert ChatInfrai()._get_ls_params()["ls_model_name"] == "auto"


def test_traces_show_our_version() -> None:
    assert (ChatInfrai().metadata or {})["lc_versions"]["langchain-infrai"] == __version__
    assert "langchain-core" in (ChatInfrai().metadata or {})["lc_versions"]


def test_the_profile_of_a_known_model_comes_from_the_facts() -> None:
    profile = ChatInfrai(model="infrai-offline").profile
    assert profile is not None
    assert profile["max_input_tokens"] == 131072
    assert profile["tool_calling"] is True
    assert profile["reasoning_output"] is False


def test_the_profile_of_a_vendors_model_says_what_goes_in_and_out() -> None:
    profile: Any = ChatInfrai(model="gpt-4.1").profile
    assert (profile["max_input_tokens"], profile["structured_output"]) == (1047576, True)
    assert (profile["image_inputs"], profile["image_url_inputs"], profile["audio_inputs"]) == (True, True, False)
    assert (profile["text_outputs"], profile["image_outputs"], profile["audio_outputs"]) == (True, False, False)


def test_an_unknown_model_has_no_made_up_profile() -> None:
    assert ChatInfrai(model="nobody-knows-it").profile is None


def test_tokens_are_estimated_without_a_vocabulary() -> None:
    model = ChatInfrai()
    assert model.get_num_tokens("") == 0
    assert model.get_num_tokens("four words of text") == 4
    longer = model.get_num_tokens_from_messages([HumanMessage("four words of text"), AIMessage("yes")])
    assert longer > model.get_num_tokens_from_messages([HumanMessage("four words of text")]) > 4
    image = HumanMessage([{"type": "image", "url": "https://a/b.png"}])
    assert model.get_num_tokens_from_messages([image]) > 100


def test_tools_count_as_tokens() -> None:
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    model = ChatInfrai()
    messages = [HumanMessage("hello")]
    assert model.get_num_tokens_from_messages(messages, tools=[add]) > model.get_num_tokens_from_messages(messages) + 10


def test_own_token_ids_win() -> None:
    assert ChatInfrai(custom_get_token_ids=lambda text: [1] * 42).get_num_tokens("hello") == 42


def test_without_own_token_ids_there_are_none() -> None:
    with pytest.raises(InfraiConfigError, match="token ids need custom_get_token_ids"):
        ChatInfrai().get_token_ids("hello")


# -- life ----------------------------------------------------------------------------------------------------------


def test_the_key_shows_nowhere() -> None:
    model = ChatInfrai(api_key="ifr_secret_value")
    shown = [repr(model), str(model), str(model.model_dump()), str(model._identifying_params), str(model.lc_secrets)]
    assert not [text for text in shown if "ifr_secret_value" in text]
    assert b"ifr_secret_value" not in pickle.dumps(model)


class Seen(BaseTracer):
    """Keeps the runs as a tracer writes them down."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def _persist_run(self, run: Run) -> None:
        self.written.append(f"{run.model_dump()} {run.extra}")


USES: dict[str, Callable[..., Any]] = {
    "invoke": lambda model, config, **given: model.invoke("x", config, **given),
    "ainvoke": lambda model, config, **given: asyncio.run(model.ainvoke("x", config, **given)),
    "stream": lambda model, config, **given: list(model.stream("x", config, **given)),
    "bound": lambda model, config, **given: model.bind(**given).invoke("x", config),
}


@pytest.mark.parametrize("use", USES)
def test_headers_of_a_call_are_sent_and_stay_out_of_traces_and_caches(use: str) -> None:
    cache, seen = InMemoryCache(), Seen()
    model, script = model_on(streamed(["a"]) if use == "stream" else reply("a"), repeat=True, cache=cache)
    config: Any = {"callbacks": [seen]}
    for secret in ("hidden-1", "hidden-1", "hidden-2"):
        USES[use](model, config, extra_headers={"x-token": secret}, temperature=0.5)
    assert [sent.headers["x-token"] for sent in script.requests][-1] == "hidden-2"
    assert len(script.requests) == (3 if use == "stream" else 2), "another header is another question"
    assert "0.5" in seen.written[0]
    assert "hidden" not in f"{seen.written} {cache._cache}"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: model.model_copy(deep=True)])
def test_a_copy_calls_and_books_like_its_original(copied: Callable[[ChatInfrai], ChatInfrai]) -> None:
    model, script = model_on(reply("hi"), repeat=True)
    model.invoke("hello")
    twin = copied(model)
    twin.invoke("hello")
    assert (len(script.requests), model.ledger.total.calls) == (2, 2)


def test_a_pickled_model_keeps_its_settings_and_takes_the_key_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ChatInfrai(api_key="here", base_url="https://a.example/v1", temperature=0.5, stop=["x"])
    assert model.client.config.api_key is not None
    other = pickle.loads(pickle.dumps(model))
    monkeypatch.setenv("INFRAI_API_KEY", "there")
    assert (other.temperature, other.stop, other.base_url) == (0.5, ["x"], "https://a.example/v1")
    assert other.client.config.api_key.get_secret_value() == "there"


def test_a_pickle_drops_headers_that_carry_secrets_unless_told_to_carry_the_key() -> None:
    given: Any = {"default_headers": {"X-Api-Key": "s3cr3t", "x-team": "a"}}
    options = {"headers": {"Cookie": "s3cr3t", "x-part": "b"}}
    data = pickle.dumps(ChatInfrai(client_options=options, **given))
    assert b"s3cr3t" not in data
    again = pickle.loads(data)
    assert (again.default_headers, again.client_options) == ({"x-team": "a"}, {"headers": {"x-part": "b"}})
    kept = pickle.loads(pickle.dumps(ChatInfrai(client_options={**options, "pickle_key": True}, **given)))
    assert (kept.default_headers, kept.client_options["headers"]) == (given["default_headers"], options["headers"])


def test_a_model_with_a_transport_of_its_own_is_not_pickled() -> None:
    model, _ = model_on(reply("hi"))
    with pytest.raises(InfraiConfigError, match="a transport of its own cannot be pickled; give base_url"):
        pickle.dumps(model)


def test_a_changed_setting_reaches_the_next_call() -> None:
    model, _ = model_on(timeout=10)
    assert model.client is model.client
    assert model.client.config.timeout_s == 10
    assert model.model_copy(update={"timeout": 3}).client.config.timeout_s == 3
    assert model.client.config.timeout_s == 10


def test_a_closed_model_can_be_used_again() -> None:
    model, _ = model_on(reply("hi"), repeat=True)
    model.close()
    model.invoke("hello")
    model.close()
    assert model.invoke("hello").content == "hi"
    asyncio.run(model.aclose())


def test_one_model_serves_threads_and_event_loops() -> None:
    model, _ = model_on(reply("hi"), repeat=True)

    def both(_: int) -> tuple[Any, Any]:
        return model.invoke("hello").content, asyncio.run(model.ainvoke("hello")).content

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(both, range(16))) == {("hi", "hi")}
    assert model.ledger.total.calls == 32


def test_embedded_is_a_base_url() -> None:
    model = ChatInfrai.embedded(temperature=0)
    assert (model.base_url, model.client.config.embedded) == ("embedded", True)


SIGNED = {"opaque": "c2ln", "vendor": "gemini", "model": "m"}
SIGNED_PARTS = [
    {"type": "text", "text": "Let me see.", **SIGNED},
    {"type": "tool_call", "id": "call_1", "name": "f", "arguments": '{"a": 1}', **SIGNED},
]


@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize("mode", ["whole", "stream", "events"])
def test_a_signed_call_goes_back_signed(mode: str, version: Any) -> None:
    fragments = [{"index": at, **part} for at, part in enumerate(SIGNED_PARTS)]
    first = reply(parts=SIGNED_PARTS) if mode == "whole" else streamed(fragments, finish_reason="tool_calls")
    model, script = model_on(first, reply("done"), output_version=version)
    answer: Any
    if mode == "events":
        answer = model.stream_events("x", version="v3").output
    else:
        answer = model.invoke("x", stream=mode == "stream")
    kept = load(json.loads(dumps(answer)), allowed_objects="messages")  # as a checkpoint would
    model.invoke([HumanMessage("x"), kept, ToolMessage("ok", tool_call_id="call_1")])
    assert script.requests[1].body["messages"][1]["parts"] == SIGNED_PARTS


# -- names, marks and keys -----------------------------------------------------------------------------------------


def test_the_names_that_langchain_people_know_work() -> None:
    given: dict[str, Any] = {
        "model_name": "m",
        "max_completion_tokens": 9,
        "stop_sequences": ["x"],
        "request_timeout": 3,
        "stream_chunk_timeout": 4,
        "infrai_api_key": "k",
        "infrai_api_base": "https://a.example/v1",
    }
    model = ChatInfrai(**given)
    assert (model.model, model.max_tokens, model.stop) == ("m", 9, ["x"])
    config = model.client.config
    assert (config.timeout_s, config.idle_timeout_s, config.base_url) == (3, 4, "https://a.example/v1")


def test_other_names_work_in_a_call_too() -> None:
    model, script = model_on(reply("hi"))
    model.invoke("x", max_completion_tokens=9, request_timeout=3, idempotency_key="mine")
    body = script.requests[0].body
    assert (body["max_tokens"], body["timeout_seconds"], body["idempotency_key"]) == (9, 3, "mine")


def test_an_idempotency_key_is_no_field_of_a_model() -> None:
    with pytest.raises(ValidationError, match="idempotency_key"):
        ChatInfrai(idempotency_key="mine")


def test_headers_and_more_body_fields_go_with_every_call() -> None:
    model, script = model_on(reply("hi"), default_headers={"x-team": "a"}, extra_body={"fresh": 1}, user="u")
    model.invoke("x", extra_headers={"x-call": "b"})
    [sent] = script.requests
    assert (sent.headers["x-team"], sent.headers["x-call"]) == ("a", "b")
    assert (sent.body["fresh"], sent.body["user"]) == (1, "u")


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_can_mark_all_its_messages_as_cacheable(stream: bool) -> None:
    model, script = model_on(streamed(["hi"]) if stream else reply("hi"))
    model.invoke("x", cache_control={"type": "ephemeral", "ttl": "1h"}, stream=stream)
    [message] = script.requests[0].body["messages"]
    assert message["parts"][-1] == {"type": "cache_point", "ttl": "1h"}
    assert "cache_control" not in script.requests[0].body


@pytest.mark.parametrize("control", ["ephemeral", True, {"type": "x"}])
def test_a_mark_that_vendors_do_not_know_is_refused(control: Any) -> None:
    model, script = model_on(reply("hi"))
    with pytest.raises(InfraiConfigError, match=r"cache_control=.*: allowed is"):
        model.invoke("x", cache_control=control)
    with pytest.raises(InfraiConfigError, match=r"cache_control=.*: allowed is"):
        model.invoke([HumanMessage([{"type": "text", "text": "x", "cache_control": control}])])
    assert script.requests == []


def test_a_changed_model_does_not_answer_from_its_old_cache_key() -> None:
    model, _ = model_on(reply("one"), reply("two"), reply("three"), cache=InMemoryCache(), temperature=0)
    assert [model.invoke("x").content, model.invoke("x").content] == ["one", "one"]
    assert model.model_copy(update={"temperature": 0.5}).invoke("x").content == "two"
    model.temperature = 1
    assert model.invoke("x").content == "three"


def test_a_hit_of_langchains_cache_is_marked_and_not_called() -> None:
    model, script = model_on(reply("hi", usage=USAGE, cost_usd=0.5), cache=InMemoryCache())
    model.invoke("x")
    hit: Any = model.invoke("x").usage_metadata
    assert (len(script.requests), hit["total_cost"]) == (1, 0)


def test_a_rate_limiter_is_asked() -> None:
    class Count(BaseRateLimiter):
        asked = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.asked += 1
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            self.asked += 1
            return True

    limiter = Count()
    model, _ = model_on(reply("hi"), streamed(["hi"]), rate_limiter=limiter)
    model.invoke("x")
    list(model.stream("x"))
    assert limiter.asked == 2


@pytest.mark.parametrize("stream", [False, True])
def test_messages_and_chunks_of_answers_can_be_added_up(stream: bool) -> None:
    model, _ = model_on(
        *(
            streamed(["a", "b"], usage=USAGE, cost_usd=c) if stream else reply("ab", usage=USAGE, cost_usd=c)
            for c in (0.1, 0.2)
        )
    )
    one, other = (model.invoke("x", stream=stream).usage_metadata for _ in range(2))
    assert add_usage(one, other) == {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}


def test_errors_before_anything_is_sent_are_langchains_too() -> None:
    model, script = model_on(reply("hi"))
    with pytest.raises(ModelInvalidRequestError, match="temprature"):
        model.invoke("x", temprature=1)
    with pytest.raises(ModelInvalidRequestError, match=r"messages\.0: content of type 'hologram'"):
        model.invoke([HumanMessage([{"type": "hologram"}])])
    with pytest.raises(ModelInvalidRequestError, match="no API key"):
        list(ChatInfrai().stream("x"))
    assert script.requests == []
