"""What a client sends and what it reads, whichever way it goes; and transports that take requests as they are: over
sockets, and to a service in the same process, where no HTTP is made and read again in between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from infrai_core.lines import Upload


CONNECT_TIMEOUT_S = 10.0


class Request(NamedTuple):
    """An HTTP request to send. ``read_timeout_s`` bounds the wait for the answer's head, then that for a whole body;
    ``idle_timeout_s`` the wait between pieces of a streamed one."""

    method: str
    url: str
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes
    read_timeout_s: float
    idle_timeout_s: float
    stream: bool = False
    upload: Upload | None = None
    """The body where it is made while it is sent; ``content`` is then empty."""
    own_key: bool = False
    """Its idempotency key was made for it: nobody else ever sends that, and nobody does once its answer was taken."""

    def all_headers(self, host: bytes) -> list[tuple[bytes, bytes]]:
        """The headers, between those that HTTP itself needs."""
        framing = (b"content-length", b"%d" % len(self.content))
        return [(b"host", host), *self.headers, framing if self.upload is None else (b"transfer-encoding", b"chunked")]

    def extensions(self) -> dict[str, Any]:
        """How long each step may take, as httpx and httpcore want it said."""
        connect_s = min(CONNECT_TIMEOUT_S, self.read_timeout_s)
        waits = {"write": self.read_timeout_s, "read": self.read_timeout_s}
        return {"timeout": {"connect": connect_s, "pool": connect_s, **waits}}


def raw_headers(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Headers as HTTP has them: names in lower case, bytes."""
    return {name.lower().encode(): value.encode("latin-1", "replace") for name, value in headers.items()}


class Headers(Mapping[str, str]):
    """Headers that are decoded when one is asked for: most answers are read without."""

    def __init__(self, raw: Callable[[], Iterable[tuple[bytes, bytes]]]) -> None:
        self.raw = raw

    @cached_property
    def _decoded(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for raw_name, raw_value in self.raw():
            name, value = bytes(raw_name).lower().decode("latin-1"), _text(bytes(raw_value))
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    def __getitem__(self, name: str) -> str:
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoded)

    def __len__(self) -> int:
        return len(self._decoded)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class _Opened(Protocol):
    """An answer whose head came."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]:
        """With names in lower case."""

    @property
    def socket(self) -> Any:
        """What its body comes through, where that can be waited for; else None."""

    def loosen(self, read_timeout_s: float) -> None:
        """From here on each read may wait so long."""

    def whole(self) -> bytes | None:
        """The whole body where it came with the head: the answer is then read and closed. Else None."""


class Answer(_Opened, Protocol):
    """One that a thread reads."""

    def pieces(self) -> Iterator[bytes]:
        """The decoded body."""

    def close(self) -> None:
        """Ends it now."""


class AsyncAnswer(_Opened, Protocol):
    """One that a task reads."""

    def pieces(self) -> AsyncIterator[bytes]:
        """The decoded body."""

    async def drain(self, limit_s: float) -> None:
        """Reads the next piece, which is to be the end of the body, where it comes within ``limit_s``."""

    async def aclose(self) -> None:
        """Ends it now."""


class Direct(ABC):
    """A transport that takes the client's own requests, for threads. Raises what httpx's transports raise."""

    @abstractmethod
    def open(self, request: Request) -> Answer:
        """Sends the request and waits for the head of its answer."""


class AsyncDirect(ABC):
    """The same for tasks."""

    @abstractmethod
    async def open(self, request: Request) -> AsyncAnswer:
        """Sends the request and waits for the head of its answer."""
