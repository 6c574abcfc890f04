"""Decides which tools to call now, or that none is to be called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from infrai_runtime.failure import Failure

from . import voice
from .answer import Draft, call_part, say
from .calls import Call, Step, calls, complete_from_results, guess_by_phrase, takes_number, takes_text
from .choose import THRESHOLD, Tool, read_tools, scores
from .conversation import Conversation
from .fill import fill
from .form import source_text
from .sentence import clauses, idle, is_question, refuses, withdraws
from .slot import roles_of
from .word import POLITE, VERB_STEMS, has_cjk, name_words, stem, stems, tokens

_MOST_CALLS = 16
_NEAR = 0.75
_SURE = 0.4
_CHOICES = ("auto", "none", "required", "any")


def tool_calls(
    conversation: Conversation,
    offered: Sequence[Mapping[str, Any]],
    choice: str | Mapping[str, Any] | None,
    *,
    parallel: bool,
    salt: str,
) -> Draft | None:
    """The calls to make next; None where the answer is to be given in words.

    Raises INVALID_REQUEST (param tools or tool_choice) for tools without a name and for a choice that does not exist.
    """
    tools = read_tools(offered)
    forced = _forced(tools, choice)
    if not tools or choice == "none":
        return None
    must = bool(forced) or choice in ("required", "any")
    planned = _planned(conversation, [forced] if forced else tools, must)
    fresh = [call for call in planned if not any(call.same_as(result) for result in conversation.results)]
    distinct = [call for at, call in enumerate(fresh) if not _repeats(call, fresh[:at])]
    if not must and distinct and all(_unsupported(call) for call in distinct):
        return say(voice.lacking(distinct[0].tool.name, distinct[0].missing, has_cjk(conversation.request)), False)
    kept = distinct[: _MOST_CALLS if parallel else 1]
    return _draft(kept, salt) if kept else None


def looked_up(
    conversation: Conversation, question: str, offered: Sequence[Mapping[str, Any]], choice: Any, salt: str
) -> Draft | None:
    """The call that looks up a question which nothing at hand answers; None where no tool is for that, or where one
    was called already."""
    tools = [tool for tool in read_tools(offered) if _searched(tool)]
    if choice == "none" or conversation.results or not tools or _forbids(conversation.request):
        return None
    if not is_question(question) or _TO_YOU.search(question):
        return None
    tool = max(zip(scores(question, tools), tools, strict=True), key=lambda pair: pair[0])[1]
    call = Call(tool, {}, [], [], {})
    path = _searched(tool)
    call.take(path, question, call.quoted(path, question))
    return _draft([call], salt) if call.arguments else None


def _searched(tool: Tool) -> str:
    """The argument of a tool that looks up whatever it is told: its only one, a text of any kind."""
    path = tool.required[0] if len(tool.required) == 1 else ""
    roles = roles_of(path, str(tool.properties.get(path, {}).get("description") or ""))
    asked = takes_text(tool, path) and roles[:1] and roles[0][0].name == "query"
    return path if asked and (tool.own | tool.told) & _SEARCHES else ""


_SEARCHES = stems(
    "search look lookup retrieve browse web internet google wiki wikipedia knowledge answer docs faq 搜索 检索 查询"
)
_TO_YOU = re.compile(r"\b(?:are|do|did|have|were|can|will) you\b|\byours?\b|你", re.IGNORECASE)
"""What is asked of who is spoken to is no matter of knowledge."""


def _forced(tools: Sequence[Tool], choice: str | Mapping[str, Any] | None) -> Tool | None:
    if choice is None or (isinstance(choice, str) and choice in _CHOICES):
        return None
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else choice
    for tool in tools:
        if tool.name == name:
            return tool
    allowed = ", ".join([*_CHOICES[:3], *(tool.name for tool in tools)])
    raise Failure("INVALID_REQUEST", f"tool_choice is {name!r}; allowed are {allowed}", param="tool_choice")


def _unsupported(call: Call) -> bool:
    """Whether the conversation gives no argument that a call needs, or lacks a number and gives no two."""
    wanted = call.tool.required
    lacking = [name for name in wanted if any(path.split(".")[0] == name for path in call.missing)]
    number = any(takes_number(call.tool, name) for name in lacking)
    return bool(lacking) and (len(lacking) == len(wanted) or (number and len(wanted) - len(lacking) < 2))


def _repeats(call: Call, before: Sequence[Call]) -> bool:
    return any(other.tool.name == call.tool.name and other.arguments == call.arguments for other in before)


def _draft(kept: Sequence[Call], salt: str) -> Draft:
    parts = [call_part(call.tool.name, call.arguments, f"{salt}{at}") for at, call in enumerate(kept)]
    return Draft(parts, [call.held for call in kept])


def _planned(conversation: Conversation, tools: Sequence[Tool], must: bool) -> list[Call]:
    steps = [] if _nothing_wanted(conversation, must) else _steps(conversation.request, tools)
    if must:
        steps = [step for step in steps if _is_action(step.tool)]
    steps = steps or _again(conversation, tools)
    if any(result.is_error for result in conversation.results) and not must:
        return []
    planned = [call for at, step in enumerate(steps) for call in _ready(steps, at, step, conversation)]
    left = [call for call in planned if not any(call.same_as(result) for result in conversation.results)]
    return planned if left or not must else [_anyhow(conversation, tools)]


def _nothing_wanted(conversation: Conversation, must: bool) -> bool:
    return not must and all(idle(clause) for clause in clauses(conversation.request))


def _is_action(tool: Tool) -> bool:
    """Whether a tool does something, by the verb of its name; a noun is a form to fill."""
    return stem(name_words(tool.name)[0]) in VERB_STEMS if name_words(tool.name) else False


_ELLIPSIS = re.compile(r"^(?:and|what about|how about|same for|now|also|那|那么|还有|换成).{1,60}$", re.IGNORECASE)


def _again(conversation: Conversation, tools: Sequence[Tool]) -> list[Step]:
    """'And in Rome?' asks the last tool again."""
    last = conversation.old_results[-1].name if conversation.old_results else ""
    tool = next((tool for tool in tools if tool.name == last), None)
    return [Step(tool, conversation.request)] if tool and _ELLIPSIS.match(conversation.request) else []


def _ready(steps: Sequence[Step], at: int, step: Step, conversation: Conversation) -> list[Call]:
    """The calls of a step, or none while it waits for the result of an earlier one."""
    results = conversation.results
    earlier = {previous.tool.name for previous in steps[:at]}
    answered = sum(result.name in earlier for result in results) >= at
    if at and not answered and step.refers_back:
        return []
    feeding = results[:at] if answered else ()
    made = calls(step, conversation.request, feeding)
    for call in made:
        complete_from_results(call, feeding)
    if at and not answered and any(call.missing for call in made):
        return []
    return made


def _steps(request: str, tools: Sequence[Tool]) -> list[Step]:
    """One step per clause that a tool fits; a clause that none fits belongs to the step before it."""
    steps: list[Step] = []
    pending = ""
    for clause in clauses(request):
        if withdraws(clause):
            steps, pending = [], ""
        if refuses(clause) or withdraws(clause):
            continue
        tool = _best(clause, tools)
        if steps and (tool is None or not _asks(clause)):
            steps[-1] = Step(steps[-1].tool, _joined(steps[-1].clause, clause), steps[-1].later)
        elif tool is None:
            pending = f"{pending}{clause} "
        else:
            steps.append(Step(tool, pending + clause, bool(steps)))
            pending = ""
    if not steps and not _forbids(request) and (tool := _best(request, tools)):
        steps.append(Step(tool, request))
    return steps


def _forbids(request: str) -> bool:
    """Whether something is not to be done, or no more."""
    return any(refuses(clause) or withdraws(clause) for clause in clauses(request))


def _joined(before: str, clause: str) -> str:
    return f"{before} {clause}" if before[-1:] in ".!?。！？" else f"{before}, {clause}"


def _asks(clause: str) -> bool:
    """Whether a clause is a command or a question; a statement tells more about what was asked before it."""
    words = [word for word in tokens(clause) if word not in POLITE]
    return has_cjk(clause) or is_question(clause) or (bool(words) and stem(words[0]) in VERB_STEMS)


def _best(text: str, tools: Sequence[Tool]) -> Tool | None:
    found = scores(text, tools)
    order = sorted(range(len(tools)), key=lambda at: (-found[at], at))
    if order and found[order[0]] >= THRESHOLD:
        return tools[order[0]]
    near = [at for at in order[:3] if found[at] >= _NEAR]
    return next((tools[at] for at in near if _evident(text, tools[at])), None)


def _evident(text: str, tool: Tool) -> bool:
    """Whether the text holds a typed value for every required argument of a tool that it half speaks of."""
    every = {**tool.parameters, "required": list(tool.properties)}
    offered = fill(every, text, param="tools", about=tool.about).offered
    held = {path[0] for path, one in offered.items() if one.fit >= _SURE}
    return bool(tool.required and held) and all(name in held or takes_text(tool, name) for name in tool.required)


def _anyhow(conversation: Conversation, tools: Sequence[Tool]) -> Call:
    """The best tool for a caller who wants a call in any case; one that was not called yet goes first."""
    done = {result.name for result in conversation.results}
    text = source_text(conversation)
    found = scores(conversation.request, tools)
    order = sorted(range(len(tools)), key=lambda at: (tools[at].name in done, -found[at], at))[:8]
    order = [at for at in order if tools[at].name not in done] or order
    opening = next(iter(clauses(conversation.request)), "")
    command = is_question(opening)
    made = [(found[at], calls(Step(tools[at], text), conversation.request, (), command=command)[0]) for at in order]
    best = max(made, key=lambda pair: pair[0] + 0.5 * len(pair[1].arguments) - len(pair[1].declared))[1]
    guess_by_phrase(best, conversation.request)
    return best
