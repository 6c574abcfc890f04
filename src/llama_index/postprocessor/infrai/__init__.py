"""``InfraiRerank`` where LlamaIndex users look for it; it lives in ``llama_index_infrai``."""

from llama_index_infrai.rerank import InfraiRerank

__all__ = ["InfraiRerank"]
