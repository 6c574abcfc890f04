"""Reads the command line, runs one command, and turns its errors into one line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from infrai_cli.package import extra_hint
from infrai_core import ConfigError, InfraiError, __version__

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "demo": "index documents and answer questions with LlamaIndex and LangChain, offline",
    "doctor": "say what is installed, configured and reachable, and what helps where something is not",
    "chat": "answer one prompt",
    "models": "list the models of the service",
    "vendors": "list the vendors that are configured, their keys, and what each can do",
    "route": "say which model would answer a request, which would take over, what it costs, and why",
    "catalogue": "the models a runtime may route to, their prices and sources: list, show, validate, refresh",
    "serve": "serve the runtime over HTTP",
    "batch": "batch jobs: submit, wait for, read, cancel, list",
    "worker": "work on batches, apart from the serving processes",
    "keys": "project keys of a runtime's database: create, list, rotate, revoke",
    "budgets": "limits of spending by project, key or tag: set, list, drop",
    "usage": "what a runtime's calls used and cost, as a table, CSV, JSON or plot",
    "db": "a runtime's database: bring its schema up to date",
    "activate": "make a project with trial credit and keep its key",
    "local": "on-machine models: list them, fetch one",
}
"""Command -> what it does. Each is a module of this package."""

_EPILOG = """\
exit codes: 0 done, 1 failed, 2 wrong use or configuration
try first:  infrai demo, infrai doctor, infrai chat --base-url embedded "What is 12 % of 250?"
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code. ``argv`` is ``sys.argv[1:]`` unless given."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Chinese shows ?, and nothing breaks
    parser = _parser(arguments)
    args, unknown = parser.parse_known_args(arguments)
    if unknown and not args.unknowable:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if args.command is None:
        parser.print_help()
        return WRONG_USE
    return _guarded(args)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="infrai",
        description="One routed, multi-vendor AI service: try it, check it, serve it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"infrai {__version__}")
    parser.set_defaults(unknowable=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    named = next((word for word in arguments if not word.startswith("-")), None)
    for name, about in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == named:
            _add_arguments(command, name)
    return parser


def _add_arguments(command: argparse.ArgumentParser, name: str) -> None:
    """The command's own arguments. One whose packages are missing is reported when it runs."""
    try:
        module = importlib.import_module(f"infrai_cli.{name}")
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    except ModuleNotFoundError as error:
        missing = error
        command.set_defaults(run=lambda args: _raise(missing), unknowable=True)


def _raise(error: Exception) -> int:
    raise error


def _guarded(args: Any) -> int:
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader (`| head`) has seen enough; keep the interpreter from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        told = explained(error)
        if told is None:
            raise
        sys.stdout.flush()
        print(f"infrai: {told}", file=sys.stderr)
        return WRONG_USE if isinstance(error, ConfigError) else FAILED


def explained(error: BaseException | None) -> str | None:
    """An expected error, or one that a framework wrapped, as one line that says what helps; None for a mistake."""
    if error is None:
        return None
    return _told(error) or explained(error.__cause__)


def _told(error: BaseException) -> str | None:
    from infrai_runtime.failure import Failure

    if isinstance(error, Failure):
        return one_line(f"{error.message}. {error.hint}" if error.hint else error.message)
    if isinstance(error, InfraiError):
        return one_line(str(error))
    if isinstance(error, ModuleNotFoundError):
        hint = extra_hint(error.name)
        return f"the package of {error.name!r} is not installed. {hint}" if hint else None
    return one_line(str(error)) if isinstance(error, OSError) else None


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())
