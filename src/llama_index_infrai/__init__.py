"""LlamaIndex classes over the Infrai client: an LLM, an embedding model, tools, a reader of recordings,
a reranker, and handlers that count and limit what all of them cost.

>>> from llama_index_infrai import Infrai
>>> llm = Infrai.embedded()
>>> llm.complete("What is 6 times 7?").text  # doctest: +SKIP
"""

from infrai_core.extra import needing

with needing("llama-index", "llama_index"):
    from llama_index_infrai.embedding import InfraiEmbedding
    from llama_index_infrai.llm import Infrai
    from llama_index_infrai.reader import InfraiAudioReader
    from llama_index_infrai.rerank import InfraiRerank
    from llama_index_infrai.tools import InfraiToolSpec
    from llama_index_infrai.usage import InfraiBudgetHandler, InfraiUsageHandler

__all__ = [
    "Infrai",
    "InfraiAudioReader",
    "InfraiBudgetHandler",
    "InfraiEmbedding",
    "InfraiRerank",
    "InfraiToolSpec",
    "InfraiUsageHandler",
]
