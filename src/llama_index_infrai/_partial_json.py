"""Reads a JSON object that is still being written, piece by piece.

``feed`` costs time in proportion to the new text, and a ``value`` after every piece in proportion to all of it: a large
container that is still open is copied again only when it has grown by a sixteenth, and a long string only when it has
grown by a 256th of what it has beyond 16,384 characters. The result is a preview: an open string stands as far as it
came, up to that; an open number or literal, a key without a value, and the last members of a large open container are
left out. ``whole`` decides in the end what a text means.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r'[^"\\]*')
_SPACE = re.compile(r"[\s:,]*")
_WORD = re.compile(r'[^\s\[\]{},:"]+')
_HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB]")
_WAIT = -1
_LARGE = 256
_LONG = 16_384


def whole(text: str) -> dict[str, Any] | None:
    """The object that a finished text means; ``{}`` for a blank text, None for what is no JSON object."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text, strict=False)  # models do write raw line breaks into strings
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def partial(text: str) -> dict[str, Any]:
    """What can be read of an unfinished text."""
    reader = PartialObject()
    reader.feed(text)
    return reader.value()


class PartialObject:
    """A JSON object under way. After something that cannot be JSON it keeps what it had and reads no further."""

    def __init__(self) -> None:
        self._pending = ""  # the end of the text, where it cannot be read before more comes
        self._root: Any = None
        self._open: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str | None] = []  # of each open container: the key whose value comes next
        self._shown: list[dict[str, Any] | list[Any] | None] = []  # and its last copy, when it is large
        self._string: str | None = None  # the open string, but for its newest pieces
        self._fresh: list[str] = []
        self._fresh_length = 0
        self._stopped = False

    def feed(self, text: str) -> None:
        """Reads more text."""
        text, at = self._pending + text, 0
        while at < len(text) and not self._stopped:
            after = self._outside(text, at) if self._string is None else self._inside(text, at)
            if after == _WAIT:
                break
            at = after
        self._pending = "" if self._stopped else text[at:]

    def value(self) -> dict[str, Any]:
        """What has been read. Closed and large containers are shared between the results, others are copied."""
        if not self._open:
            return dict(self._root) if isinstance(self._root, dict) else {}
        if self._string is not None and self._fresh_length * 256 >= len(self._string) - _LONG:
            self._join()
        found: Any = self._string
        for depth in range(len(self._open) - 1, -1, -1):
            found = self._copied(depth, found)
        return found if isinstance(found, dict) else {}

    def _copied(self, depth: int, last: Any) -> dict[str, Any] | list[Any]:
        """An open container with ``last``, what is open in it, if anything."""
        container, shown = self._open[depth], self._shown[depth]
        if shown is not None and len(container) * 16 < len(shown) * 17:
            return shown
        copied = container.copy()
        if last is not None:
            self._place(copied, depth, last)
        if len(copied) >= _LARGE:
            self._shown[depth] = copied
        return copied

    def _place(self, copied: dict[str, Any] | list[Any], depth: int, last: Any) -> None:
        key = self._keys[depth]
        if isinstance(copied, dict):
            if key is not None:
                copied[key] = last
        elif isinstance(last, str):
            copied.append(last)
        else:
            copied[-1] = last

    # -- reading ---------------------------------------------------------------------------------------------------

    def _outside(self, text: str, at: int) -> int:
        space = _SPACE.match(text, at)
        at = space.end() if space else at
        if at == len(text):
            return at
        sign = text[at]
        if sign in "{[":
            self._begin({} if sign == "{" else [])
        elif sign in "}]":
            self._end()
        elif sign == '"' and self._open:
            self._string = ""
        else:
            return self._word(text, at)
        return at + 1

    def _begin(self, container: dict[str, Any] | list[Any]) -> None:
        if self._open:
            self._put(container, keep_key=True)
        elif self._root is None:
            self._root = container
        else:
            self._stopped = True
            return
        self._open.append(container)
        self._keys.append(None)
        self._shown.append(None)

    def _end(self) -> None:
        if not self._open:
            self._stopped = True
            return
        for stack in (self._open, self._keys, self._shown):
            stack.pop()
        if self._open:
            self._keys[-1] = None

    def _put(self, value: Any, keep_key: bool = False) -> None:
        container, key = self._open[-1], self._keys[-1]
        if isinstance(container, list):
            container.append(value)
        elif key is not None:
            container[key] = value
            self._keys[-1] = key if keep_key else None
        else:
            self._stopped = True

    def _word(self, text: str, at: int) -> int:
        """A number or literal; it is complete only when something stands behind it."""
        match = _WORD.match(text, at)
        end = match.end() if match else at
        if end == len(text):
            return _WAIT
        try:
            value = json.loads(text[at:end])
        except ValueError:
            self._stopped = True
            return end
        if self._open:
            self._put(value)
        else:
            self._stopped = True
        return end

    def _inside(self, text: str, at: int) -> int:
        match = _PLAIN.match(text, at)
        end = match.end() if match else at
        self._grow(text[at:end])
        if end == len(text):
            return end
        if text[end] == '"':
            self._close_string()
            return end + 1
        if end > at:
            return end  # what precedes the escape is read; the escape may have to wait
        return self._escape(text, end)

    def _grow(self, piece: str) -> None:
        self._fresh.append(piece)
        self._fresh_length += len(piece)

    def _join(self) -> None:
        """A long string is joined only when it has grown by a 256th: each time copies all of it."""
        self._string = (self._string or "") + "".join(self._fresh)
        self._fresh.clear()
        self._fresh_length = 0

    def _escape(self, text: str, at: int) -> int:
        length = 6 if text[at : at + 2] == "\\u" else 2
        if _HIGH_SURROGATE.match(text, at):
            length = 12
        if len(text) - at < length:
            return _WAIT
        if length == 12 and text[at + 6 : at + 8] != "\\u":
            length = 6
        try:
            self._grow(json.loads(f'"{text[at : at + length]}"'))
        except ValueError:
            self._stopped = True
        return at + length

    def _close_string(self) -> None:
        self._join()
        string, self._string = self._string or "", None
        if isinstance(self._open[-1], dict) and self._keys[-1] is None:
            self._keys[-1] = string
        else:
            self._put(string)
