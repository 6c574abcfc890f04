"""The real runtime in this process, through the client that uses it."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrai_core import AsyncInfrai, ConfigError, Infrai
from infrai_runtime import embedded


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL", "INFRAI_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INFRAI_PUBLIC_URL", "https://media.example.com")
    yield tmp_path / "home"
    embedded.shutdown()


def test_clients_of_several_loops_and_of_a_thread_need_no_key_and_no_network() -> None:
    async def ask() -> str | None:
        async with AsyncInfrai(base_url="embedded") as client:
            return (await client.chat("What is 2+2?")).content

    with Infrai(base_url="embedded") as client:
        answers = [client.chat("What is 2+2?").content, asyncio.run(ask()), asyncio.run(ask())]
    assert len(set(answers)) == 1
    assert "4" in (answers[0] or "")


def test_a_stream_that_is_left_early_does_not_disturb_the_next_call() -> None:
    with Infrai(base_url="embedded") as client:
        with client.stream_chat("hello") as stream:
            next(iter(stream))
        assert client.stream_chat("hello").reply().content == client.chat("hello").content


def test_media_are_the_owners_files_also_where_a_public_url_is_set(home: Path) -> None:
    with Infrai(base_url="embedded") as client:
        image = client.image("a red circle").images[0]
        assert image.url is not None
        assert image.url.startswith((home / "media").as_uri())
        assert image.read().startswith(b"\x89PNG")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*")}
    files = {name for name, mode in modes.items() if mode == 0o600}
    assert {"signing.key", "runtime.db"} <= files
    assert all(mode in (0o600, 0o700) for mode in modes.values())


@pytest.mark.parametrize("database", [None, "memory"])
def test_a_home_that_cannot_be_written_is_named_with_what_moves_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, database: str | None
) -> None:
    home.write_text("a file where a directory is to be")
    if database is not None:
        monkeypatch.setenv("INFRAI_DATABASE", database)
    with (
        Infrai(base_url="embedded") as client,
        pytest.raises(ConfigError, match=f"cannot keep its state: .*{home}.*; INFRAI_HOME names another place"),
    ):
        client.chat("hello")


@pytest.mark.parametrize(
    ("variable", "database"), [("INFRAI_HOME", "other/runtime.db"), ("INFRAI_DATABASE", "other.db")]
)
def test_a_client_stays_with_the_environment_of_its_first_call_and_the_next_one_gets_the_changed(
    variable: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / database
    with Infrai(base_url="embedded") as first, Infrai(base_url="embedded") as second:
        first.chat("What is 2+2?")
        monkeypatch.setenv(variable, str(other.parent if variable == "INFRAI_HOME" else other))
        first.chat("What is 2+3?")
        assert not other.exists()
        second.chat("What is 2+4?")
        assert other.exists()
