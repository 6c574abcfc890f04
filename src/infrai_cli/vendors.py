"""``infrai vendors``: which vendors are configured, whether their keys are good, and what each can do; of a running
server also which keys and models rest after failures."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from infrai_cli.connection import add_connection, client_of
from infrai_cli.screen import COLUMNS, paint, table, wrapped
from infrai_core import VendorInfo, VendorKey, VendorModel
from infrai_core.fetch import Fetcher
from infrai_runtime.catalogue import Catalogue
from infrai_runtime.catalogue_file import load
from infrai_runtime.failure import Failure
from infrai_runtime.settings import Settings
from infrai_runtime.vendors import configured, configured_entries, half_configured, made
from infrai_runtime.vendors.base import CAPABILITIES, Call, Vendor
from infrai_runtime.vendors.configuration import LOCAL, Entry
from infrai_runtime.vendors.known import DIALECTS, KNOWN

CHECK_S = 10.0
GOOD, UNKNOWN = "good", "cannot be checked: it lists no models"
_EPILOG = """\
Vendors are found by their usual environment variables and in <home>/vendors.toml (docs/vendors.md has all of it).
Nothing is asked of a vendor unless --check is given: then each key lists the vendor's models, which costs nothing.
With --base-url a running server tells which of its keys rest after refusals, and which models after failures.
exit code 1: a key that was checked is not good, or something of the running server rests
examples: OPENAI_API_KEY=sk-one,sk-two infrai vendors       # several keys are used in turn
          infrai vendors --check
          infrai vendors --known                            # every vendor that is known, and its variables
          infrai vendors --base-url http://127.0.0.1:8402   # how those of a running server are right now
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is told of a vendor. ``models`` counts the catalogue's models by capability; ``states`` has one per key."""

    name: str
    dialect: str
    address: str
    source: str
    capabilities: Sequence[str]
    models: Mapping[str, int]
    keys: int = 0
    states: Sequence[str] = field(default=())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show."""
    parser.epilog = _EPILOG
    parser.add_argument("--check", action="store_true", help="ask every vendor, with each of its keys, for its models")
    parser.add_argument("--known", action="store_true", help="list the vendors that are known, configured or not")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    add_connection(parser)


def run(args: Any) -> int:
    """Prints one row per vendor; 1 when a key that was checked is not good, or something of a server rests."""
    if args.known:
        return _print_known(args.json)
    if args.base_url:
        return _print_served(args)
    settings = Settings.from_environment()
    rows = asyncio.run(_rows(settings, check=args.check))
    if args.json:
        print(json.dumps([_fields(row) for row in rows], indent=2))
    else:
        _print(rows, checked=args.check)
        for line in half_configured(settings):
            print(f"{paint('->', 'yellow')} {line}")
    return int(any(state not in (GOOD, UNKNOWN) for row in rows for state in row.states))


async def _rows(settings: Settings, *, check: bool) -> list[Shown]:
    entries = {entry.name: entry for entry in configured_entries(settings)}
    vendors = configured(settings)
    try:
        catalogue = load(settings.home)
        rows = [_shown(vendor, entries.get(vendor.name), catalogue) for vendor in vendors]
    finally:
        await asyncio.gather(*(vendor.close() for vendor in vendors))
    if not check:
        return rows
    states = await asyncio.gather(*(_states(entry) for entry in entries.values()))
    found = dict(zip(entries, states, strict=True))
    return [replace(row, states=found.get(row.name, ())) for row in rows]


def _shown(vendor: Vendor, entry: Entry | None, catalogue: Catalogue) -> Shown:
    can = [capability for capability, protocol in CAPABILITIES.items() if isinstance(vendor, protocol)]
    models = Counter(m.capability for m in catalogue.models if m.vendor == vendor.name and m.capability in can)
    if entry is None:
        return Shown(vendor.name, "", "on this machine", "always", can, models)
    return Shown(vendor.name, entry.dialect, entry.base_url, entry.source, can, models, len(entry.keys))


async def _states(entry: Entry) -> list[str]:
    """How each key is, in a vendor of its own: a vendor with several would pass on to the next."""
    alone = [replace(entry, keys=(key,)) for key in entry.keys] or [entry]
    return list(await asyncio.gather(*map(_state, alone)))


async def _state(entry: Entry) -> str:
    (vendor,) = made([entry])
    path, http = DIALECTS[entry.dialect].models, getattr(vendor, "http", None)
    try:
        if http is None or not path:
            return UNKNOWN
        await http.get(path, Call("*", CHECK_S, Fetcher()))
    except Failure as failure:
        return UNKNOWN if "(HTTP 404" in failure.message else failure.message
    finally:
        await vendor.close()
    return GOOD


# -- what is printed ---------------------------------------------------------------------------------------------------


def _print(rows: Sequence[Shown], *, checked: bool) -> None:
    head = ("vendor", "keys", "models", "address", "configured by")
    print(table(head, [_line(row) for row in rows], right=(1, 2)))
    for row in rows:
        print(f"\n{paint(row.name, 'bold')} can do: {', '.join(row.capabilities)}")
        for number, state in enumerate(row.states, 1):
            label = f"key #{number}" if row.keys else "without a key"
            colour = {GOOD: "green", UNKNOWN: "yellow"}.get(state, "red")
            print("\n".join(f"  {line}" for line in wrapped(f"{label}: {paint(state, colour)}", COLUMNS - 2)))
    if all(row.name == LOCAL for row in rows):
        print(f"\n{paint('->', 'cyan')} no vendor has a key: set one of the variables of `infrai vendors --known`")
    elif not checked:
        print(f"\n{paint('->', 'cyan')} infrai vendors --check asks each vendor whether its keys are good")


def _line(row: Shown) -> tuple[str, ...]:
    keys = str(row.keys) if row.keys else "none"
    return row.name, keys, str(sum(row.models.values())), row.address, row.source


def _fields(row: Shown) -> dict[str, Any]:
    return {
        "name": row.name,
        "dialect": row.dialect or None,
        "base_url": row.address if row.dialect else None,
        "configured_by": row.source,
        "keys": row.keys,
        "key_states": list(row.states) or None,
        "capabilities": list(row.capabilities),
        "models": dict(row.models),
    }


def _print_known(as_json: bool) -> int:
    rows = [(name, known.base_url, known.keys, known.urls) for name, known in sorted(KNOWN.items())]
    if as_json:
        fields = ("name", "base_url", "key_variables", "url_variables")
        print(json.dumps([dict(zip(fields, row, strict=True)) for row in rows], indent=2))
        return 0
    lines = [(name, url or "yours", " or ".join(keys), " or ".join(urls)) for name, url, keys, urls in rows]
    print(table(("vendor", "address", "key in", "other address in"), lines))
    return 0


# -- a running server --------------------------------------------------------------------------------------------------


def _print_served(args: Any) -> int:
    with client_of(args) as client:
        rows = client.vendors().data
    if args.json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
    else:
        head = ("vendor", "keys", "is", "can do")
        print(table(head, [_served(row) for row in rows]))
        for line in (line for row in rows for line in _resting(row)):
            print(line)
    return int(not all(row.healthy for row in rows))


def _served(row: VendorInfo) -> tuple[str, ...]:
    keys = f"{sum(key.healthy for key in row.keys)} of {len(row.keys)} used" if row.keys else "none"
    return row.id, keys, "well" if row.healthy else "resting", ", ".join(row.capabilities)


def _resting(row: VendorInfo) -> Iterator[str]:
    for key in row.keys:
        yield from (f"{paint('->', 'yellow')} {row.id} {text}" for text in _key_rests(key))
    for model in row.models:
        if model.breaker != "closed":
            yield f"{paint('->', 'yellow')} {row.id}/{model.id} {_breaker(model)}"


def _key_rests(key: VendorKey) -> Iterator[str]:
    for rest in key.rests:
        yield f"key {key.label} rests for {rest.model or 'all models'} {_until(rest.rest_s)} ({rest.code})"


def _breaker(model: VendorModel) -> str:
    failed = f"after {model.failures} failure{'s' if model.failures != 1 else ''} in a row"
    return f"rests {_until(model.rest_s)} {failed}" if model.rest_s else f"may be tried again {failed}"


def _until(rest_s: float | None) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(time.time() + (rest_s or 0)))
    return f"until {at} ({rest_s or 0:.0f} s)"
