"""``InfraiAudioReader`` where LlamaIndex users look for it; it lives in ``llama_index_infrai``."""

from llama_index_infrai.reader import InfraiAudioReader

__all__ = ["InfraiAudioReader"]
