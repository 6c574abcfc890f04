"""``infrai catalogue``: the models that a runtime may route to, their prices and sources."""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infrai_cli.screen import cut, table
from infrai_core.config import home
from infrai_core.errors import ConfigError
from infrai_runtime import overrides
from infrai_runtime.catalogue import Catalogue, Model, Prices, canonical, models_of
from infrai_runtime.catalogue_file import OVERRIDES, SNAPSHOT, load, snapshot_of
from infrai_runtime.pricing import usd
from infrai_runtime.snapshot.build import facts_rows, lines, replaced, written
from infrai_runtime.vendors.base import CAPABILITIES

_EPILOG = """\
files:    <home>/catalogue.toml  your own changes (prices, tiers, models, drops), read again when it changes
          <home>/catalogue.json  what `refresh` made; without it the snapshot of the package is used
          <home> is INFRAI_HOME, else ~/.infrai
examples: infrai catalogue list --vendor openai --capability chat
          infrai catalogue show gpt-6-sol
          infrai catalogue validate
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The four things one can do."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="one line per model")
    listing.add_argument("--capability", choices=tuple(CAPABILITIES), help="only models for this")
    listing.add_argument("--vendor", metavar="NAME", help="only models of this vendor")
    listing.add_argument("--json", action="store_true", help="print the rows as JSON")
    show = actions.add_parser("show", help="everything that is known of a model, at every vendor")
    show.add_argument("model", metavar="ID", help="a model id, with or without its maker")
    show.add_argument("--json", action="store_true", help="print the rows as JSON")
    check = actions.add_parser("validate", help="check a catalogue.toml and say what it changes")
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: <home>/catalogue.toml")
    refresh = actions.add_parser(
        "refresh",
        help="rebuild the snapshot from the data inside the newest litellm and genai-prices",
        description="Downloads the two wheels with pip (or takes them from --wheels), reads their tables as files, "
        "installs and runs nothing of them, and writes a new snapshot.",
    )
    refresh.add_argument("--wheels", type=Path, metavar="DIR", help="take the wheels from here instead of downloading")
    refresh.add_argument("--date", metavar="YYYY-MM-DD", help="prices as of this day (default: today)")
    where = refresh.add_mutually_exclusive_group()
    where.add_argument("--output", type=Path, metavar="FILE", help="default: <home>/catalogue.json")
    where.add_argument("--source", type=Path, metavar="DIR", help="a checkout's src: writes the package's data")


def run(args: Any) -> int:
    """Does one of them."""
    done: int = _ACTIONS[args.action](args)
    return done


# -- list and show ----------------------------------------------------------------------------------------------------


def _list(args: Any) -> int:
    models = load(home()).models
    vendors = {model.vendor for model in models}
    if args.vendor not in {None, *vendors}:
        raise ConfigError(f"--vendor: no model is of {args.vendor!r}; there are {', '.join(sorted(vendors))}")
    rows = [m for m in models if args.vendor in (None, m.vendor) and args.capability in (None, m.capability)]
    if args.json:
        return _print_json(rows)
    head = ("model", "vendor", "for", "context", "$/M in", "$/M out", "tier", "as of")
    print(table(head, [_line(model) for model in rows], right=(3, 4, 5, 6)))
    return 0


def _line(model: Model) -> tuple[str, ...]:
    context = f"{model.context_window:,}" if model.context_window else ""
    prices = (_price(model, model.prices.input_mtok), _price(model, model.prices.output_mtok))
    tier = str(model.quality("general"))
    return (cut(model.id, 44), model.vendor, model.capability, context, *prices, tier, model.date)


def _price(model: Model, nano: int | None) -> str:
    """Empty where the model is priced in another unit."""
    if model.prices.free:
        return "free"
    unpriced = _UNKNOWN if model.prices == Prices() else ""
    return unpriced if nano is None else f"{usd(nano):.10g}"


_UNKNOWN = "unknown"


def _show(args: Any) -> int:
    catalogue = load(home())
    rows = catalogue.named(args.model)
    if not rows:
        near = catalogue.nearest(args.model)
        raise ConfigError(f"there is no model {args.model!r}" + (f"; did you mean {near!r}?" if near else ""))
    if args.json:
        return _print_json(rows)
    print("\n\n".join("\n".join(_lines(model)) for model in rows))
    return 0


def _lines(model: Model) -> list[str]:
    return [f"{name:<18}{_UNKNOWN if value is None else value}" for name, value in _facts(model).items()]


def _facts(model: Model) -> dict[str, Any]:
    """A row for people and for ``--json``; a price that is not there is unknown."""
    prices = {"free": True} if model.prices.free else _priced(model)
    facts = {
        "model": model.name,
        "capability": model.capability,
        "same model as": canonical(model.id),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "abilities": sorted(model.abilities),
        "prices": prices or None,
        "tiers": dict(model.tiers),
        "reason": model.reason,
        "source": model.source,
        "date": model.date,
        "retires": model.retires,
    }
    return {name: value for name, value in facts.items() if value not in (None, "", [])} | {"prices": prices or None}


def _priced(model: Model) -> dict[str, Any]:
    plain = {name: usd(nano) for name, nano in _amounts(model.prices).items()}
    long = [{"above_tokens": above} | {n: usd(v) for n, v in _amounts(p).items()} for above, p in model.prices.long]
    return plain | ({"long": long} if long else {})


def _amounts(prices: Any) -> dict[str, int]:
    names = (name for name in prices.__slots__ if name not in ("free", "long"))
    return {name: amount for name in names if (amount := getattr(prices, name)) is not None}


def _print_json(models: Any) -> int:
    print(json.dumps([_facts(model) for model in models], ensure_ascii=False, indent=2))
    return 0


# -- validate ---------------------------------------------------------------------------------------------------------


def _validate(args: Any) -> int:
    path = args.file or home() / OVERRIDES
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file")
    changes, before = overrides.read(path), snapshot_of(home())
    after = changes.applied(before)
    print(f"{path}: valid. {_difference(before, after)}")
    for name in changes.idle(before):
        print(f"note: drop {name} matches no model")
    return 0


def _difference(before: Catalogue, after: Catalogue) -> str:
    old, new = ({(m.name, m.capability): m for m in catalogue.models} for catalogue in (before, after))
    changed = sum(old[key] != model for key, model in new.items() if key in old)
    return f"{changed} changed, {len(new.keys() - old.keys())} added, {len(old.keys() - new.keys())} dropped"


# -- refresh ----------------------------------------------------------------------------------------------------------


def _refresh(args: Any) -> int:
    from infrai_runtime.snapshot import built
    from infrai_runtime.snapshot.wheel import downloaded, found

    today = _day(args.date)
    with tempfile.TemporaryDirectory() as directory:
        wheels = found(args.wheels) if args.wheels else downloaded(Path(directory), _say)
        _say(f"reading {', '.join(wheel.label for wheel in wheels.values())}")
        snapshot = built(wheels, today)
    before = snapshot_of(home())
    path = args.output or home() / SNAPSHOT
    if args.source:
        path = args.source / "infrai_runtime" / "data" / "vendor_models.json"
        facts = args.source / "infrai_core" / "data" / "vendor_models.json"
        replaced(facts, lines(facts_rows(snapshot["models"])) + "\n")
    written(snapshot, path)
    after = Catalogue((*(m for m in before.models if m.on_machine), *models_of(path.read_bytes())))
    print(f"{path}: {len(snapshot['models'])} rows. {_difference(before, after)}")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _day(given: str | None) -> Any:
    if given is None:
        return datetime.now(UTC).date()
    try:
        return datetime.strptime(given, "%Y-%m-%d").date()
    except ValueError:
        raise ConfigError(f"--date: came {given!r}, allowed is a day such as 2026-11-27") from None


_ACTIONS = {"list": _list, "show": _show, "validate": _validate, "refresh": _refresh}
