"""Images, speech and transcripts, which Gemini makes by ``generateContent`` with other modalities.

https://ai.google.dev/gemini-api/docs/image-generation, https://ai.google.dev/gemini-api/docs/speech-generation,
https://ai.google.dev/gemini-api/docs/audio
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infrai_runtime.assembly import Assembly
from infrai_runtime.vendors.base import File, Request, Transcript
from infrai_runtime.vendors.gemini.answer import usage_of
from infrai_runtime.vendors.gemini.request import with_options
from infrai_runtime.vendors.local.audio import MIME, duration_s, encode
from infrai_runtime.vendors.material import Material
from infrai_runtime.vendors.voice import voice_of

Json = dict[str, Any]

VOICE = "Kore"
RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_SIZES = {"1K": 1024, "2K": 2048, "4K": 4096}
_RATE = re.compile(r"rate=(\d+)")
_RATE_HZ = 24_000
_TRANSCRIBE = "Transcribe the recording word for word. Answer with the transcript only."


def _prompted(text: str, config: Json, options: Mapping[str, Any]) -> Json:
    return with_options({"contents": [{"role": "user", "parts": [{"text": text}]}]}, config, options)


# -- images ------------------------------------------------------------------------------------------------------------


def image_body(request: Request, options: Mapping[str, Any]) -> tuple[Json, list[str]]:
    """The body for an image, and a warning when its size can only be near the one asked for."""
    shape, warnings = _shape(request.get("size"))
    config = {"responseModalities": ["IMAGE"], **({"imageConfig": shape} if shape else {})}
    return _prompted(request["prompt"], config, options), [*warnings, *unused(request, ())]


def _shape(size: str | None) -> tuple[Json, list[str]]:
    """A size in pixels as the nearest aspect ratio and size class; the usual class goes without saying, because the
    first image model knows none."""
    if size is None:
        return {}, []
    width, height = map(int, size.split("x"))
    ratio = min(RATIOS, key=lambda name: abs(_proportion(name) - width / height))
    longest = min(_SIZES, key=lambda name: abs(_SIZES[name] - max(width, height)))
    shape = {"aspectRatio": ratio} | ({"imageSize": longest} if longest != "1K" else {})
    exact = width * int(ratio.partition(":")[2]) == height * int(ratio.partition(":")[0])
    told = f"size: Gemini knows aspect ratios and 1K, 2K, 4K; {ratio} at {longest} was asked for"
    return shape, [] if exact and max(width, height) in _SIZES.values() else [told]


def _proportion(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return int(width) / int(height)


def files_of(parts: Iterable[Mapping[str, Any]], kind: str) -> list[File]:
    """The images or sounds among the parts of an answer."""
    return [File(base64.b64decode(part["base64"]), part["mime"]) for part in parts if part["type"] == kind]


def summed(answers: Sequence[Assembly]) -> Json:
    """What several answers used together."""
    totals: Counter[str] = Counter()
    for answer in answers:
        usage = (answer.finish.usage if answer.finish else None) or {}
        totals.update({name: value for name, value in usage.items() if isinstance(value, int)})
    return dict(totals)


# -- speech ------------------------------------------------------------------------------------------------------------


def speech_body(request: Request, options: Mapping[str, Any]) -> tuple[Json, list[str]]:
    """The body for speech, and warnings: for a speed, which Gemini takes in words of the text only, for a voice of
    another vendor, for what only others know."""
    name, replaced = voice_of(request, VOICE)
    voice = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}
    config = {"responseModalities": ["AUDIO"], "speechConfig": voice}
    lost = unused(request, ["speed"] if request.get("speed", 1) != 1 else [])
    return _prompted(request["input"], config, options), [*replaced, *lost]


def unused(request: Request, names: Iterable[str]) -> list[str]:
    """What is said of the options among these that were given, and of those that only others know."""
    given = [name for name in names if name in request] + sorted(request.get("passthrough", ()))
    return [f"{name}: Gemini has no such option; not used" for name in given]


def formatted(sound: File, format: str) -> File:
    """Gemini's samples (``audio/L16;codec=pcm;rate=24000``: 16 bit, little endian, one channel) as a file.

    Raises what ``vendors.local.audio.encode`` raises; wav and pcm need no further package.
    """
    found = _RATE.search(sound.mime)
    rate = int(found[1]) if found else _RATE_HZ
    seconds = round(duration_s(sound.data, rate), 3)
    return File(encode(sound.data, rate, format), MIME[format], {"format": format, "seconds": seconds})


# -- transcripts -------------------------------------------------------------------------------------------------------


def listen_body(heard: Material, request: Request, options: Mapping[str, Any]) -> Json:
    """The body for a transcript. Models made for it answer with transcription parts, others with text."""
    data = {"inlineData": {"mimeType": heard.mime, "data": base64.b64encode(heard.data).decode()}}
    language = {"languageCodes": [request["language"]]} if "language" in request else {}
    contents = [{"role": "user", "parts": [data, {"text": _TRANSCRIBE}]}]
    return with_options({"contents": contents}, {"audioTranscriptionConfig": language}, options)


def transcript_of(response: Mapping[str, Any], request: Request) -> Transcript:
    """What was heard, and what of the request the API has no words for."""
    parts = response["candidates"][0]["content"]["parts"]
    spoken = [part["audioTranscription"] for part in parts if "audioTranscription" in part]
    texts = [row["text"] for row in spoken] or [part.get("text", "") for part in parts if not part.get("thought")]
    language = next((row["languageCode"] for row in spoken if row.get("languageCode")), None)
    usage = usage_of(response.get("usageMetadata"), {}) or {}
    segments = [_segment(row) for row in spoken if "endOffset" in row]
    lost = unused(request, ("prompt", "temperature", "timestamp_granularities"))
    return Transcript(" ".join(texts).strip(), language, segments, usage, lost)


def _segment(row: Mapping[str, Any]) -> Json:
    start, end = (float(str(row.get(name, "0s")).removesuffix("s")) for name in ("startOffset", "endOffset"))
    speaker = {"speaker": row["speakerLabel"]} if row.get("speakerLabel") else {}
    return {"start": start, "end": end, "text": row["text"], **speaker}
