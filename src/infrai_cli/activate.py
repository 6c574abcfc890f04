"""``infrai activate``: a project with trial credit, for somebody who has no key yet."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

_ABOUT = """\
Asks the service for an anonymous project with trial credit and writes its key to
~/.infrai/credentials (mode 0600; INFRAI_HOME moves it). The key is not printed.

A runtime that you serve yourself is activated with --base-url http://127.0.0.1:8402.
The embedded runtime needs no key.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The service, and where to keep the key."""
    parser.description = _ABOUT
    parser.add_argument(
        "--base-url", metavar="URL", help="the service (default: INFRAI_BASE_URL, then the hosted service)"
    )
    parser.add_argument("--profile", default="default", metavar="NAME", help="profile to write (default: default)")


def run(args: Any) -> int:
    """Prints what was made and where the key went; never the key."""
    from infrai_core.facade import infra

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # its words are the hint
        made = infra.activate(base_url=args.base_url, profile=args.profile)
    print(f"project   {made.get('project_id') or 'unknown'}")
    print(f"credit    ${made['trial_credit_usd']}" if made.get("trial_credit_usd") is not None else "credit    unknown")
    if made.get("checkout_url"):
        print(f"top up    {made['checkout_url']}")
    print(f"key       kept in {made['credentials']}, profile {args.profile!r}")
    if made.get("hint"):
        print(f"hint      {made['hint']}")
    return 0
