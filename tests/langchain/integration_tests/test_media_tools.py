"""The tools, rerank and the audio parser on the runtime in this process, alone, in an agent and in a graph."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from infrai_core import Artifacts
from infrai_core.testing import Script, reply
from langchain_infrai import (
    ChatInfrai,
    InfraiASRTool,
    InfraiAudioParser,
    InfraiImageTool,
    InfraiRerank,
    InfraiToolkit,
    InfraiTTSTool,
    InfraiVisionTool,
    get_infrai_callback,
)


class ToolSuite(ToolsIntegrationTests):
    artifacts = Artifacts()

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {"base_url": "embedded", "artifacts": self.artifacts}


class TestImageTool(ToolSuite):
    @property
    def tool_constructor(self) -> type[BaseTool]:
        return InfraiImageTool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"prompt": "a red boat", "size": "64x64"}


class TestVisionTool(ToolSuite):
    @property
    def tool_constructor(self) -> type[BaseTool]:
        return InfraiVisionTool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        drawn = InfraiImageTool(**self.tool_constructor_params).invoke({"prompt": "a red boat", "size": "64x64"})
        return {"question": "Which colours?", "images": [drawn.split(" ")[0]]}


class TestTTSTool(ToolSuite):
    @property
    def tool_constructor(self) -> type[BaseTool]:
        return InfraiTTSTool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"text": "good morning", "format": "wav"}


class TestASRTool(ToolSuite):
    @property
    def tool_constructor(self) -> type[BaseTool]:
        return InfraiASRTool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        spoken = InfraiTTSTool(**self.tool_constructor_params).invoke({"text": "good morning", "format": "wav"})
        return {"audio": spoken.split(" ")[0]}


# -- agents and graphs ---------------------------------------------------------------------------------------------


def test_an_agent_draws_and_its_caller_gets_the_picture(tmp_path: Path) -> None:
    kit = InfraiToolkit.embedded(root_dir=tmp_path, capabilities=("image", "tts"))
    agent = create_agent(ChatInfrai.embedded(), tools=kit.get_tools())
    with get_infrai_callback() as usage:
        result = agent.invoke({"messages": "Draw images for a description: a red boat. Size 128x128."})
    (drawn,) = [m for m in result["messages"] if isinstance(m, ToolMessage)]
    (block,) = drawn.artifact["media"]
    assert (tmp_path / block["id"]).read_bytes().startswith(b"\x89PNG")
    calls = {name: totals.calls for name, totals in usage.by("capability").items()}
    assert calls == {"chat": 2, "image": 1}
    assert [totals.calls for totals in usage.by("run").values()] == [3]


def scripted(*answers: Any) -> ChatInfrai:
    return ChatInfrai(api_key="ifr_test", client_options={"transport": Script(answers)})


def graph(model: ChatInfrai, tools: list[BaseTool], saver: InMemorySaver) -> Any:
    bound = model.bind_tools(tools)

    async def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await bound.ainvoke(state["messages"])]}

    made = StateGraph(MessagesState)
    made.add_node("think", think)
    made.add_node("tools", ToolNode(tools))
    made.add_edge(START, "think")
    made.add_conditional_edges("think", tools_condition)
    made.add_edge("tools", "think")
    return made.compile(checkpointer=saver)


def test_a_graph_passes_media_from_tool_to_tool_and_keeps_artifacts_in_its_checkpoint() -> None:
    tools = InfraiToolkit.embedded().get_tools()
    saver = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "1"}}

    async def talk() -> list[Any]:
        first = scripted(reply(tool_calls=[("speak", {"text": "good morning", "format": "wav"})]), reply("spoken"))
        said = await graph(first, tools, saver).ainvoke({"messages": "Say good morning."}, config)
        (spoken,) = [m for m in said["messages"] if isinstance(m, ToolMessage)]
        name = spoken.artifact["media"][0]["id"]
        second = scripted(reply(tool_calls=[("transcribe", {"audio": name, "language": "en"})]), reply("heard"))
        heard = await graph(second, tools, saver).ainvoke({"messages": "What was said?"}, config)
        return list(heard["messages"])

    with get_infrai_callback() as usage:
        messages = asyncio.run(talk())
    spoken, heard = (m for m in messages if isinstance(m, ToolMessage))
    assert spoken.artifact["media"][0]["mime_type"] == "audio/wav"  # it came back from the checkpoint
    assert heard.artifact["language"] == "en"
    assert heard.status == "success"
    assert isinstance(messages[-1], AIMessage)
    assert {name: totals.calls for name, totals in usage.by("capability").items()} == {"chat": 4, "tts": 1, "asr": 1}
    assert sorted(totals.calls for totals in usage.by("run").values()) == [3, 3]


def test_a_model_that_names_a_file_of_this_machine_is_told_no_and_goes_on() -> None:
    tools = InfraiToolkit.embedded().get_tools()
    model = scripted(
        reply(tool_calls=[("look_at_images", {"question": "What?", "images": ["/etc/hostname"]})]), reply("sorry")
    )
    result = create_agent(model, tools=tools).invoke({"messages": "Look at it."})
    (refused,) = [m for m in result["messages"] if isinstance(m, ToolMessage)]
    assert (refused.status, result["messages"][-1].content) == ("error", "sorry")


# -- rerank and recordings -----------------------------------------------------------------------------------------


def test_rerank_brings_the_fitting_document_first_inside_a_chain() -> None:
    documents = [Document("Bread is baked from flour."), Document("The client retries after a timeout.")]
    rank = InfraiRerank.embedded(top_n=1)
    (best,) = rank.compress_documents(documents, "When does the client retry?")
    assert "retries" in best.page_content
    assert asyncio.run(rank.acompress_documents(documents, "When does the client retry?")) == [best]


def test_a_recording_is_parsed_with_times(tmp_path: Path) -> None:
    tool = InfraiTTSTool.embedded(root_dir=tmp_path)
    name = tool.invoke({"text": "good morning", "format": "wav"}).split(" ")[0]
    documents = InfraiAudioParser.embedded().parse(Blob.from_path(tmp_path / name))
    assert all(document.page_content for document in documents)  # which words are heard differs between machines
    assert documents[0].metadata["source"].endswith(name)
    assert 0 <= documents[0].metadata["start"] < documents[0].metadata["end"]
