"""The agents: one of LangChain, one of LlamaIndex. Both must really call their tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk
from llama_index.core import VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.tools import FunctionTool

from infrai_cli.demo.stage import FOUND, Stage, Typewriter, is_quoted
from infrai_cli.demo.tool import Calls, asker, counter, token_cost
from infrai_core import InfraiError
from langchain_infrai import ChatInfrai
from llama_index_infrai import Infrai

TWO_TOOLS = "How many words does docs/protocol.md have, and what do 120000 tokens cost at 0.5 USD per million tokens?"
ASK = "Ask the documents: how often are keep-alive comment lines sent?"


def show_langchain(stage: Stage, texts: Mapping[str, str]) -> None:
    """An agent with two tools, and a question that needs both."""
    stage.heading("LangChain: create_agent with tools")
    calls = Calls()
    tools = [calls.watched(counter(texts)), calls.watched(token_cost)]
    agent: Any = create_agent(ChatInfrai(base_url=stage.base_url, model=stage.model, ledger=stage.ledger), tools=tools)
    stage.tell_question(TWO_TOOLS)
    typewriter = Typewriter()
    with stage.step("LangChain agent"):
        for chunk, _ in agent.stream({"messages": TWO_TOOLS}, stream_mode="messages"):
            if isinstance(chunk, AIMessageChunk):
                typewriter.write(str(chunk.text))
    _check(typewriter.end(), calls, "count_words", "token_cost")


def show_llama(stage: Stage, index: VectorStoreIndex) -> None:
    """An agent whose tool is the query engine."""
    stage.heading("LlamaIndex: FunctionAgent with a tool")
    calls = Calls()
    llm = Infrai(base_url=stage.base_url, model=stage.model, ledger=stage.ledger)
    tool = FunctionTool.from_defaults(calls.watched(asker(_answerer(index, llm))))
    stage.tell_question(ASK)
    typewriter = Typewriter()
    with stage.step("LlamaIndex agent"):
        asyncio.run(_stream(FunctionAgent(tools=[tool], llm=llm), typewriter))
    _check(typewriter.end(), calls, "ask_documents")


async def _stream(agent: FunctionAgent, typewriter: Typewriter) -> None:
    running = agent.run(user_msg=ASK)
    async for event in running.stream_events():
        if isinstance(event, AgentStream):
            typewriter.write(event.delta)
    await running


def _answerer(index: VectorStoreIndex, llm: Infrai) -> Callable[[str], tuple[str, str]]:
    engine = index.as_query_engine(llm=llm, similarity_top_k=FOUND)

    def answer(question: str) -> tuple[str, str]:
        found = engine.query(question)
        text = str(found)
        cited = [node for node in found.source_nodes if is_quoted(text, node.node.get_content())] or found.source_nodes
        return text, str(cited[0].node.metadata["source"])

    return answer


def _check(answer: str, calls: Calls, *names: str) -> None:
    """Raises ``InfraiError`` when the tools were not called, or the answer has nothing of what they said."""
    calls.check(*names)
    words = {word for made in calls.made for word in made.result.split()}
    if not words & set(answer.split()):
        raise InfraiError("the agent's answer has nothing of what its tools said")
