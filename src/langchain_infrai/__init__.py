"""LangChain on Infrai: a routed, multi-vendor chat model and embeddings, with cost and usage on every answer."""

from langchain_infrai._version import __version__
from langchain_infrai.chat_models import ChatInfrai
from langchain_infrai.embeddings import InfraiEmbeddings

__all__ = ["ChatInfrai", "InfraiEmbeddings", "__version__"]
