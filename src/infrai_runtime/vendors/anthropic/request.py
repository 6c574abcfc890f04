"""A canonical request as the body of ``POST /v1/messages`` (https://platform.claude.com/docs/en/api/messages/create).

Pure: media are in place already (``material.inlined``). What Claude has no option for becomes a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.field import refuse
from infrai_runtime.vendors.answer_tool import AnswerTool, answer_tool, functions_of, schema_of, tool_names, wants_json
from infrai_runtime.vendors.anthropic.model import Traits, traits_of
from infrai_runtime.vendors.anthropic.part import Block, blocks, cache_control
from infrai_runtime.vendors.anthropic.schema import held_to

Json = dict[str, Any]
Request = Mapping[str, Any]

INTERLEAVED = "interleaved-thinking-2025-05-14"
"""The beta that lets models with thinking budgets think between tool calls; newer ones do so by themselves."""
MAX_MARKS = 4
MIN_BUDGET = 1024

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 32_768}
"""Effort -> thinking tokens, for models that want a number. Ours: the API has no such table."""
EFFORTS = ("none", *_BUDGETS)
_NO_OPTION = ("seed", "logprobs", "top_logprobs", "choices")


@dataclass(slots=True)
class Draft:
    """A body in the making, and what came up on the way."""

    request: Request
    traits: Traits
    body: Json
    warnings: list[str] = field(default_factory=list)
    betas: list[str] = field(default_factory=list)
    answer: AnswerTool | None = None
    """Its call is the answer."""

    def warn(self, text: str) -> None:
        """Adds a warning."""
        self.warnings.append(text)


def drafted(request: Request, model: str, options: Mapping[str, Any], *, mark_cache: bool) -> Draft:
    """The draft of a request to a model. ``options`` are the caller's own, in the API's words; they win."""
    traits = traits_of(model)
    draft = Draft(request, traits, {"model": model, "max_tokens": request.get("max_tokens", traits.max_tokens)})
    for step in _STEPS:
        step(draft)
    if mark_cache and _is_worth_caching(draft):
        draft.body["cache_control"] = cache_control()
    _keep_few_marks(draft)
    _add_options(draft, options)
    return draft


# -- messages ----------------------------------------------------------------------------------------------------------


def _conversation(draft: Draft) -> None:
    messages: Sequence[Mapping[str, Any]] = draft.request["messages"]
    system: list[Block] = []
    turns: list[Json] = []
    for index, message in enumerate(messages):
        made = blocks(message["parts"], f"messages.{index}.parts", draft.warnings)
        if message.get("name"):
            draft.warn(f"messages.{index}.name: Claude has no names; it was left out")
        if message["role"] != "system":
            _add_turn(turns, "assistant" if message["role"] == "assistant" else "user", made)
        elif draft.traits.late_system and _has_a_place(messages[index + 1 :], turns):
            _add_turn(turns, "system", made)
        else:
            _tell_of_moved(draft, index, turns)
            system += made
    draft.body["messages"] = turns
    if system:
        draft.body["system"] = system


def _has_a_place(after: Sequence[Mapping[str, Any]], turns: Sequence[Json]) -> bool:
    """Later system messages stand behind a turn of the user and before one of the model, or at the end."""
    following = next((message["role"] for message in after if message["role"] != "system"), "assistant")
    return bool(turns) and turns[-1]["role"] in ("user", "system") and following == "assistant"


def _tell_of_moved(draft: Draft, index: int, turns: Sequence[Json]) -> None:
    if turns:
        draft.warn(f"messages.{index}: Claude takes this system message before all others only; it was moved there")


def _add_turn(turns: list[Json], role: str, made: list[Block]) -> None:
    """Adds blocks to the turn of their role; results of tools stand first in theirs, as the API demands."""
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += made
    elif made:
        turns.append({"role": role, "content": made})
    if made and role == "user":
        turns[-1]["content"].sort(key=lambda block: block["type"] != "tool_result")


# -- tools and structured answers --------------------------------------------------------------------------------------


def _tools(draft: Draft) -> None:
    request = draft.request
    choice = request.get("tool_choice", "auto")
    given = [] if choice == "none" and draft.answer else list(request.get("tools", ()))
    tools = [_tool(function, draft) for function in functions_of(given)]
    if draft.answer:
        tools.append(
            {"name": draft.answer.name, "description": draft.answer.about, "input_schema": _object(draft.answer.schema)}
        )
    if not tools:
        return
    draft.body["tools"] = tools
    chosen = _answer_choice(draft.answer, given) if draft.answer else _choice(choice)
    if request.get("parallel_tool_calls") is False and chosen["type"] != "none":
        chosen["disable_parallel_tool_use"] = True
    if chosen != {"type": "auto"}:
        draft.body["tool_choice"] = chosen


def _choice(choice: Any) -> Json:
    if isinstance(choice, Mapping):
        return {"type": "tool", "name": choice["function"]["name"]}
    return {"type": {"auto": "auto", "none": "none", "required": "any"}[choice]}


def _answer_choice(answer: AnswerTool, others: Sequence[Any]) -> Json:
    """With tools of the caller beside it, the model may call one of those before it answers."""
    return {"type": "any"} if others else {"type": "tool", "name": answer.name}


def _tool(function: Mapping[str, Any], draft: Draft) -> Json:
    schema = _object(function.get("parameters") or {})
    held = held_to(schema) if function.get("strict") and draft.traits.structured else None
    if function.get("strict") and held is None:
        draft.warn(f"tools.{function['name']}.strict: Claude cannot be held to this schema; it was asked to follow it")
    about = {"description": function["description"]} if function.get("description") else {}
    return {
        "name": function["name"],
        **about,
        "input_schema": held or schema,
        **({"strict": True} if held else {}),
    }


def _object(schema: Mapping[str, Any]) -> Json:
    """The API wants ``type: object`` at the root."""
    return {"type": "object", "properties": {}} if not schema else {"type": "object", **schema}


def _structure(draft: Draft) -> None:
    """JSON answers: held to the schema where model and schema allow it, else as the arguments of a tool."""
    if not wants_json(draft.request):
        return
    schema = schema_of(draft.request)
    held = held_to(schema) if schema is not None and draft.traits.structured else None
    if held is not None:
        _output(draft)["format"] = {"type": "json_schema", "schema": held}
    else:
        draft.answer = answer_tool(draft.request["response_format"], tool_names(draft.request))


def _output(draft: Draft) -> Json:
    output: Json = draft.body.setdefault("output_config", {})
    return output


# -- reasoning, sampling, the rest -------------------------------------------------------------------------------------


def _thinking(draft: Draft) -> None:
    effort = draft.request.get("reasoning_effort")
    if effort is None:
        return
    if effort not in EFFORTS:
        raise Failure(
            "INVALID_REQUEST",
            f"reasoning_effort: came {effort!r}, allowed are {', '.join(EFFORTS)}",
            param="reasoning_effort",
        )
    _THINKING[draft.traits.thinking](draft, effort)


def _adaptive(draft: Draft, effort: str) -> None:
    if effort == "none" and draft.traits.resting:
        draft.body["thinking"] = {"type": "disabled"}
        return
    wanted = {"none": "low", "minimal": "low"}.get(effort, effort)
    used = wanted if wanted in draft.traits.efforts else "high"
    if used != effort and effort != "minimal":
        draft.warn(f"reasoning_effort: {draft.body['model']} has no {effort!r}; {used!r} was used")
    draft.body["thinking"] = {"type": "adaptive", "display": "summarized"}
    _output(draft)["effort"] = used


def _budgeted(draft: Draft, effort: str) -> None:
    if effort == "none":
        return
    budget = min(_BUDGETS[effort], draft.body["max_tokens"] - 1)
    forced = draft.body.get("tool_choice", {}).get("type") in ("any", "tool")
    if budget < MIN_BUDGET or forced:
        why = "a forced tool call leaves no room for it" if forced else f"max_tokens is below {MIN_BUDGET + 1}"
        draft.warn(f"reasoning_effort: not used, {why}")
        return
    draft.body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if "tools" in draft.body:
        draft.betas.append(INTERLEAVED)


def _unthinking(draft: Draft, effort: str) -> None:
    if effort != "none":
        draft.warn(f"reasoning_effort: {draft.body['model']} does not reason; not used")


_THINKING: dict[str, Callable[[Draft, str], None]] = {
    "adaptive": _adaptive,
    "budget": _budgeted,
    "none": _unthinking,
}


def _sampling(draft: Draft) -> None:
    """Temperature goes from 0 to 1 here; newer models take neither of the two, and no model while it thinks."""
    given = {name: draft.request[name] for name in ("temperature", "top_p") if name in draft.request}
    thinks = draft.body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    kept = dict(list(given.items())[: 0 if thinks else draft.traits.samplers])
    for name in given.keys() - kept.keys():
        draft.warn(f"{name}: {draft.body['model']} does not take it in this request; not used")
    if kept.get("temperature", 0) > 1:
        draft.warn("temperature: Claude's highest is 1; 1 was used")
        kept["temperature"] = 1
    draft.body.update(kept)


def _stop(draft: Draft) -> None:
    texts = [text for text in draft.request.get("stop", ()) if text.strip()]
    if len(texts) < len(draft.request.get("stop", ())):
        draft.warn("stop: Claude takes no blank stop texts; they were left out")
    if texts:
        draft.body["stop_sequences"] = texts


def _user(draft: Draft) -> None:
    if "user" in draft.request:
        draft.body["metadata"] = {"user_id": draft.request["user"]}


def _missing(draft: Draft) -> None:
    names = [name for name in _NO_OPTION if name in draft.request]
    for name in [*names, *sorted(draft.request.get("passthrough", ()))]:
        draft.warn(f"{name}: Claude has no such option; not used")


_STEPS: tuple[Callable[[Draft], None], ...] = (
    *(_conversation, _structure, _tools, _thinking, _sampling, _stop, _user, _missing),
)


# -- prompt cache, options ---------------------------------------------------------------------------------------------


def _is_worth_caching(draft: Draft) -> bool:
    """A write to the cache costs a quarter more, so a single question without anything around it is not marked."""
    return len(draft.body["messages"]) > 1 or "system" in draft.body or "tools" in draft.body


def _keep_few_marks(draft: Draft) -> None:
    """At most four marks are taken, the automatic one among them; the last ones cover the most."""
    marked = [block for block in _all_blocks(draft.body) if "cache_control" in block]
    most = MAX_MARKS - ("cache_control" in draft.body)
    for block in marked[:-most]:
        del block["cache_control"]
    if len(marked) > most:
        draft.warn(f"cache_point: Claude takes {MAX_MARKS}; the first {len(marked) - most} were left out")


def _all_blocks(body: Json) -> list[Block]:
    return [*body.get("system", ()), *(block for turn in body["messages"] for block in turn["content"])]


ALLOWED_OPTIONS = frozenset(
    {
        *("thinking", "output_config", "top_k", "metadata", "service_tier", "speed", "inference_geo", "container"),
        *("cache_control", "tools", "context_management", "betas"),
    }
)
"""Fields of the API that a caller may set for this vendor. ``tools`` are server tools, added to the request's own;
``betas`` are names for the ``anthropic-beta`` header. ``mcp_servers`` is not among them: it names hosts and keys."""


def _add_options(draft: Draft, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name == "tools":
            draft.body["tools"] = [*draft.body.get("tools", ()), *map(_server_tool, _listed(name, value))]
        elif name == "betas":
            draft.betas += [str(beta) for beta in _listed(name, value)]
        elif isinstance(value, Mapping) and name in _MERGED:
            draft.body[name] = {**draft.body.get(name, {}), **value}
        else:
            draft.body[name] = value


_MERGED = frozenset({"output_config", "metadata"})


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise refuse(f"vendor_options.anthropic.{name}", value, "a list")
    return value


def _server_tool(tool: Any) -> Json:
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    if not isinstance(kind, str) or kind.startswith(("mcp", "custom")):
        raise refuse("vendor_options.anthropic.tools", kind, "a server tool's type, such as web_search_20250305")
    return dict(tool)
