"""Answers in the form that ``response_format`` asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infrai_runtime.failure import Failure

from .answer import Draft, text_part
from .conversation import Conversation, wanted_keys, without_keys
from .fill import Filled, fill
from .mention import MOMENT
from .offer import Offer
from .proof import Path, Proof, proven
from .quote import split
from .scene import Scene
from .sentence import is_question, sentences
from .shown import shown_schema
from .slot import Slot
from .word import POLITE, words

_KINDS = ("text", "json_object", "json_schema")


def structured(conversation: Conversation, response_format: Mapping[str, Any] | None) -> Draft | None:
    """A JSON text after ``response_format`` or a schema in the prompt; None where plain text is wanted."""
    kind = (response_format or {}).get("type", "text")
    if kind not in _KINDS:
        raise Failure(
            "INVALID_REQUEST",
            f"response_format.type is {kind!r}; it must be one of {', '.join(_KINDS)}",
            param="response_format",
        )
    if kind != "json_schema" and (shown := _shown(conversation)):
        return _json(shown)
    if kind == "text" or response_format is None:
        return None
    if kind == "json_object":
        return _json(_free(conversation))
    return _json(fill(_schema_of(response_format), source_text(conversation), param="response_format"))


def _shown(conversation: Conversation) -> Filled | None:
    """An object after the schema that the request shows, or else the instructions."""
    if found := shown_schema(conversation.request):
        schema, rest = found
        return fill(schema, source_text(replace(conversation, request=rest)), param="messages")
    found = shown_schema(conversation.system)
    return fill(found[0], source_text(conversation), param="messages") if found else None


def _free(conversation: Conversation) -> Filled:
    """An object with the keys that the prompt names; without such, the facts of the text."""
    schema = wanted_keys(conversation.request) or wanted_keys(conversation.system)
    if schema is None:
        return facts(source_text(conversation))
    text = source_text(replace(conversation, request=without_keys(conversation.request)))
    filled = fill(schema, text, param="response_format")
    # A key that was only named may be a text or a number; what no text fills is tried as a number.
    numeric = {name: {"type": "number"} for name in filled.missing}
    tried = fill({**schema, "properties": {**schema["properties"], **numeric}}, text, param="response_format")
    return tried if len(tried.declared) < len(filled.declared) else filled


def _schema_of(response_format: Mapping[str, Any]) -> Any:
    named = response_format.get("json_schema")
    if not isinstance(named, Mapping) or not isinstance(named.get("schema"), Mapping | bool):
        raise Failure("INVALID_REQUEST", "response_format.json_schema.schema is missing", param="response_format")
    return named["schema"] if isinstance(named["schema"], Mapping) else {}


def _json(filled: Filled) -> Draft:
    return Draft([text_part(json.dumps(filled.value, ensure_ascii=False))], [filled.held])


def source_text(conversation: Conversation) -> str:
    """The text that values are taken from: tool results, attachments, and the request without its instructions."""
    parts = [result.text for result in conversation.results if not result.is_error]
    parts += [turn.text for turn in conversation.attached]
    parts.append(_material(conversation.request))
    if not any(len(part) > 20 for part in parts):
        parts = [turn.text for turn in conversation.earlier if turn.role == "user"] + parts
    return "\n".join(part for part in parts if part)


def _material(request: str) -> str:
    """The request without a leading or trailing instruction to extract something."""
    question, context = split(request)
    if context and len(context) > len(question) / 2 and _is_task(question):
        return context
    head, colon, rest = request.partition(":")
    if colon and _instructs(head) and rest.strip():
        return rest.strip()
    found = sentences(request)
    while len(found) > 1 and _is_task(found[0].text):
        found = found[1:]
    while len(found) > 1 and _is_task(found[-1].text):
        found = found[:-1]
    return request[found[0].start : found[-1].end] if found else request


def _is_task(text: str) -> bool:
    """Whether ``text`` only says what to do with the rest: a command to extract, or a question without any value."""
    return _instructs(text) or (is_question(text) and not any(m.kind in _VALUES for m in Scene(text).mentions))


_VALUES = MOMENT | words("email url phone money percent number code street zip path")


_INSTRUCTS = words("""
    extract parse identify return fill classify list find convert analyze analyse output read turn get pull
""")


def _instructs(text: str) -> bool:
    """Whether ``text`` begins with a command to extract something."""
    words = [word for word in text.lower().split()[:12] if word not in POLITE]
    command = bool(words) and words[0].strip(",:") in _INSTRUCTS and words[1:2] != ["of"]
    return command or text.startswith(("请", "从", "提取", "抽取"))


def facts(text: str) -> Filled:
    """The labelled fields of a text as an object; without such what it mentions by kind, else the text under 'text'."""
    scene = Scene(text)
    told: dict[str, list[Offer]] = {}
    for field in scene.fields:
        told.setdefault(field.label, [Offer(field.value, field.start, field.end, 1.0)])
    for one in () if told else scene.mentions:
        value = str(one.text).strip("\"'")
        told.setdefault(_LABEL.get(one.kind, one.kind), []).append(Offer(value, one.start, one.end, 1.0))
    if not told:
        return Filled({"text": text}, proofs={("text",): Proof(_ANY, text)}) if text else Filled({})
    values = {name: [one.value for one in found] for name, found in told.items()}
    places: dict[Path, Offer] = {(name, str(at)): one for name, found in told.items() for at, one in enumerate(found)}
    proofs = {path if len(told[path[0]]) > 1 else path[:1]: proven(_ANY, one, scene) for path, one in places.items()}
    return Filled({name: found[0] if len(found) == 1 else found for name, found in values.items()}, proofs=proofs)


_ANY = Slot((), {}, True)
_LABEL = {"day": "date", "datetime": "date", "colour": "color"}
