"""Embeddings, images, transcription and ranking of this dialect."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from infrai_core.fetch import FetchFailed, FetchRefused
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, File, Files, Ranking, Request, Transcript, Vectors
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.form import Upload
from infrai_runtime.vendors.http import Http
from infrai_runtime.vendors.material import MAX_MEDIA_BYTES, material
from infrai_runtime.vendors.openai_like.chat import Base
from infrai_runtime.vendors.openai_like.row import PROTECTED
from infrai_runtime.vendors.openai_like.usage import cost_of, usage_of
from infrai_runtime.vendors.vector import vector

Json = dict[str, Any]


def options(request: Request, call: Call) -> Json:
    passed = {name: value for name, value in request.get("passthrough", {}).items() if name not in PROTECTED}
    return passed | dict(call.options)


async def fetched(
    http: Http, url: str, call: Call, kind: str, about: Mapping[str, Any], max_bytes: int = MAX_MEDIA_BYTES
) -> File:
    """The file behind a link that a vendor gave, at once, because such links do not live long."""
    try:
        found = await call.fetcher.get(url, max_bytes=max_bytes, timeout_s=call.deadline_s)
    except (FetchRefused, FetchFailed) as error:
        raise http.broken(f"the {kind} that it made could not be fetched ({error.reason})") from None
    return File(found.data, found.mime, about)


def native(http: Http) -> Http:
    """The way to DashScope's own interface, which stands beside its compatible one."""
    return http.beside(f"{re.sub(r'(/compatible-mode)?/v1$', '', http.endpoint.base_url)}/api/v1")


# -- https://platform.openai.com/docs/api-reference/embeddings


class Embeds(Base):
    """Makes vectors."""

    async def embed(self, request: Request, call: Call) -> Vectors:
        """One vector per input, in input order, by as many calls as the vendor's limit of texts needs."""
        texts, most = request["input"], self.row.most_texts
        made = [await self._made(texts[start : start + most], request, call) for start in range(0, len(texts), most)]
        names = {name for one in made for name in one.usage}
        usage = {name: sum(one.usage.get(name, 0) for one in made) for name in names}
        vectors = [found for one in made for found in one.vectors]
        return Vectors(vectors, usage if all(one.usage for one in made) else {}, unused(request, self.name))

    async def _made(self, texts: Sequence[str], request: Request, call: Call) -> Vectors:
        body = {"model": self.model(call), "input": texts, **options(request, call)}
        if "dimensions" in request:
            body["dimensions"] = request["dimensions"]
        if self.row.vectors:
            body["encoding_format"] = self.row.vectors
        answer = await self.http.post(self.path(self.row.embed, call), body, call)
        with documented(self.http):
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors = [vector(row["embedding"], self.row.vectors == "base64_int8") for row in rows]
        if len(vectors) != len(texts):
            raise self.http.broken(f"{len(vectors)} vectors came for {len(texts)} inputs")
        return Vectors(vectors, usage_of(answer.get("usage")) or {})


def unused(request: Request, who: str) -> list[str]:
    """What is said of ``input_type`` where nothing can be made of it."""
    return [f"input_type: {who} has no such option; not used"] if "input_type" in request else []


# -- https://platform.openai.com/docs/api-reference/images/create


class Draws(Base):
    """Makes images."""

    async def draw(self, request: Request, call: Call) -> Files:
        """``n`` images; where the vendor gives links, they are fetched at once, because they do not live long."""
        body: Json = {"model": self.model(call), "prompt": request["prompt"], "n": request.get("n", 1)}
        warnings = [] if "size" not in request else _size(body, request["size"], self.row.image_size)
        wanted = self.row.image_format or ("b64_json" if call.model.startswith("dall-e") else "")
        if wanted:
            body["response_format"] = wanted
        answer = await self.http.post(self.path(self.row.draw, call), body | options(request, call), call)
        with documented(self.http):
            rows = list(answer["data"])
            files = [await self._image(row, call) for row in rows]
        if not files:
            raise self.http.broken("no image came")
        usage = _image_usage(answer.get("usage")) | {"images": len(files)}
        return Files(files, usage, warnings, cost_of(answer.get("usage"), self.row.cost, self.row.cost_units))

    async def _image(self, row: Mapping[str, Any], call: Call) -> File:
        prompt = {"revised_prompt": row["revised_prompt"]} if row.get("revised_prompt") else {}
        if row.get("b64_json"):
            data = base64.b64decode(row["b64_json"])
            return File(data, _image_mime(data), prompt)
        return await self._fetched(row["url"], call, prompt)

    async def _fetched(self, url: str, call: Call, about: Mapping[str, Any]) -> File:
        return await fetched(self.http, url, call, "image", about)


class DrawsInMessages(Draws):
    """Makes images by DashScope's own interface, which stands beside its compatible one and puts them into messages
    (https://www.alibabacloud.com/help/en/model-studio/qwen-image-api, "Synchronous API")."""

    async def draw(self, request: Request, call: Call) -> Files:
        """``n`` images, as few calls as the model allows."""
        n, most = request.get("n", 1), _MOST_IN_ONE if re.search(_SEVERAL, call.model) else 1
        counts = [min(most, n - start) for start in range(0, n, most)]
        http = native(self.http)
        bodies = [self._body(request, call, count) for count in counts]
        answers = await asyncio.gather(*(http.post(self.row.draw, body, call) for body in bodies))
        with documented(self.http):
            rows = [row for answer in answers for row in _pictures(answer)]
            files = [await self._fetched(row["image"], call, {}) for row in rows]
        if not files:
            raise self.http.broken("no image came")
        return Files(files, {"images": len(files)})

    def _body(self, request: Request, call: Call, count: int) -> Json:
        size = {"size": request["size"].replace("x", "*")} if "size" in request else {}
        messages = [{"role": "user", "content": [{"text": request["prompt"]}]}]
        parameters = {"n": count, **size, **options(request, call)}
        return {"model": self.model(call), "input": {"messages": messages}, "parameters": parameters}


_SEVERAL = r"^qwen-image-[2-9]"
_MOST_IN_ONE = 6
"""What the models of the second range on make in one call; those before make one image."""


def _pictures(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = [choice["message"] for choice in answer["output"]["choices"]]
    return [part for message in messages for part in message["content"] if "image" in part]


def _size(body: Json, size: str, form: str) -> list[str]:
    if form == "size":
        body["size"] = size
    elif form == "width_height":
        body["width"], body["height"] = map(int, size.split("x"))
    else:
        return ["size: this vendor chooses the size by itself; it was not used"]
    return []


def _image_mime(data: bytes) -> str:
    known = ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg"), (b"RIFF", "image/webp"), (b"GIF8", "image/gif"))
    return next((mime for start, mime in known if data.startswith(start)), "application/octet-stream")


def _image_usage(given: Any) -> Json:
    """``input_tokens`` and ``output_tokens``, where images are priced by token."""
    if not isinstance(given, Mapping) or not isinstance(given.get("input_tokens"), int):
        return {}
    return {"prompt_tokens": given["input_tokens"], "completion_tokens": given.get("output_tokens") or 0}


# -- https://platform.openai.com/docs/api-reference/audio


class Listens(Base):
    """Transcribes."""

    async def listen(self, request: Request, call: Call) -> Transcript:
        """The transcript; segments and language where the model tells them."""
        sound = await material(request["audio"], call, "audio")
        fields = [("model", self.model(call)), *self._asked(request, call)]
        mark = "[]" if self.row.listens_as == "openai" else ""
        fields += [row for name, value in options(request, call).items() for row in _field(name, value, mark)]
        upload = Upload("file", f"audio.{_extension(sound.mime)}", sound.data, sound.mime or "application/octet-stream")
        answer = await self.http.post_form(self.path(self.row.listen, call), fields, [upload], call)
        with documented(self.http):
            return _transcript(answer, request.get("language"), list(self._unused(request, call)))

    def _asked(self, request: Request, call: Call) -> Iterator[tuple[str, str]]:
        verbose = self._verbose(call)
        form = "" if self.row.listens_as == "xai" else self._format(request, call)
        if self.row.listens_as == "openai":
            yield "response_format", form
        for name in self._taken(call):
            if name in request:
                yield name, str(request[name])
        if verbose:
            for kind in request.get("timestamp_granularities", ("segment",)):
                yield "timestamp_granularities[]", kind
        if self._diarizes(call) and not any(name.startswith(_CHUNKING) for name in options(request, call)):
            yield _CHUNKING, "auto"

    def _format(self, request: Request, call: Call) -> str:
        if not request.get("diarize"):
            return "verbose_json" if self._verbose(call) else "json"
        if self._diarizes(call):
            return "diarized_json"
        message = f"response_format: came 'diarized_json', {call.model} does not tell speakers"
        raise Failure("UNSUPPORTED_CAPABILITY", message, param="response_format")

    def _taken(self, call: Call) -> list[str]:
        lost = {"prompt"} if self._diarizes(call) else set()
        return [name for name in ("language", "prompt", "temperature") if name in self.row.listens_to - lost]

    def _verbose(self, call: Call) -> bool:
        return re.search(self.row.verbose, call.model) is not None

    def _diarizes(self, call: Call) -> bool:
        return re.search(self.row.diarizes, call.model) is not None

    def _unused(self, request: Request, call: Call) -> Iterator[str]:
        taken = self._taken(call)
        for name in ("language", "prompt", "temperature"):
            if name in request and name not in taken:
                yield f"{name}: this vendor has no such option; not used"
        if "timestamp_granularities" in request and self.row.listens_as != "xai" and not self._verbose(call):
            yield f"timestamp_granularities: {call.model} tells no times; not used"


_CHUNKING = "chunking_strategy"
"""What a model that tells speakers has to be given for more than half a minute of sound
(https://platform.openai.com/docs/guides/speech-to-text#speaker-diarization)."""


def _field(name: str, value: Any, mark: str) -> Iterator[tuple[str, str]]:
    """An option as fields of a form: a list is several of one name, with a ``mark`` behind it."""
    several = isinstance(value, list)
    for one in value if several else [value]:
        said = orjson.dumps(one).decode() if isinstance(one, bool | dict) else str(one)
        yield f"{name}{mark if several else ''}", said


def _transcript(answer: Mapping[str, Any], asked: str | None, warnings: Sequence[str]) -> Transcript:
    segments = [_segment(row) for row in answer.get("segments") or ()]
    words = [_word(row) for row in answer.get("words") or ()]
    language = answer.get("language") or asked
    tokens = answer.get("logprobs") or ()
    return Transcript(str(answer["text"]), language, segments, _sound_usage(answer), warnings, words, tokens)


def _segment(row: Mapping[str, Any]) -> Json:
    speaker = {"speaker": str(row["speaker"])} if "speaker" in row else {}
    return {name: row[name] for name in ("start", "end", "text")} | speaker


def _word(row: Mapping[str, Any]) -> Json:
    """A word and its times; xAI calls it ``text``, and names its speaker where that was asked for."""
    speaker = {"speaker": row["speaker"]} if "speaker" in row else {}
    return {"start": row["start"], "end": row["end"], "word": row["word"] if "word" in row else row["text"], **speaker}


def _sound_usage(answer: Mapping[str, Any]) -> Json:
    """Seconds (``duration``, or ``usage`` of type ``duration``), or tokens."""
    given = answer.get("usage") if isinstance(answer.get("usage"), Mapping) else {}
    assert isinstance(given, Mapping)
    seconds = given.get("seconds", given.get("prompt_audio_seconds", answer.get("duration")))
    usage: Json = {} if seconds is None else {"audio_seconds": float(seconds)}
    if isinstance(given.get("input_tokens"), int):
        usage |= {"prompt_tokens": given["input_tokens"], "completion_tokens": given.get("output_tokens") or 0}
    return usage


_EXTENSIONS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "mp4": "m4a", "x-m4a": "m4a"}


def _extension(mime: str | None) -> str:
    """The vendor tells the format by the file's name."""
    kind = (mime or "audio/wav").partition("/")[2].partition(";")[0]
    return _EXTENSIONS.get(kind, kind if kind.isalnum() else "wav")


# -- https://docs.together.ai/reference/rerank-1 and others, after Cohere


class Reranks(Base):
    """Orders candidates."""

    async def rerank(self, request: Request, call: Call) -> Ranking:
        """Candidates by relevance, best first."""
        body: Json = {"model": self.model(call), "query": request["query"], "documents": list(request["candidates"])}
        if "top_k" in request:
            body["top_n"] = request["top_k"]
        answer = await self.http.post(self.path(self.row.rerank, call), body | options(request, call), call)
        with documented(self.http):
            rows: Any = answer.get("results", answer.get("data"))
            found = [(int(row["index"]), float(row["relevance_score"])) for row in rows]
        if any(not 0 <= index < len(request["candidates"]) for index, _ in found):
            raise self.http.broken("it ranked a candidate that was not given")
        return Ranking(
            sorted(found, key=lambda row: -row[1]), (usage_of(answer.get("usage")) or {}) | {"search_units": 1}
        )
