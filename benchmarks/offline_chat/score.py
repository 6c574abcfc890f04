"""Score a small chat model that answers from what it is given: five sets of hand-written cases.

``python -m benchmarks.offline_chat.score`` prints one row per set. ``evaluate(reply)`` takes any callable of
the shape of `Reply`, so that a test can pass a fake. README.md beside this file says how each set is made
and marked.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from benchmarks.offline_chat import match

HERE = Path(__file__).parent
DEFAULT_MODEL = "infrai_runtime.vendors.local.chat:reply"

Case = Mapping[str, Any]
Scores = dict[str, dict[str, float]]


class Answer(Protocol):
    """What a model gives back; ``invented`` are dotted paths of values that no input supported."""

    @property
    def parts(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def invented(self) -> Sequence[str]: ...
    @property
    def grounded(self) -> bool | None: ...


class Reply(Protocol):
    """The model under test."""

    def __call__(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None,
        tool_choice: Any = None,
        response_format: dict[str, Any] | None,
    ) -> Answer: ...


@dataclass(frozen=True)
class Nothing:
    """The answer of a model that raised an error: it earns no points in any set."""

    parts: tuple[Mapping[str, Any], ...] = ()
    invented: tuple[str, ...] = ()
    grounded: bool | None = None


@dataclass(frozen=True)
class Mark:
    """Points between 0 and 1 for one case; 1 is right. ``counts`` are added up over the set."""

    points: float
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """One case after the model was asked. ``said`` is the answer, or the error that it raised."""

    id: str
    mark: Mark
    latency_ms: float
    said: str
    failed: bool = False


# --- what the model said


def text_of(answer: Answer) -> str:
    """All words of the answer, refusals too."""
    return "\n".join(part["text"] for part in answer.parts if part["type"] in ("text", "refusal"))


def calls_of(answer: Answer) -> list[Mapping[str, Any]]:
    """The tool calls of the answer."""
    return [part for part in answer.parts if part["type"] == "tool_call"]


def refused(answer: Answer) -> bool:
    """Whether a part of the answer is a refusal."""
    return any(part["type"] == "refusal" for part in answer.parts)


def json_object(text: str) -> dict[str, Any] | None:
    """The text read as one JSON object; None if it is anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


# --- marking, one function per set


def mark_tools(case: Case, answer: Answer) -> Mark:
    """1 for the right tool and arguments, 0.5 for the tool only; where none is wanted, 1 for words alone."""
    calls = calls_of(answer)
    if case["tool"] is None:
        return _tool_mark(not calls and bool(text_of(answer).strip()), True)
    called = len(calls) == 1 and calls[0]["name"] == case["tool"]
    return _tool_mark(called, called and _same_arguments(case["arguments"], calls[0]["arguments"]))


def _tool_mark(tool: bool, arguments: bool) -> Mark:
    whole = tool and arguments
    return Mark(1.0 if whole else 0.5 * tool, {"right tool": int(tool), "all arguments right": int(whole)})


def _same_arguments(expected: Mapping[str, Any], written: str) -> bool:
    got = json_object(written)
    if got is None:
        return False
    names = set(expected) | {name for name, value in got.items() if value is not None}
    return all(name in expected and match.same(expected[name], got.get(name)) for name in names)


def mark_schema(case: Case, answer: Answer) -> Mark:
    """The share of fields that are right, less one field for each undeclared value that nothing supports."""
    filled = json_object(text_of(answer))
    declared = {_field(path) for path in answer.invented}
    got = {path: value for path, value in match.leaves(filled or {}) if value not in (None, [], {})}
    supported = dict(match.leaves(case["expected"]))
    unknown, optional = case.get("invented", ()), case.get("absent", ())
    doubted = {path for path in (*got, *supported, *unknown, *optional) if match.covered(path, declared)}
    kept_back = refused(answer) and filled is None
    rights = [
        *(filled is not None and _stands(want, got.get(path), path in doubted) for path, want in supported.items()),
        *(path in doubted or kept_back for path in unknown),
        *(filled is not None and (path not in got or path in doubted) for path in optional),
    ]
    inventions = len(set(got) - set(supported) - doubted)
    return _schema_mark(sum(rights), len(rights), inventions)


def _field(path: str) -> str:
    """A declared path as a path of the filled object: the wire's ``content.age`` is its field ``age``."""
    return match.dotted(path).removeprefix("content.")


def _stands(want: Any, value: Any, doubted: bool) -> bool:
    return match.same(want, value) and not doubted


def _schema_mark(right: int, fields: int, inventions: int) -> Mark:
    points = max(0, right - inventions) / fields
    counts = {"fields right": right, "fields": fields, "whole objects": int(points == 1)}
    return Mark(points, counts | {"undeclared inventions": inventions})


def mark_passages(case: Case, answer: Answer) -> Mark:
    """1 if all wanted facts are there, no wrong one is, and the text is shorter than half the context."""
    text, context = text_of(answer), "".join(contexts()[case["context"]])
    found = all(any(match.contains(text, way) for way in ways) for ways in case["answer"])
    clean = not _any_in(text, case.get("without", ()))
    brief = len(text) <= len(context) / 2
    right = found and clean and brief and answer.grounded is not False
    counts = {"answer found": int(found), "with a wrong fact": int(not clean), "too long": int(not brief)}
    return Mark(float(right), counts)


def mark_abstain(case: Case, answer: Answer) -> Mark:
    """1 if the answer says that it does not know, is flagged ``grounded=False`` and offers no fact."""
    text = text_of(answer)
    said, flagged = match.abstains(text), answer.grounded is False
    offered = _any_in(text, [*case.get("without", ()), *_sentences_of(case)]) or bool(calls_of(answer))
    counts = {"says so": int(said), "flagged": int(flagged), "offered a fact": int(offered)}
    return Mark(float(said and flagged and not offered), counts)


def _sentences_of(case: Case) -> list[str]:
    passages = contexts()[case["context"]] if "context" in case else []
    return [sentence.rstrip(".。") for passage in passages for sentence in match.sentences(passage)]


def _any_in(text: str, parts: Iterable[str]) -> bool:
    return any(match.contains(text, part) for part in parts)


def mark_arithmetic(case: Case, answer: Answer) -> Mark:
    """1 for the right number, for saying that it is undefined, or for refusing what cannot be calculated."""
    text = text_of(answer)
    asked = match.numbers(case["user"])
    new = [number for number in match.numbers(text) if number not in asked]
    if case.get("undefined"):
        return Mark(float(match.says_undefined(text) and not any(new)))
    if case.get("refuse"):
        return Mark(float((refused(answer) or match.abstains(text)) and not new))
    hits = [_is_result(case, number) for number in new]
    return Mark(float(any(hits) and (all(hits) or _is_result(case, match.numbers(text)[-1]))))


def _is_result(case: Case, number: float) -> bool:
    if "places" in case:
        return abs(number - float(case["value"])) <= 0.5 * 10.0 ** -int(case["places"]) + 1e-9
    return math.isclose(number, float(case["value"]), rel_tol=1e-9)


MARKS: dict[str, Callable[[Case, Answer], Mark]] = {
    "tools": mark_tools,
    "schema": mark_schema,
    "passages": mark_passages,
    "abstain": mark_abstain,
    "arithmetic": mark_arithmetic,
}


# --- asking


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of one set, in the order of its file."""
    lines = (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@cache
def contexts() -> dict[str, list[str]]:
    """The passages of each named context."""
    passages: dict[str, list[str]] = _read("contexts.json")
    return passages


@cache
def layouts() -> dict[str, dict[str, Any]]:
    """The prompt layouts: how a passage is written, how passages are joined, and the messages around them."""
    prompts: dict[str, dict[str, Any]] = _read("layouts.json")
    return prompts


@cache
def offered() -> dict[str, dict[str, Any]]:
    """Every tool that a case may offer, by name."""
    return {tool["function"]["name"]: tool for tool in _read("offered.json")}


def _read(file: str) -> Any:
    return json.loads((HERE / file).read_text(encoding="utf-8"))


def messages(case: Case) -> list[dict[str, Any]]:
    """The conversation of a case: laid out around its context, or a user's text after a system text."""
    if "layout" in case:
        return _laid_out(layouts()[case["layout"]], case)
    system = [_message("system", case["system"])] if "system" in case else []
    return [*system, _message("user", case["user"])]


def _laid_out(layout: Mapping[str, Any], case: Case) -> list[dict[str, Any]]:
    passages = layout["join"].join(
        _filled(layout["passage"], {"number": str(number), "context": case["context"], "text": text})
        for number, text in enumerate(contexts()[case["context"]], 1)
    )
    values = {"question": case["question"], "passages": passages}
    return [_message(turn["role"], _filled(turn["text"], values)) for turn in layout["messages"]]


def _filled(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "text": text}]}


def options(case: Case) -> dict[str, Any]:
    """The keyword arguments of a case: the tools it offers and the schema it wants filled."""
    tools = [offered()[name] for name in case["offered"]] if "offered" in case else None
    wanted = {"name": case["name"], "schema": case["schema"]} if "schema" in case else None
    return {
        "tools": tools,
        "tool_choice": None,
        "response_format": wanted and {"type": "json_schema", "json_schema": wanted},
    }


def ask(reply: Reply, name: str, case: Case) -> Outcome:
    """Ask one case of the named set. An exception of the model is kept as a failed outcome worth 0 points."""
    request, wanted = messages(case), options(case)
    started = time.perf_counter()
    try:
        answer = reply(request, **wanted)
        latency_ms = _ms_since(started)
        return Outcome(case["id"], MARKS[name](case, answer), latency_ms, _shown(answer))
    except Exception as error:  # one broken answer must not hide the others; it is counted and shown
        return Outcome(case["id"], MARKS[name](case, Nothing()), _ms_since(started), repr(error), failed=True)


def _shown(answer: Answer) -> str:
    flags = {"invented": list(answer.invented), "grounded": answer.grounded}
    return json.dumps([*answer.parts, flags], ensure_ascii=False, default=str)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


# --- adding up


def summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """``n, right, score`` (0 to 1), ``failed`` (exceptions), ``p50_ms`` and the set's own counts added up."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update(outcome.mark.counts)
    points = [outcome.mark.points for outcome in outcomes]
    return {
        "n": len(points),
        "right": sum(point == 1 for point in points),
        "score": statistics.fmean(points),
        "failed": sum(outcome.failed for outcome in outcomes),
        "p50_ms": statistics.median(outcome.latency_ms for outcome in outcomes),
        **counts,
    }


def run(reply: Reply, sets: Iterable[str] = tuple(MARKS)) -> dict[str, list[Outcome]]:
    """Every outcome of the named sets."""
    return {name: [ask(reply, name, case) for case in cases(name)] for name in sets}


def evaluate(reply: Reply, sets: Iterable[str] = tuple(MARKS)) -> Scores:
    """The summary of each set for this model."""
    return {name: summary(outcomes) for name, outcomes in run(reply, sets).items()}


_COLUMNS = ("n", "right", "score", "failed", "p50_ms")


def table(scores: Scores) -> str:
    """The scores as lines of text, one per set, with the set's own counts at the end."""
    head = f"{'set':<11}{'n':>4}{'right':>7}{'score':>8}{'failed':>8}{'p50 ms':>9}  counts"
    return "\n".join([head, *(_row(name, row) for name, row in scores.items())])


def _row(name: str, row: Mapping[str, float]) -> str:
    counts = ", ".join(f"{key} {value:g}" for key, value in row.items() if key not in _COLUMNS)
    fixed = f"{row['n']:>4g}{row['right']:>7g}{row['score']:>8.1%}{row['failed']:>8g}{row['p50_ms']:>9.2f}"
    return f"{name:<11}{fixed}  {counts}".rstrip()


def _load(address: str) -> Reply:
    module, _, attribute = address.partition(":")
    reply: Reply = getattr(importlib.import_module(module), attribute)
    return reply


def _misses(results: Mapping[str, Sequence[Outcome]], *, all_of_them: bool) -> list[str]:
    """The cases that raised an error; with ``all_of_them`` also those that were not fully right."""
    outcomes = [outcome for rows in results.values() for outcome in rows]
    shown = [row for row in outcomes if row.failed or (all_of_them and row.mark.points < 1)]
    return [f"{row.id}  {row.mark.points:.2f}  {row.said}" for row in shown]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.offline_chat.score", description="Score an offline chat model.")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="module:callable (default: %(default)s)")
    parser.add_argument("--set", dest="sets", action="append", choices=list(MARKS), help="only this set")
    parser.add_argument("--misses", action="store_true", help="also print each case that was not fully right")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = ()) -> Scores:
    """Print the table of the model named by ``--model`` and return the scores by set."""
    chosen = _arguments(argv)
    results = run(_load(chosen.model), chosen.sets or tuple(MARKS))
    scores = {name: summary(outcomes) for name, outcomes in results.items()}
    print(table(scores))
    shown = _misses(results, all_of_them=chosen.misses)
    if shown:
        print("\n".join(["", *shown]))
    return scores


if __name__ == "__main__":
    main(None)
