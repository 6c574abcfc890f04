"""Tests of the eight endpoints: answers, streams, usage, events, loops, copies, secrets."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, MessageRole
from llama_index.core.callbacks import CallbackManager, CBEventType, TokenCountingHandler
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms.utils import resolve_llm
from llama_index.core.prompts import PromptTemplate

from llama_index_infrai.testing.endpoint import (
    CHATS,
    COPIES,
    ENDPOINTS,
    STREAMS,
    Endpoint,
    acollected,
    run,
    text_of,
    usage_of,
)
from llama_index_infrai.testing.subject import LLMSuite
from llama_index_infrai.testing.watch import watching

every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
every_chat = pytest.mark.parametrize("endpoint", CHATS, ids=str)
every_stream = pytest.mark.parametrize("endpoint", STREAMS, ids=str)


class AnswerTests(LLMSuite):
    """Answers of the eight endpoints."""

    def test_llama_index_takes_it_for_an_llm(self, llm: Any) -> None:
        assert isinstance(llm, BaseLLM)
        assert resolve_llm(llm) is llm  # type: ignore[arg-type]  # that it is one is the point
        assert llm.class_name() not in ("", "base_component")

    @every_endpoint
    def test_an_answer_has_text_and_the_right_type(self, llm: Any, endpoint: Endpoint) -> None:
        responses = endpoint.ask(llm, self.question)
        kind = ChatResponse if endpoint.chats else CompletionResponse
        assert [type(response) for response in responses] == [kind] * len(responses)
        assert text_of(responses[-1]).strip()
        if endpoint.chats:
            assert responses[-1].message.role == MessageRole.ASSISTANT

    @every_stream
    def test_each_response_of_a_stream_holds_all_deltas_so_far(self, llm: Any, endpoint: Endpoint) -> None:
        so_far = ""
        for response in endpoint.ask(llm, self.question):
            so_far += response.delta or ""
            assert text_of(response) == so_far

    @every_stream
    def test_responses_of_a_stream_do_not_change_afterwards(self, llm: Any, endpoint: Endpoint) -> None:
        responses = endpoint.ask(llm, self.question)
        lengths = [len(text_of(response)) for response in responses]
        assert lengths == sorted(lengths)
        assert len({id(response) for response in responses}) == len(responses)

    @every_chat
    def test_a_conversation_is_answered(self, llm: Any, endpoint: Endpoint) -> None:
        messages = [
            ChatMessage(role="system", content="Answer briefly."),
            ChatMessage(role="user", content="My name is Anna."),
            ChatMessage(role="assistant", content="Hello Anna."),
            ChatMessage(role="user", content=self.question),
        ]
        assert text_of(endpoint.ask(llm, messages)[-1]).strip()

    @every_chat
    def test_the_messages_of_the_caller_are_not_changed(self, llm: Any, endpoint: Endpoint) -> None:
        messages = [ChatMessage(content=self.question, additional_kwargs={"name": "anna"})]
        before = [message.model_dump() for message in messages]
        endpoint.ask(llm, messages)
        assert [message.model_dump() for message in messages] == before

    @pytest.mark.parametrize("way", ["predict", "apredict", "stream", "astream"])
    def test_prompts_are_filled_in_and_answered(self, llm: Any, way: str) -> None:
        asked = getattr(llm, way)(PromptTemplate("{question}"), question=self.question)
        if way == "stream":
            asked = "".join(asked)
        if way == "apredict":
            asked = run(asked)
        if way == "astream":
            asked = "".join(run(acollected(asked)))
        assert isinstance(asked, str)
        assert asked.strip()

    def test_the_metadata_say_what_prompts_may_hold(self, llm: Any) -> None:
        facts = llm.metadata
        assert facts.model_name not in ("", "unknown")
        assert facts.num_output < facts.context_window
        if self.knows_its_context:
            assert facts.context_window != DEFAULT_CONTEXT_WINDOW, "3900 is LlamaIndex's default for an unknown model"

    def test_an_unknown_constructor_argument_is_refused(self) -> None:
        if not self.refuses_unknown_arguments:
            pytest.skip("the class does not refuse unknown arguments (refuses_unknown_arguments)")
        with pytest.raises(ValueError, match="temprature"):
            self.make(temprature=0.5)


class UsageTests(LLMSuite):
    """Token counts, and the events that carry them."""

    @every_endpoint
    def test_usage_is_in_the_last_response(self, llm: Any, endpoint: Endpoint) -> None:
        _needs_usage(self)
        usage = usage_of(endpoint.ask(llm, self.question)[-1])
        assert usage, "raw['usage'] is where LlamaIndex's token counter and tracers look for it"
        assert min(_counts(usage)) > 0

    @every_endpoint
    def test_the_token_counter_counts_each_call_once(self, llm: Any, endpoint: Endpoint) -> None:
        _needs_usage(self)
        counter = TokenCountingHandler(tokenizer=lambda text: [])  # it must not have to estimate
        llm.callback_manager = CallbackManager([counter])
        last = endpoint.ask(llm, self.question)[-1]
        counted = (counter.prompt_llm_token_count, counter.completion_llm_token_count)
        assert counted == _counts(usage_of(last))
        assert len(counter.llm_token_counts) == 1

    @every_endpoint
    def test_every_call_is_reported_exactly_once(self, llm: Any, endpoint: Endpoint) -> None:
        kind = "LLMChat" if endpoint.chats else "LLMCompletion"
        other = "LLMCompletion" if endpoint.chats else "LLMChat"
        with watching(llm) as watch:
            responses = endpoint.ask(llm, self.question)
        assert watch.named(f"{other}StartEvent", f"{other}EndEvent") == []
        assert len(watch.named(f"{kind}StartEvent")) == 1
        (ended,) = watch.named(f"{kind}EndEvent")
        assert text_of(ended.response) == text_of(responses[-1])
        assert usage_of(ended.response) == usage_of(responses[-1])
        assert watch.callbacks(CBEventType.LLM) == (1, 1)

    @every_stream
    def test_every_response_of_a_stream_is_reported(self, llm: Any, endpoint: Endpoint) -> None:
        with watching(llm) as watch:
            responses = endpoint.ask(llm, self.question)
        assert len(watch.named("LLMChatInProgressEvent", "LLMCompletionInProgressEvent")) == len(responses)

    @every_endpoint
    def test_no_event_shows_a_secret(self, llm: Any, endpoint: Endpoint) -> None:
        with watching(llm) as watch:
            endpoint.ask(llm, self.question)
        assert not [secret for secret in self.secrets if secret in watch.text()]


def _needs_usage(suite: LLMSuite) -> None:
    if not suite.returns_usage:
        pytest.skip("the service sends no token counts (returns_usage)")


def _counts(usage: dict[str, Any]) -> tuple[int, int]:
    """Prompt and completion tokens, by OpenAI's, Anthropic's or Gemini's names."""
    prompt = ("prompt_tokens", "input_tokens", "prompt_token_count")
    completion = ("completion_tokens", "output_tokens", "candidates_token_count")
    return _first(usage, prompt), _first(usage, completion)


def _first(usage: dict[str, Any], names: tuple[str, ...]) -> int:
    return next((usage[name] for name in names if usage.get(name)), 0)


class LifeTests(LLMSuite):
    """Leaving streams, event loops, copies, dumps."""

    @pytest.mark.parametrize("name", ["stream_chat", "stream_complete"])
    def test_a_stream_that_was_left_does_no_harm(self, llm: Any, name: str) -> None:
        stream = getattr(llm, name)([ChatMessage(content=self.question)] if "chat" in name else self.question)
        next(stream)
        stream.close()
        assert text_of(llm.complete(self.question)).strip()

    @pytest.mark.parametrize("name", ["astream_chat", "astream_complete"])
    def test_an_asynchronous_stream_that_was_left_does_no_harm(self, llm: Any, name: str) -> None:
        async def leave_then_ask() -> str:
            stream = await getattr(llm, name)([ChatMessage(content=self.question)] if "chat" in name else self.question)
            await anext(stream)
            await stream.aclose()
            return text_of(await llm.acomplete(self.question))

        assert run(leave_then_ask()).strip()

    @pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.is_async], ids=str)
    def test_one_instance_serves_several_event_loops(self, llm: Any, endpoint: Endpoint) -> None:
        for _ in range(3):
            assert text_of(endpoint.ask(llm, self.question)[-1]).strip()

    @pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
    @pytest.mark.parametrize("used", [False, True], ids=["fresh", "after calls"])
    def test_a_copy_answers_too(self, llm: Any, copied: Any, used: bool) -> None:
        if used:
            llm.complete(self.question)
            run(llm.acomplete(self.question))
        twin = copied(llm)
        try:
            assert type(twin) is type(llm)
            assert twin.metadata == llm.metadata
            assert text_of(twin.complete(self.question)).strip()
            assert text_of(run(twin.acomplete(self.question))).strip()
        finally:
            self.close(twin)

    def test_no_dump_shows_a_secret(self, llm: Any) -> None:
        dumps = [repr(llm), str(llm), llm.to_json(), str(llm.to_dict()), str(llm.to_payload())]
        assert not [secret for secret in self.secrets for dump in dumps if secret in dump]

    def test_what_was_dumped_can_be_read_again(self, llm: Any) -> None:
        again = type(llm).from_dict({**llm.to_dict(), **self.llm_params})
        try:
            assert again.to_dict() == llm.to_dict()
        finally:
            self.close(again)
