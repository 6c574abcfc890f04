"""Tests of structured answers."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel, Field

from llama_index_infrai.testing.endpoint import acollected, run
from llama_index_infrai.testing.subject import LLMSuite
from llama_index_infrai.testing.watch import watching


class Address(BaseModel):
    """Where somebody lives."""

    city: str = Field(description="name of the city")
    street: str | None = Field(default=None, description="street, where it is given")


class Person(BaseModel):
    """A person."""

    name: str = Field(description="name of the person")
    age: int = Field(description="age in years")
    address: Address = Field(description="where the person lives")
    nickname: str | None = Field(default=None, description="nickname, where it is given")


_WHOLE = ("structured_predict", "astructured_predict")
_STREAMED = ("stream_structured_predict", "astream_structured_predict")


class StructuredTests(LLMSuite):
    """Objects of a pydantic class: whole and streamed, nested, with optional fields."""

    @property
    def person_text(self) -> str:
        """A text about Anna, 31, of Paris, without street or nickname."""
        return "Anna is 31 years old. She lives in Paris."

    @pytest.fixture
    def structured_llm(self, llm: Any) -> Any:
        """The LLM, where it gives structured answers."""
        if not self.has_structured_output:
            pytest.skip("the model gives no structured answers (has_structured_output)")
        return llm

    @pytest.mark.parametrize("way", _WHOLE)
    def test_an_object_is_filled(self, structured_llm: Any, way: str) -> None:
        _check(_predicted(structured_llm, way, self.person_text)[-1])

    @pytest.mark.parametrize("way", _STREAMED)
    def test_a_streamed_object_grows_and_ends_whole(self, structured_llm: Any, way: str) -> None:
        found = _predicted(structured_llm, way, self.person_text)
        assert all(isinstance(item, BaseModel) for item in found)
        assert set(Person.model_fields) <= set(type(found[0]).model_fields)
        _check(found[-1])

    @pytest.mark.parametrize("way", [*_WHOLE, *_STREAMED])
    def test_the_options_of_the_caller_are_not_changed(self, structured_llm: Any, way: str) -> None:
        options: dict[str, Any] = {"tool_choice": "auto"} if self.has_tool_calling else {}
        before = dict(options)
        _predicted(structured_llm, way, self.person_text, options)
        assert options == before

    @pytest.mark.parametrize("way", [*_WHOLE, *_STREAMED])
    def test_a_structured_call_is_reported_once(self, structured_llm: Any, way: str) -> None:
        with watching(structured_llm) as watch:
            _predicted(structured_llm, way, self.person_text)
        assert len(watch.named("LLMStructuredPredictStartEvent")) == 1
        assert len(watch.named("LLMStructuredPredictEndEvent")) == 1
        assert len(watch.named("LLMChatStartEvent", "LLMCompletionStartEvent")) == 1

    @pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
    def test_a_structured_llm_answers_with_the_object(self, structured_llm: Any, is_async: bool) -> None:
        inner = structured_llm.as_structured_llm(Person)
        messages = [ChatMessage(content=self.person_text)]
        response = run(inner.achat(messages)) if is_async else inner.chat(messages)
        _check(response.raw)

    def test_leaving_a_stream_of_objects_does_no_harm(self, structured_llm: Any) -> None:
        stream = structured_llm.stream_structured_predict(Person, _PROMPT, text=self.person_text)
        next(stream)
        stream.close()
        _check(_predicted(structured_llm, "structured_predict", self.person_text)[-1])


def _predicted(llm: Any, way: str, text: str, options: dict[str, Any] | None = None) -> list[Any]:
    asked = getattr(llm, way)(Person, _PROMPT, llm_kwargs=options, text=text)
    if way == "astructured_predict":
        return [run(asked)]
    if way == "astream_structured_predict":
        return run(acollected(asked))
    return list(asked) if way == "stream_structured_predict" else [asked]


def _check(found: Any) -> None:
    assert (found.name, int(found.age), found.address.city) == ("Anna", 31, "Paris")
    assert not found.nickname
    assert not found.address.street


_PROMPT = PromptTemplate("Extract the person from this text: {text}")
