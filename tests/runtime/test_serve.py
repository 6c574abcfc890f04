from __future__ import annotations

import os
import re
import resource
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import anyio
import httpx
import pytest

from infrai_core import AsyncInfrai, AuthenticationError, Infrai, InvalidRequest, Retry
from infrai_runtime import serve as serving
from infrai_runtime.settings import Settings
from tests.servers import free_port, haproxy
from tests.serving import ServedProcess, served, served_process


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("INFRAI_API_KEY", "INFRAI_BASE_URL", "INFRAI_PUBLIC_URL", "INFRAI_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "client"))


def client_of(server: ServedProcess, key: str) -> Infrai:
    return Infrai(key, base_url=server.base_url)


def test_a_server_says_where_it_is_and_how_to_get_a_key_and_that_key_works(tmp_path: Path) -> None:
    with served_process(tmp_path / "home") as server:
        assert server.line == (
            f"infrai runtime on {server.base_url} - for a key: curl -X POST {server.base_url}/activate"
        )
        with client_of(server, server.activate()) as client:
            assert "4" in (client.chat("What is 2+2?").content or "")
        with client_of(server, "ifr_pk_proj_wrong") as stranger, pytest.raises(AuthenticationError):
            stranger.chat("hi")
    assert stat.S_IMODE((tmp_path / "home" / "runtime.db").stat().st_mode) == 0o600


def test_a_key_and_its_credit_outlive_the_server_and_no_file_holds_the_key(tmp_path: Path) -> None:
    with served_process(tmp_path / "home") as server:
        key = server.activate()
        assert server.stop() in (0, -signal.SIGTERM)
    for path in (tmp_path / "home").rglob("*"):
        assert path.is_dir() or key.encode() not in path.read_bytes()
    with served_process(tmp_path / "home") as server, client_of(server, key) as client:
        assert client.account().balance_usd == 5


@pytest.mark.parametrize(("named", "kept"), [("memory", False), ("elsewhere.db", True)])
def test_the_database_may_be_elsewhere_or_nowhere(tmp_path: Path, named: str, kept: bool) -> None:
    path = tmp_path / "elsewhere.db"
    with served(tmp_path / "home", "--database", str(path) if kept else named) as url:
        assert httpx.post(f"{url}/activate", trust_env=False).status_code == 200
    assert path.exists() is kept
    assert not (tmp_path / "home" / "runtime.db").exists()


def test_the_help_names_every_option_and_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        serving.main(["--help"])
    shown = capsys.readouterr().out
    assert left.value.code == 0
    for option in (
        "--host",
        "--port",
        "--home",
        "--database",
        "--public-url",
        "--no-auth",
        "--allow-activation",
        "--max-connections",
    ):
        assert option in shown


def test_two_servers_on_one_file_lose_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with served_process(home) as one, served_process(home) as two:
        key = one.activate()
        with client_of(one, key) as first, client_of(two, key) as second, ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda client: client.chat("What is 1+1?"), [first, second] * 10))
        assert one.stop() in (0, -signal.SIGTERM)
    ids = {answer.metadata.request_id for answer in answers}
    with closing(sqlite3.connect(home / "runtime.db")) as db:
        booked = {row[0] for row in db.execute("SELECT request_id FROM ledger WHERE kind = 'answer'")}
    assert len(ids) == 20
    assert booked == ids


def test_media_links_of_a_server_open_without_a_key_and_not_when_altered(tmp_path: Path) -> None:
    with served_process(tmp_path / "home", "--no-auth") as server:
        assert server.line.endswith("no key needed")
        made = httpx.post(f"{server.base_url}/ai/image", json={"prompt": "a red circle"}, trust_env=False).json()
        url = made["data"]["images"][0]["url"]
        assert url.startswith(server.base_url)
        good = httpx.get(url, trust_env=False)
        assert (good.status_code, good.headers["content-type"]) == (200, "image/png")
        assert good.content.startswith(b"\x89PNG")
        assert httpx.get(url[:-2] + "AA", trust_env=False).status_code == 401
        assert httpx.get(url.replace("expires=1", "expires=2"), trust_env=False).status_code == 401
        escaped = server.base_url + "/media/..%2F..%2Fsigning.key" + url[url.index("?") :]
        assert httpx.get(escaped, trust_env=False).status_code in (401, 404)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGHUP], ids=["told", "terminal closed"])
def test_a_server_that_is_told_to_stop_finishes_the_answer_it_has_begun(tmp_path: Path, told: signal.Signals) -> None:
    with served_process(tmp_path / "home", "--no-auth") as server:
        body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
        with httpx.stream("POST", f"{server.base_url}/ai/chat", json=body, trust_env=False) as answer:
            chunks = answer.iter_bytes(1)
            received = [next(chunks)]
            server.process.send_signal(told)
            received += chunks
        assert b"".join(received).endswith(b"data: [DONE]\n\n")
        assert server.process.wait(30) in (0, -told)


def test_a_server_may_open_as_many_files_as_its_system_allows(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with served_process(tmp_path / "home") as server:
            limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = serving.MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, serving.MOST_FILES)
    assert re.findall(r"Max open files +(\d+)", limits) == [str(most)]


@pytest.mark.parametrize(("asked", "files", "most"), [(None, 1024, 464), (100, 1024, 100), (5000, 1024, 464)])
def test_there_are_as_many_callers_at_a_time_as_the_files_allow(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, asked: int | None, files: int, most: int
) -> None:
    """Each takes two: its own connection, and one at its vendor."""
    assert serving._most_connections(Settings(home=tmp_path, max_connections=asked), files) == most
    told = "max_connections=5000 is more than the 464 that fit into the 1024 files which this process may open"
    assert caplog.messages == ([told] if asked == 5000 else [])


def test_a_server_answers_no_more_callers_at_a_time_than_it_was_told(tmp_path: Path) -> None:
    with served_process(tmp_path / "home", "--no-auth", "--max-connections", "1") as server:
        host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
        with socket.create_connection((host, int(port))) as unfinished:
            head = b"POST /v1/ai/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            unfinished.sendall(head + b"content-length: 9\r\nexpect: 100-continue\r\n\r\n")
            assert unfinished.recv(100).startswith(b"HTTP/1.1 100")  # it is being answered
            refused = httpx.get(f"{server.base_url}/models", trust_env=False)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert httpx.get(f"{server.base_url}/healthz", trust_env=False).status_code == 200
        with client_of(server, "") as client:  # tries again
            assert client.models()


def test_a_server_without_keys_is_refused_off_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert serving.main(["--no-auth", "--host", "0.0.0.0"]) == 2
    assert "no_auth with host='0.0.0.0'" in capsys.readouterr().err


def test_a_taken_port_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serving.main(["--port", str(port), "--home", str(tmp_path)]) == 2
    assert f"port={port}: Address already in use" in capsys.readouterr().err


def test_a_runtime_that_cannot_start_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runtime.db")) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(RuntimeError, match="schema version 999"), served_process(tmp_path):
        pass


@pytest.mark.parametrize(
    ("host", "allow", "advice"),
    [
        ("127.0.0.1", None, "curl -X POST"),
        ("::1", None, r"curl -X POST http://\[::1\]:8402/v1/activate"),
        ("127.0.0.1", False, "--allow-activation"),
        ("0.0.0.0", None, "--allow-activation"),
        ("0.0.0.0", True, "curl -X POST"),
    ],
)
def test_the_line_names_a_way_to_a_key_that_is_open(tmp_path: Path, host: str, allow: bool | None, advice: str) -> None:
    settings = serving._located(Settings(home=tmp_path, host=host, allow_activation=allow), 8402)
    assert re.search(advice, serving._line(settings))


def test_a_server_whose_line_nobody_reads_serves_and_ends_as_well(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [
        sys.executable,
        "-m",
        "infrai_runtime.serve",
        "--home",
        str(tmp_path),
        "--port",
        str(port := free_port()),
    ]
    with (log := tmp_path / "log").open("w") as errors, open(writes, "w") as nobody:
        process = subprocess.Popen(command, stdout=nobody, stderr=errors)
    try:
        while process.poll() is None:
            with suppress(httpx.ConnectError):
                assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
                break
    finally:
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM
    assert log.read_text() == ""


def test_connections_of_the_server_do_not_wait_to_fill_a_packet(tmp_path: Path) -> None:
    with serving._listener(Settings(home=tmp_path, port=0)) as listener:
        client = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
        with client, connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_server_that_starts_says_which_vendor_is_configured_by_half(tmp_path: Path) -> None:
    with served_process(tmp_path / "home", environ={"AZURE_OPENAI_API_KEY": "k", "INFRAI_VENDORS": "azure,local"}):
        told = (tmp_path / "home.server.log").read_text()
    assert "AZURE_OPENAI_API_KEY is set, which is half of azure: set AZURE_OPENAI_ENDPOINT too" in told


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ((), "http://localhost:{port}/v1"),
        (("--host", "0.0.0.0"), "http://127.0.0.1:{port}/v1"),
        (("--public-url", "https://ai.example.com"), "https://ai.example.com/v1"),
    ],
)
def test_a_server_does_not_start_that_would_be_its_own_vendor(
    tmp_path: Path, options: tuple[str, ...], url: str
) -> None:
    environ = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": url.format(port=(port := free_port()))}
    own = served_process(tmp_path / "home", "--port", str(port), *options, environ=environ)
    with pytest.raises(RuntimeError, match=r"openai: its address .* is this service's own"), own:
        pass


def test_a_server_may_have_another_server_of_this_machine_as_its_vendor(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"http://127.0.0.1:{free_port()}/v1"}
    with served_process(tmp_path / "home", environ=environ) as server:
        assert httpx.get(f"{server.base_url}/healthz", trust_env=False).json()["vendors"] == ["local", "openai"]


def test_a_proxy_on_this_machine_makes_nobody_elses_caller_one_of_this_machine(tmp_path: Path) -> None:
    with served(tmp_path / "home") as url:
        for headers, status in (({"X-Forwarded-For": "203.0.113.5"}, 403), ({"X-Forwarded-For": "127.0.0.1"}, 200)):
            assert httpx.post(f"{url}/activate", headers=headers, trust_env=False).status_code == status


def test_a_request_that_is_too_large_is_told_so_through_a_reverse_proxy(tmp_path: Path) -> None:
    """HAProxy hands on the answer that came before the whole request, and takes the rest at leisure or not at all."""
    front, configuration = free_port(), Path(__file__).parents[2] / "deploy" / "haproxy.cfg"
    content = "x" * (70 * 1024 * 1024)

    async def ask(url: str, key: str) -> None:
        async with AsyncInfrai(key, base_url=url, retry=Retry(attempts=0)) as client:
            await client.chat(content)

    with served_process(tmp_path / "home") as server:
        key, behind = server.activate(), server.base_url.removeprefix("http://").removesuffix("/v1")
        named = {f"INFRAI_RUNTIME_{number}": behind for number in (1, 2, 3)}
        with haproxy(configuration, front, tmp_path, named):
            url = f"http://127.0.0.1:{front}"
            told = pytest.raises(InvalidRequest, match="HTTP 413, PAYLOAD_TOO_LARGE")
            with Infrai(key, base_url=url, retry=Retry(attempts=0)) as client, told:
                client.chat(content)
            for backend in ("asyncio", "trio"):
                with pytest.raises(InvalidRequest, match="HTTP 413, PAYLOAD_TOO_LARGE"):
                    anyio.run(ask, url, key, backend=backend)
