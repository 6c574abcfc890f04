"""Infrai's client: one typed, synchronous and asynchronous way to chat, embed, draw, see, speak, listen and rerank.

>>> from infrai_core import Infrai
>>> client = Infrai(base_url="embedded")
>>> client.chat("What is 6 times 7?").content  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infrai_core.accumulate import Accumulator
    from infrai_core.artifact import Artifacts
    from infrai_core.budget import Budget
    from infrai_core.chat_stream import AsyncChatStream, ChatStream
    from infrai_core.client import AsyncInfrai, Infrai
    from infrai_core.config import AttemptInfo, Config, Hook
    from infrai_core.errors import (
        AuthenticationError,
        BudgetSpent,
        ConfigError,
        Conflict,
        ConnectionFailed,
        ContentFiltered,
        ContextLengthExceeded,
        InfraiError,
        InsufficientCredit,
        InvalidRequest,
        NotFound,
        ParseFailed,
        PermissionDenied,
        ProtocolError,
        RateLimited,
        ServerError,
        StatusError,
        StreamInterrupted,
        Timeout,
        UnsupportedContent,
    )
    from infrai_core.models import (
        Attempt,
        CachePointPart,
        ChatChunk,
        ChatReply,
        Delta,
        Function,
        MediaPart,
        Metadata,
        ModelInfo,
        ParsedReply,
        Part,
        ReasoningPart,
        RefusalPart,
        ServerToolPart,
        TextPart,
        ToolCall,
        ToolCallPart,
        ToolResultPart,
        UnknownPart,
        Usage,
    )
    from infrai_core.replies import (
        EmbedReply,
        ImageReply,
        Media,
        Ranked,
        RealtimeToken,
        RerankReply,
        Segment,
        SpeechReply,
        TranscriptReply,
    )
    from infrai_core.report import Table
    from infrai_core.retry import Retry
    from infrai_core.root import Root
    from infrai_core.service import (
        Account,
        Activation,
        BatchList,
        BatchRecord,
        BatchResults,
        ModelList,
        VendorInfo,
        VendorKey,
        VendorList,
        VendorModel,
    )
    from infrai_core.usage import Entry, Ledger, Totals

__version__ = "0.1.0"

__all__ = [
    "Account",
    "Accumulator",
    "Activation",
    "Artifacts",
    "AsyncChatStream",
    "AsyncInfrai",
    "Attempt",
    "AttemptInfo",
    "AuthenticationError",
    "BatchList",
    "BatchRecord",
    "BatchResults",
    "Budget",
    "BudgetSpent",
    "CachePointPart",
    "ChatChunk",
    "ChatReply",
    "ChatStream",
    "Config",
    "ConfigError",
    "Conflict",
    "ConnectionFailed",
    "ContentFiltered",
    "ContextLengthExceeded",
    "Delta",
    "EmbedReply",
    "Entry",
    "Function",
    "Hook",
    "ImageReply",
    "Infrai",
    "InfraiError",
    "InsufficientCredit",
    "InvalidRequest",
    "Ledger",
    "Media",
    "MediaPart",
    "Metadata",
    "ModelInfo",
    "ModelList",
    "NotFound",
    "ParseFailed",
    "ParsedReply",
    "Part",
    "PermissionDenied",
    "ProtocolError",
    "Ranked",
    "RateLimited",
    "RealtimeToken",
    "ReasoningPart",
    "RefusalPart",
    "RerankReply",
    "Retry",
    "Root",
    "Segment",
    "ServerError",
    "ServerToolPart",
    "SpeechReply",
    "StatusError",
    "StreamInterrupted",
    "Table",
    "TextPart",
    "Timeout",
    "ToolCall",
    "ToolCallPart",
    "ToolResultPart",
    "Totals",
    "TranscriptReply",
    "UnknownPart",
    "UnsupportedContent",
    "Usage",
    "VendorInfo",
    "VendorKey",
    "VendorList",
    "VendorModel",
    "__version__",
]

_NAMES = {
    "accumulate": "Accumulator",
    "artifact": "Artifacts",
    "budget": "Budget",
    "chat_stream": "AsyncChatStream ChatStream",
    "client": "AsyncInfrai Infrai",
    "config": "AttemptInfo Config Hook",
    "errors": (
        "AuthenticationError BudgetSpent ConfigError Conflict ConnectionFailed ContentFiltered "
        "ContextLengthExceeded InfraiError InsufficientCredit InvalidRequest NotFound ParseFailed "
        "PermissionDenied ProtocolError RateLimited ServerError StatusError StreamInterrupted Timeout "
        "UnsupportedContent"
    ),
    "models": (
        "Attempt CachePointPart ChatChunk ChatReply Delta Function MediaPart Metadata ModelInfo ParsedReply Part "
        "ReasoningPart RefusalPart ServerToolPart TextPart ToolCall ToolCallPart ToolResultPart UnknownPart Usage"
    ),
    "replies": ("EmbedReply ImageReply Media Ranked RealtimeToken RerankReply Segment SpeechReply TranscriptReply"),
    "report": "Table",
    "retry": "Retry",
    "root": "Root",
    "service": (
        "Account Activation BatchList BatchRecord BatchResults ModelList VendorInfo VendorKey VendorList VendorModel"
    ),
    "usage": "Entry Ledger Totals",
}
"""Module -> names that it brings; it is imported when one of them is first used, since all together cost much."""

_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
