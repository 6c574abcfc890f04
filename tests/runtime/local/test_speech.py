from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from multiprocessing.connection import Connection

import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local import audio
from infrai_runtime.vendors.local.espeak import ESPEAK, worker
from infrai_runtime.vendors.local.speech import LANGUAGES, PERSONAS, speak

REQUEST = {"text": "Hello there", "voice": "en-us", "words_per_minute": 165, "pitch": 50}


def test_text_becomes_an_mp3_of_its_length() -> None:
    speech = speak("Please close the door behind you.")
    pcm, rate_hz = audio.decode(speech.audio)
    assert (speech.mime, speech.format, speech.voice) == ("audio/mpeg", "mp3", "en-us")
    assert audio.duration_s(pcm, rate_hz) == pytest.approx(speech.seconds, abs=0.15)
    assert 1.0 < speech.seconds < 4.0


@pytest.mark.parametrize("voice", [*PERSONAS, *LANGUAGES])
def test_every_voice_of_the_tables_speaks(voice: str) -> None:
    assert speak("one two three", voice=voice, format="wav").seconds > 0.4


def test_personas_differ_from_one_another() -> None:
    assert len({speak("Hello", voice=voice, format="wav").audio for voice in PERSONAS}) == len(PERSONAS)


@pytest.mark.parametrize(("text", "voice"), [("今天天气很好", "cmn"), ("Добрый день", "ru"), ("こんにちは", "ja")])
def test_the_language_follows_the_script_when_no_voice_is_given(text: str, voice: str) -> None:
    speech = speak(text)
    assert speech.voice == voice
    assert speech.seconds > 0.5


def test_a_persona_speaks_chinese_text_as_chinese() -> None:
    plain, persona = speak("今天天气很好", format="wav"), speak("今天天气很好", voice="alloy", format="wav")
    assert persona.voice == "alloy"
    assert persona.seconds == pytest.approx(plain.seconds, rel=0.2)


def test_words_are_timed_in_order() -> None:
    speech = speak("Hello from Infrai")
    assert [timing.text for timing in speech.timings] == ["Hello", "from", "Infrai"]
    assert speech.timings[0].start < speech.timings[1].start < speech.timings[2].start
    assert speech.timings[-1].end == speech.seconds


def test_speed_makes_it_shorter() -> None:
    slow, quick = (speak("The train leaves at seven", speed=speed).seconds for speed in (0.7, 1.6))
    assert quick < slow * 0.7


def test_raw_pcm_has_the_rate_that_clients_expect() -> None:
    speech = speak("Hello", format="pcm")
    assert len(speech.audio) / 2 / 24_000 == pytest.approx(speech.seconds, abs=0.01)


@pytest.mark.parametrize("text", ["", "  \n", "\x00\x01\x02", "\ud800"])
def test_nothing_to_say_is_an_invalid_request(text: str) -> None:
    with pytest.raises(Failure) as caught:
        speak(text)
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "input")


@pytest.mark.parametrize(
    ("options", "param"), [({"voice": "zorro"}, "voice"), ({"format": "aiff"}, "format"), ({"speed": 9.0}, "speed")]
)
def test_a_bad_option_is_named(options: dict[str, object], param: str) -> None:
    with pytest.raises(Failure, match=param) as caught:
        speak("Hello", **options)  # type: ignore[arg-type]  # one wrong value at a time
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", param)


def test_an_unknown_voice_names_the_known_ones() -> None:
    with pytest.raises(Failure, match=r"alloy.*zh-cn"):
        speak("Hello", voice="zorro")


def test_too_long_a_text_is_too_large() -> None:
    with pytest.raises(Failure, match="4097 characters") as caught:
        speak("a" * 4097)
    assert caught.value.code == "PAYLOAD_TOO_LARGE"


def test_many_threads_get_their_own_sound() -> None:
    texts = [" ".join(["word"] * count) for count in (1, 4, 8, 12)] * 3
    with ThreadPoolExecutor(6) as pool:
        seconds = [speech.seconds for speech in pool.map(speak, texts)]
    by_length = [seconds[start::4] for start in range(4)]
    assert all(max(short) < min(long) for short, long in pairwise(by_length))


def test_a_worker_that_died_is_replaced() -> None:
    speaker = worker()
    speaker.ask(REQUEST, b"", 10)
    first = speaker.process_id()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    head, pcm = speaker.ask(REQUEST, b"", 10)
    assert head["rate_hz"] == 22_050
    assert len(pcm) > 10_000
    assert speaker.process_id() not in (None, first)
    speaker.stop()
    assert speaker.process_id() is None


def test_a_worker_that_hangs_is_killed_and_the_next_request_is_answered() -> None:
    speaker = worker()
    speaker.ask(REQUEST, b"", 10)
    stopped = speaker.process_id()
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(Failure) as caught:
        speaker.ask(REQUEST, b"", 0.2)
    assert caught.value.code == "VENDOR_TIMEOUT"
    assert speaker.process_id() is None
    assert len(speaker.ask(REQUEST, b"", 10)[1]) > 10_000
    speaker.stop()


def _speak_in_child(report: Connection) -> None:
    inherited = ESPEAK.process_id()
    seconds = speak("Hello from the child").seconds
    report.send((inherited, ESPEAK.process_id(), seconds))
    ESPEAK.stop()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_its_own_worker_and_leaves_the_parents() -> None:
    speak("Hello")
    ours = ESPEAK.process_id()
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_speak_in_child, args=(there,))
    child.start()
    assert here.poll(20)
    inherited, theirs, seconds = here.recv()
    child.join(10)
    here.close()
    there.close()
    assert child.exitcode == 0
    assert inherited is None
    assert theirs not in (None, ours)
    assert seconds > 0.5
    assert ESPEAK.process_id() == ours
    assert speak("Still here").seconds > 0.3
