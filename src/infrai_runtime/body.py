"""What the body of each native route may hold: a table of fields per capability.

The table is the check, the list of known names and discovery's JSON Schema.
"""

from __future__ import annotations

import re
from typing import Any

from infrai_runtime import message, tool
from infrai_runtime.failure import Failure
from infrai_runtime.field import (
    Field,
    Fields,
    Kind,
    Table,
    anything,
    choice,
    flag,
    integer,
    json_schema,
    known_choice,
    known_integer,
    known_number,
    list_of,
    model_id,
    number,
    refuse,
    table,
    text,
)

Body = dict[str, Any]

MAX_EMBED_INPUTS = 2048
MAX_CANDIDATES = 1000
MAX_IMAGES = 20
MAX_SPEECH_CHARACTERS = 20_000
MAX_TAGS = 16


# -- kinds that belong to one field -----------------------------------------------------------------------------------

_FORMAT = table(
    {
        "type": Field(choice(("text", "json_object", "json_schema")), "what the answer is", required=True),
        "json_schema": Field(
            table(
                {
                    "name": Field(text(), "name of the schema"),
                    "description": Field(text(), "what it describes"),
                    "schema": Field(json_schema("JSON Schema"), "JSON Schema of the answer", required=True),
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
    texts: list[str] = _STOPS.check([value] if isinstance(value, str) else value, path)
    return texts


_STOPS = list_of(text(empty=False), low=1, high=16)


def _embed_input(value: Any, path: str) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and texts and all(isinstance(item, int | list) for item in texts):
        raise refuse(
            path,
            value,
            "a text or a list of texts; token ids are not taken, they mean another text to every model: send texts"
            " (langchain-openai: OpenAIEmbeddings(check_embedding_ctx_length=False))",
        )
    checked: list[str] = _EMBEDDED.check(texts, path)
    return checked


_EMBEDDED = list_of(text(), low=1, high=MAX_EMBED_INPUTS)


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
    message.media,
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
    checked: Body = _OBJECT.check(value, path)
    return {name: _OBJECT.check(options, f"{path}.{name}") for name, options in checked.items()}


_OBJECT = anything()


# -- fields of every capability -----------------------------------------------------------------------------------


_TAG = text(empty=False, max_length=64)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
"""What no name needs, reports cannot show, and PostgreSQL in part cannot hold."""


def _tags(value: Any, path: str) -> Body:
    checked: Body = _OBJECT.check(value, path)
    if len(checked) > MAX_TAGS:
        raise refuse(path, value, f"at most {MAX_TAGS} tags")
    if unclear := next((name for name in checked if "=" in name), None):  # a budget's scope is name=value
        raise refuse(path, unclear, "a name without '='")
    tags = {_TAG.check(name, path): _TAG.check(tag, f"{path}.{name}") for name, tag in checked.items()}
    if odd := next((part for tag in tags.items() for part in tag if _CONTROL.search(part)), None):
        raise refuse(path, odd, "text without control characters")
    return tags


_CALL: Fields = {
    "tags": Field(Kind(_tags, {"type": "object"}), 'names for budgets and reports: {"team": "search"}'),
    "timeout_seconds": Field(known_number("timeout_seconds"), "total deadline in seconds, default 60"),
    "idempotency_key": Field(text(empty=False, max_length=256), "same key, same body: the same answer"),
}
_ROUTING: Fields = _CALL | {
    "model": Field(model_id(), "a model id, or auto, cheapest, balanced, smartest"),
    "vendor": Field(text(empty=False), "a vendor to stay with"),
    "prefer": Field(known_choice("prefer"), "what to optimise, default balanced"),
    "max_cost_multiplier": Field(known_number("max_cost_multiplier"), "cost limit of a failover, default 1.5"),
    "session_id": Field(text(empty=False, max_length=256), "keeps a session on one vendor"),
    "vendor_options": Field(Kind(_vendor_options, anything().schema), 'options per vendor: {"name": {…}}'),
    "cache_strategy": Field(known_choice("cache_strategy"), "vendor (default), infrai or none"),
}
_SAMPLING: Fields = {
    "temperature": Field(known_number("temperature"), "sampling temperature"),
    "max_tokens": Field(known_integer("max_tokens"), "most tokens of the answer"),
}
_STREAM: Fields = {"stream": Field(flag(), "true: server-sent events")}

CHAT: Fields = (
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
VISION: Fields = (
    {
        "prompt": Field(text(empty=False), "what to do with the images", required=True),
        "images": Field(list_of(_MEDIA, low=1, high=MAX_IMAGES), "URLs or base64", required=True),
    }
    | _ROUTING
    | _SAMPLING
    | _STREAM
    | {"task": Field(known_choice("task"), "purpose, default general")}
)
EMBED: Fields = {
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


IMAGE: Fields = {
    "prompt": Field(text(empty=False), "what to draw", required=True),
    **_ROUTING,
    "size": Field(Kind(_size, {"type": "string", "pattern": "^[0-9]+x[0-9]+$"}), "WIDTHxHEIGHT in pixels"),
    "n": Field(known_integer("n"), "how many images, default 1"),
    "inline": Field(flag(), "true: the bytes come in the reply (b64)"),
}
TTS: Fields = {
    "input": Field(text(empty=False, max_length=MAX_SPEECH_CHARACTERS), "the text to speak", required=True),
    **_ROUTING,
    "voice": Field(text(empty=False), "id of the voice"),
    "format": Field(known_choice("format"), "sound format, default mp3"),
    "speed": Field(number(0.25, 4), "1 is the usual speed"),
    "inline": Field(flag(), "true: the bytes come in the reply (b64)"),
}
ASR: Fields = {
    "audio": Field(_MEDIA, "URL or base64", required=True),
    **_ROUTING,
    "language": Field(text(empty=False), "language hint such as en or zh"),
}
RERANK: Fields = {
    "query": Field(text(empty=False), "what is looked for", required=True),
    "candidates": Field(list_of(text(), low=1, high=MAX_CANDIDATES), "texts to order", required=True),
    **_ROUTING,
    "top_k": Field(known_integer("top_k"), "how many to return, default all"),
}
REALTIME: Fields = {
    **_CALL,
    "model": Field(model_id(), "a model id"),
    "vendor": Field(text(empty=False), "a vendor"),
    "voice": Field(text(empty=False), "id of the voice"),
    "ttl_seconds": Field(known_integer("ttl_seconds"), "life of the token in seconds, default 600"),
}

FIELDS: dict[str, Table] = {
    "chat": Table(CHAT),
    "vision": Table(VISION),
    "embed": Table(EMBED),
    "image": Table(IMAGE),
    "tts": Table(TTS),
    "asr": Table(ASR),
    "rerank": Table(RERANK),
    "realtime": Table(REALTIME),
}
"""Capability -> the fields of its native route."""
