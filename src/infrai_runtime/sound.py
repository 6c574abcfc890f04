"""Speech as it is made: a vendor's bytes in, frames out.

The frames are the sound's own bytes, where nothing but a broken connection can say that the rest is missing, or
OpenAI's events, which have an end mark (https://platform.openai.com/docs/api-reference/audio/speech-audio-delta-event).
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.openai_surface import infrai_of
from infrai_runtime.request import Ask
from infrai_runtime.vendors.base import Call, Sound, Speaks, SpeaksAlong, Vendor
from infrai_runtime.wire import Json, frame

EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class OpenedSound:
    """A sound that has begun: its first bytes, and the rest."""

    sound: Sound
    first: bytes

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """All bytes in order; closing it ends the vendor's work."""
        async with aclosing(self.sound.pieces) as rest:
            yield self.first
            async for piece in rest:
                yield piece


async def open_sound(vendor: Vendor, ask: Ask, call: Call) -> OpenedSound:
    """Reads a sound up to its first bytes, so that until then another vendor can take over. The caller closes it. A
    vendor that does not give out what it has so far gives all of it at once."""
    sound = (
        await vendor.speak_along(ask.body, call) if isinstance(vendor, SpeaksAlong) else await _all(vendor, ask, call)
    )
    try:
        async for piece in sound.pieces:
            if piece:
                return OpenedSound(sound, piece)
    except BaseException:
        await sound.pieces.aclose()
        raise
    raise Failure("VENDOR_ERROR", f"{vendor.name}: no sound came")


async def _all(vendor: Any, ask: Ask, call: Call) -> Sound:
    speaks: Speaks = vendor
    made = await speaks.speak(ask.body, call)
    [file] = made.files
    return Sound(file.mime, _once(file.data), made.usage, made.warnings)


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def head_mime(ask: Ask, sound: Sound) -> str:
    """The media type of the answer."""
    return sound.mime if ask.raw else EVENTS


def piece(ask: Ask, data: bytes) -> bytes:
    """The frame of some bytes."""
    return data if ask.raw else frame({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})


def end(ask: Ask, usage: Mapping[str, Any], metadata: Json) -> bytes:
    """The end mark of the events, with what is known of the usage in tokens."""
    if ask.raw:
        return b""
    tokens = {ours: usage[theirs] for ours, theirs in _USAGE.items() if theirs in usage}
    told = {"usage": tokens | {"total_tokens": sum(tokens.values())}} if len(tokens) == len(_USAGE) else {}
    return frame({"type": "speech.audio.done", **told, "infrai": infrai_of(metadata)})


_USAGE = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
