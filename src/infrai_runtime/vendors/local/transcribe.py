"""Speech to text on this machine: pocketsphinx and its own US English model."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local import audio
from infrai_runtime.vendors.local.package import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 16_000
LANGUAGES = ("en", "en-us", "en-gb", "english")

# Levelling. The model knows recordings of a usual loudness with a little noise in the pauses; clean synthetic
# speech has none, and is heard far worse for it. Real recordings are left without added noise.
_LEVEL_RMS = 2500.0
_NOISE_SIGMA = 100.0
_LEAD_S = 0.25
_CLEAN_FLOOR_RMS = 20.0
_FLOOR_PERCENTILE = 1
_LEVEL_FRAME = RATE_HZ // 50
_SILENCE_RMS = 12.0
_SEED = 20_000

# Cutting at pauses, in seconds.
_PAUSE_S = 0.5
_MARGIN_S = 0.25
_LONGEST_S = 25.0
_SHORTEST_S = 0.1

_PRESETS: dict[bool, dict[str, int]] = {False: {}, True: {"maxhmmpf": 3000, "maxwpf": 5, "ds": 2}}
_VARIANT = re.compile(r"\(\d+\)$")
_IDLE_KEPT = 2


@dataclass(frozen=True, slots=True)
class Segment:
    """What was said between two pauses; ``start`` and ``end`` in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole text, its segments in order, and the length of the audio in seconds."""

    text: str
    language: str
    segments: list[Segment]
    seconds: float


def transcribe(data: bytes, *, language: str | None = None, fast: bool = False) -> Transcript:
    """The English words in a wav, mp3, ogg or flac file; lower case and without punctuation.

    ``fast`` searches less: two to three times as quick, about one word in ten more is wrong. Silence gives
    an empty text. Raises UNSUPPORTED_CAPABILITY for another language, INVALID_REQUEST (param ``audio``) for
    audio that cannot be read, NO_VENDOR_AVAILABLE when pocketsphinx is not installed.
    """
    _check_language(language)
    pocketsphinx = load("pocketsphinx", extra="local-listen", package="pocketsphinx", what="Transcription")
    pcm, rate_hz = audio.decode(data)
    seconds = audio.duration_s(pcm, rate_hz)
    sound, lead_s = _levelled(audio.resample(pcm, rate_hz, RATE_HZ))
    heard = _segments(pocketsphinx, sound, fast) if sound else []
    segments = [_moved(segment, lead_s, seconds) for segment in heard]
    return Transcript(" ".join(segment.text for segment in segments), "en", segments, seconds)


def _check_language(language: str | None) -> None:
    if language is None or language.lower().replace("_", "-") in LANGUAGES:
        return
    raise Failure(
        "UNSUPPORTED_CAPABILITY",
        f"the on-machine transcription hears English only, not {language!r}",
        hint="leave out language, or configure a vendor that transcribes it",
        param="language",
    )


def _moved(segment: Segment, lead_s: float, total_s: float) -> Segment:
    """The segment's times in the audio that came, without the lead that was put before it."""
    start, end = (round(min(max(0.0, at - lead_s), total_s), 2) for at in (segment.start, segment.end))
    return Segment(start, end, segment.text)


def _levelled(pcm: bytes) -> tuple[bytes, float]:
    """The sound at the model's loudness, and the seconds that were put before it; empty for silence."""
    import numpy as np

    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    frames = samples[: len(samples) // _LEVEL_FRAME * _LEVEL_FRAME].reshape(-1, _LEVEL_FRAME)
    loudness = np.sqrt((frames**2).mean(axis=1)) if len(frames) else np.zeros(1, dtype=np.float32)
    if float(loudness.max()) < _SILENCE_RMS:
        return b"", 0.0
    gain = _LEVEL_RMS / float(np.sqrt((samples**2).mean()))
    return _with_floor(samples * gain, float(np.percentile(loudness, _FLOOR_PERCENTILE)) * gain)


def _with_floor(samples: NDArray[Any], floor_rms: float) -> tuple[bytes, float]:
    """Adds a noise floor, and a moment of it at both ends, to sound that has none."""
    import numpy as np

    lead_s = _LEAD_S if floor_rms < _CLEAN_FLOOR_RMS else 0.0
    if lead_s:
        samples = np.pad(samples, int(lead_s * RATE_HZ))
        samples = samples + np.random.default_rng(_SEED).normal(0.0, _NOISE_SIGMA, len(samples))
    return bytes(np.clip(samples, -32768, 32767).astype("<i2").tobytes()), lead_s


def _segments(pocketsphinx: Any, sound: bytes, fast: bool) -> list[Segment]:
    pieces = _pieces(pocketsphinx, sound)
    if not pieces:
        return []
    with _POOL.decoder(pocketsphinx, fast) as decoder:
        heard = [_heard(decoder, sound, start_s, end_s) for start_s, end_s in pieces]
    return [segment for segment in heard if segment.text]


def _heard(decoder: Any, sound: bytes, start_s: float, end_s: float) -> Segment:
    """One piece of the sound as a segment. The front end starts anew, so that no piece colours the next."""
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(sound[_offset(start_s) : _offset(end_s)], full_utt=True)
    decoder.end_utt()
    words = [(row.word, row.start_frame, row.end_frame) for row in decoder.seg() or ()]
    spoken = [(_VARIANT.sub("", word), first, last) for word, first, last in words if word[0] not in "<["]
    if not spoken:
        return Segment(start_s, end_s, "")
    first_s, last_s = start_s + spoken[0][1] / 100, start_s + (spoken[-1][2] + 1) / 100
    return Segment(round(first_s, 2), round(min(last_s, end_s), 2), " ".join(word for word, _, _ in spoken))


def _pieces(pocketsphinx: Any, sound: bytes) -> list[tuple[float, float]]:
    """(start, end) in seconds of the stretches between pauses that hold voice, with a margin around each."""
    vad = pocketsphinx.Vad(pocketsphinx.Vad.LOOSE, RATE_HZ)
    step = vad.frame_bytes
    voiced = [vad.is_speech(sound[at : at + step]) for at in range(0, len(sound) - step + 1, step)]
    total_s = audio.duration_s(sound, RATE_HZ)
    stretches = _stretches(voiced, vad.frame_length)
    wide = [(max(0.0, start - _MARGIN_S), min(total_s, end + _MARGIN_S)) for start, end in stretches]
    return [piece for stretch in wide for piece in _cut(sound, *stretch)]


def _stretches(voiced: list[bool], frame_s: float) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for index in (index for index, is_voice in enumerate(voiced) if is_voice):
        start_s, end_s = index * frame_s, (index + 1) * frame_s
        if found and start_s - found[-1][1] < _PAUSE_S:
            found[-1] = (found[-1][0], end_s)
        else:
            found.append((start_s, end_s))
    return [(start_s, end_s) for start_s, end_s in found if end_s - start_s >= _SHORTEST_S]


def _cut(sound: bytes, start_s: float, end_s: float) -> Iterator[tuple[float, float]]:
    """The stretch in pieces that the decoder can hold, cut where it is most quiet."""
    while end_s - start_s > _LONGEST_S:
        middle_s = _quietest(sound, start_s + _LONGEST_S / 2, start_s + _LONGEST_S)
        yield start_s, middle_s
        start_s = middle_s
    yield start_s, end_s


def _quietest(sound: bytes, start_s: float, end_s: float) -> float:
    import numpy as np

    samples = np.frombuffer(sound[_offset(start_s) : _offset(end_s)], dtype="<i2").astype(np.float32)
    frames = samples[: len(samples) // _LEVEL_FRAME * _LEVEL_FRAME].reshape(-1, _LEVEL_FRAME)
    return start_s + int((frames**2).mean(axis=1).argmin()) * _LEVEL_FRAME / RATE_HZ


def _offset(seconds: float) -> int:
    return int(seconds * RATE_HZ) * audio.BYTES_PER_SAMPLE


class _Pool:
    """Decoders at rest, by preset. A decoder serves one caller at a time; as many run as there are CPUs."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(os.cpu_count() or 1)
        self._idle: dict[bool, list[Any]] = {False: [], True: []}

    @contextmanager
    def decoder(self, pocketsphinx: Any, fast: bool) -> Iterator[Any]:
        """A decoder for this caller alone."""
        with self._places:
            with self._lock:
                idle = self._idle[fast]
                mine = idle.pop() if idle else None
            mine = mine or _new_decoder(pocketsphinx, fast)
            yield mine
            # A decoder that raised in the middle of an utterance is dropped, not kept.
            with self._lock:
                self._idle[fast] = [*self._idle[fast], mine][:_IDLE_KEPT]


def _new_decoder(pocketsphinx: Any, fast: bool) -> Any:
    return pocketsphinx.Decoder(samprate=RATE_HZ, loglevel="FATAL", **_PRESETS[fast])


_POOL = _Pool()
os.register_at_fork(after_in_child=_POOL.reset)
