from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local import audio

RATE_HZ = 22_050


def _tone(hz: float, seconds: float = 1.0, rate_hz: int = RATE_HZ) -> bytes:
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return (8000 * np.sin(2 * np.pi * hz * times)).astype("<i2").tobytes()


def _loudest_hz(pcm: bytes, rate_hz: int) -> float:
    samples = np.frombuffer(pcm, dtype="<i2").astype(float)
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate_hz / len(samples))


def _rms(pcm: bytes) -> float:
    return float(np.sqrt((np.frombuffer(pcm, dtype="<i2").astype(float) ** 2).mean()))


@pytest.mark.parametrize("format", [name for name in audio.MIME if name != "pcm"])
def test_what_is_encoded_is_decoded_with_its_length_and_pitch(format: str) -> None:
    pcm, rate_hz = audio.decode(audio.encode(_tone(440), RATE_HZ, format))
    assert audio.duration_s(pcm, rate_hz) == pytest.approx(1.0, abs=0.12)
    assert _loudest_hz(pcm, rate_hz) == pytest.approx(440, abs=3)


def test_pcm_is_the_samples_themselves() -> None:
    assert audio.encode(b"\x01\x02", RATE_HZ, "pcm") == b"\x01\x02"


def test_an_unknown_format_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(Failure, match="mp3, wav") as caught:
        audio.encode(b"", RATE_HZ, "aiff")
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "format")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"this is no sound", "cannot be read"),
        (b"\x1a\x45\xdf\xa3" + bytes(40), "webm"),
        (bytes(4) + b"ftypM4A " + bytes(40), "m4a"),
        (audio.encode(bytes(400), RATE_HZ, "wav")[:30], "cannot be read"),
    ],
)
def test_unreadable_audio_is_an_invalid_request(data: bytes, words: str) -> None:
    with pytest.raises(Failure, match=words) as caught:
        audio.decode(data)
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "audio")


def test_audio_beyond_the_bound_is_too_large() -> None:
    with pytest.raises(Failure, match=r"longer than 0\.5 seconds") as caught:
        audio.decode(audio.encode(_tone(440), RATE_HZ, "wav"), max_s=0.5)
    assert caught.value.code == "PAYLOAD_TOO_LARGE"


def test_stereo_becomes_the_mean_of_its_sides() -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.array([[1000, 3000]] * 80, dtype="<i2").tobytes())
    pcm, rate_hz = audio.decode(out.getvalue())
    assert rate_hz == 8000
    assert np.frombuffer(pcm, dtype="<i2") == pytest.approx(2000, abs=1)


@pytest.mark.parametrize("to_hz", [8_000, 16_000, 24_000, 48_000])
def test_resampling_keeps_length_pitch_and_loudness(to_hz: int) -> None:
    pcm = audio.resample(_tone(440), RATE_HZ, to_hz)
    assert audio.duration_s(pcm, to_hz) == pytest.approx(1.0, abs=0.001)
    assert _loudest_hz(pcm, to_hz) == pytest.approx(440, abs=2)
    assert _rms(pcm) == pytest.approx(_rms(_tone(440)), rel=0.02)


def test_resampling_down_removes_what_would_alias() -> None:
    high = _tone(7_000)
    assert _rms(audio.resample(high, RATE_HZ, 8_000)) < _rms(high) / 30
