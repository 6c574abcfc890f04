"""``InfraiToolSpec`` where LlamaIndex users look for it; it lives in ``llama_index_infrai``."""

from llama_index_infrai.tools import InfraiToolSpec

__all__ = ["InfraiToolSpec"]
