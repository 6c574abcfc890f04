"""Private servers for tests: PostgreSQL, Redis, HAProxy and nginx, from installed binaries, on free ports.

Each is a context manager. ``found`` says whether the binary is there; tests skip with its words where it is not,
unless ``INFRAI_REQUIRE_SERVERS`` is set, as it is in CI.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

START_S = 30.0
PORTS = range(15_000, 32_000)
READY = "ready to accept connections"


def found(*names: str) -> list[str]:
    """The paths of binaries; skips the test where one is missing."""
    places = os.environ["PATH"] + "".join(f":{path}" for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")))
    paths = [shutil.which(name, path=f"{places}:/usr/sbin:/sbin") for name in names]
    missing = [name for name, path in zip(names, paths, strict=True) if path is None]
    if missing:
        message = f"{', '.join(missing)} is not installed (Debian: postgresql redis-server haproxy nginx)"
        if os.environ.get("INFRAI_REQUIRE_SERVERS"):
            pytest.fail(message)
        pytest.skip(message)
    return [str(path) for path in paths]


def free_port() -> int:
    """A port that nothing listens on now. It is below those that the system gives to whoever asks for any, so that it
    is still free when a server that was stopped comes back to it."""
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("no port is free")


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when somebody listens on the port."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def running(
    command: Sequence[str], port: int, log: Path, user: str | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, ended with its context."""
    env = {**os.environ, **(environ or {})}
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, user=user, env=env)
    try:
        wait_for(port, process, log)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


class Postgres:
    """A PostgreSQL server that can be stopped and started again. Its files go with ``close``."""

    def __init__(self) -> None:
        initdb, self._postgres = found("initdb", "postgres")
        self._files = tempfile.TemporaryDirectory(prefix="infrai-postgres-", ignore_cleanup_errors=True)
        self._directory = Path(self._files.name)
        self._port = free_port()
        self._user = None if os.geteuid() else _other_user()
        if self._user is not None:
            shutil.chown(self._directory, self._user)
        command = [initdb, "-D", str(self._directory / "data"), "-U", "infrai", "-A", "trust", "-N", "-E", "UTF8"]
        made = subprocess.run(command, capture_output=True, text=True, user=self._user, cwd=self._directory)
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout[-1000:]}{made.stderr[-2000:]}")

    def url(self, database: str = "postgres") -> str:
        """The address of a database."""
        return f"postgresql://infrai@127.0.0.1:{self._port}/{database}"

    @contextmanager
    def up(self) -> Iterator[subprocess.Popen[bytes]]:
        """The server runs; its process, should somebody want to kill it."""
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options |= {"max_connections": "200", "shared_buffers": "32MB"}
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [self._postgres, "-D", str(self._directory / "data"), "-p", str(self._port), *flags]
        log = self._directory / "log"
        before = log.read_text().count(READY) if log.exists() else 0
        with running(command, self._port, log, self._user) as process:
            while log.read_text().count(READY) == before and process.poll() is None:
                time.sleep(0.02)  # it listens while it still recovers, and refuses everybody
            yield process

    def close(self) -> None:
        """Removes its files."""
        self._files.cleanup()


def _other_user() -> str:
    """PostgreSQL refuses to run as root."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def redis(directory: Path, port: int | None = None) -> Iterator[str]:
    """A Redis server; its address. It keeps nothing: one that is started again is empty."""
    (binary,) = found("redis-server")
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    with running(command, port, directory / "redis.log"):
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def nginx(configuration: str, port: int, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """nginx with servers, one of which listens on the port."""
    (binary,) = found("nginx")
    directory.mkdir(parents=True, exist_ok=True)
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{name}_temp_path {directory}/{name};\n" for name in names)
    main = f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/nginx.log;\nevents {{}}\n"
    written = directory / "nginx.conf"
    written.write_text(f"{main}http {{\naccess_log off;\n{paths}{configuration}\n}}\n")
    with running([binary, "-c", str(written)], port, directory / "nginx.log") as process:
        yield process


@contextmanager
def haproxy(
    configuration: Path, port: int, directory: Path, environ: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """HAProxy with a configuration that listens on ``INFRAI_BIND``."""
    (binary,) = found("haproxy")
    environ = {**environ, "INFRAI_BIND": f"127.0.0.1:{port}"}
    command = [binary, "-db", "-f", str(configuration)]
    with running(command, port, directory / "haproxy.log", environ=environ) as process:
        yield process
