"""The flags that say which service a command talks to, and how a call is routed."""

from __future__ import annotations

import argparse
from typing import Any

from infrai_core import Infrai
from infrai_core.params import CHOICES


def add_connection(parser: argparse.ArgumentParser, timeout: str = "--timeout") -> None:
    """Adds ``--base-url``, ``--profile``, ``--dialect``, ``--timeout`` (or what ``timeout`` names). There is none for
    the key: it would be seen by every process of the machine and kept in the shell's history."""
    group = parser.add_argument_group("service")
    group.add_argument(
        "--base-url",
        metavar="URL",
        help='the service; "embedded" runs it inside this process, without a key '
        "(default: INFRAI_BASE_URL, the profile, the hosted service)",
    )
    group.add_argument("--profile", default="default", metavar="NAME", help="profile of the credentials file")
    group.add_argument("--dialect", choices=("native", "openai"), default="native", help="default: native")
    about = "deadline of a call in seconds (default: 60)"
    group.add_argument(timeout, type=float, default=60.0, metavar="S", dest="timeout", help=about)


def add_routing(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that decide which vendor and model answer."""
    group = parser.add_argument_group("routing")
    group.add_argument("--model", metavar="ID", help="a model id; skips routing (see `infrai models`)")
    group.add_argument("--vendor", metavar="NAME", help="stay with this vendor; it never fails over")
    group.add_argument("--task", choices=CHOICES["task"], help="what the call is for")
    group.add_argument("--prefer", choices=CHOICES["prefer"], help="what matters most (default: balanced)")
    group.add_argument(
        "--max-cost-multiplier", type=float, metavar="X", help="how much dearer a failover may be (default: 1.5)"
    )
    group.add_argument("--cache-strategy", choices=CHOICES["cache_strategy"], help="which cache to use")
    group.add_argument("--session-id", metavar="ID", help="stay with the vendor that served this session")


ROUTING = ("model", "vendor", "task", "prefer", "max_cost_multiplier", "cache_strategy", "session_id")
"""The routing flags as parameters of a call."""


def client_of(args: Any) -> Infrai:
    """The client that the connection flags describe. Raises ``ConfigError``."""
    return Infrai(base_url=args.base_url, profile=args.profile, dialect=args.dialect, timeout_s=args.timeout)
