"""The arguments of a call: from its clause, from the rest of the request, from the results of earlier calls."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from . import arithmetic
from .choose import EXPRESSION, Tool
from .concept import chinese_words, name_vocabulary, related
from .conversation import Result
from .excerpt import Place
from .fill import Filled, Known, fill
from .measure import json_number, numbers, plain, unit_after
from .mention import MOMENT, Mention, mentions
from .offer import Offer
from .proof import Held, Path, Proof
from .scene import MARKERS, Scene, Token
from .schema import kind_of
from .sentence import is_question, refuses
from .slot import Slot, roles_of
from .summary import facts, readable
from .word import POLITE, STOP, VERB_STEMS, VERBS, has_cjk, is_past, stem, stems, tokens, words


@dataclass(frozen=True)
class Step:
    """A tool and the clause that asks for it; ``later`` than another one it may speak of that one's result."""

    tool: Tool
    clause: str
    later: bool = False

    @property
    def refers_back(self) -> bool:
        """Whether the clause speaks of an earlier result."""
        return self.later and bool(_RESULT.search(self.clause))


@dataclass
class Call:
    """A call ready to be made, or not: ``declared`` are arguments that nothing shows to be meant so, ``missing`` those
    of them for which nothing at all was found, ``proofs`` the words that the others were read from."""

    tool: Tool
    arguments: dict[str, Any]
    declared: list[str]
    missing: list[str]
    proofs: dict[Path, Proof]

    @property
    def held(self) -> Held:
        """The arguments with all that is needed to list what nothing shows."""
        return Held(self.arguments, self.declared, self.proofs)

    def same_as(self, result: Result) -> bool:
        """Whether this call was made already."""
        return self.tool.name == result.name and _comparable(self.arguments) == _comparable(result.arguments)

    def take(self, path: str, value: Any, proofs: dict[Path, Proof]) -> None:
        """Gives an argument a value that its schema allows; it stays declared unless words show that it is meant."""
        if not self.tool.takes(path, value):
            return
        self.arguments[path] = value
        self.missing = [one for one in self.missing if one.split(".")[0] != path]
        self.declared = [one for one in self.declared if one.split(".")[0] != path or not proofs]
        self.proofs = {at: proof for at, proof in self.proofs.items() if at[0] != path} | proofs

    def again(self, path: str, value: Any, place: Place) -> Call:
        """The same call with another value of an argument, read at a place."""
        proofs = self.quoted(path, place.text, place) if (path,) in self.proofs else {}
        return replace(self, arguments={**self.arguments, path: value}, proofs={**self.proofs, **proofs})

    def quoted(self, path: str, words: str, place: Place | None = None) -> dict[Path, Proof]:
        """The proof that an argument was read from ``words``, at a place of a text or of all of it."""
        return {(path,): Proof(Slot((path,), self.tool.properties.get(path, {}), True), words, place)}


def _comparable(arguments: Mapping[str, Any]) -> str:
    plain_numbers = {
        name: float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        for name, value in arguments.items()
    }
    return json.dumps(plain_numbers, sort_keys=True, ensure_ascii=False, default=str)


def calls(step: Step, request: str, results: Sequence[Result], *, command: bool = True) -> list[Call]:
    """The calls of one step: one, or one per item where the clause lists several values for one argument."""
    clause = _with_results(step, results)
    told = not command or _told(clause)
    filled = fill(
        step.tool.parameters,
        clause,
        param="tools",
        command=not told,
        known=_known(step, clause, results),
        about=step.tool.about,
    )
    call = Call(step.tool, dict(filled.value or {}), filled.declared, filled.missing, filled.proofs)
    shared = _shared(filled, clause, step.tool)
    for value, place in shared.values[:1]:
        call.take(shared.name, value, call.quoted(shared.name, place.text, place) if shared.shown else {})
    if step.later:
        pointing = [path for path, value in call.arguments.items() if str(value).lower() in _POINTERS]
        call.declared, call.missing = [*call.declared, *pointing], [*call.missing, *pointing]
    for result in reversed(results if step.later else ()):
        if not result.is_error:
            _complete(call, _as_fields(result.text))
    if request != clause:
        _complete(call, request, request=True, command=command and not step.later)
    if command:
        _complete_by_phrase(call, clause, filled, told)
    return [call, *(call.again(shared.name, *other) for other in shared.values[1:])]


# -- earlier results

_IT = re.compile(
    r"\b(?:the |that |this )?(?:result|answer|sum|product|quotient|difference|outcome|total)(?: of that)?\b"
    r"|\b(?:it|that|this|them)\b|结果|它|其和|所得(?:的数)?",
    re.IGNORECASE,
)
_RESULT = re.compile(r"\bthe (?:result|answer|sum|product|quotient|difference|outcome|total)\b|结果", re.IGNORECASE)
_POINTERS = words("it that this them result 它 结果") | {"the result", "the answer"}


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


def _known(step: Step, clause: str, results: Sequence[Result]) -> dict[Path, Known]:
    """'then subtract 4': the first number argument is the last result where the clause has one number too few."""
    value = _last_number(results) if step.later else None
    wanted = [name for name in step.tool.required if takes_number(step.tool, name)]
    if value is None or clause != step.clause or len(wanted) < 2 or len(numbers(clause)) != len(wanted) - 1:
        return {}
    return {(wanted[0],): (json_number(value), results[-1].text)}


def _as_fields(text: str) -> str:
    found = _facts(text)
    return "\n".join(f"{path.replace('.', ' ')}: {value}" for path, value in found) if found else text


def _complete(call: Call, source: str, *, request: bool = False, command: bool = False) -> None:
    """Takes what is still declared from ``source`` where that shows it; the numbers of a whole request belong to its
    other clauses."""
    properties = {
        name: schema
        for name, schema in call.tool.properties.items()
        if any(path.split(".")[0] == name for path in call.declared) and not (request and takes_number(call.tool, name))
    }
    if not properties:
        return
    wanted = {**call.tool.parameters, "properties": properties, "required": list(properties)}
    found = fill(wanted, source, param="tools", command=command and "\n" not in source)
    for name in properties:
        shown = not any(path.split(".")[0] == name for path in found.declared)
        if shown:
            call.take(name, found.value[name], {at: proof for at, proof in found.proofs.items() if at[0] == name})


def complete_from_results(call: Call, results: Sequence[Result]) -> None:
    """A text argument that is still missing takes the last result whole: 'and mail it to …'."""
    good = [result for result in results if not result.is_error]
    for path in list(call.missing):
        if good and takes_text(call.tool, path):
            call.take(path, readable(good[-1].text), call.quoted(path, good[-1].text))


# -- what an argument takes


def takes_number(tool: Tool, path: str) -> bool:
    """Whether an argument is a number."""
    return kind_of(tool.properties.get(path, {})) in ("number", "integer")


def takes_text(tool: Tool, path: str) -> bool:
    """Whether an argument is free text, which any part of a request may fill."""
    roles = _roles_of_text(tool, path)
    return roles is not None and (not roles or any(name in ("message", "query", "title") for name in roles))


def _takes_name(tool: Tool, path: str) -> bool:
    """Whether an argument is a name, which need not be written with a capital: 'weather paris'. One of two sides, as
    where a way begins, is not told by what is left of a command."""
    schema = tool.properties.get(path, {})
    roles = [role for role, _ in roles_of(path, str(schema.get("description") or ""))]
    if any(role.name in ("origin", "destination") for role in roles):
        return False
    return _roles_of_text(tool, path) is not None and any("name" in role.kinds for role in roles[:1])


def _roles_of_text(tool: Tool, path: str) -> list[str] | None:
    """The names of the roles of an argument; None for one that is no free text."""
    schema = tool.properties.get(path, {})
    if kind_of(schema) != "string" or "enum" in schema or "format" in schema:
        return None
    return [role.name for role, _ in roles_of(path, str(schema.get("description") or ""))]


# -- the object of the command


def _complete_by_phrase(call: Call, clause: str, filled: Filled, told: bool) -> None:
    """The one text argument that nothing shows is what the command is about. It is shown where the phrase is the object
    of the tool's verb, or tells which of its things is meant, and nothing else of the call is open."""
    texts = [p for p in call.declared if takes_text(call.tool, p) and not (told and not roles_of(p, ""))]
    names = [path for path in call.missing if not told and _takes_name(call.tool, path)]
    for path in texts[:1] or names[:1]:
        other = {**filled.likely, **filled.given}.items()
        used = [_used(one, clause) for at, one in other if at != (path,) and one.end > one.start]
        expression = arithmetic.expression(clause) if stem(path) in EXPRESSION else None
        sure = expression or (_word_for_word(path, clause, call.tool, used) if path in texts else None)
        phrase = sure or subject(clause, call.tool, used, name_vocabulary(path))
        meant = bool(phrase) and (bool(sure) or _is_meant(call.tool, path, clause, phrase, used))
        if meant and (path in texts or len(phrase.split()) <= 3):
            alone = not told and call.declared == [path]
            call.take(path, phrase, call.quoted(path, clause) if expression or alone else {})


def _used(one: Offer, clause: str) -> tuple[int, int]:
    """The stretch of a value with its unit: '45 minutes of'."""
    measure = (
        _MEASURE.match(clause, one.end) if isinstance(one.value, int | float) and unit_after(clause, one.end) else None
    )
    return one.start, measure.end() if measure else one.end


_MEASURE = re.compile(r"\s*\S+(?:\s+of\b)?")


def _word_for_word(path: str, clause: str, tool: Tool, used: Sequence[tuple[int, int]]) -> str | None:
    """A text that the caller gives as it is: the question itself, or what is dictated."""
    if stem(path) in _QUESTION and is_question(clause):
        return clause
    return dictated(clause, tool, used)


_QUESTION = stems("question input 问题")
_DICTATED = re.compile(r"([^:：]{1,60})[:：](?!//)\s*(\S.*)", re.DOTALL)


def dictated(clause: str, tool: Tool, used: Sequence[tuple[int, int]]) -> str | None:
    """What stands behind a colon after nothing but the tool's verb and its words: 'Read aloud: …'."""
    found = _DICTATED.fullmatch(clause)
    if not found or any(found.start(2) < b for _, b in used):
        return None
    lead = Scene(found[1]).tokens
    opening = _cjk_verb(lead, tool)
    said = [token for token in lead[opening:] if token.low not in _POLITE | _PARTICLE and token.low not in _CJK_HEAD]
    own = [_of_tool(token, tool) or stem(token.low) in tool.told for token in said]
    return found[2].rstrip() if (opening or own) and all(own) else None


def subject(clause: str, tool: Tool, used: Sequence[tuple[int, int]] = (), keep: frozenset[str] = frozenset()) -> str:
    """What a command is about: its words without its opening, its verb and the tool's own words, up to what is used
    already; empty where nothing is left. A last word of the tool's is dropped ('kitchen lights') unless it is one of
    ``keep`` ('front door')."""
    found = [token for token in Scene(clause).tokens if not any(a <= token.start < b for a, b in used)]
    found = _without_opening(found, tool)
    broken = (at for at in range(1, len(found)) if _is_end(found, at, used, tool))
    found = found[: next(broken, None)]
    while found and (found[-1].low in _TAIL or found[-1].low in "从到去" or not found[-1].low[0].isalnum()):
        found.pop()
    while (
        len(found) > 1
        and _of_tool(found[-1], tool)
        and found[-2].low not in MARKERS
        and stem(found[-1].low) not in keep
    ):
        found.pop()
    found = found[1:] if len(found) > 1 and stem(found[0].low) in keep else found
    if all(token.low in _NOTHING or (_of_tool(token, tool) and stem(token.low) not in keep) for token in found):
        return ""
    return clause[found[0].start : found[-1].end].removesuffix("的")


_POLITE = STOP | POLITE | words("about just quick quickly try some any more us")
_PARTICLE = words("up down off out on for over in to of the a an me us my about")
_SEARCHING = stems("search look find google browse web internet online check fetch get query")
_TAIL = STOP | MARKERS | words("online please now today tomorrow tonight right here me again")
_NOTHING = words("something anything everything somebody someone one by")
_CJK_HEAD = "请帮我把给将的一下查搜索找播放打开关掉关闭"


def _without_opening(found: list[Token], tool: Tool) -> list[Token]:
    """Drops polite words, one verb, its particles and, for a search, the words of searching."""
    at = _skip(found, _cjk_verb(found, tool), _POLITE)
    if at < len(found) and (found[at].low in VERBS or _of_tool(found[at], tool) or stem(found[at].low) in _SEARCHING):
        at = _skip(found, at + 1, _PARTICLE)
        at = _skip(found, at, _POLITE, _SEARCHING | tool.own)
    return found[at:]


def _skip(found: list[Token], at: int, skipped: frozenset[str], stems: Collection[str] = ()) -> int:
    while at < len(found) and (
        found[at].low in skipped
        or stem(found[at].low) in stems
        or not found[at].low[0].isalnum()
        or found[at].low in _CJK_HEAD
    ):
        at += 1
    return at


def _cjk_verb(found: list[Token], tool: Tool) -> int:
    """The number of tokens of a Chinese verb of the tool's at the beginning, with its object: 提醒我."""
    text = "".join(token.low for token in found)
    word, start, end = next(iter(chinese_words(text)), ("", 9, 0))
    if start > 2 or any(len(token.low) > 1 for token in found[:end]) or not any(related(word, own) for own in tool.own):
        return 0
    return end + (text[end : end + 1] == "我")


def _of_tool(token: Token, tool: Tool) -> bool:
    return any(related(stem(token.low), word) for word in tool.own)


def _is_end(found: list[Token], at: int, used: Sequence[tuple[int, int]], tool: Tool) -> bool:
    """Whether the phrase ends before a token: at a used stretch, or at a marker of what only speaks of the tool."""
    if any(found[at - 1].end <= a and b <= found[at].start for a, b in used):
        return True
    rest = []
    for token in found[at + 1 :] if found[at].low in MARKERS else ():
        if token.low in MARKERS or not token.low[0].isalnum():
            break
        rest += [token] if token.low not in STOP else []
    return bool(rest) and all(_of_tool(token, tool) or stem(token.low) in tool.told for token in rest)


def _is_meant(tool: Tool, path: str, clause: str, phrase: str, used: Sequence[tuple[int, int]]) -> bool:
    """Whether a phrase tells which thing is meant, or is the object of the tool's verb for an argument of such."""
    start = clause.find(phrase)
    touching = any(0 < start - end < 2 and clause[end:start].isspace() for _, end in used)
    roles = [role.name for role, _ in roles_of(path, "")]
    if touching or any(mention.kind in MOMENT for mention in mentions(phrase)):
        return False
    if roles[:1] and roles[0] in _WRITTEN:
        return not has_cjk(phrase) and _is_object(clause, phrase, tool, used)
    if any(map(str.isdigit, phrase)):
        return False
    text = takes_text(tool, path)
    if text and _tells_which(clause, phrase, tool, name_vocabulary(path)):
        return True
    return bool(roles) and _is_object(clause, phrase, tool, used)


_WRITTEN = words("message title query reason heading")
"""Arguments that are texts, and tell of no thing which one is meant."""


def _tells_which(clause: str, phrase: str, tool: Tool, keep: frozenset[str]) -> bool:
    """Whether ``phrase`` tells which of the tool's things is meant: 'kitchen' in 'the kitchen lights'."""
    end = clause.find(phrase) + len(phrase)
    after = [token for token in Scene(clause).tokens if token.end >= end and token.low != "的"][:2]
    return any(stem(t.low) in tool.own | keep or (not t.low.isascii() and _of_tool(t, tool)) for t in after)


def _is_object(clause: str, phrase: str, tool: Tool, used: Sequence[tuple[int, int]]) -> bool:
    """Whether ``phrase`` is what the tool's own verb is to be done to: at most a name stands between the two."""
    start = clause.find(phrase)
    lead = [token for token in Scene(clause).tokens if token.end <= start]
    if any(b <= start and not clause[a].isupper() for a, b in used) or _BROKEN.search(phrase):
        return False
    if lead and all(stem(token.low) in tool.own for token in lead):
        return not clause[start + len(phrase) :].strip()
    passed = any(b <= start for _, b in used) and lead[-1].low in MARKERS | {",", "，"}
    if passed or clause[:start][-1:] in _CJK_LINK:
        return False
    lead = [token for token in lead if not any(a <= token.start < b for a, b in used)]
    opening = _cjk_verb(lead, tool)
    content = [t for t in lead[opening:] if t.low[0].isalnum() and t.low not in _CJK_HEAD]
    said = [t for t in content if t.low not in _POLITE | _PARTICLE and not t.low.endswith(("n't", "n\u2019t"))]
    verb = opening or any(stem(token.low) in _DOING or stem(token.low) not in tool.own for token in said)
    return bool(verb) and all(_of_tool(token, tool) or stem(token.low) in _SEARCHING for token in said)


_DOING = VERB_STEMS | _SEARCHING
_BROKEN = re.compile(r"[,，;；]|不是")
"""What shows that a phrase is of more than one thing."""
_CJK_LINK = ("给", "把", "将", "的")


def _told(clause: str) -> bool:
    """Whether a clause only tells or forbids something, so that it asks for nothing: it has no verb of a command."""
    if _TELLING_CJK.match(clause) or refuses(clause):
        return True
    found = tokens(clause)
    opening = next((word for word in found if word not in STOP), "")
    tells = any(word in _TELLING or is_past(word) for word in found)
    return tells and found[0] != "please" and stem(opening) not in VERB_STEMS and not is_question(clause)


_TELLING_CJK = re.compile(r"(?:[他她它]们?|我们?)(?![要想需得]).*[了过]")
_TELLING = words("is are was were has have had am")


def guess_by_phrase(call: Call, request: str) -> None:
    """For a caller who wants a call in any case: the one text argument that nothing gave is what the request is about.
    It stays declared, because no word says that it is meant."""
    wanted = call.tool.required
    if len(wanted) == 1 and call.missing == wanted and kind_of(call.tool.properties.get(wanted[0], {})) == "string":
        phrase = subject(_WITH_TOOL.sub("", request), call.tool, (), name_vocabulary(wanted[0]))
        if phrase and len(phrase.split()) <= 3:
            call.take(wanted[0], phrase, {})


_WITH_TOOL = re.compile(
    r"^\W*(?:please\s+)?(?:us(?:e|ing)|with|call)\s[^,.;]{0,60}?\b(?:tool|function)\b\s*(?:,|to\b)", re.IGNORECASE
)
"""'Using the tool, …': says how, not what."""


# -- several values for one argument

_AND = re.compile(r"^\s*(?:,|、|和|与|以及|跟|及|,?\s*(?:and|or|&)\s*(?:in|for|to|at|from|the)?)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class _Shared:
    """An argument for which a clause lists several ``values``, each with its place, and whether they are ``shown``."""

    name: str = ""
    values: Sequence[tuple[Any, Place]] = ()
    shown: bool = False


def _shared(filled: Filled, clause: str, tool: Tool) -> _Shared:
    """The argument whose value is followed by more of its kind, as in 'in Cairo and Athens'. Two names with a bare
    comma between are one: 'Portland, Oregon'."""
    likely = filled.likely | filled.given
    spread = {
        p: c for p, c in likely.items() if len(p) == 1 and c.end > c.start and not isinstance(c.value, list | dict)
    }
    taken = [(one.start, one.end) for one in spread.values()]
    scene = Scene(clause)
    for (name,), first in spread.items():
        others = list(_further(clause, first.start, first.end, taken))
        is_pair = len(others) == 1 and others[0].kind == "name" and clause[first.end : others[0].start].strip() == ","
        if is_pair and _takes_place(tool, name):
            pair = Place(scene, first.start, others[0].end)
            return _Shared(name, [(pair.text, pair)], (name,) in filled.given)
        more = [(_like(other.value, first.value), Place(scene, other.start, other.end)) for other in others]
        if more and all(tool.takes(name, value) for value, _ in more):
            values = [(first.value, Place(scene, first.start, first.end)), *more]
            return _Shared(name, values, (name,) in filled.given)
    return _Shared()


def _takes_place(tool: Tool, path: str) -> bool:
    """Whether an argument may be a place, whose region is written behind a comma."""
    return bool({"place", "origin", "destination", ""} & {*(_roles_of_text(tool, path) or [""])[:1]})


def _like(value: Any, model: Any) -> Any:
    if isinstance(value, Fraction):
        return plain(value) if isinstance(model, str) else json_number(value)
    return value


def _further(clause: str, start: int, end: int, taken: Sequence[tuple[int, int]]) -> Iterator[Mention]:
    found = mentions(clause)
    here = next((m for m in found if m.start <= start < m.end), None)
    for mention in found:
        if here is None or mention.kind != here.kind or mention.start < end:
            continue
        if not _AND.match(clause[end : mention.start]) or any(a < mention.end and mention.start < b for a, b in taken):
            return
        end = mention.end
        yield mention
