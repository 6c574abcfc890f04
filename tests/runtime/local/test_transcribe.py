from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local import audio
from infrai_runtime.vendors.local.speech import speak
from infrai_runtime.vendors.local.transcribe import transcribe

SENTENCE = "she went to the market to buy some bread and butter"


def _shared(heard: str, said: str) -> float:
    return len(set(heard.split()) & set(said.split())) / len(set(said.split()))


@pytest.mark.parametrize("format", ["mp3", "wav"])
def test_spoken_words_are_heard_again(format: str) -> None:
    speech = speak(SENTENCE, format=format)
    transcript = transcribe(speech.audio, language="en")
    assert _shared(transcript.text, SENTENCE) >= 0.6
    assert transcript.language == "en"
    assert transcript.seconds == pytest.approx(speech.seconds, abs=0.15)


def test_the_fast_preset_hears_too() -> None:
    assert _shared(transcribe(speak(SENTENCE).audio, fast=True).text, SENTENCE) >= 0.4


def test_a_pause_starts_a_new_segment() -> None:
    first, pause = _pcm("can you tell me what time it is"), bytes(22_050 * 2 * 2)
    second = _pcm("the children are playing in the garden")
    transcript = transcribe(audio.encode(first + pause + second, 22_050, "wav"))
    starts = [segment.start for segment in transcript.segments]
    boundary_s = audio.duration_s(first, 22_050)
    assert len(starts) == 2
    assert starts[0] < boundary_s
    assert starts[1] >= boundary_s + 1.5
    assert all(0 <= segment.start < segment.end <= transcript.seconds for segment in transcript.segments)
    assert transcript.text == " ".join(segment.text for segment in transcript.segments)


def _pcm(text: str) -> bytes:
    pcm, rate_hz = audio.decode(speak(text, format="wav").audio)
    assert rate_hz == 22_050
    return pcm


@pytest.mark.parametrize("loudness", [0, 4])
def test_silence_has_no_text_and_no_segments(loudness: int) -> None:
    samples = np.random.default_rng(1).normal(0, loudness, 32_000).astype("<i2").tobytes()
    transcript = transcribe(audio.encode(samples, 16_000, "wav"))
    assert (transcript.text, transcript.segments, transcript.seconds) == ("", [], 2.0)


def test_a_file_without_samples_is_silence() -> None:
    assert transcribe(audio.encode(b"", 16_000, "wav")).text == ""


def test_the_same_audio_gives_the_same_text_whatever_came_before() -> None:
    one, other = speak(SENTENCE).audio, speak("the weather is nice today").audio
    first = transcribe(one, fast=True)
    transcribe(other, fast=True)
    assert transcribe(one, fast=True) == first


def test_threads_do_not_share_a_decoder() -> None:
    clips = [speak(text).audio for text in (SENTENCE, "can you tell me what time it is")] * 2
    alone = [transcribe(clip, fast=True).text for clip in clips[:2]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda clip: transcribe(clip, fast=True).text, clips))
    assert together == alone * 2


def test_another_language_is_unsupported() -> None:
    with pytest.raises(Failure, match="English only") as caught:
        transcribe(b"", language="zh")
    assert (caught.value.code, caught.value.param) == ("UNSUPPORTED_CAPABILITY", "language")
    assert caught.value.hint


def test_unreadable_audio_is_an_invalid_request() -> None:
    with pytest.raises(Failure) as caught:
        transcribe(b"no audio at all")
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "audio")
