"""LlamaIndex's own pipelines over the runtime in this process.

Where the on-machine model can do what the pipeline asks, it answers. What it cannot (judging, planning, choosing among
described engines in prose) is taken by ``played``: the client, transport, routing, streaming and pricing stay real and
the test says what a capable model would write. Both ways the tests look at what the model was asked, too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import (
    Document,
    PropertyGraphIndex,
    Settings,
    SimpleDirectoryReader,
    StorageContext,
    SummaryIndex,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.agent.workflow import AgentOutput, AgentWorkflow, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.base.response.schema import AsyncStreamingResponse
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine
from llama_index.core.evaluation import FaithfulnessEvaluator, RelevancyEvaluator
from llama_index.core.indices.property_graph import SimpleLLMPathExtractor, VectorContextRetriever
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.program import LLMTextCompletionProgram
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import CitationQueryEngine, RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.selectors import LLMSingleSelector, PydanticSingleSelector
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.core.vector_stores import SimpleVectorStore
from pydantic import BaseModel

from llama_index_infrai import Infrai, InfraiAudioReader, InfraiEmbedding, InfraiRerank

pytest.importorskip("infrai_runtime.embedded", reason="the runtime's extra is not installed")

from tests.llama_index.played import played, said, tools

DOCUMENTS = [
    Document(text="The museum opens at nine in the morning and closes at five in the afternoon.", id_="museum"),
    Document(text="Dogs are not allowed in the garden, but cats may come in.", id_="garden"),
    Document(text="A ticket for adults costs twelve euros; children pay four euros.", id_="ticket"),
]
PRICE = "How much does a ticket for adults cost?"
HOURS = "When does the museum open?"


def splitter(chunk_size: int = 200) -> SentenceSplitter:
    # LlamaIndex's own tokenizer needs a download; words are near enough here.
    return SentenceSplitter(chunk_size=chunk_size, chunk_overlap=0, tokenizer=str.split)


@pytest.fixture
def llm() -> Infrai:
    return Infrai.embedded()


@pytest.fixture
def embedding() -> InfraiEmbedding:
    return InfraiEmbedding.embedded(model="infrai-keyword-1024")


@pytest.fixture(autouse=True)
def settings(llm: Infrai, embedding: InfraiEmbedding) -> Iterator[None]:
    """Everything that a pipeline takes from ``Settings`` is ours."""
    Settings.llm, Settings.embed_model = llm, embedding
    Settings.transformations, Settings.tokenizer = [splitter()], str.split
    yield
    Settings._llm = Settings._embed_model = Settings._transformations = Settings._tokenizer = None
    Settings._node_parser = None


@pytest.fixture
def index() -> VectorStoreIndex:
    return VectorStoreIndex.from_documents(DOCUMENTS)


def memory(llm: Infrai) -> ChatMemoryBuffer:
    # The default memory opens a database that LlamaIndex never closes.
    return ChatMemoryBuffer.from_defaults(llm=llm)


# -- retrieval -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_reranked_query_sends_the_model_only_the_best_node(index: VectorStoreIndex, is_async: bool) -> None:
    rerank = InfraiRerank.embedded(top_n=1)
    engine = index.as_query_engine(similarity_top_k=3, node_postprocessors=[rerank])
    answer = asyncio.run(engine.aquery(PRICE)) if is_async else engine.query(PRICE)
    assert "twelve" in str(answer)
    assert [node.node.ref_doc_id for node in answer.source_nodes] == ["ticket"]
    assert rerank.ledger.by("capability")["rerank"].calls == 1


def test_an_answer_streams_asynchronously(index: VectorStoreIndex) -> None:
    async def ask() -> list[str]:
        answer = await index.as_query_engine(similarity_top_k=1, streaming=True).aquery(PRICE)
        assert isinstance(answer, AsyncStreamingResponse)
        return [piece async for piece in answer.async_response_gen()]

    pieces = asyncio.run(ask())
    assert len(pieces) > 1
    assert "twelve" in "".join(pieces)


def test_an_index_that_was_stored_answers_after_it_is_loaded(
    index: VectorStoreIndex, embedding: InfraiEmbedding, tmp_path: Path
) -> None:
    index.storage_context.persist(str(tmp_path))
    before = embedding.ledger.total.calls
    loaded = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(tmp_path)))
    assert "nine" in str(loaded.as_query_engine(similarity_top_k=1).query(HOURS))
    assert embedding.ledger.total.calls == before + 1  # the question; no document is embedded again


def test_a_summary_index_reads_every_document(llm: Infrai) -> None:
    engine = SummaryIndex.from_documents(DOCUMENTS).as_query_engine(response_mode="tree_summarize")
    answer = engine.query(HOURS)
    assert "nine" in str(answer)
    assert len(answer.source_nodes) == 3


def test_recordings_are_indexed_and_the_answer_names_the_moment(tmp_path: Path, llm: Infrai) -> None:
    for name in ("espeakng_loader", "pocketsphinx", "soundfile"):
        pytest.importorskip(name)
    (tmp_path / "talk.wav").write_bytes(llm.client.tts("she went to the market to buy some bread", format="wav").read())
    audio = InfraiAudioReader.embedded()
    documents = SimpleDirectoryReader(tmp_path, file_extractor={".wav": audio}).load_data()
    made = VectorStoreIndex.from_documents(documents)
    (found,) = made.as_retriever(similarity_top_k=1).retrieve("Who went to the market?")
    assert "market" in found.get_content()
    assert 0 <= found.metadata["start_s"] < found.metadata["end_s"] < 10
    assert found.metadata["file_name"] == "talk.wav"


# -- chat ----------------------------------------------------------------------------------------------------------


def test_a_context_chat_engine_answers_from_documents_and_remembers(index: VectorStoreIndex, llm: Infrai) -> None:
    engine = index.as_chat_engine(chat_mode="context", memory=memory(llm), similarity_top_k=1)
    assert isinstance(engine, ContextChatEngine)
    assert "twelve" in str(engine.chat(PRICE))
    assert "nine" in "".join(engine.stream_chat(HOURS).response_gen)
    assert [message.content for message in engine.chat_history][0::2] == [PRICE, HOURS]


def test_a_condensing_chat_engine_asks_the_model_for_a_question_of_its_own(
    index: VectorStoreIndex, tmp_path: Path
) -> None:
    turns = ("Adults pay twelve euros.", "How much does a ticket for children cost?", "Four euros.")
    with played(tmp_path, *turns) as (llm, model):
        engine = index.as_chat_engine("condense_plus_context", llm=llm, memory=memory(llm), similarity_top_k=1)
        assert isinstance(engine, CondensePlusContextChatEngine)
        engine.chat(PRICE)
        answer = asyncio.run(engine.achat("And for children?"))
    assert str(answer) == "Four euros."
    assert "And for children?" in model.prompts[1]
    assert answer.source_nodes[0].node.ref_doc_id == "ticket"


# -- engines that plan ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_citation_engine_numbers_its_sources(index: VectorStoreIndex, tmp_path: Path, is_async: bool) -> None:
    with played(tmp_path, "It costs twelve euros [1].") as (llm, model):
        engine = CitationQueryEngine.from_args(index, llm=llm, similarity_top_k=2, citation_chunk_size=200)
        answer = asyncio.run(engine.aquery(PRICE)) if is_async else engine.query(PRICE)
    assert str(answer) == "It costs twelve euros [1]."
    cited = answer.source_nodes[0].node.get_content()
    assert cited.startswith("Source 1:\nA ticket for adults costs twelve euros")
    assert cited.strip() in model.prompts[0]


def test_the_on_machine_model_answers_a_citation_engine_from_its_sources(index: VectorStoreIndex, llm: Infrai) -> None:
    engine = CitationQueryEngine.from_args(index, llm=llm, similarity_top_k=2, citation_chunk_size=200)
    assert str(engine.query(PRICE)).startswith("A ticket for adults costs twelve euros; children pay four euros. [1]")


def engine_tools(llm: Infrai) -> list[QueryEngineTool]:
    return [
        QueryEngineTool.from_defaults(
            VectorStoreIndex.from_documents([document]).as_query_engine(llm=llm),
            name=document.id_,
            description=f"Knows about the {document.id_}.",
        )
        for document in DOCUMENTS
    ]


@pytest.mark.parametrize(
    ("selector", "turn"),
    [
        (PydanticSingleSelector, ("SingleSelection", {"index": 3, "reason": "prices"})),
        (LLMSingleSelector, '[{"choice": 3, "reason": "prices"}]'),
    ],
    ids=["by tool", "by text"],
)
def test_a_router_asks_the_engine_that_the_model_chose(llm: Infrai, tmp_path: Path, selector: Any, turn: Any) -> None:
    with played(tmp_path, turn) as (chooser, model):
        engine = RouterQueryEngine(selector.from_defaults(llm=chooser), engine_tools(llm), llm=llm)
        answer = engine.query(PRICE)
    assert "twelve" in str(answer)
    assert answer.metadata is not None
    assert answer.metadata["selector_result"].ind == 2
    assert all(f"Knows about the {document.id_}." in model.prompts[0] for document in DOCUMENTS)


@pytest.mark.parametrize("use_async", [False, True], ids=["sync", "async"])
def test_a_sub_question_engine_asks_each_engine_its_own_question(llm: Infrai, tmp_path: Path, use_async: bool) -> None:
    items = [{"sub_question": HOURS, "tool_name": "museum"}, {"sub_question": PRICE, "tool_name": "ticket"}]
    plan = f"```json\n{json.dumps({'items': items})}\n```"
    with played(tmp_path, plan) as (planner, model):
        engine = SubQuestionQueryEngine.from_defaults(
            engine_tools(llm),
            llm=llm,
            question_gen=LLMQuestionGenerator.from_defaults(llm=planner),
            use_async=use_async,
            verbose=False,
        )
        question = "When does the museum open, and how much is a ticket for adults?"
        answer = engine.query(question)
    assert question in model.prompts[0]
    texts = [node.get_content() for node in answer.source_nodes]
    assert any(HOURS in text and "nine" in text for text in texts)
    assert any(PRICE in text and "twelve" in text for text in texts)


# -- agents --------------------------------------------------------------------------------------------------------


def weather(city: str) -> str:
    """Tells the weather in a city.

    Args:
        city (str): name of the city

    """
    return f"It is raining in {city} at 7 degrees."


def multiply(a: int, b: int) -> int:
    """Multiply two whole numbers."""
    return a * b


def test_a_function_agent_streams_its_calls_and_its_answer(llm: Infrai) -> None:
    async def ask() -> tuple[list[Any], AgentOutput]:
        handler = FunctionAgent(tools=[FunctionTool.from_defaults(weather)], llm=llm).run(
            "What is the weather in Oslo?"
        )
        events = [event async for event in handler.stream_events()]
        return events, await handler

    events, output = asyncio.run(ask())
    (called,) = [event for event in events if isinstance(event, ToolCallResult)]
    assert (called.tool_name, called.tool_kwargs) == ("weather", {"city": "Oslo"})
    written = "".join(event.delta for event in events if type(event).__name__ == "AgentStream")
    assert written.endswith(str(output.response.content))
    assert "rain" in str(output)
    assert llm.ledger.total.calls == 2


def test_an_agent_hands_its_question_to_a_query_engine(llm: Infrai) -> None:
    async def ask() -> AgentOutput:
        return await FunctionAgent(tools=engine_tools(llm), llm=llm).run(HOURS)

    output = asyncio.run(ask())
    assert [(call.tool_name, call.tool_kwargs) for call in output.tool_calls] == [("museum", {"input": HOURS})]
    assert "nine in the morning" in str(output)


def test_two_agents_hand_over_to_each_other(tmp_path: Path) -> None:
    turns = (
        ("handoff", {"to_agent": "calculator", "reason": "arithmetic"}),
        ("multiply", {"a": 23, "b": 7}),
        lambda request: f"It is {said(request).splitlines()[-1]}.",
    )

    async def ask(llm: Infrai) -> AgentOutput:
        weatherman = FunctionAgent(
            name="weatherman",
            description="Tells the weather.",
            tools=[FunctionTool.from_defaults(weather)],
            llm=llm,
            can_handoff_to=["calculator"],
        )
        calculator = FunctionAgent(
            name="calculator",
            description="Multiplies numbers.",
            system_prompt="You calculate.",
            tools=[FunctionTool.from_defaults(multiply)],
            llm=llm,
            can_handoff_to=[],
        )
        flow = AgentWorkflow(agents=[weatherman, calculator], root_agent="weatherman")
        output: AgentOutput = await flow.run("What is 23 times 7?")
        return output

    with played(tmp_path, *turns) as (llm, model):
        output = asyncio.run(ask(llm))
    assert (str(output), output.current_agent_name) == ("It is 161.", "calculator")
    first, second, third = model.requests
    assert tools(first) == ["weather", "handoff"]
    assert tools(second) == ["multiply"]
    assert said(second).startswith("You calculate.")
    roles = [message["role"] for message in third["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool"]


def test_a_react_agent_reasons_in_text(tmp_path: Path) -> None:
    turns = (
        'Thought: I need the weather.\nAction: weather\nAction Input: {"city": "Oslo"}',
        "Thought: I can answer without using any more tools.\nAnswer: It rains in Oslo.",
    )

    async def ask(llm: Infrai) -> AgentOutput:
        output: AgentOutput = await ReActAgent(tools=[FunctionTool.from_defaults(weather)], llm=llm).run("And Oslo?")
        return output

    with played(tmp_path, *turns) as (llm, model):
        output = asyncio.run(ask(llm))
    assert str(output) == "It rains in Oslo."
    assert tools(model.requests[1]) == []
    assert "Observation: It is raining in Oslo at 7 degrees." in model.prompts[1]


# -- structured answers --------------------------------------------------------------------------------------------


class Person(BaseModel):
    """A person."""

    name: str
    age: int


PEOPLE = {"Anna": 31, "Boris": 45, "Carla": 27, "Dmitri": 62, "Elena": 19, "Frank": 38}


def test_objects_are_extracted_from_many_documents_at_a_time(llm: Infrai) -> None:
    prompt = PromptTemplate("Extract the person: {text}")
    texts = [f"My name is {name} and I am {age} years old." for name, age in PEOPLE.items()]

    async def extract() -> list[Person]:
        return await asyncio.gather(*(llm.astructured_predict(Person, prompt, text=text) for text in texts))

    assert asyncio.run(extract()) == [Person(name=name, age=age) for name, age in PEOPLE.items()]
    assert llm.ledger.total.calls == len(PEOPLE)


def test_the_on_machine_model_fills_the_schema_that_a_program_writes_into_its_prompt(llm: Infrai) -> None:
    program = LLMTextCompletionProgram.from_defaults(
        output_cls=Person, prompt_template_str="Extract the person: {text}", llm=llm
    )
    assert program(text="My name is Anna and I am 31 years old.") == Person(name="Anna", age=31)


def test_a_query_engine_gives_an_object(llm: Infrai) -> None:
    made = VectorStoreIndex.from_documents([Document(text="My name is Anna and I am 31 years old.")])
    answer = made.as_query_engine(llm=llm.as_structured_llm(Person)).query("Who is it?")
    assert getattr(answer, "response", None) == Person(name="Anna", age=31)


# -- ingestion -----------------------------------------------------------------------------------------------------


def pipeline(embedding: InfraiEmbedding, store: SimpleVectorStore | None = None) -> IngestionPipeline:
    return IngestionPipeline(
        transformations=[splitter(), embedding],
        cache=IngestionCache(),
        docstore=SimpleDocumentStore(),
        vector_store=store,
        docstore_strategy=DocstoreStrategy.UPSERTS,
    )


def test_only_a_changed_document_is_embedded_again(embedding: InfraiEmbedding) -> None:
    store = SimpleVectorStore()
    flow = pipeline(embedding, store)
    assert len(flow.run(documents=DOCUMENTS)) == 3
    assert flow.run(documents=DOCUMENTS) == []
    calls = embedding.ledger.total.calls
    changed = [DOCUMENTS[0], DOCUMENTS[1], Document(text="Everybody pays ten euros.", id_="ticket")]
    (node,) = flow.run(documents=changed)
    assert (node.ref_doc_id, embedding.ledger.total.calls) == ("ticket", calls + 1)
    assert sorted(store.data.text_id_to_ref_doc_id.values()) == ["garden", "museum", "ticket"]


def test_the_cache_of_a_pipeline_is_stored_with_it_and_knows_the_model(
    embedding: InfraiEmbedding, tmp_path: Path
) -> None:
    flow = pipeline(embedding)
    flow.docstore = None
    made = flow.run(documents=DOCUMENTS)
    flow.persist(str(tmp_path))

    def again(model: str, key: str) -> tuple[list[Any], int]:
        other = InfraiEmbedding(api_key=key, base_url="embedded", model=model)
        loaded = IngestionPipeline(transformations=[splitter(), other])
        loaded.load(str(tmp_path))
        return list(loaded.run(documents=DOCUMENTS)), other.ledger.total.calls

    # A rotated key does not lose the cache; another model does not get this one's vectors.
    nodes, calls = again("infrai-keyword-1024", "ifr_rotated")
    assert ([node.embedding for node in nodes], calls) == ([node.embedding for node in made], 0)
    nodes, calls = again("infrai-keyword-256", "ifr_rotated")
    assert ({len(node.embedding or []) for node in nodes}, calls) == ({256}, 1)


# -- evaluation and graphs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verdict", "passing"), [("YES", True), ("NO", False)])
def test_evaluators_ask_the_model_of_the_settings(
    index: VectorStoreIndex, tmp_path: Path, verdict: str, passing: bool
) -> None:
    answer = index.as_query_engine(similarity_top_k=1).query(PRICE)
    with played(tmp_path, verdict, verdict) as (judge, model):
        Settings.llm = judge
        faithful = FaithfulnessEvaluator().evaluate_response(response=answer)
        relevant = asyncio.run(RelevancyEvaluator().aevaluate_response(query=PRICE, response=answer))
    assert (faithful.passing, relevant.passing) == (passing, passing)
    assert str(answer) in model.prompts[0]
    assert PRICE in model.prompts[1]
    assert "twelve euros" in model.prompts[1]
    assert judge.ledger.total.calls == 2


def test_a_property_graph_is_drawn_from_what_the_model_found(tmp_path: Path) -> None:
    turns = ("(Museum, opens at, nine)", "The museum opens at nine.")
    with played(tmp_path, *turns) as (llm, model):
        extractor = SimpleLLMPathExtractor(llm=llm, num_workers=1)
        graph = PropertyGraphIndex.from_documents([DOCUMENTS[0]], kg_extractors=[extractor], llm=llm)
        triplets = graph.property_graph_store.get_triplets(entity_names=["Museum"])
        by_vector = VectorContextRetriever(
            graph.property_graph_store,
            vector_store=graph.vector_store,
            embed_model=Settings.embed_model,
            similarity_score=0.0,
        )
        answer = graph.as_query_engine(llm=llm, sub_retrievers=[by_vector]).query(HOURS)
    assert [(a.name, relation.label, b.name) for a, relation, b in triplets] == [("Museum", "Opens at", "Nine")]
    assert str(answer) == "The museum opens at nine."
    assert "Museum -> Opens at -> Nine" in model.prompts[1]
