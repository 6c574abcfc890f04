"""The log of a served runtime: one JSON object per line (or text), with no secret in it.

Secrets are taken out where a line is written, so that no caller of ``logging`` has to think of it, also not a library:
API keys, bearer tokens, the query and the user part of URLs, and base64 data, which is somebody's picture or voice.

Lines are written by a thread of their own: whoever should read them may not, and a pipe that is full holds up who
writes to it.
"""

from __future__ import annotations

import logging
import os
import re
import select
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from io import UnsupportedOperation
from queue import SimpleQueue
from typing import Any, TextIO

import orjson

from infrai_runtime.redact import redacted

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("json", "text")
MOST_LINES = 10_000
"""How many may wait to be written; further ones are lost, and counted."""
FLUSH_S = 2.0
"""How long the end of a process waits for lines to be written."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{80,}={0,2}")


def safe(text: str) -> str:
    """A text as a log may show it."""
    return _BASE64.sub(_length, redacted(text))


def _length(found: re.Match[str]) -> str:
    return f"<{len(found[0])} characters>"


def _safe(value: Any) -> Any:
    """A JSON value whose texts are safe."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, dict):
        return {str(name): _safe(inner) for name, inner in value.items()}
    return [_safe(inner) for inner in value] if isinstance(value, list | tuple) else value


class JsonLines(logging.Formatter):
    """A record as one JSON object: ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``event``, the facts of a call, and
    an ``error``'s traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": safe(record.getMessage()),
            **_safe(getattr(record, "facts", {})),
        }
        if record.exc_info:
            line["error"] = safe(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


class TextLines(logging.Formatter):
    """A record as a line for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", {})
        told = "".join(f" {name}={_in_one_line(value)}" for name, value in facts.items())
        return safe(super().format(record) + told)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _in_one_line(record.message)
        return super().formatMessage(record)


def _in_one_line(value: Any) -> str:
    """A text that cannot pretend to be a line of its own."""
    return str(value).replace("\r", "\\r").replace("\n", "\\n")


_MADE: dict[str, type[logging.Formatter]] = {"json": JsonLines, "text": TextLines}


class Aside(logging.Handler):
    """Writes lines to a file descriptor without holding up who logs them."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._lost = 0
        threading.Thread(target=self._write_all, daemon=True, name="log").start()

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record, unless too many wait."""
        if self._lines.qsize() >= MOST_LINES:
            self._lost += 1
            return
        try:
            self._lines.put(self.format(record))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Returns when what was logged is written, or after ``FLUSH_S``."""
        written = threading.Event()
        self._lines.put(written)
        written.wait(FLUSH_S)

    def _write_all(self) -> None:
        told = 0
        while True:
            line = self._lines.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            self._write(line)
            if self._lost > told and self._lines.empty():
                lost, told = self._lost - told, self._lost
                self._write(self.format(_lost(lost)))

    def _write(self, line: str) -> None:
        left = f"{line}\n".encode(errors="backslashreplace")
        with suppress(OSError):  # nobody reads, or the disk is full: there is no place to say so
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:  # whoever shares the pipe has it so
                    select.select([], [self._descriptor], [])


def _lost(count: int) -> logging.LogRecord:
    message = "%d lines of the log were lost: nobody took them"
    return logging.LogRecord("infrai_runtime", logging.WARNING, __file__, 0, message, (count,), None)


def flush() -> None:
    """Has what was logged so far written, for a process that is about to end."""
    for handler in logging.getLogger("infrai_runtime").handlers:
        handler.flush()


def configure(level: str, form: str, to: TextIO | None = None) -> None:
    """Writes the runtime's and its server's log to ``to`` (default: standard error), from ``level`` on; of every other
    library what is a warning or worse, which Python would write as plain text with whatever it holds."""
    handler = _handler(to or sys.stderr)
    handler.setFormatter(_MADE[form]())
    root = logging.getLogger()
    others = [other for other in root.handlers if not isinstance(other.formatter, tuple(_MADE.values()))]
    root.handlers = [*others, handler]
    for name, least in (
        ("infrai_runtime", level),
        ("infrai_core", level),
        ("uvicorn", "warning"),
    ):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(max(logging.getLevelName(level.upper()), logging.getLevelName(least.upper())))
        logger.propagate = False


def _handler(to: TextIO | None) -> logging.Handler:
    if to is None:  # the process was started without a standard error
        return logging.NullHandler()
    try:
        return Aside(to.fileno())
    except UnsupportedOperation:
        return logging.StreamHandler(to)
