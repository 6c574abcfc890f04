"""Three served runtimes on one PostgreSQL and one Redis, behind HAProxy, with a vendor that keeps its own account."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from infrai_core import Infrai
from infrai_runtime.store.postgres import PostgresDurable
from tests.servers import Postgres, free_port, haproxy, redis
from tests.serving import ServedProcess, served_process

from .state import Key, State
from .vendor import Vendor, serving

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy" / "haproxy.cfg"
WAIT_S = 30.0

_CATALOGUE = """
[[model]]
vendor = "acme"
id = "m"
capability = "chat"
context_window = 32768
prices = { input_mtok = 1.0, output_mtok = 2.0 }

[[model]]
vendor = "acme"
id = "twice"
capability = "chat"
context_window = 32768
prices = { input_mtok = 1.0, output_mtok = 2.0 }

[[model]]
vendor = "beta"
id = "twice"
capability = "chat"
context_window = 32768
prices = { input_mtok = 1.1, output_mtok = 2.0 }
"""

_SELLER = """
[{name}]
dialect = "openai"
base_url = "{url}/{name}/v1"
key = "test-key"
"""


@dataclass
class Fleet(State):
    """Everything that runs. ``replicas`` are the addresses of the runtimes, ``proxy`` that of HAProxy; none has /v1."""

    vendor: Vendor
    postgres: Postgres
    directory: Path
    redis_port: int
    stack: ExitStack
    vendors: str
    module: str
    replicas: list[str] = field(default_factory=list)
    proxy: str = ""
    _runtimes: list[ServedProcess] = field(default_factory=list)
    _postgres_up: ExitStack = field(default_factory=ExitStack)
    _redis_up: ExitStack = field(default_factory=ExitStack)

    # -- servers that end and begin again

    def __post_init__(self) -> None:
        super().__init__(lambda: PostgresDurable.connect(self.postgres.url()), "answer IS NULL")

    def begin(self) -> None:
        """Starts everything."""
        configured(self.directory / "home", self.vendor)
        self.stack.callback(self._postgres_up.close)
        self.stack.callback(self._redis_up.close)
        together([self.start_postgres, self.start_redis])
        ports = [free_port() for _ in range(3)]
        self.replicas = [f"http://127.0.0.1:{port}" for port in ports]
        self.proxy = f"http://127.0.0.1:{(front := free_port())}"
        self._runtimes = together([partial(self._started, port) for port in ports])
        named = {f"INFRAI_RUNTIME_{n}": f"127.0.0.1:{port}" for n, port in enumerate(ports, 1)}
        self.stack.enter_context(haproxy(CONFIGURATION, front, self.directory, named))
        until(lambda: self.ready() == "ok", "the proxy found a runtime")

    def _started(self, port: int) -> ServedProcess:
        database = f"{self.postgres.url()}?application_name={_name(port)}"
        environ = {"INFRAI_DATABASE": database, "INFRAI_REDIS": f"redis://127.0.0.1:{self.redis_port}"}
        environ |= {"INFRAI_VENDORS": self.vendors, "INFRAI_HOME": str(self.directory / "home")}
        environ |= {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
        options = ("--port", str(port), "--home", environ["INFRAI_HOME"], "--public-url", self.proxy)
        own = self.directory / f"runtime-{secrets.token_hex(4)}"  # of its log
        return self.stack.enter_context(served_process(own, *options, environ=environ, module=self.module))

    def kill(self, number: int) -> None:
        """``kill -9`` of a runtime; the database has then done what it was still told by it."""
        self._runtimes[number].process.kill()
        self._runtimes[number].process.wait()
        name = _name(urlsplit(self.replicas[number]).port or 0)
        connected = "SELECT 1 FROM pg_stat_activity WHERE application_name = $1"
        until(lambda: not self.on_store(lambda store: store._fetch(connected, name)), "its connections are gone")

    def restart(self, number: int) -> None:
        """A runtime that was killed comes back at its old address."""
        self._runtimes[number] = self._started(urlsplit(self.replicas[number]).port or 0)

    def start_postgres(self) -> None:
        """The database comes back with all that it had."""
        self.postgres_process = self._postgres_up.enter_context(self.postgres.up())

    def stop_postgres(self) -> None:
        """The database is killed."""
        self.postgres_process.kill()
        self._postgres_up.pop_all().close()

    def start_redis(self) -> None:
        """Redis comes back, empty."""
        self._redis_up.enter_context(redis(self.directory / "redis", self.redis_port))

    def stop_redis(self) -> None:
        """Redis ends."""
        self._redis_up.pop_all().close()

    # -- asking

    def client(self, key: Key, at: str | None = None, **options: Any) -> Infrai:
        """The real client, of the proxy unless another address is given."""
        return Infrai(key.secret, base_url=at or self.proxy, **options)

    def ask(self, key: Key, at: str, prompt: str, **body: Any) -> httpx.Response:
        """One request for a chat, without retries."""
        asked = {"messages": [{"role": "user", "content": prompt}], "model": "m", "max_tokens": 5, **body}
        headers = {"authorization": f"Bearer {key.secret}"}
        return httpx.post(f"{at}/v1/ai/chat", json=asked, headers=headers, timeout=WAIT_S, trust_env=False)

    def name_of(self, number: int) -> str:
        """What a runtime is called in the store, where it is seen as the owner of a call that it makes."""
        key, prompt = self.key(), f"who is {number}"
        with self.vendor.holding(prompt) as gate, ThreadPoolExecutor(1) as pool:
            call = pool.submit(self.ask, key, self.replicas[number], prompt)
            gate.wait()
            name = self.owner(key)
            gate.open()
            assert call.result().status_code == 200
        return name

    def ready(self, at: str | None = None) -> Any:
        """What ``/readyz`` says."""
        answer = httpx.get(f"{at or self.proxy}/readyz", timeout=WAIT_S, trust_env=False)
        return answer.json()["status"] if answer.headers.get("content-type") == "application/json" else None


def _name(port: int) -> str:
    """Of a runtime's connections to the database."""
    return f"runtime-{port}"


def until(told: Callable[[], bool], what: str, within_s: float = WAIT_S) -> None:
    """Returns when something has come true, as the world outside this process does in its own time."""
    end = time.monotonic() + within_s
    while not told():
        assert time.monotonic() < end, f"it did not happen: {what}"
        time.sleep(0.02)


def together(work: Sequence[Callable[[], T]]) -> list[T]:
    """What several pieces of work return that are done at the same time."""
    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(piece) for piece in work]]


@contextmanager
def fleet(directory: Path, vendors: str = "acme,beta,local", module: str = "infrai_runtime.serve") -> Iterator[Fleet]:
    """A fleet that is ready to answer, with those of the vendors that it may use. ``module`` is what its runtimes run,
    with the options of ``infrai serve``."""
    with ExitStack() as stack:
        vendor = stack.enter_context(serving())
        postgres = Postgres()
        stack.callback(postgres.close)
        made = Fleet(vendor, postgres, directory, free_port(), stack, vendors, module)
        made.begin()
        yield made


def configured(home: Path, vendor: Vendor) -> None:
    """Makes the home that all runtimes share: it says where the vendor is, and what it sells."""
    home.mkdir(parents=True)
    path = home / "vendors.toml"
    path.touch(mode=0o600)
    path.write_text("".join(_SELLER.format(name=name, url=vendor.url) for name in ("acme", "beta")))
    (home / "catalogue.toml").write_text(_CATALOGUE)
