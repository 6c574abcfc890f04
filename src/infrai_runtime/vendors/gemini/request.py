"""A canonical request as the body of ``models.generateContent`` (https://ai.google.dev/api/generate-content).

Pure: media are in place already (``material.inlined``). What Gemini has no option for becomes a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.field import refuse
from infrai_runtime.vendors.answer_tool import AnswerTool, answer_tool, functions_of, schema_of, tool_names, wants_json
from infrai_runtime.vendors.gemini.model import EFFORTS, Traits, traits_of
from infrai_runtime.vendors.gemini.part import UNSIGNED, Conversation, Sent
from infrai_runtime.vendors.gemini.schema import held_to

Json = dict[str, Any]
Request = Mapping[str, Any]

MAX_STOPS = 5
_SAMPLING = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "choices": "candidateCount",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_PASSED = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty"}
ALLOWED_OPTIONS = frozenset(
    {
        *("safetySettings", "tools", "toolConfig", "cachedContent", "labels", "serviceTier"),
        *("thinkingConfig", "topK", "mediaResolution", "presencePenalty", "frequencyPenalty", "imageConfig"),
        *("responseModalities", "speechConfig", "audioTimestamp"),
    }
)
"""Fields of the API that a caller may set for this vendor. ``tools`` are Gemini's own, added to the request's."""
_OF_THE_BODY = frozenset({"safetySettings", "toolConfig", "cachedContent", "labels", "serviceTier"})


@dataclass(slots=True)
class Draft:
    """A body in the making, and what came up on the way."""

    request: Request
    model: str
    traits: Traits
    body: Json = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    """``generationConfig``."""
    warnings: list[str] = field(default_factory=list)
    answer: AnswerTool | None = None
    """Its call is the answer."""

    def warn(self, text: str) -> None:
        """Adds a warning."""
        self.warnings.append(text)


def drafted(request: Request, model: str, options: Mapping[str, Any]) -> Draft:
    """The draft of a request to a model. ``options`` are the caller's own, in the API's words; they win."""
    draft = Draft(request, model, traits_of(model))
    for step in _STEPS:
        step(draft)
    draft.body = with_options(draft.body, draft.config, options)
    return draft


# -- messages ----------------------------------------------------------------------------------------------------------


def _conversation(draft: Draft) -> None:
    known = Conversation(draft.traits.modern, draft.warnings)
    system: list[Sent] = []
    turns: list[Json] = []
    for index, message in enumerate(draft.request["messages"]):
        made = known.parts(message["parts"], f"messages.{index}.parts")
        if message.get("name"):
            draft.warn(f"messages.{index}.name: Gemini has no names; it was left out")
        if message["role"] == "system":
            if turns:
                draft.warn(f"messages.{index}: Gemini takes system messages before all others; it was moved there")
            system += made
        elif made:
            _add_turn(turns, "model" if message["role"] == "assistant" else "user", made)
    if draft.traits.modern:
        _sign_foreign_calls(turns)
    draft.body["contents"] = turns
    if system:
        draft.body["systemInstruction"] = {"parts": system}


def _add_turn(turns: list[Json], role: str, made: list[Sent]) -> None:
    """Adds parts to the turn of their role; results of functions stand first in theirs."""
    if turns and turns[-1]["role"] == role:
        turns[-1]["parts"] += made
    else:
        turns.append({"role": role, "parts": made})
    turns[-1]["parts"].sort(key=lambda part: role == "user" and "functionResponse" not in part)


def _sign_foreign_calls(turns: Sequence[Json]) -> None:
    """The first call of a step has to be signed; one that Gemini did not make gets the documented stand-in."""
    for turn in turns:
        first = next((part for part in turn["parts"] if "functionCall" in part), None)
        if first is not None and "thoughtSignature" not in first:
            first["thoughtSignature"] = UNSIGNED


# -- tools and structured answers --------------------------------------------------------------------------------------


def _structure(draft: Draft) -> None:
    """JSON answers; older models cannot give them beside tools, so there the answer is the arguments of one."""
    if not wants_json(draft.request):
        return
    if draft.request.get("tools") and not draft.traits.modern:
        draft.answer = answer_tool(draft.request["response_format"], tool_names(draft.request))
        return
    draft.config["responseMimeType"] = "application/json"
    schema = schema_of(draft.request)
    if schema is not None:
        draft.config["responseJsonSchema"] = held_to(schema)


def _tools(draft: Draft) -> None:
    functions = [_declared(function) for function in functions_of(draft.request.get("tools", ()))]
    if draft.answer:
        about = {"name": draft.answer.name, "description": draft.answer.about}
        functions.append({**about, "parametersJsonSchema": held_to(draft.answer.schema)})
    if not functions:
        return
    draft.body["tools"] = [{"functionDeclarations": functions}]
    calling = {"mode": "ANY"} if draft.answer else _calling(draft)
    if calling:
        draft.body["toolConfig"] = {"functionCallingConfig": calling}
    if draft.request.get("parallel_tool_calls") is False:
        draft.warn("parallel_tool_calls: Gemini cannot be kept from calling several tools at once; not used")


def _declared(function: Mapping[str, Any]) -> Json:
    about = {"description": function["description"]} if function.get("description") else {}
    parameters = function.get("parameters")
    schema = {"parametersJsonSchema": held_to(parameters)} if parameters else {}
    return {"name": function["name"], **about, **schema}


def _calling(draft: Draft) -> Json:
    choice = draft.request.get("tool_choice", "auto")
    if isinstance(choice, Mapping):
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    strict = any(tool["function"].get("strict") for tool in draft.request["tools"])
    mode = {"auto": "VALIDATED" if strict else None, "none": "NONE", "required": "ANY"}[choice]
    return {"mode": mode} if mode else {}


# -- reasoning, sampling, the rest -------------------------------------------------------------------------------------


def _thinking(draft: Draft) -> None:
    effort = draft.request.get("reasoning_effort")
    if effort is None:
        return
    if effort not in EFFORTS:
        raise refuse("reasoning_effort", effort, f"one of {', '.join(EFFORTS)}")
    if draft.traits.thinking is None:
        draft.warn(f"reasoning_effort: {draft.model} does not reason; not used")
        return
    thinking = dict(draft.traits.thinking_of(effort))
    if effort == "none" and thinking.get("thinkingBudget") != 0:
        draft.warn(f"reasoning_effort: {draft.model} does not stop reasoning; its least was used")
    draft.config["thinkingConfig"] = thinking | ({"includeThoughts": True} if effort != "none" else {})


def _sampling(draft: Draft) -> None:
    given = {**draft.request, **{n: v for n, v in draft.request.get("passthrough", {}).items() if n in _PASSED}}
    draft.config |= {theirs: given[ours] for ours, theirs in (_SAMPLING | _PASSED).items() if ours in given}
    if draft.config.get("candidateCount") == 1:
        del draft.config["candidateCount"]


def _stop(draft: Draft) -> None:
    texts = list(draft.request.get("stop", ()))
    if len(texts) > MAX_STOPS:
        draft.warn(f"stop: Gemini takes {MAX_STOPS}; the last {len(texts) - MAX_STOPS} were left out")
    if texts:
        draft.config["stopSequences"] = texts[:MAX_STOPS]


def _missing(draft: Draft) -> None:
    names = [name for name in ("user",) if name in draft.request]
    for name in [*names, *sorted(draft.request.get("passthrough", {}).keys() - _PASSED.keys())]:
        draft.warn(f"{name}: Gemini has no such option; not used")


_STEPS: tuple[Callable[[Draft], None], ...] = (
    *(_conversation, _structure, _tools, _thinking, _sampling, _stop, _missing),
)


def with_options(body: Json, config: Json, options: Mapping[str, Any]) -> Json:
    """A body with its ``generationConfig``, and a caller's options where they belong."""
    rest = {name: value for name, value in options.items() if name not in _OF_THE_BODY and name != "tools"}
    full = {"generationConfig": config | rest} if config or rest else {}
    outside = {name: value for name, value in options.items() if name in _OF_THE_BODY}
    tools = [*body.get("tools", ()), *_own_tools(options.get("tools", []))]
    return {**body, **outside, **full, **({"tools": tools} if tools else {})}


_OWN_TOOLS = frozenset({"googleSearch", "codeExecution", "urlContext", "googleMaps", "fileSearch"})


def _own_tools(value: Any) -> list[Any]:
    path = "vendor_options.gemini.tools"
    if not isinstance(value, list):
        raise refuse(path, value, "a list")
    unknown = next((name for tool in value for name in _names(tool) if name not in _OWN_TOOLS), None)
    if unknown is not None:
        raise Failure("INVALID_REQUEST", f"{path}: came {unknown!r}, allowed are {', '.join(sorted(_OWN_TOOLS))}")
    return value


def _names(tool: Any) -> list[str]:
    return list(tool) if isinstance(tool, Mapping) else [str(tool)]
