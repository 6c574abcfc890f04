"""``infrai route``: which model would answer a request, in which order others would take over, and why."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from typing import Any

from infrai_cli.connection import ROUTING, add_routing
from infrai_cli.screen import COLUMNS, table, wrapped
from infrai_core import ConfigError
from infrai_runtime.catalogue_file import load
from infrai_runtime.eligible import Fleet
from infrai_runtime.explain import explained, read
from infrai_runtime.health import Health
from infrai_runtime.settings import Settings
from infrai_runtime.vendors import configured
from infrai_runtime.vendors.known import KNOWN

_EPILOG = """\
The vendors of this machine's environment and files are asked for nothing: the plan is made from the catalogue. A served
runtime explains its own plans, with the health it has seen: POST /v1/ai/route/explain.
examples: infrai route "Refactor this function" --task coding --prefer cheapest
          infrai route "Summarise this" --as-if openai,anthropic,groq     # as if these vendors were configured
          infrai route "a red fox in snow" --capability image
          infrai route "paws" "cats and dogs" "rain" --capability rerank  # the query, then the candidates
"""

_BODIES: dict[str, Callable[[str, list[str]], dict[str, Any]]] = {
    "chat": lambda text, more: {"messages": text},
    "vision": lambda text, more: {"prompt": text, "images": more},
    "embed": lambda text, more: {"input": [text, *more]},
    "image": lambda text, more: {"prompt": text},
    "tts": lambda text, more: {"input": text},
    "asr": lambda text, more: {"audio": text},
    "rerank": lambda text, more: {"query": text, "candidates": more},
}
"""Capability -> the body of its route, of the words on the command line."""
_OF_SEVERAL = frozenset({"vision", "embed", "rerank"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The prompt and what routes it."""
    parser.epilog = _EPILOG
    parser.add_argument("prompt", help="what would be asked, embedded or spoken; the query; a URL of sound, not read")
    parser.add_argument(
        "more", nargs="*", help="images (vision; URLs, not read), candidates (rerank), further texts (embed)"
    )
    parser.add_argument("--capability", choices=tuple(_BODIES), default="chat", help="what is asked for (chat)")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="most tokens of the answer")
    parser.add_argument("--as-if", metavar="NAMES", help="plan as if these vendors were configured, commas between")
    parser.add_argument("--all", action="store_true", help="also list models whose vendor is not configured")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    add_routing(parser)


def run(args: Any) -> int:
    """Prints the plan; 1 when no model can answer."""
    shown = asyncio.run(_explained(Settings.from_environment(), _body(args), args.as_if))
    if not args.all:
        shown["dropped"] = [row for row in shown["dropped"] if row["reason"] != "vendor not configured"]
    print(json.dumps(shown, ensure_ascii=False, indent=2) if args.json else "\n".join(_lines(shown)))
    return 0 if shown["candidates"] else 1


def _body(args: Any) -> dict[str, Any]:
    if args.more and args.capability not in _OF_SEVERAL:
        raise ConfigError(f"{args.more[0]!r}: --capability {args.capability} takes one text, in quotes")
    given = {name: value for name in (*ROUTING, "max_tokens") if (value := getattr(args, name)) is not None}
    return {"capability": args.capability} | _BODIES[args.capability](args.prompt, args.more) | given


async def _explained(settings: Settings, body: dict[str, Any], as_if: str | None) -> dict[str, Any]:
    vendors = {vendor.name: vendor for vendor in configured(settings)}
    try:
        catalogue = load(settings.home)
        there = (
            vendors if as_if is None else _imagined(as_if, {*vendors, *KNOWN, *(m.vendor for m in catalogue.models)})
        )
        return explained(read(body), catalogue, Fleet(there), Health())
    finally:
        for vendor in vendors.values():
            await vendor.close()


def _imagined(names: str, known: set[str]) -> dict[str, _Imagined]:
    there = {name: _Imagined(name) for word in names.split(",") if (name := word.strip())}
    unknown = sorted(there.keys() - known)
    if unknown or not there:
        said = f"--as-if: {unknown[0]!r} is no vendor" if unknown else f"--as-if: came {names!r}"
        raise ConfigError(f"{said}; there are {', '.join(sorted(known))}")
    return there


class _Imagined:
    """A vendor that can be planned with, for whatever its models are for, and not called."""

    def __init__(self, name: str) -> None:
        self.name = name

    def chat(self, request: Any, call: Any) -> Any:
        """It is never called."""
        raise NotImplementedError

    see = embed = draw = speak = listen = rerank = chat

    async def close(self) -> None:
        """Nothing is open."""


def _lines(shown: dict[str, Any]) -> list[str]:
    amounts = {name: value for name, value in shown["estimate"].items() if not isinstance(value, dict)}
    estimate = ", ".join(f"{name} {round(value, 1)}" for name, value in amounts.items())
    head = [shown["reason"], *wrapped(f"order: {shown['order']}", COLUMNS), f"estimate: {estimate}", ""]
    columns = ("#", "model", "cost USD", "tier", "balance", "role", "why")
    rows = [_row(row) for row in shown["candidates"]]
    plan = [table(columns, rows, right=(0, 2, 3, 4))] if rows else [shown["error"]["message"]]
    dropped = [f"  {row['name']}: {row['reason']}" for row in shown["dropped"]]
    warnings = [f"warning: {text}" for text in shown["warnings"]]
    return [*head, *plan, *(["", "dropped:", *dropped] if dropped else []), *warnings]


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    cost = "unknown" if row["expected_cost_usd"] is None else f"{row['expected_cost_usd']:.9f}"
    balance = "" if row["balance"] is None else f"{row['balance']:.1f}"
    return (str(row["rank"]), row["name"], cost, str(row["quality"]), balance, row["role"], row["why"])
