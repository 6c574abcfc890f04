"""Server-sent events from bytes, cut anywhere (https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6).

``Decoder.feed`` is the whole interface: bytes in, events out, no I/O.
"""

from __future__ import annotations

from itertools import repeat
from typing import NamedTuple

from infrai_core.errors import ProtocolError

MAX_EVENT_BYTES = 32 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_CR = ord("\r")  # a byte is found by its number several times faster than as bytes


class Event(NamedTuple):
    """One event: its type (``message`` when not named) and its data, lines joined by a newline."""

    event: str
    data: str


class Decoder:
    """Turns the bytes of an event stream into events.

    Lines may end in LF, CRLF or CR; comments, unknown fields and a leading byte order mark are skipped; bytes that
    are not UTF-8 become U+FFFD. An event larger than ``max_event_bytes`` raises ``ProtocolError`` instead of filling
    the memory. An event that was not ended by a blank line is never given out.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._rest = bytearray()  # the line that is not complete yet
        self._data: list[bytes] = []
        self._held = 0  # bytes in _data
        self._event = ""
        self._started = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that ``chunk`` completes, in order."""
        if not self._started and not self._rest and chunk[:1] != _BOM[:1]:
            self._started = True
        if self._started and not (self._data or self._event):
            whole = self._whole_events(chunk)
            if whole is not None:
                return whole
        self._rest += chunk
        if not self._started and not self._skip_bom():
            return []
        if len(self._rest) + self._held > self._max and b"\n" not in chunk:
            raise ProtocolError(f"an event of the stream is larger than {self._max} bytes")
        # Nothing can be complete without a line end, and a CR that came last may be half of a CRLF.
        if b"\n" not in chunk and b"\r" not in self._rest[-len(chunk) - 1 : -1]:
            return []
        lines = self._rest.splitlines(keepends=True)
        self._rest = bytearray() if lines[-1].endswith(b"\n") else lines.pop()
        return self._events(lines)

    def end(self) -> list[Event]:
        """The events that the end of the bytes completes: those whose last line end is a lone CR."""
        lines = [self._rest] if self._rest.endswith(b"\r") else []
        self._rest = bytearray()
        return self._events(lines)

    def _whole_events(self, chunk: bytes) -> list[Event] | None:
        """The events of a chunk as almost all are: events of one line of data each, the last one cut perhaps; None,
        and nothing done, for any other."""
        end = chunk.rfind(b"\n\n")
        if end < 0 or _CR in chunk or _CR in self._rest or len(self._rest) + len(chunk) > self._max:
            return None
        text = (self._rest + chunk[:end]).decode("utf-8", "replace")
        if not text.startswith("data: "):
            return None
        found = text[6:].split("\n\ndata: ")
        if text.count("\n") > 2 * (len(found) - 1):
            return None
        self._rest = bytearray(chunk[end + 2 :])
        return list(map(Event, repeat("message"), found))

    def _events(self, lines: list[bytearray]) -> list[Event]:
        found = (self._line(bytes(line.rstrip(b"\r\n"))) for line in lines)
        return [event for event in found if event is not None]

    def _skip_bom(self) -> bool:
        if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
            return False
        self._started = True
        if self._rest.startswith(_BOM):
            del self._rest[: len(_BOM)]
        return True

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._held += len(value) + 1
            if self._held > self._max:
                raise ProtocolError(f"an event of the stream is larger than {self._max} bytes")
        elif name == b"event":
            self._event = value.removeprefix(b" ").decode("utf-8", "replace")
        return None

    def _dispatch(self) -> Event | None:
        data, event = self._data, self._event
        self._event = ""
        if not data:
            return None
        self._data, self._held = [], 0
        joined = data[0] if len(data) == 1 else b"\n".join(data)
        return Event(event or "message", joined.decode("utf-8", "replace"))
