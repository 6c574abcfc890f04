"""What is checked of a request before anything is read: who it was sent to, where it comes from, what it carries.

Without keys (``no_auth``) the runtime trusts the machine it runs on, so a web page must not be able to speak to it:
the Host must be a loopback name (a rebound DNS name is none), a request from another site is refused, and bodies
need a content type that a page cannot send across sites without asking first.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from infrai_runtime.failure import Failure
from infrai_runtime.time_limit import TimeLimit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
LEAST_BYTES = 1024
"""Of a body, in the time that it may stand still: a caller that drips is none that sends."""
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(?::\d+)?")

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


def check_site(headers: Mapping[str, str], allowed_hosts: Collection[str] = ()) -> None:
    """Refuses a foreign Host and anything that another site sent. Raises FORBIDDEN."""
    host = headers.get("host", "")
    name = host_name(host)
    if name not in LOOPBACK and name not in allowed_hosts:
        raise Failure("FORBIDDEN", f"Host {host[:100]!r} is not served without keys; allowed are loopback names")
    check_origin(headers)


def check_origin(headers: Mapping[str, str]) -> None:
    """Refuses a request that a web page of another site sent. Raises FORBIDDEN."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise Failure("FORBIDDEN", f"requests from another site are refused: Origin {origin[:100]!r}")
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Failure("FORBIDDEN", "requests from another site are refused (Sec-Fetch-Site)")


def host_name(host: str) -> str:
    """The name of a Host header without its port, in lower case; empty when it is malformed."""
    found = _HOST.fullmatch(host)
    return found[1].lower() if found else ""


def check_content_type(came: str, allowed: str) -> None:
    """Raises UNSUPPORTED_MEDIA_TYPE for another content type."""
    if came != allowed and media_type(came) != allowed:
        message = f"content-type: came {came[:100]!r}, allowed is {allowed}"
        raise Failure("UNSUPPORTED_MEDIA_TYPE", message, param="content-type")


def media_type(content_type: str) -> str:
    """The media type of the body, without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


AS_IT_IS = "identity"


def check_coding(coding: str) -> None:
    """Raises UNSUPPORTED_MEDIA_TYPE for a compressed body."""
    if coding.strip().lower() != AS_IT_IS:
        message = f"content-encoding: came {coding[:100]!r}, allowed is a body as it is"
        raise Failure("UNSUPPORTED_MEDIA_TYPE", message, param="content-encoding")


class Punctual:
    """Receives a body that keeps coming. Raises REQUEST_TIMEOUT when its caller lets ``within_s`` seconds of waiting
    pass without ``LEAST_BYTES`` of it and without its end; how long others take with what came does not count."""

    def __init__(self, receive: Receive, within_s: float) -> None:
        self._receive = receive
        self._within_s = self._left_s = within_s
        self._came = 0

    async def __call__(self) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            with TimeLimit(self._left_s):
                received = await self._receive()
        except TimeoutError:
            came = f"in {self._within_s:g} seconds {self._came} bytes of the body came, and not its end"
            raise Failure("REQUEST_TIMEOUT", f"{came}; allowed are {LEAST_BYTES} and more", param="body") from None
        self._left_s -= loop.time() - began_s
        self._came += len(received.get("body", b""))
        if self._came >= LEAST_BYTES:
            self._left_s, self._came = self._within_s, 0
        return received


async def read_body(content_length: bytes, receive: Receive, max_bytes: int) -> bytes:
    """The body. Raises PAYLOAD_TOO_LARGE as soon as it is known to be too large, also without a Content-Length."""
    if content_length.isdigit() and int(content_length) > max_bytes:
        raise too_large(max_bytes)
    pieces: list[bytes] = []
    left = max_bytes
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Failure("INVALID_REQUEST", "the connection ended inside the body", param="body")
        pieces.append(message.get("body", b""))
        left -= len(pieces[-1])
        if left < 0:
            raise too_large(max_bytes)
        if not message.get("more_body"):
            return b"".join(pieces)


def too_large(max_bytes: int) -> Failure:
    """The failure for a body above the limit."""
    return Failure("PAYLOAD_TOO_LARGE", f"the body is larger than the {max_bytes} bytes allowed", param="body")
