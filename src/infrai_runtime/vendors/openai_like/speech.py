"""Speech of this dialect, and of the two vendors that have an interface of their own for it beside the dialect's."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, File, Files, Request, Sound
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.openai_like.chat import Base
from infrai_runtime.vendors.openai_like.media import fetched, native, options
from infrai_runtime.vendors.openai_like.row import Row
from infrai_runtime.vendors.voice import OPENAI_VOICES, voice_of

Json = dict[str, Any]


@dataclass(slots=True)
class Wanted:
    """A sound as it is asked for: its format, its voice where one is named, and what the caller should know."""

    form: str
    voice: str
    warnings: list[str] = field(default_factory=list)

    @property
    def about(self) -> Json:
        """What is kept with the file."""
        return {"format": self.form} | ({"voice": self.voice} if self.voice else {})

    def lacks_speed(self) -> None:
        """Tells that the speed cannot be chosen."""
        self.warnings.append("speed: this vendor has no such option; not used")

    def speed_within(self, speed: float, low: float, high: float) -> float:
        """The nearest speed that there is, with a warning where it is another one."""
        near = min(max(speed, low), high)
        if near != speed:
            self.warnings.append(f"speed: this vendor's goes from {low} to {high}; {near} was used")
        return near


def wanted(request: Request, formats: Set[str], voice: str, own_voices: bool = False) -> Wanted:
    """A format that the vendor lacks is replaced by one that it has, with a warning; so is a voice of OpenAI's, unless
    the vendor has those as its own."""
    asked = request.get("format", "mp3")
    form = _format(asked, formats)
    told = [] if form == asked else [f"format: this vendor has no {asked}; the sound is {form}"]
    named, replaced = (request.get("voice", voice), []) if own_voices else voice_of(request, voice)
    return Wanted(form, named, [*told, *replaced])


def _format(asked: str, have: Set[str]) -> str:
    same = {"ogg": "opus"}.get(asked, asked)  # opus in ogg is what they call opus
    return same if same in have else ("mp3" if "mp3" in have else min(have))


# -- bodies -----------------------------------------------------------------------------------------------------------


def _openai(row: Row, request: Request, sound: Wanted, model: str) -> Json:
    """https://platform.openai.com/docs/api-reference/audio/createSpeech"""
    body: Json = {"model": model, "input": request["input"], "response_format": sound.form}
    if sound.voice:
        body[row.voice_field] = sound.voice
    if "speed" in request:
        body["speed"] = request["speed"]
    return body


def _mistral(row: Row, request: Request, sound: Wanted, model: str) -> Json:
    """https://docs.mistral.ai/api/endpoint/audio/speech"""
    body = _openai(row, request, sound, model)
    if body.pop("speed", None) is not None:
        sound.lacks_speed()
    return body


XAI_SPEEDS = (0.7, 1.5)


def _xai(row: Row, request: Request, sound: Wanted, model: str) -> Json:
    """https://docs.x.ai/developers/model-capabilities/audio/text-to-speech: there is one model, which is not named. The
    language is required; ``auto`` is the way to say that none was given."""
    body = {
        "text": request["input"],
        "voice_id": sound.voice,
        "language": "auto",
        "output_format": {"codec": sound.form},
    }
    if "speed" in request:
        body["speed"] = sound.speed_within(request["speed"], *XAI_SPEEDS)
    return body


_BODIES: dict[str, Callable[[Row, Request, Wanted, str], Json]] = {"openai": _openai, "mistral": _mistral, "xai": _xai}


# -- vendors ----------------------------------------------------------------------------------------------------------


class _Speech(Base):
    def _speech(self, request: Request, call: Call) -> tuple[Json, Wanted]:
        sound = wanted(request, self.row.speech_formats, self.row.voice, self.row.voice in OPENAI_VOICES)
        body = _BODIES[self.row.speaks_as](self.row, request, sound, self.model(call))
        return body | options(request, call), sound

    def _file(self, sound: Wanted, data: bytes, mime: str) -> File:
        if not data:
            raise self.http.broken("its answer is no sound")
        return File(data, _SOUNDS.get(sound.form, mime), sound.about)


class SpeaksInJson(_Speech):
    """Makes speech, which comes in base64."""

    async def speak(self, request: Request, call: Call) -> Files:
        """One sound file."""
        body, sound = self._speech(request, call)
        answer = await self.http.post(self.path(self.row.speak, call), body, call)
        with documented(self.http):
            data = base64.b64decode(answer[self.row.sound_field], validate=True)
        return Files([self._file(sound, data, "application/octet-stream")], _spoken(request), sound.warnings)


class Speaks(_Speech):
    """Makes speech."""

    async def speak(self, request: Request, call: Call) -> Files:
        """One sound file."""
        body, sound = self._speech(request, call)
        reply = await self.http.post_for_bytes(self.path(self.row.speak, call), body, call)
        if not _is_sound(reply.mime):
            raise self.http.broken("its answer is no sound")
        return Files([self._file(sound, reply.data, reply.mime)], _spoken(request), sound.warnings)

    async def speak_along(self, request: Request, call: Call) -> Sound:
        """The same as it is made: the vendor sends its sound in chunks."""
        body, sound = self._speech(request, call)
        mime, pieces = await self.http.post_for_pieces(self.path(self.row.speak, call), body, call)
        if not _is_sound(mime):
            await pieces.aclose()
            raise self.http.broken("its answer is no sound")
        return Sound(_SOUNDS.get(sound.form, mime), pieces, _spoken(request), sound.warnings)


class SpeaksByLink(Base):
    """Makes speech by DashScope's own interface, whose answers are links to the sound. Its two families of models are
    asked in different ways."""

    async def speak(self, request: Request, call: Call) -> Files:
        """One sound file."""
        family = _family(call.model)
        sound = wanted(request, family.formats, family.voice(call.model))
        said = family.asked(request, sound) | options(request, call)
        body = {"model": self.model(call), "input": {"text": request["input"], "voice": sound.voice, **said}}
        answer = await native(self.http).post(family.path, body, call)
        with documented(self.http):
            link, usage = str(answer["output"]["audio"]["url"]), _counted(answer.get("usage") or {}, request)
        found = await fetched(self.http, link, call, "sound", {})
        if not found.data or not _is_sound(found.mime):
            raise self.http.broken("its answer is no sound")
        return Files([File(found.data, _SOUNDS[sound.form], sound.about)], usage, sound.warnings)


@dataclass(frozen=True, slots=True)
class _Family:
    path: str
    formats: Set[str]
    voices: Mapping[str, str]
    """The beginning of a model's name -> the voice of who names none."""
    asked: Callable[[Request, Wanted], Json]

    def voice(self, model: str) -> str:
        return next((voice for start, voice in self.voices.items() if model.startswith(start)), "")


def _qwen_tts(request: Request, sound: Wanted) -> Json:
    if "speed" in request:
        sound.lacks_speed()
    return {}


QWEN_AUDIO_SPEEDS = (0.5, 2.0)


def _qwen_audio(request: Request, sound: Wanted) -> Json:
    if not sound.voice:
        raise Failure("INVALID_REQUEST", "voice is missing: this model has none of its own choice", param="voice")
    rate = {"rate": sound.speed_within(request["speed"], *QWEN_AUDIO_SPEEDS)} if "speed" in request else {}
    return {"format": sound.form, **rate}


_QWEN_TTS = _Family(
    "/services/aigc/multimodal-generation/generation", frozenset({"wav"}), {"qwen": "Cherry"}, _qwen_tts
)
"""https://www.alibabacloud.com/help/en/model-studio/qwen-tts-api"""
_QWEN_AUDIO = _Family(
    "/services/audio/tts/SpeechSynthesizer",
    frozenset({"mp3", "pcm", "wav", "opus"}),
    {"qwen-audio-3.1": "longanhuan_v3.1"},
    _qwen_audio,
)
"""https://www.alibabacloud.com/help/en/model-studio/qwen-audio-tts-http-api; a voice belongs to a model's version."""


def _family(model: str) -> _Family:
    return _QWEN_AUDIO if model.startswith(("qwen-audio-", "cosyvoice-")) else _QWEN_TTS


def _counted(usage: Mapping[str, Any], request: Request) -> Json:
    """Characters, and tokens where the model is billed by them."""
    tokens = {"prompt_tokens": usage.get("input_tokens"), "completion_tokens": usage.get("output_tokens")}
    billed = tokens if all(isinstance(count, int) for count in tokens.values()) and any(tokens.values()) else {}
    return {"characters": int(usage.get("characters") or len(request["input"])), **billed}


def _spoken(request: Request) -> Json:
    return {"characters": len(request["input"])}


def _is_sound(mime: str) -> bool:
    return mime != "application/json" and not mime.startswith("text/")


_SOUNDS = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
