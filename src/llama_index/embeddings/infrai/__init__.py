"""``InfraiEmbedding`` where LlamaIndex users look for it; it lives in ``llama_index_infrai``."""

from llama_index_infrai.embedding import InfraiEmbedding

__all__ = ["InfraiEmbedding"]
