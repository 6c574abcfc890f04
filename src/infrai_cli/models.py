"""``infrai models``: what the service offers."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from typing import Any

from infrai_cli.connection import add_connection, client_of
from infrai_cli.screen import table
from infrai_core import ModelInfo

_CAPABILITIES = ("chat", "vision", "embed", "rerank", "image", "tts", "asr", "realtime")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Filters and the service."""
    parser.epilog = "example: infrai models --base-url embedded --capability chat"
    parser.add_argument("--capability", choices=_CAPABILITIES, help="only the models that can do this")
    parser.add_argument("--all", action="store_true", help="also models whose vendor is not configured")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    add_connection(parser)


def run(args: Any) -> int:
    """Prints one row per model."""
    with client_of(args) as client:
        rows = [row for row in client.models(args.capability).data if args.all or row.available is not False]
    if args.json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], ensure_ascii=False, indent=2))
        return 0
    head = ("model", "vendor", "capability", "context", "$/M in", "$/M out", "available")
    print(table(head, [_row(row) for row in rows], right=(3, 4, 5)))
    return 0


def _row(model: ModelInfo) -> tuple[str, ...]:
    return (
        model.id,
        model.owned_by or "",
        model.capability or "",
        f"{model.context_window:,}" if model.context_window else "",
        _price(model.price_input_per_mtok),
        _price(model.price_output_per_mtok),
        {True: "yes", False: "no", None: "unknown"}[model.available],
    )


def _price(usd: Decimal | None) -> str:
    return "unknown" if usd is None else f"{usd.normalize():f}"
