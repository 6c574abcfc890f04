"""A served runtime, as a real process that can be killed, over a vendor that keeps its own account. Its state is in
SQLite, or in a PostgreSQL and a Redis of its own."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from infrai_runtime.keys import hash_key, mint_key
from infrai_runtime.store.durable import LEASE_S, KeyRow, LedgerRow, project_scope
from infrai_runtime.store.sql import LEDGER_COLUMNS, SqlDurable, ledger_of
from infrai_runtime.testing import Till
from tests.replicas.state import State, on_postgres, on_sqlite
from tests.servers import Postgres, free_port, redis
from tests.serving import ServedProcess, served_process

PROJECT = "p"
CREDIT_NANO = 10**15
SELLERS = ("shop", "stall")

_MODEL = """
[[model]]
vendor = "{seller}"
id = "{model}"
capability = "chat"
context_window = 32768
prices = {{ input_mtok = 1.0, output_mtok = 2.0 }}
"""
_SELLER = """
[{seller}]
dialect = "openai"
base_url = "{url}"
key = "test-key"
{more}
"""


@dataclass
class Shop:
    """``start`` and ``kill`` the runtime as often as you like; its address and key stay. Its state is looked at when it
    does not run, or beside it."""

    home: Path
    till: Till
    state: State
    stores: Mapping[str, str] = field(default_factory=dict)
    """Where the state is, as the runtime's environment says it."""
    port: int = field(default_factory=free_port)
    key: str = field(default_factory=mint_key, repr=False)
    runtime: ServedProcess | None = None
    sellers: tuple[str, ...] = SELLERS[:1]
    _up: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """Where the runtime is."""
        return f"http://127.0.0.1:{self.port}/v1"

    def prepare(self, models: tuple[str, ...]) -> None:
        """Writes what the operator writes, and makes a project with a key."""
        self.home.mkdir(parents=True)
        more = 'idempotency_header = "Idempotency-Key"' if self.till.keyed else ""
        tables = [_SELLER.format(seller=seller, url=self.till.url, more=more) for seller in self.sellers]
        rows = [_MODEL.format(seller=seller, model=model) for seller in self.sellers for model in models]
        (self.home / "vendors.toml").write_text("".join(tables))
        (self.home / "vendors.toml").chmod(0o600)
        (self.home / "catalogue.toml").write_text("".join(rows))

        async def project(store: SqlDurable) -> None:
            await store.add_project(PROJECT, "acct", CREDIT_NANO, time.time())
            await store.add_key(hash_key(self.key), KeyRow("k1", PROJECT))

        self.state.on_store(project)

    def start(self) -> ServedProcess:
        """The runtime runs; returns when it answers."""
        log = self.home.parent / f"runtime-{secrets.token_hex(4)}"
        named = ",".join((*self.sellers, "local"))
        environ = {"INFRAI_VENDORS": named, "INFRAI_VENDORS_FILE": str(self.home / "vendors.toml"), **self.stores}
        options = ("--port", str(self.port), "--home", str(self.home))
        self.runtime = self._up.enter_context(served_process(log, *options, environ=environ))
        return self.runtime

    def kill(self) -> None:
        """``kill -9``."""
        assert self.runtime is not None
        self.runtime.process.kill()
        self.runtime.process.wait()
        self._up.pop_all().close()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.runtime is not None
        code = self.runtime.stop()
        self._up.pop_all().close()
        return code

    # -- what it is like

    def rss_mb(self) -> float:
        """Memory of the runtime."""
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def descriptors(self) -> int:
        """Open files and sockets of the runtime."""
        return len(os.listdir(f"/proc/{self._pid}/fd"))

    @property
    def _pid(self) -> int:
        assert self.runtime is not None
        return self.runtime.process.pid

    # -- what it has written down

    def find_the_dead(self) -> None:
        """What another process does when leases are over, without the wait."""
        self.state.on_store(lambda store: store.tend("undertaker", time.time() + LEASE_S + 1))

    def books(self) -> Books:
        """The money, as the runtime knows it."""

        async def read(store: SqlDurable) -> Books:
            budgets = {budget.scope: budget for budget in await store.budgets(PROJECT, time.time())}
            await store._write_noted()
            found = await store._fetch(f"SELECT {LEDGER_COLUMNS} FROM ledger WHERE project_id = $1", PROJECT)
            paid = budgets[project_scope(PROJECT)]
            return Books(paid.spent_nano, paid.reserved_nano, [ledger_of(row) for row in found])

        return self.state.on_store(read)


@dataclass(frozen=True)
class Books:
    """``settled_nano`` was taken from the credit; ``reserved_nano`` is still set aside."""

    settled_nano: int
    reserved_nano: int
    rows: list[LedgerRow] = field(repr=False)

    @property
    def attempts_nano(self) -> int:
        """What the ledger's attempts add up to."""
        return sum(row.cost_nano or 0 for row in self.rows if row.kind == "attempt")

    @property
    def open_nano(self) -> int:
        """What may have been charged beyond that."""
        return sum(row.reserved_nano for row in self.rows if row.kind == "attempt")


@contextmanager
def shop(
    directory: Path,
    till: Till,
    models: tuple[str, ...],
    sellers: tuple[str, ...] = SELLERS[:1],
    *,
    shared: bool = False,
) -> Iterator[Shop]:
    """A shop whose runtime has not begun. ``shared``: its state is in PostgreSQL and Redis."""
    home = directory / "home"
    with till, _shared(directory) if shared else nullcontext((on_sqlite(home / "runtime.db"), {})) as (state, stores):
        made = Shop(home, till, state, stores, sellers=sellers)
        made.prepare(models)
        try:
            yield made
        finally:
            made._up.close()


@contextmanager
def _shared(directory: Path) -> Iterator[tuple[State, Mapping[str, str]]]:
    postgres = Postgres()
    with closing(postgres), postgres.up(), redis(directory / "redis") as ephemeral:
        yield on_postgres(postgres.url()), {"INFRAI_DATABASE": postgres.url(), "INFRAI_REDIS": ephemeral}
