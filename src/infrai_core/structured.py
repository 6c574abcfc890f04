"""Answers in the form of a class: how they are asked for and read, and asked for once more where they do not fit."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from infrai_core.config import Config
from infrai_core.content import messages_of
from infrai_core.errors import ConfigError, InfraiError, ParseFailed
from infrai_core.models import Attempt, ChatReply, ParsedReply
from infrai_core.operation import Operation
from infrai_core.params import Prompt
from infrai_core.protocol import Flow, call
from infrai_core.schema import allowed_name, is_held, object_schema, unheld
from infrai_core.usage import added, total

P = TypeVar("P", bound=BaseModel)

_ENDED_EARLY = frozenset({"length", "content_filter"})
_SHOWN_ERRORS = 5
UNFIT = "UNFIT_ANSWER"
"""``outcome`` of the attempt whose answer did not fit."""


class Form(Generic[P]):
    """The form of an answer: ``response_format`` asks for it, ``read`` validates what came."""

    def __init__(self, kind: type[P]) -> None:
        """Raises ``ConfigError`` for what is no class of pydantic's."""
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            raise ConfigError(f"parse: came {reprlib.repr(kind)}, allowed is a class of pydantic's BaseModel")
        schema = kind.model_json_schema()
        self._kind = kind
        self._is_held = is_held(schema)
        form = {"name": allowed_name(kind.__name__), "schema": object_schema(schema)}
        self.response_format: dict[str, Any] = {"type": "json_schema", "json_schema": form}

    def read(self, reply: ChatReply) -> ParsedReply[P]:
        """The reply with the object. Raises ``ParseFailed`` for a refusal and an answer that does not fit."""
        if reply.refusal and not reply.content:
            raise ParseFailed(f"the model refused: {reply.refusal}", reply)
        written = unheld(reply.content) if self._is_held else reply.content
        try:
            value = self._kind.model_validate_json(written)
        except ValidationError as error:
            cut = "; it was cut off at max_tokens" if reply.finish_reason == "length" else ""
            raise ParseFailed(f"the answer does not fit {self._kind.__name__}: {_said(error)}{cut}", reply) from None
        return ParsedReply(**{**dict(reply), "parsed": value})


def _said(error: ValidationError) -> str:
    """What is wrong, field by field."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in found[:_SHOWN_ERRORS]]
    more = len(found) - len(said)
    return "; ".join(said) + (f"; and {more} more" if more else "")


def parsed_chat(
    operation: Callable[[Prompt, Mapping[str, Any]], Operation[ChatReply]],
    messages: Prompt,
    params: Mapping[str, Any],
    form: Form[P],
    config: Config,
    repair: bool,
) -> Flow[ParsedReply[P]]:
    """A chat whose answer is read as an object. With ``repair`` an answer that does not fit goes back once, with what
    is wrong with it; cost, tokens, time and attempts of the reply are then those of both. Raises ``ParseFailed``, also
    where the second call fails, which is then its cause."""
    params = {**params, "response_format": form.response_format}
    first = yield from call(operation(messages, params), config)
    try:
        return form.read(first)
    except ParseFailed as unfit:
        if not repair or first.refusal or first.finish_reason in _ENDED_EARLY:
            raise
        try:
            second = yield from call(operation(*_again(messages, params, first, unfit)), config)
        except InfraiError as error:
            raise unfit from error
    return form.read(_both(first, second))


def _again(
    messages: Prompt, params: Mapping[str, Any], first: ChatReply, unfit: ParseFailed
) -> tuple[Prompt, Mapping[str, Any]]:
    """The same question with the answer that did not fit; under a key of its own, for its body is another."""
    answered = [{"role": "assistant", "content": first.content}] if first.content else []
    wrong = {"role": "user", "content": f"{unfit.message}. Answer again, with the whole object."}
    key = params.get("idempotency_key")
    own = {"idempotency_key": sha256(f"{key}\nagain".encode()).hexdigest()} if key else {}
    return [*messages_of(messages), *answered, wrong], {**params, **own}


def _both(first: ChatReply, second: ChatReply) -> ChatReply:
    """The second reply, with what both of them used and cost."""
    one, two = first.metadata, second.metadata
    metadata = {
        "cost_usd": total(one.cost_usd, two.cost_usd),
        "latency_ms": total(one.latency_ms, two.latency_ms),
        "cache_hit": two.cache_hit and one.cache_hit,
        "attempts": [*_rows(first, UNFIT), *_rows(second, "ok")],
        "warnings": [*one.warnings, *two.warnings],
    }
    usage = added(first.usage, second.usage)
    return second.model_copy(update={"usage": usage, "metadata": two.model_copy(update=metadata)})


def _rows(reply: ChatReply, outcome: str) -> list[Attempt]:
    """The attempts of a reply, with what came of the one that answered; only it where the service lists none."""
    meta = reply.metadata
    if meta.attempts:
        return [row.model_copy(update={"outcome": outcome}) if row.outcome == "ok" else row for row in meta.attempts]
    if not meta.vendor:
        return []
    model = meta.model or reply.model
    return [
        Attempt(vendor=meta.vendor, model=model, outcome=outcome, latency_ms=meta.latency_ms, cost_usd=meta.cost_usd)
    ]
