"""Which of the offered tools a request is about, by the words of name, description and parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from infrai_runtime.failure import Failure

from . import arithmetic
from .concept import chinese_words, name_vocabulary, related, vocabulary
from .mention import mentions
from .schema import Schema, valid
from .slot import Slot
from .word import POLITE, STOP, VERB_STEMS, has_cjk, name_words, stem, stems, tokens, words

THRESHOLD = 1.6
_GENERIC = stems("""
    get use tool function return give user information info data value current given provide result call input output
    specific new api text number name one example want need first two help make take today tomorrow
""")
_OPERATORS = (
    (re.compile(r"(?<=\d)\s*(?:\*|x|×|times)\s*(?=\d)", re.I), " multiply "),
    (re.compile(r"(?<=\d)\s*(?:\+|plus)\s*(?=\d)", re.I), " add "),
    (re.compile(r"(?<=\d)\s+(?:-|−|minus)\s+(?=\d)", re.I), " subtract "),
    (re.compile(r"(?<=\d)\s*(?:/|÷|over)\s*(?=\d)", re.I), " divide "),
    (re.compile(r"(?<=\d)\s*(?:\^|\*\*)\s*(?=\d)", re.I), " power "),
)


@dataclass(frozen=True)
class Tool:
    """An offered function with the words that it is known by."""

    name: str
    parameters: Mapping[str, Any]
    own: frozenset[str]
    told: frozenset[str]
    taken: frozenset[str]
    kinds: frozenset[str]
    about: str

    @property
    def properties(self) -> Mapping[str, Mapping[str, Any]]:
        """The schemas of the parameters by name."""
        found = self.parameters.get("properties")
        members = found.items() if isinstance(found, Mapping) else ()
        return {str(name): schema if isinstance(schema, Mapping) else {} for name, schema in members}

    @property
    def required(self) -> list[str]:
        """The names of the parameters that a call must have."""
        return list(self.parameters.get("required") or ())

    def takes(self, name: str, value: Any) -> bool:
        """Whether a parameter may have this value."""
        schema = Schema(self.parameters, "tools")
        variants = schema.variants(schema.plain(self.properties.get(name), 0), 0)
        return any(valid(value, variant) for variant in variants)

    @property
    def words(self) -> frozenset[str]:
        return self.own | self.told | self.taken


def read_tools(offered: Sequence[Mapping[str, Any]]) -> list[Tool]:
    """The functions among the offered tools. Raises INVALID_REQUEST (param tools) where one has no name."""
    return [
        _tool(entry.get("function", entry) if isinstance(entry, Mapping) else None, at)
        for at, entry in enumerate(offered)
    ]


def _tool(function: Any, at: int) -> Tool:
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        raise Failure("INVALID_REQUEST", f"tools.{at}.function.name is missing", param="tools")
    parameters = function.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise Failure("INVALID_REQUEST", f"tools.{at}.function.parameters must be an object", param="tools")
    description = str(function.get("description") or "")[:2_000]
    about = f"{function['name']} {description[:100]}"
    return Tool(
        function["name"],
        parameters if parameters else {"type": "object", "properties": {}},
        name_vocabulary(function["name"]) | vocabulary(function["name"]),
        vocabulary(description) - _GENERIC,
        _parameter_words(parameters),
        _parameter_kinds(parameters, about),
        about,
    )


def _parameter_words(parameters: Mapping[str, Any]) -> frozenset[str]:
    words: set[str] = set()
    properties = parameters.get("properties")
    for name, schema in (properties if isinstance(properties, Mapping) else {}).items():
        words |= name_vocabulary(str(name))
        if isinstance(schema, Mapping):
            words |= vocabulary(str(schema.get("description") or "")[:500])
            words |= {stem(word) for option in schema.get("enum") or () for word in tokens(str(option))}
    return frozenset(words) - _GENERIC


_TELLING = words("email url path language currency money code colour phone zip")
_WAY = re.compile(r"\bfrom\b.+?\bto\b|从.+?[到去飞往]", re.IGNORECASE)


def _parameter_kinds(parameters: Mapping[str, Any], about: str) -> frozenset[str]:
    """The kinds of value that only few things take, and 'way' for a place or unit to start from and one to reach."""
    properties = parameters.get("properties")
    slots = [
        Slot((str(name),), schema, True, (about,))
        for name, schema in (properties if isinstance(properties, Mapping) else {}).items()
        if isinstance(schema, Mapping)
    ]
    best = [slot.roles[0][0] for slot in slots if slot.roles]
    kinds = {role.kinds[0] for role in best} | {unit for slot in slots for unit in slot.units}
    way = {"way"} if {"origin", "destination"} <= {role.name for role in best} else set()
    return frozenset(kinds & _TELLING | way)


def _kinds_in(request: str) -> frozenset[str]:
    way = {"way"} if _WAY.search(request) else set()
    return frozenset({mention.kind for mention in mentions(request)} & _TELLING | way)


def scores(request: str, tools: Sequence[Tool]) -> list[float]:
    """One score per tool; from :data:`THRESHOLD` on the request is taken to be about it."""
    written = request
    for pattern, word in _OPERATORS:
        request = pattern.sub(word, request)
    request = _QUOTED.sub(" ", request)
    lead = _lead(request)
    asked = vocabulary(request[:4_000]) | ({lead} - {""})
    plain = request.lower()
    rarity = {word: _rarity(word, tools) for word in asked}
    kinds = {kind: 0.8 / sum(kind in tool.kinds for tool in tools) for kind in _kinds_in(written) & _wanted(tools)}
    return [
        _score(tool, asked, rarity, plain, lead) + _sums(tool, written) + sum(kinds[k] for k in tool.kinds & set(kinds))
        for tool in tools
    ]


def _wanted(tools: Sequence[Tool]) -> frozenset[str]:
    return frozenset().union(*(tool.kinds for tool in tools))


_QUOTED = re.compile(r"\"[^\"\n]*\"|\u201c[^\u201d\n]*\u201d|\u300c[^\u300d\n]*\u300d|(?<!\w)'[^'\n]{2,}'(?!\w)")
"""What is quoted is a value: 'translate "play music"' plays none."""


def _lead(request: str) -> str:
    """The stem of the verb that the request begins with, if it begins with one."""
    if has_cjk(request):
        return next((word for word, _, _ in chinese_words(request[:200])), "")
    words = [word for word in tokens(request[:200]) if word not in POLITE]
    speaks = words[:1] and words[0] in STOP and words[1:2] in (["me"], ["us"])
    return stem(words[0]) if words and stem(words[0]) in VERB_STEMS and not speaks else ""


_BROAD = stems("""
    web internet online information info knowledge google wiki wikipedia question answer tool all it
""")


def _sums(tool: Tool, request: str) -> float:
    """A tool that takes an expression fits every sum, best one of several operations."""
    if not EXPRESSION & tool.taken or not (found := arithmetic.expression(request)):
        return 0.0
    return 1.0 + 1.5 * (sum(not token.replace(".", "").isdigit() for token in found.split()) > 1)


EXPRESSION = frozenset(map(stem, ["expression", "formula", "equation", "calculation", "math"]))


def _rarity(word: str, tools: Sequence[Tool]) -> float:
    """1 for a word that one tool alone knows, less the more tools know it."""
    seen = sum(word in tool.words for tool in tools)
    return 1.0 if seen <= 1 else max(0.25, 1 - log(seen) / log(len(tools) + 2))


def _score(tool: Tool, asked: frozenset[str], rarity: Mapping[str, float], plain: str, lead: str) -> float:
    if len(tool.name) > 3 and re.search(rf"(?<![\w]){re.escape(tool.name.lower())}(?![\w])", plain):
        return 10.0
    total = 0.0
    for word in asked:
        weight = 0.3 if word in _GENERIC and word != lead else rarity[word]
        weight *= 1.4 if word == lead else 1.0
        total += weight * _fit(word, tool)
    return round(total * (0.5 if _verb_only(tool, asked) else 1.0), 6)


def _verb_only(tool: Tool, asked: frozenset[str]) -> bool:
    """Whether the request shares only the tool's verb: 'find' alone does not ask for 'find_flights'."""
    verb = stem(name_words(tool.name)[0]) if name_words(tool.name) else ""
    subject = tool.own - {verb} - _GENERIC - _BROAD
    if not subject or verb not in VERB_STEMS:
        return False
    rest = {word for word in asked if not related(word, verb)}
    return not any(_fit(word, tool) >= 0.7 for word in rest) and not any(
        related(word, own) for word in asked for own in subject
    )


def _fit(word: str, tool: Tool) -> float:
    own = tool.own - _GENERIC
    if word in own:
        return 2.0
    if word in tool.told:
        return 1.3
    if any(related(word, other) for other in own):
        return 1.2
    if word in tool.taken:
        return 0.8
    if any(related(word, other) for other in tool.told):
        return 0.7
    return 0.3 if any(related(word, other) for other in tool.taken) else 0.0
