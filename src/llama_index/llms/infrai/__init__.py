"""``Infrai`` where LlamaIndex users look for it; it lives in ``llama_index_infrai``."""

from llama_index_infrai.llm import Infrai

__all__ = ["Infrai"]
