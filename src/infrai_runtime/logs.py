"""The log of a served runtime: one JSON object per line (or text), with no secret in it.

Secrets are taken out where a line is written, so that no caller of ``logging`` has to think of it, also not a library:
API keys, bearer tokens, the query and the user part of URLs, and base64 data, which is somebody's picture or voice.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from infrai_runtime.redact import redacted

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("json", "text")

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


def configure(level: str, form: str, to: TextIO | None = None) -> None:
    """Writes the runtime's and its server's log to ``to`` (default: standard error), from ``level`` on; of every other
    library what is a warning or worse, which Python would write as plain text with whatever it holds."""
    handler = logging.StreamHandler(to or sys.stderr)
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
