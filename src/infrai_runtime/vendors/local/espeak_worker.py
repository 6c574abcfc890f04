"""espeak-ng in a process of its own: a request ``{text, voice, words_per_minute, pitch}`` becomes
``{rate_hz, words: [[start_ms, position, length], ...]}`` and mono 16 bit samples, or ``{error}`` alone.

Run by ``worker_child.py``; needs the standard library only.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

# The names and numbers of espeak-ng's public header, speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_TEXT_IS_UTF8 = 1
_RATE, _PITCH = 1, 3
_EVENT_LIST_END, _EVENT_WORD = 0, 1


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def start(library: str, data: str) -> Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]:
    """A function from a request to a reply's head and samples. Raises OSError when espeak-ng does not start."""
    espeak = ctypes.CDLL(library)
    rate_hz = espeak.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data.encode(), _DO_NOT_EXIT)
    if rate_hz <= 0:
        raise OSError(f"espeak-ng did not start: {rate_hz}")
    sound = bytearray()
    words: list[list[int]] = []

    def collect(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, count * 2))
        words.extend(_words_of(events))
        return 0

    callback = _Callback(collect)

    def speak(request: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
        sound.clear()
        words.clear()
        espeak.espeak_SetSynthCallback(callback)
        if espeak.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            return {"error": f"espeak-ng has no voice {request['voice']!r}"}, b""
        espeak.espeak_SetParameter(_RATE, request["words_per_minute"], 0)
        espeak.espeak_SetParameter(_PITCH, request["pitch"], 0)
        text = request["text"].encode() + b"\0"
        if espeak.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, _TEXT_IS_UTF8, None, None) != 0:
            return {"error": "espeak-ng could not speak the text"}, b""
        return {"rate_hz": rate_hz, "words": list(words)}, bytes(sound)

    return speak


def _words_of(events: Any) -> list[list[int]]:
    found: list[list[int]] = []
    index = 0
    while events and events[index].type != _EVENT_LIST_END:
        event = events[index]
        if event.type == _EVENT_WORD:
            found.append([event.audio_position, event.text_position - 1, event.length])
        index += 1
    return found
