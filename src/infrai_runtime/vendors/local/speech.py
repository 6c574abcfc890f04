"""Text to speech on this machine: espeak-ng's formant voices. Clear, fast, plainly synthetic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local import audio
from infrai_runtime.vendors.local.espeak import ESPEAK

MAX_CHARACTERS = 4096
SPEEDS = (0.25, 4.0)
PCM_RATE_HZ = 24_000
"""Raw ``pcm`` is written at this rate, because clients of the OpenAI surface take it as given."""

_WORDS_PER_MINUTE = 165
_ESPEAK_RATES = (80, 450)
_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Timing:
    """One spoken word and when it is heard, in seconds from the start."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Speech:
    """An audio file, its MIME type, format, length, the voice that was used, and the times of its words."""

    audio: bytes
    mime: str
    format: str
    seconds: float
    voice: str
    timings: tuple[Timing, ...] = ()


PERSONAS: dict[str, tuple[str, int]] = {
    "alloy": ("f1", 45),
    "ash": ("m1", 40),
    "ballad": ("m4", 50),
    "cedar": ("m6", 38),
    "coral": ("f2", 60),
    "echo": ("m3", 45),
    "fable": ("m2", 60),
    "marin": ("f5", 45),
    "nova": ("f3", 60),
    "onyx": ("m7", 25),
    "sage": ("f4", 45),
    "shimmer": ("f5", 65),
    "verse": ("m5", 50),
}
"""The OpenAI API's voice names: an espeak-ng variant and a pitch. They speak the text's language."""

LANGUAGES: dict[str, str] = {
    "ar": "ar",
    "bg": "bg",
    "ca": "ca",
    "cmn": "cmn",
    "cs": "cs",
    "da": "da",
    "de": "de",
    "el": "el",
    "en": "en-us",
    "en-gb": "gmw/en",
    "en-us": "en-us",
    "es": "es",
    "es-419": "es-419",
    "fa": "fa",
    "fi": "fi",
    "fr": "fr",
    "he": "he",
    "hi": "hi",
    "hu": "hu",
    "id": "id",
    "it": "it",
    "ja": "ja",
    "ko": "ko",
    "nl": "nl",
    "no": "nb",
    "pl": "pl",
    "pt": "pt",
    "pt-br": "pt-br",
    "ro": "ro",
    "ru": "ru",
    "sv": "sv",
    "tr": "tr",
    "uk": "uk",
    "vi": "vi",
    "yue": "yue",
    "zh": "cmn",
    "zh-cn": "cmn",
}
"""Language voices: the name to ask for, and espeak-ng's own name."""

_SCRIPTS = (
    (re.compile(r"[\u3040-\u30ff]"), "ja"),
    (re.compile(r"[\uac00-\ud7af]"), "ko"),
    (re.compile(r"[\u3400-\u9fff]"), "cmn"),
    (re.compile(r"[\u0400-\u04ff]"), "ru"),
    (re.compile(r"[\u0600-\u06ff]"), "ar"),
    (re.compile(r"[\u0590-\u05ff]"), "he"),
    (re.compile(r"[\u0900-\u097f]"), "hi"),
    (re.compile(r"[\u0370-\u03ff]"), "el"),
)
_UNSPEAKABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff]+")


def speak(
    text: str,
    *,
    voice: str | None = None,
    format: str = "mp3",
    speed: float = 1.0,
    fast: bool = False,
) -> Speech:
    """``text`` as an audio file.

    ``voice`` is a key of `PERSONAS` or `LANGUAGES`; without one, or with a persona, the language follows
    from the text's script. ``speed`` is 0.25 to 4; the engine itself speaks 80 to 450 words per minute.
    ``fast`` makes the mp3 encoder quicker. The same text may give slightly different bytes each time.
    Raises INVALID_REQUEST naming the field, PAYLOAD_TOO_LARGE above 4096 characters, NO_VENDOR_AVAILABLE
    when espeak-ng is not installed.
    """
    spoken = _checked_text(text)
    _check_options(format, speed)
    engine_voice, pitch = _engine_voice(voice, spoken)
    request = {
        "text": spoken,
        "voice": engine_voice,
        "words_per_minute": _clamp(round(_WORDS_PER_MINUTE * speed), *_ESPEAK_RATES),
        "pitch": pitch,
    }
    head, pcm = ESPEAK.ask(request, b"", _LIMIT_S)
    if "error" in head:
        raise Failure("VENDOR_ERROR", head["error"])
    if not pcm:
        raise Failure("INVALID_REQUEST", "input has nothing that can be spoken", param="input")
    return _as_speech(pcm, head, spoken, voice or engine_voice, format, fast)


def _as_speech(pcm: bytes, head: dict[str, Any], text: str, voice: str, format: str, fast: bool) -> Speech:
    rate_hz = int(head["rate_hz"])
    seconds = audio.duration_s(pcm, rate_hz)
    if format == "pcm":
        pcm, rate_hz = audio.resample(pcm, rate_hz, PCM_RATE_HZ), PCM_RATE_HZ
    data = audio.encode(pcm, rate_hz, format, fast=fast)
    return Speech(data, audio.MIME[format], format, seconds, voice, _timings(head["words"], text, seconds))


def _timings(words: list[list[int]], text: str, seconds: float) -> tuple[Timing, ...]:
    starts = [start_ms / 1000 for start_ms, _, _ in words] + [seconds]
    spans = pairwise(starts)
    pieces = [text[place : place + length] for _, place, length in words]
    return tuple(Timing(piece, start, end) for piece, (start, end) in zip(pieces, spans, strict=True) if piece)


def _checked_text(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        message = f"input has {len(text)} characters; at most {MAX_CHARACTERS} are spoken in one request"
        raise Failure("PAYLOAD_TOO_LARGE", message, param="input")
    spoken = _UNSPEAKABLE.sub(" ", text)
    if not spoken.strip():
        raise Failure("INVALID_REQUEST", "input is empty", param="input")
    return spoken


def _check_options(format: str, speed: float) -> None:
    if format not in audio.MIME:
        allowed = ", ".join(audio.MIME)
        raise Failure("INVALID_REQUEST", f"format {format!r} is not one of {allowed}", param="format")
    low, high = SPEEDS
    if not low <= speed <= high:
        raise Failure("INVALID_REQUEST", f"speed {speed!r} is not within {low} to {high}", param="speed")


def _engine_voice(voice: str | None, text: str) -> tuple[str, int]:
    """espeak-ng's name for ``voice`` and the pitch (0 to 99) to speak with."""
    if voice is None:
        return _language_of(text), 50
    name = voice.lower()
    if name in PERSONAS:
        variant, pitch = PERSONAS[name]
        return f"{_language_of(text)}+{variant}", pitch
    if name in LANGUAGES:
        return LANGUAGES[name], 50
    allowed = ", ".join((*PERSONAS, *LANGUAGES))
    raise Failure("INVALID_REQUEST", f"voice {voice!r} is not one of {allowed}", param="voice")


def _language_of(text: str) -> str:
    return next((name for script, name in _SCRIPTS if script.search(text)), "en-us")


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))
