"""Clients that others wrote, in their own environment (`scripts/peers clients`), on a served runtime with a key.

Each runs as a process; what it understood comes back as JSON and is held against what the runtime says to itself.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ServedProcess, served_process

HERE = Path(__file__).parent
PYTHON = Path(os.environ.get("PEERS", HERE.parents[1] / ".venv-peers")) / "bin" / "python"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists() and not os.environ.get("CI"), reason="`scripts/peers clients` was not run"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedProcess, str]]:
    environ = {"INFRAI_VENDORS": "local"}
    with served_process(tmp_path_factory.mktemp("peers") / "home", environ=environ) as process:
        yield process, process.activate()


@pytest.fixture
def got(server: tuple[ServedProcess, str], tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the client of the test's parameter printed."""
    process, key = server
    # Only what a client needs: no key of this machine, no proxy, no telemetry.
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DO_NOT_TRACK": "1"}
    command = [str(PYTHON), str(HERE / f"{request.param}_client.py"), process.base_url, key]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_answers(got: dict[str, Any]) -> None:
    answer = got["answer"]
    assert "4" in answer
    for name in ("streamed", "async", "async_streamed", "rebuilt", "completed"):
        assert got.get(name, answer) == answer


def check_call(got: dict[str, Any]) -> None:
    assert (got["call"], got["argument"]) == ("get_weather", "Paris")


def check_errors(got: dict[str, Any]) -> None:
    """The classes are those of the official SDK, which both use."""
    assert got["refused"] == ["AuthenticationError", "UNAUTHORIZED"]
    assert got["unknown"] == ["NotFoundError", "MODEL_NOT_FOUND"]
    assert got["wrong"] == ["BadRequestError", "INVALID_REQUEST"]


@pytest.mark.parametrize("got", ["langchain"], indirect=True)
def test_langchain_openai_works(got: dict[str, Any]) -> None:
    check_answers(got)
    check_call(got)
    assert got["usage"] == got["streamed_usage"] > 0
    assert got["streamed_call"] == ["get_weather", {"city": "Paris"}]
    assert "18" in got["told"]
    assert got["parsed"] == ["Ada", "Ada"]
    assert got["vectors"] == [1024, 1024]
    check_errors(got)
    assert ("4" in got["batched"][0], "5" in got["batched"][1]) == (True, True)
    assert (got["vendor"], got["finish"], got["json"]) == ("local", "stop", {"name": "Ada"})
    assert got["left"]


@pytest.mark.parametrize("got", ["llama_index"], indirect=True)
def test_llama_index_openai_like_works(got: dict[str, Any]) -> None:
    check_answers(got)
    check_call(got)
    assert got["streamed_call"] == got["async_call"] == "get_weather"
    assert got["parsed"] == "Ada"
    check_errors(got)
    assert got["usage"] > 0
    assert got["left"]


@pytest.mark.parametrize("got", ["litellm"], indirect=True)
def test_the_litellm_sdk_works(got: dict[str, Any]) -> None:
    check_answers(got)
    check_call(got)
    assert got["usage"] > 0
    assert got["vectors"] == [1024, 1024]
    assert "18" in got["told"]
    assert got["narrowed"] == "get_weather"
    assert got["image"] is True
    assert got["refused"] == ["AuthenticationError", 401]
    assert got["unknown"] == ["NotFoundError", 404]
    assert got["wrong"] == ["BadRequestError", 400]
    assert got["async_vectors"] == [1024]
    assert (got["sound"], got["heard"], got["parsed"]) == ("RIFF", "", "Ada")
    assert got["left"]


@pytest.mark.parametrize("got", ["openai"], indirect=True)
def test_the_official_sdk_of_the_generation_before_works(got: dict[str, Any]) -> None:
    check_answers(got)
    assert got["vectors"] == [1024]
    assert got["models"] is True
