"""What the sentence model adds: a question put in other words than the documents use."""

from __future__ import annotations

from langchain_core.vectorstores import InMemoryVectorStore

from infrai_cli.demo.chain import document_of, store_of
from infrai_cli.demo.stage import Stage
from infrai_cli.screen import cut

MINILM = "infrai-minilm-384"
PARAPHRASE = "Which program turns spoken sound into written words?"
_CANDIDATES = 8


def show(stage: Stage) -> None:
    """The best passage by shared words, and of the best few of those the best by meaning.

    English only: MiniLM knows no Chinese. It reads a few candidates and not all documents, because it takes its time.
    """
    stage.heading(f"{stage.embedding}, then {MINILM}")
    print(f"\n  Q {PARAPHRASE}")
    words = store_of(stage, stage.embedding)
    meanings = store_of(stage, MINILM)
    with stage.step("comparison"):
        words.add_documents([document_of(passage) for passage in stage.passages if passage.file.endswith(".md")])
        _tell(stage.embedding, words)
        meanings.add_documents(words.similarity_search(PARAPHRASE, k=_CANDIDATES))
        _tell(f"{MINILM}, of the first {_CANDIDATES}", meanings)


def _tell(name: str, store: InMemoryVectorStore) -> None:
    best = store.similarity_search(PARAPHRASE, k=1)[0]
    print(f"    {name}: {best.metadata['source']}\n      {cut(best.page_content, 92)}", flush=True)
