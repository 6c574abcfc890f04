"""The parameters of every capability: one typed dictionary each, shared by both clients, the facade and the adapters.

``None`` means "not set" everywhere and is never sent. Values are checked before any I/O by ``checked``.
"""

from __future__ import annotations

import difflib
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from infrai_core.errors import ConfigError
from infrai_core.schema import check_tools

if TYPE_CHECKING:
    from infrai_core.models import Value

Task = Literal["general", "reasoning", "coding", "long_context"]
Prefer = Literal["balanced", "cheapest", "smartest"]
CacheStrategy = Literal["vendor", "infrai", "none"]
AudioFormat = Literal["mp3", "wav", "ogg", "pcm"]

Prompt: TypeAlias = "str | Sequence[Mapping[str, Any] | Value]"
"""A prompt string, or messages: OpenAI-shaped dictionaries or ones with ``parts`` (docs/protocol.md, section 3)."""
MediaRef: TypeAlias = Mapping[str, Any] | str | bytes
"""``{"url": …}``, ``{"base64": …, "mime"?: …}``, a URL (also ``data:``), or the bytes themselves."""


class CallOptions(TypedDict, total=False):
    """What every call takes beside its own parameters."""

    timeout_seconds: float | None
    """Total deadline in seconds that the service keeps (default 60); the client waits half as long again, at most 5 s.
    A service with only the OpenAI surface is not told, and gets no longer."""
    idempotency_key: str | None
    """Same key, same body: the same answer; 1 to 256 printable ASCII characters. Made by the client, once per call,
    when not given."""
    extra_headers: Mapping[str, str] | None
    """More HTTP headers for this call."""
    extra_body: Mapping[str, Any] | None
    """More body fields for this call; they win over the others."""


class Routing(CallOptions, total=False):
    """Which vendor and model answer."""

    model: str | None
    """A model id: skips routing. Also ``auto``, ``cheapest``, ``balanced``, ``smartest``."""
    vendor: str | None
    """A vendor to stay with; a pinned vendor never fails over."""
    prefer: Prefer | None
    """``balanced`` (default), ``cheapest`` or ``smartest``."""
    max_cost_multiplier: float | None
    """How much dearer than the first choice a failover may be (default 1.5)."""
    session_id: str | None
    """Calls of one session stay with the vendor that served it while it is healthy."""
    vendor_options: Mapping[str, Mapping[str, Any]] | None
    """``{"anthropic": {…}}``: options for that vendor only."""
    cache_strategy: CacheStrategy | None
    """``vendor`` (default): the vendor's prompt cache; ``infrai``: exact cache; ``none``: neither."""


class BatchOptions(TypedDict, total=False):
    """Parameters of ``batch_submit``."""

    batch_timeout: str | None
    """How long the job may take, such as ``24h``: a number with ``s``, ``m``, ``h`` or ``d``."""
    metadata: Mapping[str, Any] | None
    """Comes back with the job's record."""
    idempotency_key: str | None


class ChatParams(Routing, total=False):
    """Parameters of ``chat`` and ``stream_chat``."""

    task: Task | None
    """``general`` (default), ``reasoning``, ``coding`` or ``long_context``."""
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    tools: Sequence[Mapping[str, Any]] | None
    """Tools, OpenAI-shaped: ``{"type": "function", "function": {"name", "description", "parameters"}}``."""
    tool_choice: str | Mapping[str, Any] | None
    """``auto``, ``none``, ``required``, or ``{"type": "function", "function": {"name": …}}``."""
    parallel_tool_calls: bool | None
    response_format: Mapping[str, Any] | None
    reasoning_effort: str | None
    user: str | None


class BatchableChatParams(ChatParams, total=False):
    """``chat`` also runs as a batch job."""

    batch_mode: bool | None
    """True: run as a batch job at a discount and wait for it."""


class EmbedParams(Routing, total=False):
    """Parameters of ``embed``."""

    dimensions: int | None
    input_type: Literal["query", "document"] | None
    """What the texts are, for models that embed the two differently; others take no notice."""
    encoding_format: Literal["float", "base64"] | None


class ImageParams(Routing, total=False):
    """Parameters of ``image``."""

    size: str | None
    """``WIDTHxHEIGHT`` in pixels, such as ``1024x1024``."""
    n: int | None
    inline: bool | None
    """True: the bytes come inside the reply (``b64``)."""


class VisionParams(Routing, total=False):
    """Parameters of ``vision``."""

    task: Task | None
    max_tokens: int | None
    temperature: float | None


class SpeechParams(Routing, total=False):
    """Parameters of ``tts``."""

    voice: str | None
    format: AudioFormat | None
    inline: bool | None
    """True: the bytes come inside the reply (``b64``)."""


class TranscribeParams(Routing, total=False):
    """Parameters of ``asr``."""

    language: str | None
    """Language hint such as ``en`` or ``zh``."""


class RealtimeParams(CallOptions, total=False):
    """Parameters of ``realtime_token``."""

    model: str | None
    voice: str | None
    ttl_seconds: int | None


class RerankParams(Routing, total=False):
    """Parameters of ``rerank``."""

    top_k: int | None


CHOICES: dict[str, tuple[str, ...]] = {
    "task": ("general", "reasoning", "coding", "long_context"),
    "prefer": ("balanced", "cheapest", "smartest"),
    "cache_strategy": ("vendor", "infrai", "none"),
    "encoding_format": ("float", "base64"),
    "input_type": ("query", "document"),
    "format": ("mp3", "wav", "ogg", "pcm"),
}
RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "max_tokens": (1, math.inf),
    "max_cost_multiplier": (1, math.inf),
    "dimensions": (1, 65536),
    "n": (1, 10),
    "top_k": (1, math.inf),
    "ttl_seconds": (1, 3600),
    "timeout_seconds": (0.001, 86400),
}
"""Allowed numbers, both ends included. The runtime checks the same tables."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Sequence) and all(map(_is_text, value)))


def _are_objects(value: Any) -> bool:
    return isinstance(value, Sequence) and all(map(_is_object, value))


def is_header(name: Any, value: Any) -> bool:
    """Whether this can be a header: a name of HTTP's, and printable ASCII (other text would be changed on the way)."""
    given = isinstance(name, str) and isinstance(value, str)
    return given and bool(_HEADER_NAME.fullmatch(name) and _PRINTABLE.fullmatch(value))


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may be written down: without those whose names say that they carry a secret.

    A word of such a name ends in ``authorization``, ``cookie``, ``key``, ``token``, ``secret``, ``password`` or so.
    """
    return {name: value for name, value in headers.items() if not _tells_a_secret(name)}


def _tells_a_secret(name: str) -> bool:
    """Whether the name of a header says that it carries a secret."""
    return name.lower() != "idempotency-key" and bool(_SECRET_HEADER.search(name))


_SECRET_HEADER = re.compile(
    r"(?i)(auth(?:orization)?|cookie\d?|credentials?|jwt|key|passw(?:or)?d|pwd|passphrase|secret|token)(?![a-z0-9])"
)
_FRAMING = frozenset({"connection", "content-length", "host", "transfer-encoding"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")

SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(
        ("session_id", "user", "reasoning_effort", "voice", "language", "size", "batch_timeout"), (_is_text, "a text")
    ),
    **dict.fromkeys(("model", "vendor"), (_is_name, "a text that is not empty")),
    **dict.fromkeys(("batch_mode", "parallel_tool_calls", "inline"), (_is_flag, "True or False")),
    **dict.fromkeys(("extra_body", "response_format", "metadata"), (_is_object, "a mapping")),
    "seed": (lambda value: isinstance(value, int), "a whole number"),
    "stop": (_are_texts, "a text or a list of texts"),
    "tools": (_are_objects, "a list of mappings"),
    "tool_choice": (lambda value: _is_text(value) or _is_object(value), "a text or a mapping"),
    "vendor_options": (
        lambda value: _is_object(value) and all(map(_is_object, value.values())),
        "a mapping of vendors to mappings",
    ),
    "idempotency_key": (
        lambda value: is_header("idempotency-key", value) and 1 <= len(value) <= 256,
        "a text of 1 to 256 printable ASCII characters",
    ),
}
"""What a parameter must be, and how to say so; for those that have neither choices nor a range."""


def checked(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters without the unset ones.

    Raises ``ConfigError`` that names the parameter, what came and what is allowed: for an unknown name (with the
    nearest known one), a value of another kind, outside its choices or its range, tools that no vendor would take.
    """
    known = kind.__annotations__.keys()  # a TypedDict has its bases' keys too
    set_ones = {name: value for name, value in given.items() if value is not None}
    for name, value in set_ones.items():
        if name not in known:
            raise ConfigError(unknown(name, known))
        if (check := _CHECKS.get(name)) is not None:
            check(name, value)
    if "extra_headers" in set_ones:
        check_headers("extra_headers", set_ones["extra_headers"])
    if "tools" in set_ones:
        check_tools(set_ones["tools"])
    return set_ones


def text(name: str, value: Any) -> str:
    """The value, a text. Raises ``ConfigError`` naming ``name`` for anything else."""
    if not isinstance(value, str):
        raise ConfigError(f"{name}: came {type(value).__name__}, allowed is a text")
    return value


def texts(name: str, values: Any) -> list[str]:
    """The values, all texts. Raises ``ConfigError`` naming the first that is none."""
    return [text(f"{name}.{i}", value) for i, value in enumerate(several(name, values, "texts"))]


def several(name: str, values: Any, what: str) -> Iterable[Any]:
    """The values, not read yet. Raises ``ConfigError`` for one value in place of several: a text would be taken apart
    into its letters, a dictionary into its keys."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | bytearray | Mapping):
        raise ConfigError(f"{name}: came {type(values).__name__}, allowed is a list of {what}")
    return values


def unknown(name: str, known: Iterable[str], what: str = "parameter") -> str:
    """The words for a name that does not exist. They hold no value: that of a misspelt key is a secret."""
    near = difflib.get_close_matches(name, known, 1)
    ask = f"; did you mean {near[0]!r}?" if near else f"; allowed are {', '.join(sorted(known))}"
    return f"unknown {what} {name!r}{ask}"


def _check_choice(name: str, value: Any) -> None:
    if value not in CHOICES[name]:
        raise ConfigError(f"{name}={value!r}: allowed are {', '.join(CHOICES[name])}")


def _check_range(name: str, value: Any) -> None:
    low, high = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or value == math.inf:
        limit = f"from {low:g} to {high:g}" if high < math.inf else f"at least {low:g}"
        raise ConfigError(f"{name}={value!r}: allowed is a number {limit}")


def _check_shape(name: str, value: Any) -> None:
    fits, allowed = SHAPES[name]
    if not fits(value):
        raise ConfigError(f"{name}={reprlib.repr(value)}: allowed is {allowed}")


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    **dict.fromkeys(CHOICES, _check_choice),
    **dict.fromkeys(RANGES, _check_range),
    **dict.fromkeys(SHAPES, _check_shape),
}


def check_headers(option: str, headers: Any) -> None:
    """Raises ``ConfigError`` that names what cannot be a header, without its value, which may be secret."""
    if not isinstance(headers, Mapping):
        raise ConfigError(f"{option}: came {type(headers).__name__}, allowed is a mapping of names to texts")
    for name, value in headers.items():
        if not is_header(name, value):
            raise ConfigError(
                f"{option}: {name!r} cannot be sent; allowed are HTTP's header names with texts of printable ASCII"
            )
        if name.lower() in _FRAMING:
            raise ConfigError(f"{option}: {name!r} is made by the client from the request itself")
