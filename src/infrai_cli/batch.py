"""``infrai batch``: batch jobs of a service."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from infrai_cli.connection import add_connection, client_of
from infrai_cli.screen import table
from infrai_core import ConfigError, Infrai
from infrai_core.service import BATCH_DONE, BatchRecord

_EPILOG = """\
FILE has one request per line: {"capability": "chat", "body": {"messages": "Hello"}}
The body is that of /v1/ai/<capability>. Files of any length are sent and read in constant memory.
examples: infrai batch submit questions.ndjson --wait --out answers.ndjson
          infrai batch submit questions.ndjson --timeout 1h --metadata run=7
          infrai batch wait BATCH_ID && infrai batch results BATCH_ID > answers.ndjson
With --base-url embedded a job goes on only while a process with that runtime lives: use --wait, or infrai worker.
"""
BAR = 30
MOST_PAUSE_S = 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One action each."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    submit = actions.add_parser("submit", help="hand in a file of requests; prints the id of the job")
    submit.add_argument("file", metavar="FILE", help="requests, one line of JSON each; - is standard input")
    submit.add_argument(
        "--timeout", metavar="T", dest="batch_timeout", help="how long it may take: 30m, 24h (default), 7d"
    )
    submit.add_argument(
        "--metadata", action="append", default=[], metavar="NAME=VALUE", help="kept with the job; repeatable"
    )
    submit.add_argument("--idempotency-key", metavar="KEY", help="the same key and requests: the same job")
    submit.add_argument("--wait", action="store_true", help="wait for the results and print them")
    wait = actions.add_parser("wait", help="wait until a job is done, with a progress bar; 1 unless it completed")
    for action in (submit, wait):
        action.add_argument("--poll", type=_pause_s, default=2.0, metavar="S", help="seconds between two looks (2)")
    status = actions.add_parser("status", help="how far a job is, as JSON")
    results = actions.add_parser("results", help="a line of JSON per request, in order")
    for action in (submit, results):
        action.add_argument(
            "--out", type=Path, metavar="FILE", help="write the results there (default: standard output)"
        )
    cancel = actions.add_parser("cancel", help="begin no further request of a job; what is done stays done")
    for action in (wait, status, results, cancel):
        action.add_argument("batch_id", metavar="BATCH_ID")
    listing = actions.add_parser("list", help="the project's newest jobs")
    for action in (submit, wait, status, results, cancel, listing):
        # Of its own name: --timeout is the time that the job may take.
        add_connection(action, timeout="--call-timeout")


def _pause_s(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_PAUSE_S:
        raise argparse.ArgumentTypeError(f"came {text!r}, allowed is a number above 0, at most {MOST_PAUSE_S:,}")
    return value


def run(args: Any) -> int:
    """Does one of them."""
    with client_of(args) as client:
        return _ACTIONS[args.action](client, args)


def _submit(client: Infrai, args: Any) -> int:
    options = {"batch_timeout": args.batch_timeout, "metadata": _metadata(args.metadata) or None}
    with ExitStack() as stack:
        lines = sys.stdin if args.file == "-" else stack.enter_context(Path(args.file).open(encoding="utf-8"))
        made = client.batch_submit(_requests(lines), idempotency_key=args.idempotency_key, **options)
    if not args.wait:
        print(made.batch_id)
        return 0
    print(f"batch {made.batch_id}", file=sys.stderr)
    code = _waited(client, made.batch_id, args.poll)
    _write(client, made.batch_id, args.out)
    return code


def _metadata(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    wrong = next((word for word, (name, equals, _) in zip(words, pairs, strict=True) if not name or not equals), None)
    if wrong is not None:
        raise ConfigError(f"--metadata {wrong!r}: allowed is NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _requests(lines: TextIO) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _request(number, line)


def _request(number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"line {number}: this is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"line {number}: came {type(value).__name__}, allowed is an object with capability and body")
    return value


def _wait(client: Infrai, args: Any) -> int:
    return _waited(client, args.batch_id, args.poll)


def _waited(client: Infrai, batch_id: str, poll_s: float) -> int:
    record = client.batch_wait(batch_id, poll_s=poll_s, progress=_Bar(sys.stderr).show)
    return 0 if record.state == "completed" else 1


class _Bar:
    """How far a job is: redrawn in place on a terminal, else a line whenever it moved."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last = ""

    def show(self, record: BatchRecord) -> None:
        """Draws the bar."""
        line, ended = bar(record), record.state in BATCH_DONE
        if self._out.isatty():
            print(f"\r{line}", end="\n" if ended else "", file=self._out, flush=True)
        elif line != self._last:
            print(line, file=self._out, flush=True)
        self._last = line


def bar(record: BatchRecord) -> str:
    """The bar in words and signs."""
    total, done, failed = record.total_count or 0, record.completed_count or 0, record.failed_count or 0
    filled = BAR * (done + failed) // max(1, total)
    counts = f"{done + failed:,}/{total:,}"
    return f"[{'#' * filled}{'.' * (BAR - filled)}] {counts} {record.state}, {failed:,} failed"


def _status(client: Infrai, args: Any) -> int:
    print(json.dumps(_plain(client.batch_status(args.batch_id)), indent=2))
    return 0


def _plain(record: BatchRecord) -> dict[str, Any]:
    return record.model_dump(mode="json", exclude={"metadata"}, exclude_none=True)


def _results(client: Infrai, args: Any) -> int:
    _write(client, args.batch_id, args.out)
    return 0


def _write(client: Infrai, batch_id: str, path: Path | None) -> None:
    with ExitStack() as stack:
        out = sys.stdout if path is None else stack.enter_context(path.open("w", encoding="utf-8"))
        for row in client.batch_rows(batch_id):
            print(json.dumps(row, ensure_ascii=False), file=out)


def _cancel(client: Infrai, args: Any) -> int:
    print(client.batch_cancel(args.batch_id).state)
    return 0


def _list(client: Infrai, args: Any) -> int:
    records = client.batch_list().data
    head = ("batch", "state", "requests", "done", "failed", "handed in")
    print(table(head, [_row(record) for record in records], right=(2, 3, 4)))
    return 0


def _row(record: BatchRecord) -> tuple[str, ...]:
    counts = (record.total_count, record.completed_count, record.failed_count)
    made = str(getattr(record, "created_at", None) or "-")
    return (record.batch_id, record.state, *(f"{count or 0:,}" for count in counts), made)


_ACTIONS: dict[str, Callable[[Infrai, Any], int]] = {
    "submit": _submit,
    "wait": _wait,
    "status": _status,
    "results": _results,
    "cancel": _cancel,
    "list": _list,
}
