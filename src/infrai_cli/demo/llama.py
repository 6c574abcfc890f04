"""The LlamaIndex part: an index, a query engine, streamed answers with their sources."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core import VectorStoreIndex
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.schema import NodeWithScore, TextNode

from infrai_cli.demo.document import Passage
from infrai_cli.demo.stage import FOUND, Stage, Typewriter
from infrai_core import InfraiError
from llama_index_infrai import Infrai, InfraiEmbedding

NAME = "LlamaIndex"


def show(stage: Stage, questions: Sequence[str]) -> VectorStoreIndex:
    """Indexes the passages and answers the questions. Returns the index."""
    stage.heading("LlamaIndex: VectorStoreIndex and query engine")
    embedding = InfraiEmbedding(base_url=stage.base_url, model=stage.embedding, ledger=stage.ledger)
    index = VectorStoreIndex([], embed_model=embedding)
    stage.index(NAME, lambda batch: index.insert_nodes([_node(passage) for passage in batch]))
    llm = Infrai(base_url=stage.base_url, model=stage.model, ledger=stage.ledger)
    engine = index.as_query_engine(llm=llm, streaming=True, similarity_top_k=FOUND)
    for question in questions:
        stage.tell_question(question)
        with stage.step(f"{NAME} query"):
            answer = engine.query(question)
            assert isinstance(answer, StreamingResponse)
            _tell(stage, answer)
    return index


def _node(passage: Passage) -> TextNode:
    about = {"file": passage.file, "section": passage.section, "source": passage.source}
    return TextNode(
        text=passage.content,
        metadata=about,
        excluded_embed_metadata_keys=[*about],
        excluded_llm_metadata_keys=[*about],
    )


def _tell(stage: Stage, answer: StreamingResponse) -> None:
    typewriter = Typewriter()
    for piece in answer.response_gen:
        typewriter.write(piece)
    text = typewriter.end()
    if not answer.source_nodes:
        raise InfraiError("the index found no passage")
    stage.tell_sources(text, [_cited(node) for node in answer.source_nodes])


def _cited(found: NodeWithScore) -> tuple[str, str]:
    return str(found.node.metadata["source"]), found.node.get_content()
