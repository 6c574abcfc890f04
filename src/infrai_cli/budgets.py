"""``infrai budgets``: how much may be spent, by project, key or tag."""

from __future__ import annotations

import argparse
import time
from typing import Any

from infrai_cli.database import add_database, nano_of, on_database, shown_usd
from infrai_cli.screen import table
from infrai_core import ConfigError
from infrai_runtime.keys import EMBEDDED, LOCAL
from infrai_runtime.store.durable import PERIODS, Budget, Durable, key_scope, project_scope, tag_scope

_EPILOG = """\
A call is set against the budgets of its project, its key and each of its tags before a vendor is called; the one that
does not cover it refuses it. Each may have a limit in total, one per month and one per day, side by side; each counts
what is spent from when it was made. That of a project in total is its credit. Calls without a key are of the project
"embedded", and of "local" where a runtime serves with --no-auth.
examples: infrai budgets set proj_1 100                                # the project's credit
          infrai budgets set proj_1 30 --period month                     # and no more than this of it in a month
          infrai budgets set proj_1 20 --key key_1 --period month
          infrai budgets set proj_1 5 --tag team=search --period day
          infrai budgets set embedded 20 --period month            # programs with base_url="embedded"
          infrai budgets drop proj_1 --period month
          infrai budgets list proj_1
"""
_WITHOUT_KEYS = (EMBEDDED.project_id, LOCAL.project_id)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The three things one can do."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    setting = actions.add_parser("set", help="make or change a limit; what was spent stays")
    dropping = actions.add_parser("drop", help="take a limit away")
    listing = actions.add_parser("list", help="the budgets of a project, as they stand now")
    for action in (setting, dropping, listing):
        action.add_argument("project", metavar="PROJECT")
        add_database(action)
    setting.add_argument("usd", metavar="USD")
    setting.add_argument("--period", choices=PERIODS, default="total", help="when it starts anew (default: never)")
    dropping.add_argument("--period", choices=PERIODS, help="which one, where there are several")
    for action in (setting, dropping):
        which = action.add_mutually_exclusive_group()
        which.add_argument("--key", metavar="KEY_ID", help="of a key, not of the whole project")
        which.add_argument("--tag", metavar="NAME=VALUE", help="of calls with this tag")


def run(args: Any) -> int:
    """Does one of them."""
    done: int = on_database(args, lambda store: _ACTIONS[args.action](args, store), reads=args.action == "list")
    return done


def _scope(args: Any) -> str:
    if args.key:
        return key_scope(args.key)
    if args.tag is None:
        return project_scope(args.project)
    name, found, value = args.tag.partition("=")
    if not (name and found and value):
        raise ConfigError(f"--tag {args.tag!r}: allowed is NAME=VALUE")
    return tag_scope(args.project, name, value)


async def _check_names(args: Any, store: Durable) -> None:
    keys = {row.key_id for row in await store.keys(args.project)}
    if not keys and args.project not in _WITHOUT_KEYS:
        raise ConfigError(f"{args.project!r}: there is no such project")
    if getattr(args, "key", None) not in (None, *keys):
        raise ConfigError(f"--key {args.key!r}: project {args.project} has no such key (infrai keys list)")


async def _set(args: Any, store: Durable) -> int:
    budget = Budget(_scope(args), args.project, nano_of(args.usd), args.period)
    await _check_names(args, store)
    await store.set_budget(budget)
    return await _list(args, store)


async def _drop(args: Any, store: Durable) -> int:
    scope = _scope(args)
    there = [row.period for row in await store.budgets(args.project, time.time()) if row.scope == scope]
    if args.period is None and len(there) > 1:
        raise ConfigError(f"{scope} has several budgets; say --period {' or '.join(there)}")
    if not there or not await store.drop_budget(scope, args.period or there[0]):
        raise ConfigError(f"{scope}: there is no such budget")
    return await _list(args, store)


async def _list(args: Any, store: Durable) -> int:
    rows = await store.budgets(args.project, time.time())
    if not rows:
        await _check_names(args, store)
    head = ("scope", "period", "limit", "spent", "set aside", "left")
    print(table(head, [_row(row) for row in rows], right=(2, 3, 4, 5)))
    return 0


def _row(row: Budget) -> tuple[str, ...]:
    money = (row.limit_nano, row.spent_nano, row.reserved_nano, row.left_nano)
    return (row.scope, row.period, *map(shown_usd, money))


_ACTIONS = {"set": _set, "drop": _drop, "list": _list}
