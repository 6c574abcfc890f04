"""What requests and replies are made of: typed parts, messages, chat replies, chunks, usage and metadata.

Content is an ordered list of typed parts (docs/protocol.md, section 3); the flat views (``content``, ``tool_calls``,
``reasoning``, ``refusal``) are derived from it. Every model keeps fields it does not know, so that nothing a newer
service sends is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Discriminator, Field, Tag

if TYPE_CHECKING:
    from infrai_core.replies import EmbedReply as EmbedReply
    from infrai_core.replies import ImageReply as ImageReply
    from infrai_core.replies import Media as Media
    from infrai_core.replies import Ranked as Ranked
    from infrai_core.replies import Readable as Readable
    from infrai_core.replies import RealtimeToken as RealtimeToken
    from infrai_core.replies import RerankReply as RerankReply
    from infrai_core.replies import Segment as Segment
    from infrai_core.replies import SpeechReply as SpeechReply
    from infrai_core.replies import TranscriptReply as TranscriptReply
    from infrai_core.service import BATCH_DONE as BATCH_DONE
    from infrai_core.service import Account as Account
    from infrai_core.service import Activation as Activation
    from infrai_core.service import BatchList as BatchList
    from infrai_core.service import BatchRecord as BatchRecord
    from infrai_core.service import BatchResults as BatchResults
    from infrai_core.service import BatchState as BatchState
    from infrai_core.service import KeyRest as KeyRest
    from infrai_core.service import ModelList as ModelList
    from infrai_core.service import VendorInfo as VendorInfo
    from infrai_core.service import VendorKey as VendorKey
    from infrai_core.service import VendorList as VendorList
    from infrai_core.service import VendorModel as VendorModel

T = TypeVar("T")

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Value(BaseModel):
    """Base of all wire values: unknown fields are kept (``model_extra``), ``None`` stands for absent."""

    # Deferred: building all validators at import would cost 150 ms; each is built when it is first used.
    model_config = ConfigDict(extra="allow", protected_namespaces=(), defer_build=True)


# -- parts ---------------------------------------------------------------------------------------------------------


class Signed(Value):
    """A part that a vendor may sign: ``opaque`` goes back only to the vendor and model named."""

    opaque: Any = None
    vendor: str | None = None
    model: str | None = None


class TextPart(Signed):
    """Text. ``annotations`` are citations: ``{"type": "citation", "start", "end", "source"?, "quote"?, "url"?}``."""

    type: Literal["text"] = "text"
    text: str
    annotations: list[dict[str, Any]] | None = None


class ReasoningPart(Signed):
    """A model's reasoning."""

    type: Literal["reasoning"] = "reasoning"
    text: str = ""


class ToolCallPart(Signed):
    """A call of a tool. ``arguments`` is the JSON text as the model wrote it; it may not parse."""

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: str = "{}"


class ToolResultPart(Value):
    """What a tool answered: ordered parts (text, images, files)."""

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: str
    parts: list[Part] = Field(default_factory=list)
    is_error: bool | None = None


class MediaPart(Signed):
    """An image, sound, film or file by ``url`` or ``base64`` (one of them), with its ``mime`` type."""

    type: Literal["image", "audio", "video", "file"]
    url: str | None = None
    base64: str | None = None
    mime: str | None = None
    filename: str | None = None
    transcript: str | None = None


class RefusalPart(Value):
    """The model declined; ``text`` is what it said."""

    type: Literal["refusal"] = "refusal"
    text: str


class ServerToolPart(Value):
    """A call or result of a tool that runs at the vendor (web search, code); opaque beside id, name and vendor."""

    type: Literal["server_tool_call", "server_tool_result"]
    id: str | None = None
    name: str | None = None
    vendor: str | None = None


class CachePointPart(Value):
    """Everything before this point may be cached by the vendor; ``ttl`` such as ``"5m"``."""

    type: Literal["cache_point"] = "cache_point"
    ttl: str | None = None


class UnknownPart(Value):
    """A part of a reply whose type this version does not know; kept as it came, refused in requests."""

    type: str


_PARTS: dict[str, type[Value]] = {
    "text": TextPart,
    "reasoning": ReasoningPart,
    "tool_call": ToolCallPart,
    "tool_result": ToolResultPart,
    "image": MediaPart,
    "audio": MediaPart,
    "video": MediaPart,
    "file": MediaPart,
    "refusal": RefusalPart,
    "server_tool_call": ServerToolPart,
    "server_tool_result": ServerToolPart,
    "cache_point": CachePointPart,
}
PART_TYPES = frozenset(_PARTS)


_TAGS: dict[Any, str] = {
    **{kind: kind for kind in _PARTS},
    **dict.fromkeys(("image", "audio", "video", "file"), "media"),
    **dict.fromkeys(("server_tool_call", "server_tool_result"), "server_tool"),
}


def _part_tag(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return _TAGS.get(kind, "unknown")


Part = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[ReasoningPart, Tag("reasoning")]
    | Annotated[ToolCallPart, Tag("tool_call")]
    | Annotated[ToolResultPart, Tag("tool_result")]
    | Annotated[MediaPart, Tag("media")]
    | Annotated[RefusalPart, Tag("refusal")]
    | Annotated[ServerToolPart, Tag("server_tool")]
    | Annotated[CachePointPart, Tag("cache_point")]
    | Annotated[UnknownPart, Tag("unknown")],
    Discriminator(_part_tag),
]


class Function(Value):
    """Name and JSON arguments of a called tool."""

    name: str
    arguments: str = "{}"


class ToolCall(Value):
    """A tool call in the flat, OpenAI-shaped view."""

    id: str
    type: Literal["function"] = "function"
    function: Function


# -- usage and metadata --------------------------------------------------------------------------------------------


class PromptTokensDetails(Value):
    """Where prompt tokens went. A missing number is unknown, not zero."""

    cached_tokens: int | None = None
    audio_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionTokensDetails(Value):
    """Where completion tokens went. A missing number is unknown, not zero."""

    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(Value):
    """What a call used. Tokens are counts; what is not counted in tokens has its own field and unit."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None
    images: int | None = None
    audio_seconds: Annotated[float | None, Field(validation_alias=AliasChoices("audio_seconds", "seconds"))] = None
    """Also read from ``seconds``, as an OpenAI transcript's usage of type ``duration`` has it."""
    characters: int | None = None
    search_units: int | None = None
    estimated: bool | None = None


class Attempt(Value):
    """One vendor that was tried: ``outcome`` is ``"ok"``, an error code or ``"skipped:<reason>"``."""

    vendor: str
    model: str | None = None
    outcome: str
    latency_ms: float | None = None
    cost_usd: Decimal | None = None


class Metadata(Value):
    """How a call was served. ``cost_usd`` is None when unknown, never 0 for unknown.

    ``invented`` and ``quotes`` are of models that say where the values of a filled schema or call come from, by their
    dotted paths (``content.age``, ``tool_calls.0.arguments.city``): those that the input does not show to be true, and
    the words of the input that every other one was read from, or a list or object of them.
    """

    cost_usd: Decimal | None = None
    latency_ms: float | None = None
    vendor: str | None = None
    model: str | None = None
    cache_hit: bool | None = None
    request_id: str | None = None
    attempts: list[Attempt] = Field(default_factory=list)
    warnings: list[Any] = Field(default_factory=list)
    invented: list[str] = Field(default_factory=list)
    quotes: dict[str, str] = Field(default_factory=dict)
    batch_id: str | None = None


class Reply(Value):
    """Base of all replies: ``metadata`` says vendor, model, cost and latency."""

    metadata: Metadata = Field(default_factory=Metadata)

    def _files(self) -> Sequence[Readable]:
        """The generated files that came with it."""
        return ()


# -- chat ----------------------------------------------------------------------------------------------------------


class ChatReply(Reply):
    """A whole answer. ``parts`` is the ordered content; the flat fields are derived from it."""

    id: str | None = None
    model: str | None = None
    parts: list[Part] = Field(default_factory=list)
    finish_reason: str | None = None
    usage: Usage | None = None

    @property
    def content(self) -> str:
        """All text of the reply, joined."""
        return "".join(p.text for p in self.parts if isinstance(p, TextPart))

    @property
    def reasoning(self) -> str | None:
        """All reasoning text, or None."""
        return _joined(p.text for p in self.parts if isinstance(p, ReasoningPart))

    @property
    def refusal(self) -> str | None:
        """What the model said when it declined, or None."""
        return _joined(p.text for p in self.parts if isinstance(p, RefusalPart))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls of the reply, OpenAI-shaped."""
        return [
            ToolCall(id=p.id, function=Function(name=p.name, arguments=p.arguments))
            for p in self.parts
            if isinstance(p, ToolCallPart)
        ]


class ParsedReply(ChatReply, Generic[T]):
    """A reply whose content was validated: ``parsed`` is an instance of the class given as ``parse``."""

    parsed: T


def _joined(texts: Iterator[str]) -> str | None:
    found = list(texts)
    return "".join(found) if found else None


class Delta(Value):
    """What one chunk adds: ``parts`` are fragments by part index; text and tool calls also stand flat."""

    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    parts: list[dict[str, Any]] | None = None


class ChatChunk(Value):
    """One chunk of a streamed answer. ``usage`` and ``metadata`` ride on the last one."""

    delta: Delta = Field(default_factory=Delta)
    finish_reason: str | None = None
    index: int = 0
    id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    metadata: Metadata | None = None


# -- facts of models -----------------------------------------------------------------------------------------------


class ModelInfo(Value):
    """A row of the catalogue. Prices are USD per million tokens; None is unknown."""

    id: str
    owned_by: str | None = None
    capability: str | None = None
    available: bool | None = None
    modalities: Any = None
    abilities: list[str] = Field(default_factory=list)
    context_window: int | None = None
    max_output_tokens: int | None = None
    dimensions: int | None = None
    price_input_per_mtok: Decimal | None = None
    price_output_per_mtok: Decimal | None = None


# -- the rest ------------------------------------------------------------------------------------------------------

_ELSEWHERE = {
    "replies": (
        "EmbedReply ImageReply Media Ranked Readable RealtimeToken RerankReply Segment SpeechReply TranscriptReply"
    ),
    "service": (
        "BATCH_DONE Account Activation BatchList BatchRecord BatchResults BatchState KeyRest ModelList VendorInfo "
        "VendorKey VendorList VendorModel"
    ),
}
"""Module -> its values, which are values of this module too. A program that only chats never builds their classes."""
_MODULE_OF = {name: module for module, names in _ELSEWHERE.items() for name in names.split()}


if not TYPE_CHECKING:  # else a checker would take every name for one of this module

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"infrai_core.{_MODULE_OF[name]}"), name)
        return found
