from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrai_core import ConfigError, NotFound, StreamInterrupted, facade
from infrai_core.testing import Script, envelope, failure, reply, streamed

ACTIVATED = envelope({"primary_api_key": "ifr_new", "project_id": "p"})


@pytest.fixture
def script() -> Iterator[list[Any]]:
    """Answers for the facade, to be filled by the test."""
    answers: list[Any] = []

    def play(sent: Any) -> Any:
        return answers.pop(0)

    facade.configure(api_key="k", transport=Script([play], repeat_last=True))
    yield answers
    facade.configure()


def test_a_stream_is_an_iterable_of_chunks(script: list[Any]) -> None:
    script.append(streamed(["a", "b"]))
    assert [chunk.delta.content for chunk in facade.ai.chat("x", stream=True)] == ["a", "b", None]


def test_a_stream_is_a_dictionary_that_drains_it(script: list[Any]) -> None:
    script.append(streamed(["a", "b"], request_id="r"))
    result = facade.ai.chat("x", stream=True)
    assert (result.get("text"), result.get("content"), result["_metadata"]["request_id"]) == (None, "ab", "r")
    assert "usage" in result
    assert dict(result.items())["content"] == "ab"


def test_a_half_iterated_stream_is_still_a_whole_dictionary(script: list[Any]) -> None:
    script.append(streamed(["a", "b"]))
    result = facade.ai.chat("x", stream=True)
    with result:
        for chunk in result:
            assert chunk.delta.content == "a"
            break
    assert result["content"] == "a"  # left: what was received is what there is
    assert result["finish_reason"] is None


def test_a_whole_chat_is_a_dictionary_with_metadata(script: list[Any]) -> None:
    script.append(reply("Paris", tool_calls=[("f", {"a": 1})]))
    result = facade.ai.chat(messages=[{"role": "user", "content": "x"}])
    assert result["content"] == "Paris"
    assert result["tool_calls"][0]["function"]["name"] == "f"
    assert result["_metadata"]["vendor"] == "script"
    json.dumps(result, default=str)


def test_one_prompt_is_needed_and_one_is_enough(script: list[Any]) -> None:
    for wrong in ({}, {"prompt": "a", "messages": "b"}):
        with pytest.raises(ConfigError, match="prompt"):
            facade.ai.chat(**wrong)


def test_batch_mode_and_stream_contradict_each_other(script: list[Any]) -> None:
    script.append(streamed(["a"]))
    assert facade.ai.chat("x", stream=True, batch_mode=False)["content"] == "a"
    with pytest.raises(ConfigError, match="batch_mode"):
        facade.ai.chat("x", stream=True, batch_mode=True)


def test_a_stream_that_was_cut_is_no_whole_answer_however_often_it_is_asked(script: list[Any]) -> None:
    script.append(streamed(["a", "b"], cut=True))
    result = facade.ai.chat("x", stream=True)
    for _ in range(2):
        with pytest.raises(StreamInterrupted, match="before its end mark"):
            result.get("content")


def test_errors_come_through(script: list[Any]) -> None:
    script.append(failure("MODEL_NOT_FOUND"))
    with pytest.raises(NotFound):
        facade.ai.chat("x", model="nope")


def test_balance_and_rerank_are_there(script: list[Any]) -> None:
    script += [
        envelope({"balance_usd": 4.5, "currency": "USD"}),
        envelope({"results": [{"index": 0, "relevance_score": 1}]}),
    ]
    assert float(facade.account.balance()["balance_usd"]) == 4.5
    assert facade.ai.rerank("q", ["a"])["results"][0]["index"] == 0


def test_activation_writes_the_key_with_its_base_url_and_never_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.serving import served_process

    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "mine"))
    monkeypatch.delenv("INFRAI_API_KEY", raising=False)
    with served_process(tmp_path / "theirs") as server:
        url = server.base_url
        result = facade.infra.activate(base_url=url)
        path = tmp_path / "mine" / "credentials"
        stored = json.loads(path.read_text())["default"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stored["api_key"].startswith("ifr_pk_proj_")
        assert stored["api_key"] not in f"{result}{result!r}"
        assert url.startswith(stored["base_url"].removesuffix("/v1"))
        assert float(facade.account.balance()["balance_usd"]) == 5
        assert "161" in facade.ai.chat("What is 23 times 7?")["content"]
    facade.configure()


def test_activation_goes_the_configured_way_and_is_used_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path))
    monkeypatch.delenv("INFRAI_API_KEY", raising=False)
    sent = Script([ACTIVATED, reply("hi")])
    facade.configure(transport=sent, base_url="http://127.0.0.1:1", profile="work", headers={"x-team": "a"})
    facade.infra.activate()
    facade.ai.chat("x")
    stored = json.loads((tmp_path / "credentials").read_text())
    assert stored["work"] == {"api_key": "ifr_new", "base_url": "http://127.0.0.1:1/v1", "project_id": "p"}
    assert [(request.path, request.headers["x-team"]) for request in sent.requests] == [
        ("/v1/activate", "a"),
        ("/v1/ai/chat", "a"),
    ]
    facade.configure()


def test_activation_says_that_the_key_of_the_environment_is_used_before_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path))
    monkeypatch.setenv("INFRAI_API_KEY", "ifr_old")
    facade.configure(transport=Script([ACTIVATED]), base_url="http://127.0.0.1:1")
    with pytest.warns(UserWarning, match=r"INFRAI_API_KEY is set .* unset it to use profile 'work'") as warned:
        result = facade.infra.activate(profile="work")
    assert result["hint"] == str(warned[0].message)
    assert warned[0].filename == __file__
    assert "ifr_" not in result["hint"]
    facade.configure()


@pytest.mark.parametrize("stream", ["no", 0, 1, None])
def test_a_stream_that_is_neither_true_nor_false_is_refused_by_name(stream: Any) -> None:
    with pytest.raises(ConfigError, match=f"^stream={stream!r}: allowed is True or False"):
        facade.ai.chat("x", stream=stream)


def test_no_project_is_made_whose_key_could_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "file"))
    sent = Script([ACTIVATED])
    facade.configure(transport=sent)
    with pytest.raises(ConfigError, match="file cannot be made for the credentials"):
        facade.infra.activate(base_url="http://127.0.0.1:1")
    assert sent.requests == []
    facade.configure()
