"""One step of a request: a tool with arguments from its clause, from the rest of the request, from results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from . import arithmetic, unit
from .candidate import TIED, Candidate
from .choose import EXPRESSION, Tool
from .concept import name_vocabulary
from .conversation import Result
from .fill import Filled, fill
from .leftover import is_object, leftover, tells_which
from .mention import Mention, mentions
from .number import numbers, plain
from .outcome import facts, readable
from .phrase import is_deed
from .role import roles_of
from .sentence import is_question
from .slot import kind_of
from .table import words
from .valid import valid
from .verb import VERB_STEMS
from .wish import refuses
from .word import STOP, has_cjk, is_past, stem, tokens

_IT = re.compile(
    r"\b(?:the |that |this )?(?:result|answer|sum|product|quotient|difference|outcome|total)(?: "
    r"of that)?\b|\b(?:it|that|this|them)\b"
    r"|结果|它|其和|所得(?:的数)?",
    re.IGNORECASE,
)

_RESULT = re.compile(r"\bthe (?:result|answer|sum|product|quotient|difference|outcome|total)\b|结果", re.IGNORECASE)


@dataclass(frozen=True)
class Step:
    """A tool and the clause that asks for it."""

    tool: Tool
    clause: str
    later: bool = False


@dataclass
class Call:
    """A call ready to be made, or not: ``invented`` are arguments that nothing supports; some are ``guessed`` from
    values of their kind, some are a ``phrase`` of the request that no word gives to them. ``unproven`` are arguments
    with a value that fits them without evidence that it is meant."""

    tool: Tool
    arguments: dict[str, Any]
    invented: list[str] = field(default_factory=list)
    guessed: frozenset[str] = frozenset()
    phrases: frozenset[str] = frozenset()
    unproven: list[str] = field(default_factory=list)

    @property
    def declared(self) -> list[str]:
        """The arguments of which nothing shows that they are meant so."""
        return list(dict.fromkeys([*self.invented, *self.unproven]))

    @property
    def missing(self) -> list[str]:
        """The arguments for which nothing at all was found."""
        return [path for path in self.invented if path not in self.guessed | self.phrases]

    @property
    def open(self) -> list[str]:
        """The arguments that the request does not speak of at all."""
        return [path for path in self.invented if path not in self.phrases]

    @property
    def waits(self) -> bool:
        return bool(self.open)

    def same_as(self, result: Result) -> bool:
        """Whether this call was made already."""
        return self.tool.name == result.name and _comparable(self.arguments) == _comparable(result.arguments)


def _comparable(arguments: Mapping[str, Any]) -> str:
    return json.dumps({k: _number(v) for k, v in arguments.items()}, sort_keys=True, ensure_ascii=False, default=str)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def calls(step: Step, request: str, results: Sequence[Result], *, command: bool = True) -> list[Call]:
    """The calls of one step: one, or one per item where the clause lists several values for one argument."""
    clause = _with_results(step, results)
    filled = fill(
        step.tool.parameters,
        clause,
        param="tools",
        free_text=command and not _told(clause, step.tool),
        known=_known(step, clause, results),
        about=step.tool.about,
    )
    guessed = frozenset(".".join(path) for path in filled.guessed)
    shared = _shared(filled, clause)
    invented = [path for path in filled.invented if shared is None or path != shared.name]
    call = Call(
        step.tool,
        dict(filled.value or {}),
        invented,
        guessed,
        unproven=[path for path in filled.declared if path not in invented],
    )
    if step.later:
        call.invented += [path for path, value in call.arguments.items() if str(value).lower() in _POINTERS]
    for source in _sources(clause, request, results if step.later else ()):
        _complete(call, source, command and source == request and not step.later, source == request and step.later)
    if command:
        _complete_by_phrase(call, clause, [_used(c, clause) for c in filled.given.values() if c.end > c.start])
    return [call, *_siblings(call, shared)] if shared else [call]


def _used(candidate: Candidate, clause: str) -> tuple[int, int]:
    """The stretch of a value with its unit: '45 minutes of'."""
    end = unit.after(clause, candidate.end) if isinstance(candidate.value, int | float) else None
    measure = _MEASURE.match(clause, candidate.end) if end else None
    return candidate.start, measure.end() if measure else candidate.end


_MEASURE = re.compile(r"\s*\S+(?:\s+of\b)?")


def refers_back(step: Step) -> bool:
    """Whether the clause speaks of an earlier result."""
    return step.later and bool(_RESULT.search(step.clause))


# -- earlier results


def _with_results(step: Step, results: Sequence[Result]) -> str:
    """The clause with 'it', 'the result' and the like replaced by the last result, where that is a number."""
    value = _last_number(results) if step.later else None
    return _IT.sub(plain(value), step.clause, count=1) if value is not None else step.clause


def _last_number(results: Sequence[Result]) -> Fraction | None:
    text = results[-1].text.strip() if results and not results[-1].is_error else ""
    leaves = [str(item) for _, item in _facts(text)] or [text]
    found = numbers(leaves[0]) if len(leaves) == 1 else []
    return found[0].value if len(found) == 1 and found[0].end - found[0].start == len(leaves[0].rstrip(".")) else None


def _facts(text: str) -> list[tuple[str, Any]]:
    try:
        return facts(json.loads(text))
    except ValueError:
        return []


def _known(step: Step, clause: str, results: Sequence[Result]) -> dict[tuple[str, ...], Any]:
    """'then subtract 4': the first number argument is the last result where the clause has one number too few."""
    value = _last_number(results) if step.later else None
    wanted = [name for name, schema in _required(step.tool) if kind_of(schema) in ("number", "integer")]
    if value is None or clause != step.clause or len(wanted) < 2 or len(numbers(clause)) != len(wanted) - 1:
        return {}
    return {(wanted[0],): value.numerator if value.denominator == 1 else float(value)}


def _required(tool: Tool) -> list[tuple[str, Mapping[str, Any]]]:
    properties = tool.parameters.get("properties") or {}
    return [(name, properties.get(name) or {}) for name in tool.parameters.get("required", ())]


# -- completing what the clause left open


def _sources(clause: str, request: str, results: Sequence[Result]) -> Iterator[str]:
    for result in reversed(results):
        if not result.is_error:
            yield _as_fields(result.text)
    if request != clause:
        yield request


def _as_fields(text: str) -> str:
    found = _facts(text)
    return "\n".join(f"{path.replace('.', ' ')}: {value}" for path, value in found) if found else text


def _complete(call: Call, source: str, command: bool, request: bool) -> None:
    """Fills what is still missing from ``source``; the numbers of a whole request belong to its other clauses."""
    if not call.invented:
        return
    part = {**call.tool.parameters, "required": [path.split(".")[0] for path in call.invented]}
    part["properties"] = {
        name: schema
        for name, schema in (part.get("properties") or {}).items()
        if name in part["required"] and not (request and kind_of(schema) in ("number", "integer"))
    }
    part["required"] = list(part["properties"])
    found = fill(part, source, param="tools", free_text=command and "\n" not in source)
    for name in list(dict.fromkeys(part["required"])):
        if not any(path.split(".")[0] == name for path in found.invented) and name in found.value:
            call.arguments[name] = found.value[name]
            call.invented = [path for path in call.invented if path.split(".")[0] != name]
            call.unproven += [path for path in found.declared if path.split(".")[0] == name]


def complete_from_results(call: Call, results: Sequence[Result]) -> None:
    """A text argument that is still missing takes the last result whole: 'and mail it to …'."""
    good = [result for result in results if not result.is_error]
    for path in list(call.invented):
        if good and takes_text(call.tool, path):
            call.arguments[path] = readable(good[-1].text)
            call.invented.remove(path)


def _takes_name(tool: Tool, path: str) -> bool:
    """Whether an argument is a name, which need not be written with a capital: 'weather paris'."""
    schema = (tool.parameters.get("properties") or {}).get(path)
    if not isinstance(schema, Mapping) or kind_of(schema) != "string" or "enum" in schema or "format" in schema:
        return False
    return any("name" in role.kinds for role, _ in roles_of(path, str(schema.get("description") or ""))[:1])


def takes_number(tool: Tool, path: str) -> bool:
    """Whether an argument is a number."""
    schema = (tool.parameters.get("properties") or {}).get(path)
    return isinstance(schema, Mapping) and kind_of(schema) in ("number", "integer")


_POINTERS = frozenset({"it", "that", "this", "them", "the result", "result", "the answer", "它", "结果"})


def takes_text(tool: Tool, path: str) -> bool:
    """Whether an argument is free text, which any part of a request may fill."""
    schema = (tool.parameters.get("properties") or {}).get(path)
    if not isinstance(schema, Mapping) or kind_of(schema) != "string" or "enum" in schema or "format" in schema:
        return False
    roles = roles_of(path, str(schema.get("description") or ""))
    return not roles or any(role.name in ("message", "query", "title") for role, _ in roles)


def _complete_by_phrase(call: Call, clause: str, used: list[tuple[int, int]]) -> None:
    """The one missing text argument of a command is what the command is about. It is supported where it is the object
    of the tool's verb, or tells which of its things is meant; else it stays among ``invented``."""
    told = _told(clause, call.tool)
    open_paths = [p for p in call.invented if takes_text(call.tool, p) and not (told and not roles_of(p, ""))]
    for path in open_paths[:1] or [path for path in call.invented if not told and _takes_name(call.tool, path)][:1]:
        expression = arithmetic.expression(clause) if stem(path) in EXPRESSION else None
        phrase = expression or leftover(clause, call.tool, used, name_vocabulary(path))
        if phrase and (path in open_paths or len(phrase.split()) <= 3):
            call.arguments[path] = phrase
            call.phrases |= {path}
            alone = not told and not call.unproven and len(open_paths) < 2
            if expression or (alone and _is_meant(call.tool, path, clause, phrase, used)):
                call.invented.remove(path)


def _is_meant(tool: Tool, path: str, clause: str, phrase: str, used: list[tuple[int, int]]) -> bool:
    """Whether a phrase tells which thing is meant, or is the object of the tool's verb for an argument of such."""
    start = clause.find(phrase)
    touching = any(0 < start - end < 2 and clause[end:start].isspace() for _, end in used)
    if touching or any(mention.kind in _MOMENT for mention in mentions(phrase)):
        return False
    if any(role.name in _WRITTEN for role, _ in roles_of(path, "")[:1]):
        return not has_cjk(phrase) and is_object(clause, phrase, tool, used)
    if any(map(str.isdigit, phrase)):
        return False
    if takes_text(tool, path) and tells_which(clause, phrase, tool, name_vocabulary(path)):
        return True
    if not takes_text(tool, path) and _of_a_deed(clause, phrase):
        return False
    return bool(roles_of(path, "")) and is_object(clause, phrase, tool, used)


_WRITTEN = frozenset(words("message title query reason heading"))
"""Arguments that are texts, and tell of no thing which one is meant."""
_MOMENT = frozenset(words("date day time datetime"))
"""What a phrase does not hold where it is only a text."""


def _of_a_deed(clause: str, phrase: str) -> bool:
    """Whether a phrase belongs to another deed than the tool's: 'Bob' in 'to call Bob', 'mow the lawn' after 'to'."""
    lead = tokens(clause[: clause.find(phrase)])[-2:]
    return "to" in lead and (lead[-1] != "to" or is_deed(phrase))


def _told(clause: str, tool: Tool) -> bool:
    """Whether a clause only tells or forbids something, so that it asks for nothing: it has no verb of a command."""
    if _TELLING_CJK.match(clause) or refuses(clause):
        return True
    found = tokens(clause)
    opening = next((word for word in found if word not in STOP), "")
    tells = any(word in _TELLING or is_past(word) for word in found) or _has_subject(clause, tool)
    return tells and stem(opening) not in VERB_STEMS and not is_question(clause)


def _has_subject(clause: str, tool: Tool) -> bool:
    """Whether a clause opens with a name that does something; 'Osaka weather' names a thing of the tool."""
    first = next((m for m in mentions(clause) if m.kind == "name" and m.start == 0 and not has_cjk(m.text)), None)
    following = tokens(clause[first.end :])[:1] if first else []
    return bool(following) and following[0].isalpha() and stem(following[0]) not in tool.words


_TELLING_CJK = re.compile(r"(?:[他她它]们?|我们?)(?![要想需得]).*[了过]")
_TELLING = frozenset(words("is are was were has have had am"))


def guess_by_phrase(call: Call, request: str) -> None:
    """For a caller who wants a call in any case: the one text argument that nothing gave is what the request is about.
    It stays among ``invented``, because no word says that it is meant."""
    wanted = _required(call.tool)
    if len(wanted) == 1 and call.invented == [wanted[0][0]] and kind_of(wanted[0][1]) == "string":
        phrase = leftover(_WITH_TOOL.sub("", request), call.tool, (), name_vocabulary(wanted[0][0]))
        if phrase and len(phrase.split()) <= 3 and valid(phrase, wanted[0][1]):
            call.arguments[wanted[0][0]] = phrase


_WITH_TOOL = re.compile(
    r"^\W*(?:please\s+)?(?:us(?:e|ing)|with|call)\s[^,.;]{0,60}?\b(?:tool|function)\b\s*(?:,|to\b)", re.I
)
"""'Using the tool, …': says how, not what."""


# -- several values for one argument

_AND = re.compile(r"^\s*(?:,|and|or|&|, and|、|和|与|以及|跟|及)\s*(?:in|for|to|at|from|the)?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class _Shared:
    """An argument for which a clause lists several values: the first one and the ``others``."""

    name: str
    first: Candidate
    others: list[Mention]
    whole: str = ""


def _shared(filled: Filled, clause: str) -> _Shared | None:
    """The argument whose value is followed by more of its kind, as in 'in Cairo and Athens'."""
    tied = {path: c for path, c in filled.guessed.items() if c.fit >= TIED} | filled.given
    spread = {p: c for p, c in tied.items() if len(p) == 1 and c.end > c.start and not isinstance(c.value, list | dict)}
    taken = [(c.start, c.end) for c in spread.values()]
    for path, first in spread.items():
        others = list(_further(clause, first.start, first.end, taken))
        if len(others) == 1 and _is_apposition(clause, first, others[0]):
            return _Shared(path[0], first, [], clause[first.start : others[0].end])
        if others:
            return _Shared(path[0], first, others)
    return None


def _siblings(call: Call, shared: _Shared) -> list[Call]:
    """More calls of the same tool, for the further values of the list; one value in two parts stays one call."""
    if shared.whole:
        call.arguments[shared.name] = shared.whole
    made = [{**call.arguments, shared.name: _like(other.value, shared.first.value)} for other in shared.others]
    return [
        Call(call.tool, arguments, list(call.invented), call.guessed, call.phrases, list(call.unproven))
        for arguments in made
    ]


def _is_apposition(clause: str, first: Candidate, second: Mention) -> bool:
    """Whether two names with a bare comma between are one: 'Portland, Oregon'. A list has an 'and', or more items."""
    return second.kind == "name" and clause[first.end : second.start].strip() == ","


def _like(value: Any, model: Any) -> Any:
    if isinstance(value, Fraction):
        return plain(value) if isinstance(model, str) else value.numerator if value.denominator == 1 else float(value)
    return value


def _further(clause: str, start: int, end: int, taken: list[tuple[int, int]]) -> Iterator[Mention]:
    here = next((m for m in mentions(clause) if m.start <= start < m.end), None)
    if here is None:
        return
    for mention in mentions(clause):
        if mention.kind != here.kind or mention.start < end:
            continue
        if not _AND.match(clause[end : mention.start]) or any(a < mention.end and mention.start < b for a, b in taken):
            return
        end = mention.end
        yield mention
