"""The on-machine vendor: answers without a network, by small deterministic engines. It costs nothing.

It is routed to when pinned or when no other vendor is configured. Engines are imported when first used; one whose
packages are missing raises the NO_VENDOR_AVAILABLE failure that names the extra to install. They run in a few
threads, so the event loop stays free; a cancelled call is left at once and its thread runs out on its own.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from infrai_core.tokens import estimate
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import (
    Call,
    Event,
    File,
    Files,
    Finish,
    Fragment,
    Note,
    Ranking,
    Request,
    Transcript,
    Vectors,
)
from infrai_runtime.vendors.local.meaning import Meaning
from infrai_runtime.vendors.material import Material, as_text, kind_of, material

T = TypeVar("T")
Similarity = Callable[[str, Sequence[str]], Sequence[float]]

THREADS = 4
_PIECE = re.compile(r"\s*\S+|\s+$")
_CHAT_IGNORES = ("temperature", "top_p", "reasoning_effort")
_MEDIA = frozenset({"image", "audio", "video", "file"})


class Local:
    """Chat, vision, embeddings, images, speech, transcription, ranking and realtime sessions on this machine."""

    name = "local"

    def __init__(self, home: Path) -> None:
        """``home`` is where pulled models are kept."""
        self._home = home
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._minilm: Any = None
        self._meaning: Meaning | None = None
        self._describers: dict[str, Callable[[Material], str]] = {
            "image": _seen,
            "audio": _heard,
            "text": as_text,
            "pdf": _read,
        }

    async def close(self) -> None:
        """Nothing is held open."""

    async def _run(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)

    # -- chat and vision

    async def chat(self, request: Request, call: Call) -> AsyncIterator[Event]:
        """Answers from what the messages hold. The answer is whole before its first word leaves."""
        for note in _ignored(request, _CHAT_IGNORES):
            yield note
        messages, notes = await self._described(request["messages"], call)
        for note in notes:
            yield note
        answer = await self._run(partial(self._reply, messages, request, call.model))
        if answer.invented or answer.quotes:
            yield Note(invented=answer.invented, quotes=answer.quotes)
        async for fragment in _told(answer.parts):
            yield fragment
        yield Finish(answer.finish_reason, _usage(answer.prompt_tokens, answer.completion_tokens), call.model)

    def _reply(self, messages: Sequence[Mapping[str, Any]], request: Request, model: str) -> Any:
        from infrai_runtime.vendors.local.chat import reply

        thorough = not model.endswith("-fast")
        options = {name: request[name] for name in _REPLY_OPTIONS if name in request}
        return reply(messages, similarity=self._similarity() if thorough else None, thorough=thorough, **options)

    async def see(self, request: Request, call: Call) -> AsyncIterator[Event]:
        """Says what can be measured and read in the images."""
        for note in _ignored(request, ("temperature",)):
            yield note
        images = [(await material(m, call, f"images.{i}")).data for i, m in enumerate(request["images"])]
        sight = await self._run(partial(_look, images, request, call))
        pieces = _within(_pieces(sight.text), request.get("max_tokens"))
        text = "".join(pieces)
        async for fragment in _told([{"type": "text", "text": text}]):
            yield fragment
        reason = "stop" if len(text) == len(sight.text) else "length"
        yield Finish(reason, _usage(estimate(request["prompt"]), estimate(text)) | {"images": len(images)}, call.model)

    async def _described(self, messages: Sequence[Mapping[str, Any]], call: Call) -> tuple[list[Any], list[Note]]:
        """The messages with ``described`` in every media part that an engine could read, and what could not be."""
        notes: list[Note] = []
        described = []
        for index, message in enumerate(messages):
            parts = await self._described_parts(message["parts"], call, f"messages.{index}.parts", notes)
            described.append({**message, "parts": parts})
        return described, notes

    async def _described_parts(
        self, parts: Sequence[Mapping[str, Any]], call: Call, path: str, notes: list[Note]
    ) -> list[Mapping[str, Any]]:
        done: list[Mapping[str, Any]] = []
        for index, part in enumerate(parts):
            where = f"{path}.{index}"
            if part["type"] == "tool_result":
                inner = await self._described_parts(part["parts"], call, f"{where}.parts", notes)
                done.append({**part, "parts": inner})
            else:
                done.append(await self._described_part(part, call, where, notes) if part["type"] in _MEDIA else part)
        return done

    async def _described_part(
        self, part: Mapping[str, Any], call: Call, path: str, notes: list[Note]
    ) -> Mapping[str, Any]:
        if part.get("transcript"):
            return {**part, "described": part["transcript"]}
        found = await material(part, call, path)
        kind = kind_of(part, found)
        describe = self._describers.get(kind)
        if describe is None:
            notes.append(Note(warning=f"{path}: the on-machine model cannot read a {kind}; it was left out"))
            return part
        return {**part, "described": await self._run(partial(describe, found))}

    # -- vectors and ranking

    async def embed(self, request: Request, call: Call) -> Vectors:
        """Keyword vectors, or MiniLM's where that model was pulled and asked for."""
        texts: Sequence[str] = request["input"]
        vectors = await self._run(partial(self._vectors, texts, call.model, request.get("dimensions")))
        tokens = sum(map(estimate, texts))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens, "estimated": True}
        return Vectors(vectors, usage, _unused(request, ("input_type",)))

    def _vectors(self, texts: Sequence[str], model: str, dimensions: int | None) -> list[list[float]]:
        from infrai_runtime.vendors.local import keyword

        if model in keyword.MODELS:
            return keyword.embed(texts, dimensions or keyword.MODELS[model])
        minilm = self._loaded_minilm()
        if minilm is None:
            raise Failure(
                "NO_VENDOR_AVAILABLE", f"the model {model} is not on this machine", hint="infrai local pull minilm"
            )
        vectors: list[list[float]] = minilm.embed(texts)
        return vectors

    def _loaded_minilm(self) -> Any:
        if self._minilm is None:
            from infrai_runtime.vendors.local import minilm

            self._minilm = minilm.load(self._home)
        return self._minilm

    def unavailable(self) -> frozenset[str]:
        """Models of this vendor that cannot answer now: the sentence model until it was pulled."""
        from infrai_runtime.vendors.local import minilm

        return frozenset() if minilm.folder(self._home).is_dir() else frozenset({minilm.MODEL_ID})

    def _similarity(self) -> Similarity | None:
        """Cosines by MiniLM, where it was pulled."""
        model = self._loaded_minilm()
        if model is not None and self._meaning is None:
            self._meaning = Meaning(model)
        return self._meaning

    async def rerank(self, request: Request, call: Call) -> Ranking:
        """Candidates by shared words, letters and, with MiniLM, meaning."""
        results = await self._run(partial(self._ranked, request, call.model))
        tokens = estimate(request["query"]) + sum(map(estimate, request["candidates"]))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens, "search_units": 1, "estimated": True}
        return Ranking(results, usage)

    def _ranked(self, request: Request, model: str) -> list[tuple[int, float]]:
        from infrai_runtime.vendors.local.rerank import rerank, rerank_fast

        query, candidates, top_k = request["query"], request["candidates"], request.get("top_k")
        if model.endswith("-fast"):
            return rerank_fast(query, candidates, top_k=top_k)
        return rerank(query, candidates, top_k=top_k, similarity=self._similarity())

    # -- media

    async def draw(self, request: Request, call: Call) -> Files:
        """Pictures drawn from the words of the prompt; each is labelled with what it is."""
        pictures = await self._run(partial(_drawn, request, call.model.endswith("-fast")))
        files = [_picture_file(picture) for picture in pictures]
        return Files(files, {"images": len(files)}, _unused(request))

    async def speak(self, request: Request, call: Call) -> Files:
        """Speech by espeak-ng."""
        speech = await self._run(partial(_spoken, request, call.model.endswith("-fast")))
        about = {"format": speech.format, "seconds": speech.seconds, "voice": speech.voice}
        usage = {"characters": len(request["input"]), "audio_seconds": speech.seconds}
        return Files([File(speech.audio, speech.mime, about)], usage, _unused(request))

    async def listen(self, request: Request, call: Call) -> Transcript:
        """English speech as text, by pocketsphinx."""
        found = await material(request["audio"], call, "audio")
        heard = await self._run(
            partial(_transcribed, found.data, request.get("language"), call.model.endswith("-fast"))
        )
        segments = [{"start": s.start, "end": s.end, "text": s.text} for s in heard.segments]
        unused = _unused(request, ("prompt", "temperature", "timestamp_granularities"))
        return Transcript(heard.text, heard.language, segments, {"audio_seconds": heard.seconds}, unused)

    async def open(self, request: Request, call: Call) -> Mapping[str, Any]:
        """A session on this machine needs no relay: there are no ICE servers."""
        return {"ice_servers": []}


_REPLY_OPTIONS = (
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "max_tokens",
    "stop",
    "seed",
)


def _ignored(request: Request, names: Iterable[str]) -> list[Note]:
    return [Note(warning=warning) for warning in _unused(request, names)]


def _unused(request: Request, names: Iterable[str] = ()) -> list[str]:
    given = [name for name in names if name in request] + sorted(request.get("passthrough", ()))
    return [f"{name}: the on-machine model has no such option; it was not used" for name in given]


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    total = prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, "estimated": True}


# -- an answer as fragments --------------------------------------------------------------------------------------------


async def _told(parts: Sequence[Mapping[str, Any]]) -> AsyncIterator[Fragment]:
    for index, part in enumerate(parts):
        for piece in _fragments(part):
            yield Fragment(index, piece)
            await asyncio.sleep(0)  # lets the fragment leave before the next is made


def _fragments(part: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """A part in pieces of a word; the first has what identifies it, the last has the rest and ``done``."""
    kind = part["type"]
    grown = "arguments" if kind == "tool_call" else "text"
    rest = {name: value for name, value in part.items() if name not in (grown, "type", "id", "name")}
    pieces = _pieces(str(part.get(grown, ""))) or [""]
    for place, piece in enumerate(pieces):
        first = {name: part[name] for name in ("id", "name") if name in part} if place == 0 else {}
        last = {**rest, "done": True} if place == len(pieces) - 1 else {}
        yield {"type": kind, **first, grown: piece, **last}


def _pieces(text: str) -> list[str]:
    return _PIECE.findall(text)


def _within(pieces: Sequence[str], max_tokens: int | None) -> list[str]:
    """The pieces that fit into a token limit."""
    kept: list[str] = []
    left: float = math.inf if max_tokens is None else max_tokens
    for piece in pieces:
        left -= estimate(piece)
        if left < 0:
            break
        kept.append(piece)
    return kept


# -- engines, each imported when first used ----------------------------------------------------------------------------


def _look(images: Sequence[bytes], request: Request, call: Call) -> Any:
    from infrai_runtime.vendors.local.sight import look

    return look(images, request["prompt"], read_text=not call.model.endswith("-fast"), limit_s=call.deadline_s)


def _seen(found: Material) -> str:
    from infrai_runtime.vendors.local.sight import look

    return str(look([found.data], "Describe this image.").text)


def _transcribed(data: bytes, language: str | None, fast: bool) -> Any:
    from infrai_runtime.vendors.local.transcribe import transcribe

    return transcribe(data, language=language, fast=fast)


def _heard(found: Material) -> str:
    return str(_transcribed(found.data, None, False).text)


def _read(found: Material) -> str:
    from infrai_runtime.vendors.local.read_pdf import text_of

    return text_of(found.data)


def _drawn(request: Request, fast: bool) -> Any:
    from infrai_runtime.vendors.local.draw import draw

    return draw(request["prompt"], size=request.get("size"), n=request.get("n", 1), fast=fast)


def _picture_file(picture: Any) -> File:
    return File(picture.png, "image/png", {"width": picture.width, "height": picture.height, "label": picture.label})


def _spoken(request: Request, fast: bool) -> Any:
    from infrai_runtime.vendors.local.speech import speak

    options = {name: request[name] for name in ("voice", "format", "speed") if name in request}
    return speak(request["input"], fast=fast, **options)
