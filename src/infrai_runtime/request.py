"""Validation: a parsed body becomes an ``Ask``, or a ``Failure`` that names the field, what came and what is allowed.

One table of fields per capability is the check, the list of known names and discovery's JSON Schema.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from infrai_runtime import message, tool
from infrai_runtime.failure import Failure
from infrai_runtime.field import (
    Field,
    Kind,
    Table,
    anything,
    check_table,
    choice,
    flag,
    integer,
    known_choice,
    known_integer,
    known_number,
    list_of,
    number,
    refuse,
    table,
    text,
    unknown_field,
)
from infrai_runtime.prompt import Prompt

Body = dict[str, Any]

ALIASES = {"auto": "balanced", "balanced": "balanced", "cheapest": "cheapest", "smartest": "smartest"}
"""Model names that are no models: the preference that they stand for."""

MAX_EMBED_INPUTS = 2048
MAX_CANDIDATES = 1000
MAX_IMAGES = 20
MAX_SPEECH_CHARACTERS = 20_000
DEFAULT_TIMEOUT_S = 60.0
DEFAULT_COST_MULTIPLIER = 1.5

_CONTROLS = frozenset(
    {
        *("model", "vendor", "task", "prefer", "max_cost_multiplier", "session_id", "vendor_options", "cache_strategy"),
        *("timeout_seconds", "idempotency_key", "stream", "batch_mode", "inline", "encoding_format", "tags"),
    }
)
"""Fields that tell the runtime what to do; a vendor does not see them."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One validated request. ``body`` is what a vendor gets; everything else is for the runtime."""

    capability: str
    body: Body
    fingerprint: str
    """Of the whole request without its idempotency key and timeouts."""
    model: str | None = None
    vendor: str | None = None
    task: str = "general"
    prefer: str = "balanced"
    max_cost_multiplier: float = DEFAULT_COST_MULTIPLIER
    session_id: str | None = None
    vendor_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cache_strategy: str = "vendor"
    timeout_s: float = DEFAULT_TIMEOUT_S
    idempotency_key: str | None = None
    key_is_given: bool = False
    """The caller chose the key; a client that makes one by itself sends 32 hex digits, in the header only."""
    stream: bool = False
    inline: bool = False
    encoding_format: str = "float"
    include_usage: bool = False
    raw: bool = False
    """The stream is a file's own bytes: without comments and events, cut where it fails."""
    reply_format: str | None = None
    """How the surface writes a transcript."""
    needs: frozenset[str] = frozenset()
    """Abilities that a model must have for this request."""
    as_batch: Mapping[str, Any] | None = None
    """The request as it came, where it is to run as a batch of one."""
    warnings: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """The caller's words for what the call belongs to: budgets and reports go by them."""
    _prompt: Prompt | None = field(default=None, init=False, repr=False, compare=False)
    _digest: str = field(default="", init=False, repr=False, compare=False)

    @property
    def prompt(self) -> Prompt:
        """What a model reads of it, read when first asked for."""
        if self._prompt is None:
            object.__setattr__(self, "_prompt", Prompt(self.capability, self.body))
        assert self._prompt is not None
        return self._prompt

    @property
    def digest(self) -> str:
        """A hash of everything that shapes the answer."""
        if not self._digest:
            facts = orjson.dumps([getattr(self, name) for name in _SHAPING], option=orjson.OPT_SORT_KEYS)
            object.__setattr__(self, "_digest", hashlib.sha256(facts).hexdigest())
        return self._digest

    def keyed(self, header_key: str | None) -> Ask:
        """The same request under another key, which came in the header. Raises INVALID_REQUEST for what is no key."""
        key = one_key(header_key, None)
        if key == self.idempotency_key:
            return self
        return replace(self, idempotency_key=key, key_is_given=_is_given(key))


_SHAPING = (
    *("capability", "body", "model", "vendor", "task", "prefer", "vendor_options"),
    *("inline", "encoding_format", "raw"),
)
"""Fields of an ``Ask`` that change what is answered."""


# -- kinds that belong to one field -----------------------------------------------------------------------------------

_FORMAT = table(
    {
        "type": Field(choice(("text", "json_object", "json_schema")), "what the answer is", required=True),
        "json_schema": Field(
            table(
                {
                    "name": Field(text(), "name of the schema"),
                    "description": Field(text(), "what it describes"),
                    "schema": Field(anything("JSON Schema"), "JSON Schema of the answer", required=True),
                    "strict": Field(flag(), "the answer must follow the schema"),
                }
            ),
            "the schema, for type json_schema",
        ),
    }
)


def _format(value: Any, path: str) -> Body:
    checked: Body = _FORMAT.check(value, path)
    if checked["type"] == "json_schema" and "json_schema" not in checked:
        raise Failure(
            "INVALID_REQUEST", f"{path}.json_schema is missing: type json_schema needs it", param=f"{path}.json_schema"
        )
    return checked


def _stop(value: Any, path: str) -> list[str]:
    texts: list[str] = list_of(text(empty=False), low=1, high=16).check(
        [value] if isinstance(value, str) else value, path
    )
    return texts


def _embed_input(value: Any, path: str) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and texts and all(isinstance(item, int | list) for item in texts):
        raise refuse(
            path,
            value,
            "a text or a list of texts; token ids are not taken, they mean another text to every model: send texts"
            " (langchain-openai: OpenAIEmbeddings(check_embedding_ctx_length=False))",
        )
    checked: list[str] = list_of(text(), low=1, high=MAX_EMBED_INPUTS).check(texts, path)
    return checked


_MESSAGE_SCHEMA = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "enum": list(message.ROLES)},
        "name": {"type": "string"},
        "content": {"anyOf": [{"type": "string"}, {"type": "array"}, {"type": "null"}]},
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "string", "enum": sorted(message.PART_FIELDS)}},
            },
        },
        "tool_calls": {"type": "array", "items": {"type": "object"}},
        "tool_call_id": {"type": "string"},
    },
}
_MESSAGES = Kind(
    message.messages, {"anyOf": [{"type": "string"}, {"type": "array", "items": _MESSAGE_SCHEMA, "minItems": 1}]}
)
_MEDIA = Kind(
    lambda value, path: {n: v for n, v in message.media(value, path).items() if v is not None},
    {
        "anyOf": [
            {"type": "string", "format": "uri"},
            {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}},
            {
                "type": "object",
                "required": ["base64"],
                "properties": {"base64": {"type": "string"}, "mime": {"type": "string"}},
            },
        ]
    },
)


def _embed_kind() -> Kind:
    texts = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_EMBED_INPUTS}
    return Kind(_embed_input, {"anyOf": [{"type": "string"}, texts]})


def _stop_kind() -> Kind:
    texts = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 16}
    return Kind(_stop, {"anyOf": [{"type": "string"}, texts]})


def _vendor_options(value: Any, path: str) -> Body:
    checked: Body = anything().check(value, path)
    return {name: anything().check(options, f"{path}.{name}") for name, options in checked.items()}


# -- fields of every capability -----------------------------------------------------------------------------------

MAX_TAGS = 16


def _tags(value: Any, path: str) -> Body:
    checked: Body = anything().check(value, path)
    if len(checked) > MAX_TAGS:
        raise refuse(path, value, f"at most {MAX_TAGS} tags")
    word = text(empty=False, max_length=64)
    return {word.check(name, path): word.check(tag, f"{path}.{name}") for name, tag in checked.items()}


_CALL: Table = {
    "tags": Field(Kind(_tags, {"type": "object"}), 'names for budgets and reports: {"team": "search"}'),
    "timeout_seconds": Field(known_number("timeout_seconds"), "total deadline in seconds, default 60"),
    "idempotency_key": Field(text(empty=False, max_length=256), "same key, same body: the same answer"),
}
_ROUTING: Table = _CALL | {
    "model": Field(text(empty=False), "a model id, or auto, cheapest, balanced, smartest"),
    "vendor": Field(text(empty=False), "a vendor to stay with"),
    "prefer": Field(known_choice("prefer"), "what to optimise, default balanced"),
    "max_cost_multiplier": Field(known_number("max_cost_multiplier"), "cost limit of a failover, default 1.5"),
    "session_id": Field(text(empty=False, max_length=256), "keeps a session on one vendor"),
    "vendor_options": Field(Kind(_vendor_options, anything().schema), 'options per vendor: {"name": {…}}'),
    "cache_strategy": Field(known_choice("cache_strategy"), "vendor (default), infrai or none"),
}
_SAMPLING: Table = {
    "temperature": Field(known_number("temperature"), "sampling temperature"),
    "max_tokens": Field(known_integer("max_tokens"), "most tokens of the answer"),
}
_STREAM: Table = {"stream": Field(flag(), "true: server-sent events")}

CHAT: Table = (
    {"messages": Field(_MESSAGES, "a prompt string or messages", required=True)}
    | _ROUTING
    | _SAMPLING
    | _STREAM
    | {
        "task": Field(known_choice("task"), "purpose, default general"),
        "top_p": Field(known_number("top_p"), "nucleus sampling"),
        "stop": Field(_stop_kind(), "texts that end the answer"),
        "seed": Field(integer(), "same seed, similar answer"),
        **tool.FUNCTIONS,
        "parallel_tool_calls": Field(flag(), "several calls in one answer, default true"),
        "response_format": Field(Kind(_format, _FORMAT.schema), "text, json_object or json_schema"),
        "reasoning_effort": Field(text(empty=False), "how long to think, in the vendor's words"),
        "user": Field(text(), "an id of the end user"),
        "batch_mode": Field(flag(), "true: run as a batch job"),
    }
)
VISION: Table = (
    {
        "prompt": Field(text(empty=False), "what to do with the images", required=True),
        "images": Field(list_of(_MEDIA, low=1, high=MAX_IMAGES), "URLs or base64", required=True),
    }
    | _ROUTING
    | _SAMPLING
    | _STREAM
    | {"task": Field(known_choice("task"), "purpose, default general")}
)
EMBED: Table = {
    "input": Field(_embed_kind(), "a text or a list of texts", required=True),
    **_ROUTING,
    "dimensions": Field(known_integer("dimensions"), "length of the vectors"),
    "input_type": Field(known_choice("input_type"), "what the texts are, for models that embed the two differently"),
    "encoding_format": Field(known_choice("encoding_format"), "float (default) or base64 of little-endian float32"),
}


def _size(value: Any, path: str) -> str:
    words = value.lower().split("x") if isinstance(value, str) else []
    if len(words) != 2 or not all(w.isascii() and w.isdigit() and 1 <= int(w) <= 8192 for w in words):
        raise refuse(path, value, "WIDTHxHEIGHT in pixels, such as 1024x1024")
    return "x".join(str(int(w)) for w in words)


IMAGE: Table = {
    "prompt": Field(text(empty=False), "what to draw", required=True),
    **_ROUTING,
    "size": Field(Kind(_size, {"type": "string", "pattern": "^[0-9]+x[0-9]+$"}), "WIDTHxHEIGHT in pixels"),
    "n": Field(known_integer("n"), "how many images, default 1"),
    "inline": Field(flag(), "true: the bytes come in the reply (b64)"),
}
TTS: Table = {
    "input": Field(text(empty=False, max_length=MAX_SPEECH_CHARACTERS), "the text to speak", required=True),
    **_ROUTING,
    "voice": Field(text(empty=False), "id of the voice"),
    "format": Field(known_choice("format"), "sound format, default mp3"),
    "speed": Field(number(0.25, 4), "1 is the usual speed"),
    "inline": Field(flag(), "true: the bytes come in the reply (b64)"),
}
ASR: Table = {
    "audio": Field(_MEDIA, "URL or base64", required=True),
    **_ROUTING,
    "language": Field(text(empty=False), "language hint such as en or zh"),
}
RERANK: Table = {
    "query": Field(text(empty=False), "what is looked for", required=True),
    "candidates": Field(list_of(text(), low=1, high=MAX_CANDIDATES), "texts to order", required=True),
    **_ROUTING,
    "top_k": Field(known_integer("top_k"), "how many to return, default all"),
}
REALTIME: Table = {
    **_CALL,
    "model": Field(text(empty=False), "a model id"),
    "vendor": Field(text(empty=False), "a vendor"),
    "voice": Field(text(empty=False), "id of the voice"),
    "ttl_seconds": Field(known_integer("ttl_seconds"), "life of the token in seconds, default 600"),
}

FIELDS: dict[str, Table] = {
    "chat": CHAT,
    "vision": VISION,
    "embed": EMBED,
    "image": IMAGE,
    "tts": TTS,
    "asr": ASR,
    "rerank": RERANK,
    "realtime": REALTIME,
}
"""Capability -> the fields of its native route."""


# -- a body to an Ask -------------------------------------------------------------------------------------------------


def parse_json(raw: bytes) -> Body:
    """The JSON object of a body. Raises INVALID_REQUEST that says where the JSON is wrong."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Failure(
            "INVALID_REQUEST",
            f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})",
            param="body",
        ) from error
    if not isinstance(value, dict):
        raise refuse("body", value, "a JSON object")
    return value


def read(capability: str, given: Mapping[str, Any], idempotency_key: str | None = None) -> Ask:
    """The ask of a native body. ``idempotency_key`` is the one of the header; one in the body must be the same."""
    print_ = fingerprint(capability, given)
    checked = check_table(FIELDS[capability], given)
    return ask(capability, checked, print_, idempotency_key, as_batch=_for_a_batch(checked, given))


def ask(capability: str, checked: Mapping[str, Any], print_: str, header_key: str | None = None, **more: Any) -> Ask:
    """An ask of checked fields. ``more`` sets what is no field of the native routes."""
    body = {name: value for name, value in checked.items() if name not in _CONTROLS}
    if "tool_choice" in body:
        body = tool.narrowed(body)
    renamed = {_ASK_NAMES.get(n, n): v for n, v in checked.items() if n in _CONTROLS and n != "batch_mode"}
    body_key = renamed.pop("idempotency_key", None)
    key = one_key(header_key, body_key)
    model, prefer = _alias(renamed.pop("model", None), renamed.pop("prefer", None))
    needs = frozenset(more.pop("needs", ())) | needed(capability, body)
    return Ask(
        capability=capability,
        body=body,
        fingerprint=print_,
        model=model,
        prefer=prefer,
        idempotency_key=key,
        key_is_given=body_key is not None or _is_given(key),
        needs=needs,
        **renamed,
        **more,
    )


def _is_given(header_key: str | None) -> bool:
    return header_key is not None and not _CLIENT_MADE.fullmatch(header_key)


_CLIENT_MADE = re.compile(r"[0-9a-f]{32}")
_ASK_NAMES = {"timeout_seconds": "timeout_s"}


def _alias(model: str | None, prefer: str | None) -> tuple[str | None, str]:
    if model in ALIASES:
        return None, prefer or ALIASES[model]
    return model, prefer or "balanced"


def one_key(header: str | None, body: Any) -> str | None:
    """The idempotency key of a request that may have it in its header, its body, or both. Raises INVALID_REQUEST."""
    if header is not None and body is not None and header != body:
        raise Failure(
            "INVALID_REQUEST",
            "idempotency_key: header and body hold different keys; send one of them",
            param="idempotency_key",
        )
    key = header if header is not None else body
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= 256 and key.isprintable()):
        raise refuse("idempotency_key", key, "1 to 256 printable characters")
    return key


def _for_a_batch(checked: Mapping[str, Any], given: Mapping[str, Any]) -> Body | None:
    """The request that is to run as a batch of one, as it came."""
    if not checked.get("batch_mode"):
        return None
    if checked.get("stream"):
        raise Failure("INVALID_REQUEST", "batch_mode and stream exclude each other", param="batch_mode")
    return {name: value for name, value in given.items() if name not in _NOT_IN_BATCHES}


_NOT_IN_BATCHES = frozenset({"batch_mode", "stream", "idempotency_key"})
"""Fields that a request of a batch has no use for."""


def read_in_batch(capability: str, given: Mapping[str, Any]) -> Ask:
    """The ask of a request of a batch. Raises INVALID_REQUEST, also for fields that make no sense there."""
    wrong = next((name for name in given if name in _NOT_IN_BATCHES and given[name]), None)
    if wrong is not None:
        raise Failure("INVALID_REQUEST", f"{wrong}: a request of a batch has none", param=wrong)
    return read(capability, given)


def check_options(vendors: Mapping[str, object], options: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses a vendor option that is not on the vendor's own list (``allowed_options``)."""
    for name in options.keys() & vendors.keys():
        allowed: frozenset[str] = getattr(vendors[name], "allowed_options", frozenset())
        unknown = next((option for option in options[name] if option not in allowed), None)
        if unknown is not None:
            raise unknown_field(f"vendor_options.{name}.{unknown}", unknown, allowed)


def fingerprint(route: str, given: Mapping[str, Any]) -> str:
    """A hash of what was asked: the route and the parsed body without its idempotency key and timeouts."""
    kept = {name: value for name, value in given.items() if name not in ("idempotency_key", "timeout_seconds")}
    try:
        canonical = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise Failure("INVALID_REQUEST", "the body is nested too deeply", param="body") from error
    return hashlib.sha256(route.encode() + b"\0" + canonical).hexdigest()


def needed(capability: str, body: Mapping[str, Any]) -> frozenset[str]:
    """The abilities that a request asks of its model."""
    found = {ability for name, needs in _NEEDS.items() if name in body for ability in needs(body[name])}
    return frozenset(found | (message.needed_abilities(body["messages"]) if capability == "chat" else set()))


_NEEDS: dict[str, Callable[[Any], set[str]]] = {
    "tools": lambda tools: {"custom_tools" if tool.is_custom(one) else "tools" for one in tools},
    "tool_choice": lambda choice: {"tool_choice"} if choice not in ("auto", "none") else set(),
    "response_format": lambda form: {{"json_object": "json", "json_schema": "structured"}.get(form["type"], "")} - {""},
    "logprobs": lambda wanted: {"logprobs"} if wanted else set(),
    "diarize": lambda wanted: {"diarize"} if wanted else set(),
    "modalities": lambda wanted: {f"{kind}_output" for kind in wanted if kind != "text"},
    "choices": lambda n: {"n"} if n > 1 else set(),
}
