from __future__ import annotations

import asyncio
import doctest
from collections.abc import Callable
from pathlib import Path

import pytest

import infrai_core.testing
from infrai_core import AsyncInfrai, ConfigError, Infrai, RateLimited, Retry, StreamInterrupted
from infrai_core.testing import Recorder, Script, envelope, failure, replay, reply, streamed


def test_the_documented_example_is_true() -> None:
    assert doctest.testmod(infrai_core.testing).failed == 0


def test_one_script_answers_both_clients() -> None:
    script = Script([reply("a"), reply("b")])
    assert Infrai("k", transport=script).chat("x").content == "a"
    assert asyncio.run(AsyncInfrai("k", transport=script).chat("x")).content == "b"
    assert [sent.path for sent in script.requests] == ["/v1/ai/chat"] * 2
    assert "authorization" not in script.requests[0].headers


def test_every_scripted_reply_has_an_id_of_its_own() -> None:
    client = Infrai("k", transport=Script([reply("a"), reply("b")]))
    assert client.chat("x").id != client.chat("x").id


def test_scripted_failures_streams_and_cuts_behave_like_real_ones() -> None:
    script = Script(
        [failure("RATE_LIMITED", retry_after_s=0), reply("a"), streamed(["b"], cut=True), failure("RATE_LIMITED")]
    )
    client = Infrai("k", transport=script, retry=Retry(attempts=1, first_s=0))
    assert client.chat("x").content == "a"
    with pytest.raises(StreamInterrupted):
        client.stream_chat("x").reply()
    with pytest.raises(RateLimited):
        client.with_options(retry=Retry(attempts=0)).chat("x")


def test_an_unexpected_request_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match="POST /v1/ai/embed"):
        Infrai("k", transport=Script([])).embed("x")


def test_a_script_sees_streams_that_were_left_early() -> None:
    script = Script([streamed(["a", "b", "c"])])
    for _ in Infrai("k", transport=script).stream_chat("x"):
        break
    assert script.closed == 1


def test_recorded_answers_play_back_and_hold_no_key(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    real = Script([reply("a"), streamed(["b", "c"]), envelope({"embeddings": [[1.0]], "model": "m"})])
    client = Infrai("very-secret-key", transport=Recorder(path, real))
    seen = (client.chat("x").content, client.stream_chat("x").reply().content, client.embed("x").embeddings)
    assert "very-secret-key" not in path.read_text()
    again = Infrai("k", transport=replay(path))
    assert (again.chat("x").content, again.stream_chat("x").reply().content, again.embed("x").embeddings) == seen
    with pytest.raises(ConfigError, match="recorded was POST /v1/ai/chat"):
        Infrai("k", transport=replay(path)).embed("x")


def test_an_activation_is_not_recorded_because_its_answer_is_a_key(tmp_path: Path) -> None:
    script = Script([envelope({"primary_api_key": "ifr_secret"})])
    client = Infrai("k", transport=Recorder(tmp_path / "answers.jsonl", script))
    with pytest.raises(ConfigError, match="an activation is not recorded"):
        client.activate()
    assert script.requests == []
    assert (tmp_path / "answers.jsonl").read_text() == ""


def test_recorded_answers_go_to_their_own_requests_in_whatever_order_these_come(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    asked = Infrai("k", transport=Recorder(path, Script([reply("one"), reply("two"), reply("one again")])))
    for prompt in ("1", "2", "1"):
        asked.chat(prompt)
    again = Infrai("k", transport=replay(path))
    assert [again.chat(prompt).content for prompt in ("2", "1", "1")] == ["two", "one", "one again"]


def test_a_request_that_was_not_recorded_gets_the_next_answer_in_order(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    asked = Infrai("k", transport=Recorder(path, Script([reply("one"), reply("two")])))
    for prompt in ("1", "2"):
        asked.chat(prompt)
    again = Infrai("k", transport=replay(path))
    assert [again.chat(prompt).content for prompt in ("new", "2")] == ["one", "two"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda line: line[:40], r"line 2: .*broken JSON"),
        (lambda line: "", r"line 2: .*broken JSON"),
        (lambda line: "[]", r"line 2: "),
        (lambda line: line.replace('"response"', '"answer"'), r"line 2: .*no 'response'"),
        (lambda line: line.replace('"status": 200', '"status": "fine"'), r"line 2: .*fine"),
        (lambda line: line.replace('"pieces": ["', '"pieces": ["%'), r"line 2: "),
    ],
)
def test_a_damaged_recording_is_refused_with_its_file_and_line(
    tmp_path: Path, damage: Callable[[str], str], said: str
) -> None:
    path = tmp_path / "answers.jsonl"
    Infrai("k", transport=Recorder(path, Script([reply("a")]))).chat("x")
    line = path.read_text("utf-8").rstrip()
    replay(path)
    path.write_text(f"{line}\n{damage(line)}\n", "utf-8")
    with pytest.raises(ConfigError, match=rf"answers\.jsonl', {said}"):
        replay(path)


def test_a_recording_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.jsonl' cannot be read: No such file"):
        replay(tmp_path / "none.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.jsonl' cannot be read: it is not UTF-8"):
        replay(tmp_path / "binary.jsonl")
