"""Validation: a parsed body becomes an ``Ask``, or a ``Failure`` that names the field, what came, what is allowed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from infrai_runtime import message, tool
from infrai_runtime.body import FIELDS, Body
from infrai_runtime.failure import Failure
from infrai_runtime.field import check_table, refuse, unknown_field
from infrai_runtime.prompt import Prompt

ALIASES = {"auto": "balanced", "balanced": "balanced", "cheapest": "cheapest", "smartest": "smartest"}
"""Model names that are no models: the preference that they stand for."""

DEFAULT_TIMEOUT_S = 60.0
DEFAULT_COST_MULTIPLIER = 1.5

_CONTROLS = frozenset(
    {
        *("model", "vendor", "task", "prefer", "max_cost_multiplier", "session_id", "vendor_options", "cache_strategy"),
        *("timeout_seconds", "idempotency_key", "stream", "inline", "encoding_format", "tags"),
    }
)
"""Fields that tell the runtime what to do; a vendor does not see them."""


_NOTHING: Mapping[str, Any] = {}


class _Fields(NamedTuple):
    """What an ``Ask`` holds: a tuple, because one is made for every call and most of it is seldom given."""

    capability: str
    body: Body
    fingerprint: str
    """Of the whole request without its idempotency key and timeouts."""
    prompt: Prompt
    """What a model reads of it."""
    model: str | None = None
    vendor: str | None = None
    task: str = "general"
    prefer: str = "balanced"
    max_cost_multiplier: float = DEFAULT_COST_MULTIPLIER
    session_id: str | None = None
    vendor_options: Mapping[str, Mapping[str, Any]] = _NOTHING
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
    tags: Mapping[str, str] = _NOTHING
    """The caller's words for what the call belongs to: budgets and reports go by them."""


class Ask(_Fields):
    """One validated request. ``body`` is what a vendor gets; everything else is for the runtime."""

    @cached_property
    def digest(self) -> str:
        """A hash of everything that shapes the answer."""
        facts = orjson.dumps([getattr(self, name) for name in _SHAPING], option=orjson.OPT_SORT_KEYS)
        schemas = orjson.dumps([self.body.get(name) for name in _IN_ORDER])
        return hashlib.sha256(facts + schemas).hexdigest()

    def keyed(self, header_key: str | None) -> Ask:
        """The same request under another key, which came in the header. Raises INVALID_REQUEST for what is no key."""
        key = one_key(header_key, None)
        if key == self.idempotency_key:
            return self
        return self._replace(idempotency_key=key, key_is_given=_is_given(key))


_SHAPING = (
    *("capability", "body", "model", "vendor", "task", "prefer", "vendor_options"),
    *("inline", "encoding_format", "raw"),
)
"""Fields of an ``Ask`` that change what is answered."""
_IN_ORDER = ("tools", "response_format")
"""Fields of a body whose schemas a model fills in in the order of their properties."""


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
    if "batch_mode" not in checked:
        return ask(capability, checked, print_, idempotency_key)
    as_batch = _for_a_batch(checked, given)
    del checked["batch_mode"]
    return ask(capability, checked, print_, idempotency_key, as_batch=as_batch)


def ask(capability: str, checked: Mapping[str, Any], print_: str, header_key: str | None = None, **more: Any) -> Ask:
    """An ask of checked fields. ``more`` sets what is no field of the native routes."""
    body = dict(checked)
    for name in _CONTROLS & checked.keys():
        more[name] = body.pop(name)
    if "tool_choice" in body:
        body = tool.narrowed(body)
    if "timeout_seconds" in more:
        more["timeout_s"] = more.pop("timeout_seconds")
    if more.get("model") in ALIASES:
        more.setdefault("prefer", ALIASES[more.pop("model")])
    body_key = more.pop("idempotency_key", None)
    key = one_key(header_key, body_key)
    prompt = Prompt(capability, body)
    return Ask(
        capability,
        body,
        print_,
        prompt,
        idempotency_key=key,
        key_is_given=body_key is not None or _is_given(key),
        needs=needed(body, prompt),
        **more,
    )


def _is_given(header_key: str | None) -> bool:
    return header_key is not None and not _CLIENT_MADE.fullmatch(header_key)


_CLIENT_MADE = re.compile(r"[0-9a-f]{32}")


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
    if not checked["batch_mode"]:
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
    if not _UNPRINTED.isdisjoint(given):
        given = dict(given)
        for name in _UNPRINTED:
            given.pop(name, None)
    try:
        canonical = orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise Failure("INVALID_REQUEST", "the body is nested too deeply", param="body") from error
    return hashlib.sha256(route.encode() + b"\0" + canonical).hexdigest()


_UNPRINTED = frozenset({"idempotency_key", "timeout_seconds"})


def needed(body: Mapping[str, Any], prompt: Prompt) -> frozenset[str]:
    """The abilities that a request asks of its model."""
    if not prompt.demanding and _NEEDS.keys().isdisjoint(body):
        return _NO_ABILITY
    found = {ability for name, needs in _NEEDS.items() if name in body for ability in needs(body[name])}
    return frozenset(found | message.needed_abilities(prompt.demanding))


_NO_ABILITY: frozenset[str] = frozenset()


_NEEDS: dict[str, Callable[[Any], set[str]]] = {
    "tools": lambda tools: {"custom_tools" if tool.is_custom(one) else "tools" for one in tools},
    "tool_choice": lambda choice: {"tool_choice"} if choice not in ("auto", "none") else set(),
    "response_format": lambda form: {{"json_object": "json", "json_schema": "structured"}.get(form["type"], "")} - {""},
    "logprobs": lambda wanted: {"logprobs"} if wanted else set(),
    "diarize": lambda wanted: {"diarize"} if wanted else set(),
    "modalities": lambda wanted: {f"{kind}_output" for kind in wanted if kind != "text"},
    "choices": lambda n: {"n"} if n > 1 else set(),
}
