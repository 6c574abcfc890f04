"""Whether bytes that stand for a vendor's are that vendor's: each path has a page or a test of an SDK that says so, and
the vendor's official SDK takes the body, strictly, with no field that neither knows.

The fake services (``tests.vendors.fake``, ``tests.core.wall`` where ``tests.runtime.vendors.oracle`` points an adapter
at it) show every answer they give to ``objection``. A body that is wrong on purpose is marked so (``unlike``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from infrai_core.sse import Decoder

Reads = Callable[[Any], Any]
"""Makes the SDK's own object of a body, or raises what the SDK raises."""


@dataclass(frozen=True)
class Shape:
    """What a vendor answers on a path."""

    source: str
    """The page, or the file of the SDK."""
    seen: str
    """The version of the SDK that reads it, or the day on which the page was read."""
    reads: Reads
    event: Reads | None = None
    """Of one event of a stream."""
    beyond: frozenset[str] = frozenset()
    """Fields that the vendor's page has and the SDK's types do not."""


def typed(name: str) -> Reads:
    """The SDK's type by its name, made when it is first needed: importing all SDKs takes a second."""
    adapters: dict[str, TypeAdapter[Any]] = {}

    def read(body: Any) -> Any:
        if name not in adapters:
            module, _, kind = name.partition(":")
            adapters[name] = TypeAdapter(getattr(import_module(module), kind))
        return adapters[name].validate_python(body)

    return read


def called(name: str) -> Reads:
    """A reading function, by its name."""

    def read(body: Any) -> Any:
        module, _, function = name.partition(":")
        return getattr(import_module(module), function)(body)

    return read


def objection(shapes: Iterable[tuple[str, Shape]], path: str, mime: str, data: bytes) -> str | None:
    """Why this is no answer of the vendor with these shapes, by patterns of paths."""
    shape = next((shape for pattern, shape in shapes if re.fullmatch(pattern, path)), None)
    if shape is None:
        return "no page and no test of an SDK is cited for this path (tests/wire/shapes.py)"
    try:
        bodies = [*_bodies(mime, data)]
        made = [
            (shape.event or shape.reads if mime.startswith("text/event-stream") else shape.reads)(b) for b in bodies
        ]
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError, Warning) as error:
        return f"the official SDK does not take it: {' '.join(str(error).split())[:600]}"
    unknown = sorted({name for one in made for name in _unknown(one)} - shape.beyond)
    return f"fields that neither the SDK nor {shape.source} knows: {', '.join(unknown)}" if unknown else None


@dataclass(frozen=True)
class Heard:
    """An answer that a service gave."""

    path: str
    status: int
    mime: str
    data: bytes


class Court:
    """The vendors that stand at addresses, and what was answered there."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._heard: dict[str, list[Heard]] = {}

    def names(self, url: str, vendor: str) -> None:
        """Says whose service is at an address."""
        self._names[_origin(url)] = vendor

    def forgets(self, url: str) -> None:
        """An address is given to another service."""
        self._names.pop(_origin(url), None)
        self._heard.pop(_origin(url), None)

    def hears(self, url: str, heard: Heard) -> None:
        """Takes note of an answer. It is judged at the end: importing an SDK would keep the one who asked waiting."""
        self._heard.setdefault(_origin(url), []).append(heard)

    def rules(self, url: str) -> None:
        """Raises AssertionError where an answer of the service at this address is not its vendor's. Where nobody says
        whose it is, or it is a service that we know nothing of, it stands for no vendor."""
        vendor, heard = self._names.get(_origin(url), ""), self._heard.get(_origin(url), [])
        self.forgets(url)
        told = (f"{vendor} {one.path}: {why}\n    {one.data[:200]!r}" for one in heard if (why := _why(vendor, one)))
        found = list(dict.fromkeys(told))
        assert not found, "\n".join(["not the vendor's answer (unlike() marks what is so on purpose):", *found])


def _why(vendor: str, heard: Heard) -> str | None:
    from tests.wire.shapes import ERRORS, SHAPES

    if vendor not in {*SHAPES, *ERRORS}:
        return None
    if heard.status >= 400:
        return None if vendor in ERRORS else "no page of its errors is cited (tests/wire/shapes.py)"
    return objection(SHAPES.get(vendor, ()), heard.path, heard.mime, heard.data)


def _origin(url: str) -> str:
    return urlsplit(url).netloc


COURT = Court()


def _bodies(mime: str, data: bytes) -> Iterator[Any]:
    """The objects that are in it; none where it is a sound or a picture."""
    if mime.startswith("application/json"):
        body = json.loads(data)
        if not _tells_of_an_error(body):
            yield body
    elif mime.startswith("text/event-stream"):
        decoder = Decoder()
        events = [*decoder.feed(data)]  # what follows the last empty line was cut
        bodies = (json.loads(event.data) for event in events if event.data != "[DONE]" and event.event != "ping")
        yield from (body for body in bodies if not _tells_of_an_error(body))
    elif mime in ("application/x-jsonlines", "application/octet-stream"):
        yield from (json.loads(line) for line in data.splitlines() if line.strip())


def _tells_of_an_error(body: Any) -> bool:
    """With status 200 or inside a stream; such bodies are those of ``shapes.ERRORS``."""
    if not isinstance(body, dict):
        return False
    failed = bool(body.get("error")) and "choices" not in body and body.get("object") != "batch"
    return failed or body.get("type") == "error"


def _unknown(made: Any) -> Iterator[str]:
    """The fields that the SDK's types do not have."""
    if isinstance(made, BaseModel):
        yield from made.model_extra or ()
        for name in type(made).model_fields:
            yield from _unknown(getattr(made, name, None))
    elif isinstance(made, list | tuple):
        for one in made:
            yield from _unknown(one)
