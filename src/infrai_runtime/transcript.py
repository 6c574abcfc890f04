"""A transcript in the formats of ``/v1/audio/transcriptions``: three kinds of JSON, text, srt, vtt, and as events.

https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from infrai_runtime.failure import Failure
from infrai_runtime.wire import JSON, Json, frame

TEXT = "text/plain; charset=utf-8"
DIARIZED = "diarized_json"
"""The format that says who speaks."""
STREAM = "stream"
"""The format of who asked for a stream: vendors' transcripts come whole, so it has one piece."""


def reply(reply_format: str | None, data: Json, more: Json) -> tuple[str, bytes]:
    """The media type and the body of a transcript; ``more`` rides along where the format is an object."""
    if reply_format == STREAM:
        return "text/event-stream", _events(data, more)
    if reply_format in _TEXTS:
        return TEXT, _TEXTS[reply_format](data).encode()
    return JSON, orjson.dumps(_OBJECTS.get(reply_format, _plain)(data) | more)


def _plain(data: Json) -> Json:
    """The text; its times are ``verbose_json``'s, whose segments have fields that clients miss in others."""
    asked = {"logprobs": data["logprobs"]} if data.get("logprobs") is not None else {}
    return {"text": data["text"], **asked, "usage": _usage(data["usage"])}


def _verbose(data: Json) -> Json:
    segments = [_segment(place, segment) for place, segment in enumerate(data["segments"])]
    made = {"task": "transcribe", "duration": _seconds(data), "language": data["language"] or "", "text": data["text"]}
    return made | {"segments": segments, "words": data.get("words"), "usage": _usage(data["usage"])}


def _diarized(data: Json) -> Json:
    """Raises UNSUPPORTED_CAPABILITY where the model, which was pinned and is not known, told no speakers."""
    if data["text"].strip() and not (data["segments"] and all("speaker" in row for row in data["segments"])):
        message = f"response_format: came 'diarized_json', {data['model']} tells no speakers"
        raise Failure("UNSUPPORTED_CAPABILITY", message, param="response_format")
    segments = [
        {"id": f"seg_{place:03d}", "type": "transcript.text.segment"} | segment
        for place, segment in enumerate(data["segments"])
    ]
    made = {"task": "transcribe", "duration": _seconds(data), "text": data["text"], "segments": segments}
    return made | {"usage": _usage(data["usage"])}


_OBJECTS: dict[str | None, Callable[[Json], Json]] = {"verbose_json": _verbose, DIARIZED: _diarized}


def _events(data: Json, more: Json) -> bytes:
    piece = {"type": "transcript.text.delta", "delta": data["text"]}
    end = {"type": "transcript.text.done", "text": data["text"], "usage": _usage(data["usage"])}
    return b"".join(frame(event, str(event["type"])) for event in (piece, end | more))


def _usage(usage: Json) -> Json:
    """Seconds where the sound was counted, else tokens; both in this surface's words."""
    if usage.get("audio_seconds") is not None:
        return {"type": "duration", "seconds": usage["audio_seconds"]}
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
    return {"type": "tokens"} | {names[name]: count for name, count in usage.items() if name in names}


def _segment(place: int, segment: Json) -> Json:
    """A segment; what only some models know (tokens, probabilities) is null where the vendor did not say."""
    return {"id": place, "seek": None, "tokens": None, "temperature": None} | _UNKNOWN | segment


_UNKNOWN: Json = {"avg_logprob": None, "compression_ratio": None, "no_speech_prob": None}


def _seconds(data: Json) -> float:
    """How long the sound is: as the vendor counted it, else to the end of the last segment."""
    ends = [float(segment["end"]) for segment in data["segments"]]
    return float(data["usage"].get("audio_seconds") or max(ends, default=0.0))


def _whole(data: Json) -> str:
    return f"{data['text']}\n"


def _srt(data: Json) -> str:
    cues = [f"{place}\n{_times(cue, ',')}\n{cue['text'].strip()}\n" for place, cue in enumerate(_cues(data), 1)]
    return "\n".join(cues) + "\n"


def _vtt(data: Json) -> str:
    cues = [f"{_times(cue, '.')}\n{cue['text'].strip()}\n" for cue in _cues(data)]
    return "\n".join(["WEBVTT\n", *cues]) + "\n"


def _cues(data: Json) -> Sequence[Json]:
    """The segments; without any the text is one cue as long as the sound."""
    if data["segments"] or not data["text"].strip():
        return list(data["segments"])
    return [{"start": 0.0, "end": _seconds(data), "text": data["text"]}]


def _times(cue: Json, mark: str) -> str:
    return f"{_time(cue['start'], mark)} --> {_time(cue['end'], mark)}"


def _time(seconds: float, mark: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{mark}{ms % 1000:03d}"


_TEXTS: dict[str | None, Callable[[Json], str]] = {"text": _whole, "srt": _srt, "vtt": _vtt}
