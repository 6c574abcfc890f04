"""LangChain on Infrai: a routed, multi-vendor chat model, embeddings, media tools, rerank and transcription, with cost
and usage on every answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from infrai_core.extra import needing
from langchain_infrai._version import __version__

with needing("langchain", "langchain_core"):
    from langchain_infrai.chat_models import ChatInfrai

if TYPE_CHECKING:
    from langchain_infrai.audio_parser import InfraiAudioParser
    from langchain_infrai.configurable import init_chat_model
    from langchain_infrai.embeddings import InfraiEmbeddings
    from langchain_infrai.rerank import InfraiRerank
    from langchain_infrai.tools import InfraiASRTool, InfraiImageTool, InfraiToolkit, InfraiTTSTool, InfraiVisionTool
    from langchain_infrai.tracing import InfraiTracer
    from langchain_infrai.usage import InfraiUsageCallbackHandler, get_infrai_callback

__all__ = [
    "ChatInfrai",
    "InfraiASRTool",
    "InfraiAudioParser",
    "InfraiEmbeddings",
    "InfraiImageTool",
    "InfraiRerank",
    "InfraiTTSTool",
    "InfraiToolkit",
    "InfraiTracer",
    "InfraiUsageCallbackHandler",
    "InfraiVisionTool",
    "__version__",
    "get_infrai_callback",
    "init_chat_model",
]

_LAZY = {
    "InfraiAudioParser": "audio_parser",
    "InfraiEmbeddings": "embeddings",
    "InfraiRerank": "rerank",
    "InfraiASRTool": "tools",
    "InfraiImageTool": "tools",
    "InfraiTTSTool": "tools",
    "InfraiToolkit": "tools",
    "InfraiVisionTool": "tools",
    "InfraiTracer": "tracing",
    "InfraiUsageCallbackHandler": "usage",
    "get_infrai_callback": "usage",
    "init_chat_model": "configurable",
}
"""Name -> module that is imported when the name is first used."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
