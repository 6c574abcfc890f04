"""Audio in and out: one inner form (mono, 16 bit, little endian) and the file formats around it."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.package import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

BYTES_PER_SAMPLE = 2
MAX_SECONDS = 1500.0
RATES_HZ = range(4_000, 192_001)

MIME = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "pcm": "audio/pcm",
}
"""MIME type of every format that `encode` writes; ``pcm`` is raw 16 bit little endian, mono, no header."""

_READABLE = "wav, mp3, ogg, flac"
_BLOCK_FRAMES = 1 << 16
_OPUS_RATE_HZ = 48_000
_LAME_QUALITY, _LAME_QUALITY_FAST = 4, 9
_SINC_HALF_WIDTH = 12


def encode(pcm: bytes, rate_hz: int, format: str, *, fast: bool = False) -> bytes:
    """Mono 16 bit samples as a file of ``format``, one of the keys of `MIME`.

    ``fast`` trades mp3 quality for time. Raises INVALID_REQUEST (param ``format``) for any other format.
    """
    write = _ENCODERS.get(format)
    if write is None:
        raise Failure("INVALID_REQUEST", f"format {format!r} is not one of {', '.join(MIME)}", param="format")
    return write(pcm, rate_hz, fast)


def decode(data: bytes, *, max_s: float = MAX_SECONDS) -> tuple[bytes, int]:
    """The samples of a wav, mp3, ogg or flac file as mono 16 bit PCM, and their rate in Hz.

    Raises INVALID_REQUEST (param ``audio``) for what cannot be read, PAYLOAD_TOO_LARGE if it lasts longer
    than ``max_s`` seconds. The bound is kept while reading, whatever the file's header says.
    """
    _refuse_unreadable(data)
    soundfile = _soundfile("Reading audio")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            return _read_mono(file, max_s), int(file.samplerate)
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError) as error:
        raise _unreadable(f"the audio cannot be read as {_READABLE}") from error


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """The same sound at another rate, through a windowed sinc filter against aliasing."""
    import numpy as np

    if from_hz == to_hz or not pcm:
        return pcm
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    kernels = _sinc_kernels(up, min(1.0, to_hz / from_hz))
    reach = kernels.shape[1] // 2
    padded = np.pad(samples, reach)
    count = len(samples) * up // down
    blocks = [
        _filtered(padded, kernels, up, down, start, min(start + _BLOCK_FRAMES, count))
        for start in range(0, count, _BLOCK_FRAMES)
    ]
    return _to_int16(np.concatenate(blocks)) if blocks else b""


def duration_s(pcm: bytes, rate_hz: int) -> float:
    """Seconds of mono 16 bit PCM."""
    return len(pcm) / BYTES_PER_SAMPLE / rate_hz


def _sinc_kernels(up: int, cutoff: float) -> NDArray[Any]:
    """A filter per place of an output sample between two input samples: (up, taps), rows sum to 1."""
    import numpy as np

    reach = math.ceil(_SINC_HALF_WIDTH / cutoff)
    away = np.arange(-reach, reach + 1) - (np.arange(up) / up)[:, None]
    window = np.cos(np.clip(away / (reach + 1), -1, 1) * np.pi / 2) ** 2
    rows = np.sinc(away * cutoff) * window
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), dtype=np.float32)


def _filtered(padded: NDArray[Any], kernels: NDArray[Any], up: int, down: int, start: int, end: int) -> NDArray[Any]:
    import numpy as np

    place = np.arange(start, end, dtype=np.int64) * down
    taps = np.arange(kernels.shape[1])
    near = padded[(place // up)[:, None] + taps]
    return np.asarray(np.einsum("nt,nt->n", near, kernels[place % up]))


def _to_int16(samples: NDArray[Any]) -> bytes:
    import numpy as np

    return bytes(np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes())


def _read_mono(file: Any, max_s: float) -> bytes:
    if file.samplerate not in RATES_HZ:
        raise _unreadable(f"a sample rate of {file.samplerate} Hz is not within 4000 to 192000")
    left = int(max_s * file.samplerate)
    blocks: list[bytes] = []
    while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        left -= len(block)
        if left < 0:
            raise Failure("PAYLOAD_TOO_LARGE", f"the audio is longer than {max_s:g} seconds", param="audio")
        blocks.append(_to_int16(block.mean(axis=1) * 32767))
    return b"".join(blocks)


def _refuse_unreadable(data: bytes) -> None:
    if not data:
        raise _unreadable("the audio is empty")
    named = "webm" if data[:4] == b"\x1a\x45\xdf\xa3" else "m4a/mp4" if data[4:8] == b"ftyp" else None
    if named:
        raise _unreadable(f"{named} audio is not supported on this machine; send {_READABLE}")


def _unreadable(message: str) -> Failure:
    return Failure("INVALID_REQUEST", message, param="audio")


def _soundfile(what: str) -> Any:
    return load("soundfile", extra="local", package="soundfile", what=what)


def _wav(pcm: bytes, rate_hz: int, fast: bool) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(rate_hz)
        file.writeframes(pcm)
    return out.getvalue()


def _mp3(pcm: bytes, rate_hz: int, fast: bool) -> bytes:
    encoder = load("lameenc", extra="local", package="lameenc", what="Writing mp3").Encoder()
    encoder.silence()
    encoder.set_bit_rate(64)
    encoder.set_in_sample_rate(rate_hz)
    encoder.set_channels(1)
    encoder.set_quality(_LAME_QUALITY_FAST if fast else _LAME_QUALITY)
    return bytes(encoder.encode(pcm)) + bytes(encoder.flush())


def _opus(pcm: bytes, rate_hz: int, fast: bool) -> bytes:
    return _sound_file(resample(pcm, rate_hz, _OPUS_RATE_HZ), _OPUS_RATE_HZ, "OGG", "OPUS")


def _sound_file(pcm: bytes, rate_hz: int, container: str, codec: str) -> bytes:
    import numpy as np

    out = io.BytesIO()
    samples = np.frombuffer(pcm, dtype="<i2")
    _soundfile(f"Writing {codec.lower()}").write(out, samples, rate_hz, format=container, subtype=codec)
    return out.getvalue()


_ENCODERS: dict[str, Callable[[bytes, int, bool], bytes]] = {
    "mp3": _mp3,
    "wav": _wav,
    "ogg": lambda pcm, rate_hz, fast: _sound_file(pcm, rate_hz, "OGG", "VORBIS"),
    "opus": _opus,
    "flac": lambda pcm, rate_hz, fast: _sound_file(pcm, rate_hz, "FLAC", "PCM_16"),
    "pcm": lambda pcm, rate_hz, fast: pcm,
}
