"""The adapter on the runtime in this process: what needs a real service and no particular answer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain.agents import create_agent
from langchain_core.exceptions import ModelNotFoundError
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from langchain_infrai import ChatInfrai, InfraiEmbeddings
from tests.media import png

FACT = "The bridge was opened in 1932. It is 503 metres long."


@pytest.fixture
def model() -> Iterator[ChatInfrai]:
    made = ChatInfrai.embedded(temperature=0)
    yield made
    made.close()


def test_an_answer_cites_its_source_and_says_who_served_it(model: ChatInfrai) -> None:
    message = model.invoke(f"{FACT} How long is the bridge?")
    assert "503" in message.text
    metadata = message.response_metadata
    assert (metadata["vendor"], metadata["model_provider"]) == ("local", "infrai")
    assert metadata["model_name"].startswith("infrai-offline")
    assert float(metadata["cost_usd"]) == 0
    [block] = message.content_blocks
    assert block["type"] == "text"
    [note, *_] = block["annotations"]
    assert message.text[note["start_index"] : note["end_index"]] == note["cited_text"]  # type: ignore[typeddict-item]


@pytest.mark.parametrize("output_version", [None, "v1"])
def test_a_stream_adds_up_to_the_answer(output_version: str | None) -> None:
    model = ChatInfrai.embedded(temperature=0, output_version=output_version)
    question = f"{FACT} When was the bridge opened?"
    whole, chunks = model.invoke(question), list(model.stream(question))
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    assert len(chunks) > 2
    assert total.text == whole.text
    assert total.usage_metadata == whole.usage_metadata
    assert [{**block, "index": 0} for block in total.content_blocks] == [
        {**block, "index": 0} for block in whole.content_blocks
    ]


def test_a_conversation_with_an_answer_and_its_citations_goes_on(model: ChatInfrai) -> None:
    first = HumanMessage(f"{FACT} How long is the bridge?")
    answer = model.invoke([first])
    assert "1932" in model.invoke([first, answer, HumanMessage("When was the bridge opened?")]).text


def test_a_picture_goes_in(model: ChatInfrai) -> None:
    picture = {"type": "image", "base64": base64.b64encode(png()).decode(), "mime_type": "image/png"}
    message = model.invoke([HumanMessage([{"type": "text", "text": "What colour is this?"}, picture])])
    assert "red" in message.text.lower()


def test_an_unknown_model_is_langchains_not_found(model: ChatInfrai) -> None:
    with pytest.raises(ModelNotFoundError):
        model.invoke("hello", model="no-such-model")


class Bridge(BaseModel):
    """A bridge."""

    length_metres: int
    opened_year: int


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_structured_output_is_filled_from_the_text(model: ChatInfrai, method: str) -> None:
    made = model.with_structured_output(Bridge, method=method)  # type: ignore[arg-type]  # a str of the parameters
    assert made.invoke(FACT) == Bridge(length_metres=503, opened_year=1932)


@tool
def population(city: str) -> str:
    """The number of people in a city."""
    return f"{city} has 709037 people."


def test_an_agent_calls_its_tool_and_answers_from_the_result(model: ChatInfrai) -> None:
    agent = create_agent(model, tools=[population])
    messages = agent.invoke({"messages": [HumanMessage("How many people live in the city Oslo?")]})["messages"]
    results = [message for message in messages if isinstance(message, ToolMessage)]
    assert [result.content for result in results] == ["Oslo has 709037 people."]
    assert isinstance(messages[-1], AIMessage)
    assert "709037" in messages[-1].text


def test_one_model_serves_several_event_loops_and_threads(model: ChatInfrai) -> None:
    async def once() -> str:
        return (await model.ainvoke(f"{FACT} How long is the bridge?")).text

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(lambda _: asyncio.run(once()), range(8)))
    assert len(answers) == 1
    assert model.ledger.total.calls == 8


def test_embeddings_are_pinned_to_the_model_that_served_first() -> None:
    made = InfraiEmbeddings.embedded(batch_size=2)
    vectors = made.embed_documents(["red apple", "green apple", "steel bridge"])
    assert len(vectors) == 3
    assert made._pin.model == "infrai-keyword-1024"
    near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
    assert near > far
    assert asyncio.run(made.aembed_query("red apple")) == pytest.approx(vectors[0])
