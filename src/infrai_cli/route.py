"""``infrai route``: which model would answer a request, in which order others would take over, and why."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from infrai_cli.connection import ROUTING, add_routing
from infrai_cli.screen import COLUMNS, table, wrapped
from infrai_runtime.catalogue_file import load
from infrai_runtime.explain import explained, read
from infrai_runtime.health import Health
from infrai_runtime.settings import Settings
from infrai_runtime.vendors import configured

_EPILOG = """\
The vendors of this machine's environment and files are asked for nothing: the plan is made from the catalogue. A served
runtime explains its own plans, with the health it has seen: POST /v1/ai/route/explain.
examples: infrai route "Refactor this function" --task coding --prefer cheapest
          infrai route "Summarise this" --as-if openai,anthropic,groq     # as if these vendors were configured
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The prompt and what routes it."""
    parser.epilog = _EPILOG
    parser.add_argument("prompt", help="what would be asked")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="most tokens of the answer")
    parser.add_argument("--as-if", metavar="NAMES", help="plan as if these vendors were configured, commas between")
    parser.add_argument("--all", action="store_true", help="also list models whose vendor is not configured")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    add_routing(parser)


def run(args: Any) -> int:
    """Prints the plan; 1 when no model can answer."""
    settings = Settings.from_environment()
    given = {name: value for name in (*ROUTING, "max_tokens") if (value := getattr(args, name)) is not None}
    shown = asyncio.run(_explained(settings, {"messages": args.prompt} | given, args.as_if))
    if not args.all:
        shown["dropped"] = [row for row in shown["dropped"] if row["reason"] != "vendor not configured"]
    print(json.dumps(shown, ensure_ascii=False, indent=2) if args.json else "\n".join(_lines(shown)))
    return 0 if shown["candidates"] else 1


async def _explained(settings: Settings, body: dict[str, Any], as_if: str | None) -> dict[str, Any]:
    vendors = {vendor.name: vendor for vendor in configured(settings)}
    try:
        there = vendors if as_if is None else {name.strip(): _Imagined(name.strip()) for name in as_if.split(",")}
        return explained(read(body), load(settings.home), there, Health())
    finally:
        for vendor in vendors.values():
            await vendor.close()


class _Imagined:
    """A vendor that can be planned with and not called."""

    def __init__(self, name: str) -> None:
        self.name = name

    def chat(self, request: Any, call: Any) -> Any:
        """It is never called."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


def _lines(shown: dict[str, Any]) -> list[str]:
    estimate = ", ".join(f"{name} {value}" for name, value in shown["estimate"].items() if not isinstance(value, dict))
    head = [shown["reason"], *wrapped(f"order: {shown['order']}", COLUMNS), f"estimate: {estimate}", ""]
    columns = ("#", "model", "cost USD", "tier", "balance", "role", "why")
    rows = [_row(row) for row in shown["candidates"]]
    plan = [table(columns, rows, right=(0, 2, 3, 4))] if rows else [shown["error"]["message"]]
    dropped = [f"  {row['name']}: {row['reason']}" for row in shown["dropped"]]
    warnings = [f"warning: {text}" for text in shown["warnings"]]
    return [*head, *plan, *(["", "dropped:", *dropped] if dropped else []), *warnings]


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    cost = "unknown" if row["expected_cost_usd"] is None else f"{row['expected_cost_usd']:.6f}"
    balance = "" if row["balance"] is None else f"{row['balance']:.1f}"
    return (str(row["rank"]), row["name"], cost, str(row["quality"]), balance, row["role"], row["why"])
