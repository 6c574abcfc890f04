"""Chunks -> a whole reply, and flat deltas -> part fragments. Pure reducers, shared by everything that streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infrai_core.models import ChatChunk, ChatReply, Metadata, Usage

_APPENDED = {"text": "text", "reasoning": "text", "refusal": "text", "tool_call": "arguments"}
"""Part type -> the field whose fragments are joined; every other field is set by the fragment that carries it."""


class Accumulator:
    """Adds up chunks; ``reply()`` is the whole answer so far. Parts are put together by their index."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, Any]] = {}
        self._joined: dict[int, list[str]] = {}
        self._last: dict[str, Any] = {}

    def add(self, chunk: ChatChunk) -> None:
        """Adds one chunk."""
        for fragment in chunk.delta.parts or ():
            self._add_fragment(fragment)
        if chunk.id or chunk.model or chunk.finish_reason or chunk.usage or chunk.metadata:
            for name in ("id", "model", "finish_reason", "usage", "metadata"):
                value = getattr(chunk, name)
                if value is not None:
                    self._last[name] = value

    def _add_fragment(self, fragment: Mapping[str, Any]) -> None:
        index = fragment["index"]
        part = self._parts.get(index)
        if part is None:
            part = self._parts[index] = {"type": fragment["type"]}
            self._joined[index] = []
        appended = _APPENDED.get(part["type"])
        if appended == "text" and len(fragment) == 3 and "text" in fragment:  # nothing but text, as nearly all are
            self._joined[index].append(fragment["text"] or "")
            return
        for name, value in fragment.items():
            if name == appended:
                if value:
                    self._joined[index].append(value)
            elif name == "annotations":
                part.setdefault("annotations", []).extend(value)
            elif name not in ("index", "type", "done") and value is not None:
                part[name] = value

    @property
    def model(self) -> str | None:
        """The model that answers, once a chunk has said so."""
        return self._last.get("model")

    @property
    def usage(self) -> Usage | None:
        """What the call used, once its chunk came."""
        return self._last.get("usage")

    @property
    def metadata(self) -> Metadata | None:
        """The metadata, once its chunk came."""
        return self._last.get("metadata")

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended, once a chunk has said so."""
        return self._last.get("finish_reason")

    @property
    def text_length(self) -> int:
        """Characters of text, reasoning and arguments received so far."""
        return sum(len(piece) for pieces in self._joined.values() for piece in pieces)

    def part(self, index: int) -> dict[str, Any]:
        """The part at ``index`` as far as it came."""
        part = self._parts[index]
        appended = _APPENDED.get(part["type"])
        return {**part, appended: "".join(self._joined[index])} if appended else dict(part)

    def reply(self) -> ChatReply:
        """The whole reply so far."""
        parts = [self.part(index) for index in sorted(self._parts)]
        return ChatReply.model_validate({**self._last, "parts": parts})


class FlatReader:
    """Gives flat deltas (OpenAI's, and the seed's) their ``parts``: stable indices, one part per tool call.

    Tool-call fragments are told apart by index and id, because services differ: some send two calls in one delta,
    repeat the id on every fragment, leave the index out, or give several calls the same index.
    """

    def __init__(self) -> None:
        self._kinds: list[str] = []  # of the parts so far, by index
        self._open: tuple[str, int] | None = None  # the text-like part that still grows
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}
        self._last_call: int | None = None

    def parts(self, delta: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The fragments that this delta adds."""
        found: list[dict[str, Any]] = []
        reasoning = delta.get("reasoning") or delta.get("reasoning_content")
        texts = {"reasoning": reasoning, "text": delta.get("content"), "refusal": delta.get("refusal")}
        for kind, text in texts.items():
            if isinstance(text, str) and text:
                found.append({"index": self._text_index(kind), "type": kind, "text": text})
        if notes := delta.get("annotations"):
            found.append({"index": self._noted_index(), "type": "text", "text": "", "annotations": notes})
        found += [self._call(call) for call in delta.get("tool_calls") or ()]
        return found

    def completed(self, parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What the whole parts say beyond the flat deltas: signatures, and parts of kinds that no delta carries.

        Signatures are left out where the texts cannot be told apart: a wrong one is worse than none.
        """
        found: list[dict[str, Any]] = []
        for kind in dict.fromkeys(part["type"] for part in parts):
            whole = [part for part in parts if part["type"] == kind]
            said = [part for part in whole if part.get("text") or kind == "tool_call"]
            places = [index for index, seen in enumerate(self._kinds) if seen == kind]
            if len(said) == len(places):
                found += [_unsaid_of(part, index) for part, index in zip(said, places, strict=True)]
            unsaid = whole if kind not in _APPENDED else [part for part in whole if part not in said]
            found += [{**part, "index": self._next(kind), "done": True} for part in unsaid]
        return [fragment for fragment in found if len(fragment) > 2]

    def _next(self, kind: str) -> int:
        self._kinds.append(kind)
        return len(self._kinds) - 1

    def _text_index(self, kind: str) -> int:
        if self._open is None or self._open[0] != kind:
            self._open = (kind, self._next(kind))
        return self._open[1]

    def _noted_index(self) -> int:
        """The text that citations are of: the last one, of which they often tell after its end."""
        places = [index for index, kind in enumerate(self._kinds) if kind == "text"]
        return places[-1] if places else self._text_index("text")

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        function = call.get("function") or {}
        place, fresh = self._call_place(call, bool(function.get("name")))
        fragment = {"index": place, "type": "tool_call", "arguments": function.get("arguments") or ""}
        if fresh:  # id and name only once: a service that repeats them must not make readers append them
            fragment |= {"id": call.get("id") or f"call_{place}", "name": function.get("name") or ""}
        return fragment

    def _call_place(self, call: Mapping[str, Any], named: bool) -> tuple[int, bool]:
        """(part index, whether this fragment starts the call)."""
        id_, index = call.get("id"), call.get("index")
        if id_ and id_ in self._by_id:
            return self._by_id[id_], False
        known = self._by_index.get(index) if index is not None else self._last_call
        # An unseen id starts a new call; so does the first fragment of an index, and a name without index or id.
        if id_ or known is None or (index is None and named):
            known = self._next("tool_call")
            self._open = None
            if id_:
                self._by_id[id_] = known
            if index is not None:
                self._by_index[index] = known
            self._last_call = known
            return known, True
        self._last_call = known
        return known, False


def _unsaid_of(part: Mapping[str, Any], index: int) -> dict[str, Any]:
    """What a part says beyond its flat deltas: who signed it, and its citations of what is no page."""
    signed = {name: part[name] for name in ("opaque", "vendor", "model") if part.get(name)}
    noted = [note for note in part.get("annotations") or () if not note.get("url")]
    more = (signed if "opaque" in signed else {}) | ({"annotations": noted} if noted else {})
    return {"index": index, "type": part["type"], **more}
