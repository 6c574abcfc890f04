"""The LangChain part: a vector store, a chain, streamed answers with their sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from infrai_cli.demo.document import Passage
from infrai_cli.demo.stage import FOUND, Stage, Typewriter
from infrai_core import InfraiError
from langchain_infrai import ChatInfrai, InfraiEmbeddings

NAME = "LangChain"
_PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer the question from the passages. Say so if they do not answer it."),
        ("human", "{passages}\n\nQuestion: {question}"),
    ]
)


def show(stage: Stage, questions: Sequence[str]) -> None:
    """Indexes the passages and answers the questions."""
    stage.heading("LangChain: InMemoryVectorStore and a chain")
    store = store_of(stage, stage.embedding)
    stage.index(NAME, lambda batch: store.add_documents([document_of(passage) for passage in batch]))
    model = ChatInfrai(base_url=stage.base_url, model=stage.model, ledger=stage.ledger, cache_strategy="infrai")
    chain = _chain(store, model)
    for question in questions:
        stage.tell_question(question)
        with stage.step(f"{NAME} chain"):
            _tell(stage, chain, question)


def store_of(stage: Stage, embedding: str) -> InMemoryVectorStore:
    """An empty store on an embedding model."""
    return InMemoryVectorStore(InfraiEmbeddings(base_url=stage.base_url, model=embedding, ledger=stage.ledger))


def document_of(passage: Passage) -> Document:
    """A passage as LangChain has it."""
    about = {"file": passage.file, "section": passage.section, "source": passage.source}
    return Document(passage.content, metadata=about)


def _chain(store: InMemoryVectorStore, model: ChatInfrai) -> Runnable[str, dict[str, Any]]:
    """Question -> ``{"found": documents, "question", "answer"}``, streamed."""
    retriever = store.as_retriever(search_kwargs={"k": FOUND})
    answer = RunnablePassthrough.assign(passages=_joined) | _PROMPT | model | StrOutputParser()
    found: Runnable[str, dict[str, Any]] = {"found": retriever, "question": RunnablePassthrough()} | (
        RunnablePassthrough.assign(answer=answer)
    )
    return found


def _joined(values: dict[str, Any]) -> str:
    return "\n\n".join(document.page_content for document in values["found"])


def _tell(stage: Stage, chain: Runnable[str, dict[str, Any]], question: str) -> None:
    typewriter = Typewriter()
    found: list[Document] = []
    for piece in chain.stream(question):
        found += piece.get("found", [])
        typewriter.write(piece.get("answer", ""))
    text = typewriter.end()
    if not found:
        raise InfraiError("the store found no passage")
    stage.tell_sources(text, [(str(document.metadata["source"]), document.page_content) for document in found])
