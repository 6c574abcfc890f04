"""The on-machine chat model: small, deterministic, extractive. It is not a language model and says so when asked."""

from __future__ import annotations

from .answer import Answer
from .reply import reply

__all__ = ["Answer", "reply"]
