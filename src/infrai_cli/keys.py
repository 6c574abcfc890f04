"""``infrai keys``: who may call a runtime, and how much at a time."""

from __future__ import annotations

import argparse
import math
import os
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from infrai_cli.database import add_database, nano_of, on_database
from infrai_cli.screen import table
from infrai_core import ConfigError
from infrai_runtime.keys import hash_key, mint_key
from infrai_runtime.settings import Settings
from infrai_runtime.store.durable import Durable, KeyRow, Policy, key_scope
from infrai_runtime.vendors.configuration import check_vendors

_EPILOG = """\
A key is printed once, when it is made; only its hash is stored.
examples: infrai keys create --name search --credit 20 --rpm 60 --tpm 100000
          infrai keys create --project proj_1 --name ci --model gpt-5-mini --vendor openai --concurrency 4
          infrai keys rotate key_1 --grace-hours 24      # the old key goes on for a day
          infrai keys revoke key_1
"""
_DEFAULT_CREDIT = "5"
MOST_SPAN = 100_000
"""Days or hours that a key may go on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The four things one can do."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key, and its project where none is named")
    create.add_argument("--project", metavar="ID", help="an existing project (default: a new one)")
    create.add_argument("--credit", metavar="USD", help=f"of a new project (default: {_DEFAULT_CREDIT})")
    create.add_argument("--name", default="", help="what the key is for")
    create.add_argument("--model", action="append", default=[], metavar="ID", help="only this model; may be repeated")
    create.add_argument("--vendor", action="append", default=[], metavar="NAME", help="only this vendor; repeatable")
    create.add_argument("--rpm", type=_positive, metavar="N", help="requests per minute")
    create.add_argument("--tpm", type=_positive, metavar="N", help="tokens per minute")
    create.add_argument("--concurrency", type=_positive, metavar="N", help="calls at the same time")
    create.add_argument("--expires-days", type=_span, metavar="D", help="days until the key ends")
    listing = actions.add_parser("list", help="one line per key, never the key itself")
    listing.add_argument("--project", metavar="ID", help="only keys of this project")
    rotate = actions.add_parser("rotate", help="make a new key with the same rights and budget, end the old one")
    rotate.add_argument("key_id", metavar="KEY_ID")
    rotate.add_argument("--grace-hours", type=_span, default=0.0, metavar="H", help="how long the old one goes on")
    revoke = actions.add_parser("revoke", help="end a key now")
    revoke.add_argument("key_id", metavar="KEY_ID")
    for action in (create, listing, rotate, revoke):
        add_database(action)


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"came {text!r}, allowed is a whole number from 1 on")
    return int(text)


def _span(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST_SPAN:
        raise argparse.ArgumentTypeError(f"came {text!r}, allowed is a number from 0 to {MOST_SPAN:,}")
    return value


def run(args: Any) -> int:
    """Does one of them."""
    done: int = on_database(args, lambda store: _ACTIONS[args.action](args, store), reads=args.action == "list")
    return done


async def _create(args: Any, store: Durable) -> int:
    now = time.time()
    if args.vendor:
        check_vendors("--vendor", args.vendor, Settings.from_environment(os.environ).vendors_path)
    project = args.project or f"proj_{secrets.token_hex(8)}"
    if args.project is None:
        await store.add_project(project, f"acct_{secrets.token_hex(8)}", nano_of(args.credit or _DEFAULT_CREDIT), now)
    elif await store.balance_nano(project) is None and not await store.keys(project):
        raise ConfigError(f"--project {project!r}: there is no such project")
    elif args.credit is not None:
        raise ConfigError(f"--credit is of a new project; for {project} say infrai budgets set {project} {args.credit}")
    limits = {"requests_per_minute": args.rpm, "tokens_per_minute": args.tpm, "concurrency": args.concurrency}
    policy = Policy(tuple(args.model), tuple(args.vendor), **limits)
    ends = None if args.expires_days is None else now + args.expires_days * 86_400
    await _mint(store, KeyRow(_new_id(), project, args.name, False, now, ends, policy=policy))
    return 0


def _new_id() -> str:
    return f"key_{secrets.token_hex(8)}"


async def _mint(store: Durable, row: KeyRow) -> None:
    key = mint_key()
    await store.add_key(hash_key(key), row)
    print(f"key       {key}\nkey id    {row.key_id}\nproject   {row.project_id}")
    print("This is the only time that the key is shown.")


async def _list(args: Any, store: Durable) -> int:
    rows = await store.keys(args.project)
    if args.project is not None and not rows:
        raise ConfigError(f"--project {args.project!r}: there is no such project")
    head = ("key id", "project", "name", "made", "state", "limits")
    print(table(head, [_row(row) for row in rows]))
    return 0


def _row(row: KeyRow) -> tuple[str, ...]:
    return (row.key_id, row.project_id, row.name, _day(row.created_s), _state(row), _limits(row.policy))


def _day(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).date().isoformat()


def _state(row: KeyRow) -> str:
    if row.revoked:
        return "revoked"
    if row.ended(time.time()):
        return "expired"
    return "active" if row.expires_s is None else f"until {_day(row.expires_s)}"


def _limits(policy: Policy) -> str:
    words = [*policy.models, *policy.vendors]
    counts = (("rpm", policy.requests_per_minute), ("tpm", policy.tokens_per_minute), ("calls", policy.concurrency))
    words += [f"{count} {name}" for name, count in counts if count is not None]
    return ", ".join(words) or "none"


async def _rotate(args: Any, store: Durable) -> int:
    old = next((row for row in await store.keys() if row.key_id == args.key_id), None)
    if old is None:
        raise ConfigError(f"{args.key_id!r}: there is no such key")
    now = time.time()
    if old.ended(now):
        raise ConfigError(
            f"{args.key_id!r} is {_state(old)}; infrai keys create --project {old.project_id} makes another"
        )
    fresh = KeyRow(_new_id(), old.project_id, old.name, old.trial, now, old.expires_s, policy=old.policy)
    await store.copy_budget(key_scope(old.key_id), key_scope(fresh.key_id))
    await _mint(store, fresh)
    ends = min(now + args.grace_hours * 3600, old.expires_s or math.inf)
    await store.end_key(old.key_id, ends if args.grace_hours else None)
    print(f"{old.key_id} ends {f'in {args.grace_hours:g} hours' if args.grace_hours else 'now'}")
    return 0


async def _revoke(args: Any, store: Durable) -> int:
    if not await store.end_key(args.key_id):
        raise ConfigError(f"{args.key_id!r}: there is no such key")
    print(f"{args.key_id} is revoked")
    return 0


_ACTIONS = {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke}
