"""End to end over the runtime in this process: the real client, transport, routing and on-machine models."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from infrai_core import ConfigError
from llama_index_infrai import Infrai, InfraiEmbedding, InfraiToolSpec

pytest.importorskip("infrai_runtime.embedded", reason="the runtime's extra is not installed")


@pytest.fixture
def llm() -> Infrai:
    return Infrai.embedded()


DOCUMENTS = [
    Document(text="The museum opens at nine in the morning and closes at five in the afternoon."),
    Document(text="Dogs are not allowed in the garden, but cats may come in."),
    Document(text="A ticket for adults costs twelve euros; children pay four euros."),
]


def splitter() -> SentenceSplitter:
    # LlamaIndex's own tokenizer needs a download; words are near enough here.
    return SentenceSplitter(chunk_size=200, chunk_overlap=0, tokenizer=str.split)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_query_engine_answers_from_the_documents(llm: Infrai, is_async: bool) -> None:
    embedding = InfraiEmbedding.embedded()
    index = VectorStoreIndex.from_documents(DOCUMENTS, embed_model=embedding, transformations=[splitter()])
    engine = index.as_query_engine(llm=llm, similarity_top_k=1)
    question = "How much does a ticket for adults cost?"
    answer = asyncio.run(engine.aquery(question)) if is_async else engine.query(question)
    assert "twelve" in str(answer)
    assert "ticket" in answer.source_nodes[0].get_content()
    assert llm.ledger.total.calls == 1
    assert embedding.ledger.total.calls == 2
    assert embedding.pinned_model == "infrai-keyword-1024"


def test_a_streaming_query_engine_gives_the_answer_in_pieces(llm: Infrai) -> None:
    embedding = InfraiEmbedding.embedded()
    index = VectorStoreIndex.from_documents(DOCUMENTS, embed_model=embedding, transformations=[splitter()])
    engine = index.as_query_engine(llm=llm, similarity_top_k=1, streaming=True)
    answer = engine.query("How much does a ticket for adults cost?")
    assert isinstance(answer, StreamingResponse)
    pieces = [str(piece) for piece in answer.response_gen]
    assert len(pieces) > 1
    assert "twelve" in "".join(pieces)


def test_a_chat_engine_remembers_what_was_said(llm: Infrai) -> None:
    # The default memory opens a database that LlamaIndex never closes.
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults(llm=llm))
    engine.chat("My name is Anna.")
    assert "Anna" in "".join(engine.stream_chat("What is my name?").response_gen)
    assert [message.role.value for message in engine.chat_history] == ["user", "assistant"] * 2


def weather(city: str) -> str:
    """Tells the weather in a city.

    Args:
        city (str): name of the city

    """
    return f"It is raining in {city} at 7 degrees."


def test_an_agent_calls_a_tool_and_tells_its_result(llm: Infrai) -> None:
    async def ask() -> str:
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(weather)], llm=llm)
        return str(await agent.run("What is the weather in Paris?"))

    answer = asyncio.run(ask())
    assert "rain" in answer
    assert "7" in answer
    assert llm.ledger.total.calls == 2


def test_several_event_loops_use_one_instance(llm: Infrai) -> None:
    found = [asyncio.run(llm.acomplete(f"What is {n} times 7?")).text for n in (6, 7, 8)]
    assert [str(n * 7) in text for n, text in zip((6, 7, 8), found, strict=True)] == [True] * 3


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_stream_ends_with_its_usage_and_says_what_the_whole_answer_says(llm: Infrai, is_async: bool) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    llm.callback_manager = CallbackManager([counter])

    async def collect() -> list[Any]:
        return [item async for item in await llm.astream_complete("What is 6 times 7?")]

    responses = asyncio.run(collect()) if is_async else list(llm.stream_complete("What is 6 times 7?"))
    last = responses[-1]
    assert last.raw is not None
    assert "".join(item.delta or "" for item in responses) == last.text
    assert "42" in last.text
    assert last.raw["metadata"]["vendor"] == "local"
    assert counter.total_llm_token_count == last.raw["usage"]["total_tokens"] > 0


class Person(BaseModel):
    """A person."""

    name: str
    age: int


PROMPT = PromptTemplate("Extract the person: {text}")
TEXT = "My name is Anna and I am 31 years old."


def test_an_object_is_predicted_whole_and_streamed(llm: Infrai) -> None:
    whole = llm.structured_predict(Person, PROMPT, text=TEXT)
    assert whole == Person(name="Anna", age=31)
    assert asyncio.run(llm.astructured_predict(Person, PROMPT, text=TEXT)) == whole
    assert list(llm.stream_structured_predict(Person, PROMPT, text=TEXT))[-1] == whole


def test_a_deep_copy_after_a_call_still_answers(llm: Infrai) -> None:
    llm.complete("hi")
    assert "42" in copy.deepcopy(llm).complete("What is 6 times 7?").text


@pytest.mark.parametrize("num_workers", [None, 2], ids=["here", "in worker processes"])
def test_a_pipeline_embeds_every_node(num_workers: int | None) -> None:
    pipeline = IngestionPipeline(transformations=[splitter(), InfraiEmbedding.embedded()], disable_cache=True)
    nodes = pipeline.run(documents=DOCUMENTS, num_workers=num_workers)
    assert [len(node.embedding or []) for node in nodes] == [1024] * 3


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_tools_draw_and_look_at_what_they_drew(tmp_path: Path, is_async: bool) -> None:
    pytest.importorskip("PIL")
    spec = InfraiToolSpec(tmp_path, base_url="embedded")
    tools = {tool.metadata.name: tool for tool in spec.to_tool_list()}

    def call(name: str, **arguments: Any) -> str:
        tool = tools[name]
        found = asyncio.run(tool.acall(**arguments)) if is_async else tool.call(**arguments)
        return str(found.content)

    name = call("generate_image", prompt="a red circle", size="256x256")
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert call("look_at_images", question="What colours are in this image?", images=[name])
    assert set(spec.ledger.by("capability")) == {"image", "vision"}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_call_in_batch_mode_is_the_ordinary_answer_and_cannot_stream(llm: Infrai, is_async: bool) -> None:
    question = "What is 17 * 3?"
    given = (
        asyncio.run(llm.acomplete(question, batch_mode=True)) if is_async else llm.complete(question, batch_mode=True)
    )
    assert "51" in given.text
    assert llm.ledger.total.calls == 1
    with pytest.raises(ConfigError, match="batch_mode"):
        list(llm.stream_complete(question, batch_mode=True))
