"""The durable state in PostgreSQL, for runtimes on more than one machine.

``admit`` and ``book`` are functions of the database, so that each is one round trip and one transaction. Rows are
locked in one order everywhere (the call, then its budgets in the order that they are named, which is sorted), so that
two calls cannot wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

from infrai_core.errors import ConfigError
from infrai_runtime.failure import Failure, missing_extra
from infrai_runtime.store.batch import Outcome
from infrai_runtime.store.durable import LEASE_S, Admission, Admitted, Booking, LedgerRow, window
from infrai_runtime.store.sql import BOOKED, INSERT_LEDGER, LEDGER_VALUES, SqlDurable, ledger_values
from infrai_runtime.store.statement import Statement
from infrai_runtime.store.vouch import MOST_SWEEPS, SWEPT_AT_ONCE

POOL = 10
CONNECT_S = 5.0
ACQUIRE_S = 5.0
"""How long a call waits for a connection to be free, or to be made."""
STATEMENT_S = 10.0
_LOCK = 0x1F2A1  # serialises migrations of several processes

MIGRATIONS = (
    """
    CREATE TABLE project (project_id TEXT PRIMARY KEY, account_id TEXT NOT NULL, created_s DOUBLE PRECISION NOT NULL);
    CREATE TABLE budget (
      scope TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES project, limit_nano BIGINT NOT NULL,
      period TEXT NOT NULL, spent_in TEXT NOT NULL DEFAULT '', spent_nano BIGINT NOT NULL DEFAULT 0,
      reserved_nano BIGINT NOT NULL DEFAULT 0
    );
    CREATE INDEX budget_project ON budget (project_id);
    CREATE TABLE key (
      key_hash TEXT PRIMARY KEY, key_id TEXT NOT NULL UNIQUE, project_id TEXT NOT NULL REFERENCES project,
      name TEXT NOT NULL, trial SMALLINT NOT NULL, created_s DOUBLE PRECISION NOT NULL, expires_s DOUBLE PRECISION,
      revoked SMALLINT NOT NULL, policy TEXT NOT NULL
    );
    CREATE TABLE call (
      project_id TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, request_id TEXT NOT NULL,
      owner TEXT NOT NULL, lease_s DOUBLE PRECISION NOT NULL, expires_s DOUBLE PRECISION NOT NULL,
      reserved_nano BIGINT NOT NULL, scopes TEXT[] NOT NULL, key_id TEXT, capability TEXT NOT NULL, answer BYTEA,
      PRIMARY KEY (project_id, key)
    );
    CREATE INDEX call_running ON call (owner) WHERE answer IS NULL;
    CREATE INDEX call_lease ON call (lease_s) WHERE answer IS NULL;
    CREATE INDEX call_expiry ON call (expires_s) WHERE answer IS NOT NULL;
    CREATE TABLE ledger (
      kind TEXT NOT NULL, at_s DOUBLE PRECISION NOT NULL, project_id TEXT NOT NULL, key_id TEXT,
      request_id TEXT NOT NULL, capability TEXT NOT NULL, vendor TEXT, model TEXT, outcome TEXT NOT NULL,
      latency_ms DOUBLE PRECISION NOT NULL, prompt_tokens BIGINT, completion_tokens BIGINT, cost_nano BIGINT,
      cache_hit SMALLINT NOT NULL, estimated SMALLINT NOT NULL, usage TEXT NOT NULL,
      reserved_nano BIGINT NOT NULL, idempotency_key TEXT, batch_id TEXT, tags TEXT NOT NULL
    );
    CREATE INDEX ledger_project ON ledger (project_id, at_s);
    CREATE INDEX ledger_request ON ledger (request_id);

    CREATE FUNCTION spent(b budget, month TEXT, day TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
      SELECT CASE WHEN b.spent_in = CASE b.period WHEN 'total' THEN '' WHEN 'month' THEN month ELSE day END
        THEN b.spent_nano ELSE 0 END
    $$;

    CREATE FUNCTION settle(p_scopes TEXT[], p_nano BIGINT, p_cost BIGINT, p_month TEXT, p_day TEXT) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM 1 FROM budget WHERE scope = ANY(p_scopes) ORDER BY scope FOR UPDATE;
      UPDATE budget b SET reserved_nano = reserved_nano - p_nano, spent_nano = spent(b, p_month, p_day) + p_cost,
        spent_in = CASE period WHEN 'total' THEN '' WHEN 'month' THEN p_month ELSE p_day END
      WHERE scope = ANY(p_scopes);
    END $$;

    CREATE FUNCTION bury(c call, p_now DOUBLE PRECISION, p_month TEXT, p_day TEXT) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
      IF c.reserved_nano > 0 THEN PERFORM settle(c.scopes, c.reserved_nano, 0, p_month, p_day); END IF;
      INSERT INTO ledger VALUES ('attempt', p_now, c.project_id, c.key_id, c.request_id, c.capability, NULL, NULL,
        'unknown', 0, NULL, NULL, NULL, 0, 0, '{}', c.reserved_nano,
        CASE WHEN c.key = c.request_id THEN NULL ELSE c.key END, NULL, '{}');
      DELETE FROM call WHERE project_id = c.project_id AND key = c.key;
    END $$;

    CREATE FUNCTION admit(
      p_project TEXT, p_key TEXT, p_fingerprint TEXT, p_request TEXT, p_owner TEXT, p_now DOUBLE PRECISION,
      p_lease DOUBLE PRECISION, p_expires DOUBLE PRECISION, p_nano BIGINT, p_scopes TEXT[], p_key_id TEXT,
      p_capability TEXT, p_month TEXT, p_day TEXT
    ) RETURNS TABLE (state TEXT, stored BYTEA, short TEXT) LANGUAGE plpgsql AS $$
    DECLARE c call;
    BEGIN
      LOOP
        INSERT INTO call VALUES (p_project, p_key, p_fingerprint, p_request, p_owner, p_lease, p_expires,
          coalesce(p_nano, 0), CASE WHEN p_nano > 0 THEN p_scopes ELSE '{}' END, p_key_id, p_capability, NULL)
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        SELECT * INTO c FROM call WHERE project_id = p_project AND key = p_key FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        IF c.answer IS NULL AND c.lease_s <= p_now THEN
          IF c.fingerprint <> p_fingerprint AND c.expires_s > p_now THEN
            RETURN QUERY SELECT 'conflict', NULL::BYTEA, NULL::TEXT; RETURN;
          END IF;
          PERFORM bury(c, p_now, p_month, p_day);
        ELSIF c.answer IS NOT NULL AND c.expires_s <= p_now THEN
          DELETE FROM call WHERE project_id = p_project AND key = p_key;
        ELSIF c.fingerprint <> p_fingerprint THEN
          RETURN QUERY SELECT 'conflict', NULL::BYTEA, NULL::TEXT; RETURN;
        ELSIF c.answer IS NOT NULL THEN
          RETURN QUERY SELECT 'done', c.answer, NULL::TEXT; RETURN;
        ELSE
          RETURN QUERY SELECT 'running', NULL::BYTEA, NULL::TEXT; RETURN;
        END IF;
      END LOOP;
      IF p_nano IS NOT NULL THEN
        PERFORM 1 FROM budget WHERE scope = ANY(p_scopes) ORDER BY scope FOR UPDATE;
        RETURN QUERY SELECT 'refused', NULL::BYTEA, b.scope FROM budget b WHERE b.scope = ANY(p_scopes)
          AND b.limit_nano - spent(b, p_month, p_day) - b.reserved_nano < greatest(p_nano, 1) ORDER BY b.scope LIMIT 1;
        IF FOUND THEN
          DELETE FROM call WHERE project_id = p_project AND key = p_key; RETURN;
        END IF;
        UPDATE budget SET reserved_nano = reserved_nano + p_nano WHERE scope = ANY(p_scopes);
      END IF;
      RETURN QUERY SELECT 'new', NULL::BYTEA, NULL::TEXT;
    END $$;

    CREATE FUNCTION finish(
      p_project TEXT, p_key TEXT, p_request TEXT, p_answer BYTEA, p_nano BIGINT, p_cost BIGINT, p_scopes TEXT[],
      p_month TEXT, p_day TEXT
    ) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
    DECLARE ours BOOLEAN; nano BIGINT;
    BEGIN
      IF p_answer IS NULL THEN
        DELETE FROM call WHERE project_id = p_project AND key = p_key AND request_id = p_request AND answer IS NULL;
      ELSE
        UPDATE call SET answer = p_answer, reserved_nano = 0
        WHERE project_id = p_project AND key = p_key AND request_id = p_request AND answer IS NULL;
      END IF;
      ours := FOUND;
      nano := CASE WHEN ours THEN p_nano ELSE 0 END;
      IF nano <> 0 OR p_cost <> 0 THEN PERFORM settle(p_scopes, nano, p_cost, p_month, p_day); END IF;
      RETURN ours;
    END $$;

    CREATE FUNCTION tend(
      p_owner TEXT, p_now DOUBLE PRECISION, p_lease DOUBLE PRECISION, p_most INT, p_month TEXT, p_day TEXT
    ) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE c call;
    BEGIN
      UPDATE call SET lease_s = p_lease WHERE owner = p_owner AND answer IS NULL;
      FOR c IN SELECT * FROM call WHERE answer IS NULL AND lease_s <= p_now LIMIT p_most FOR UPDATE SKIP LOCKED LOOP
        PERFORM bury(c, p_now, p_month, p_day);
      END LOOP;
      DELETE FROM call WHERE (project_id, key) IN (SELECT project_id, key FROM call
        WHERE answer IS NOT NULL AND expires_s <= p_now LIMIT p_most FOR UPDATE SKIP LOCKED);
    END $$;
    """,
    """
    CREATE TABLE batch (
      batch_id TEXT PRIMARY KEY, project_id TEXT NOT NULL, key_id TEXT, created_s DOUBLE PRECISION NOT NULL,
      deadline_s DOUBLE PRECISION NOT NULL, idempotency_key TEXT, metadata TEXT NOT NULL, total BIGINT,
      fingerprint TEXT NOT NULL, estimated_nano BIGINT, purge_s DOUBLE PRECISION NOT NULL,
      cancelled_s DOUBLE PRECISION, UNIQUE (project_id, idempotency_key)
    );
    CREATE INDEX batch_project ON batch (project_id, batch_id);
    CREATE INDEX batch_purge ON batch (purge_s);
    CREATE TABLE batch_shard (
      batch_id TEXT NOT NULL, number BIGINT NOT NULL, first BIGINT NOT NULL, rows BIGINT NOT NULL,
      requests BYTEA NOT NULL, turn_s DOUBLE PRECISION NOT NULL, owner TEXT NOT NULL DEFAULT '',
      lease_s DOUBLE PRECISION NOT NULL DEFAULT 0, fence BIGINT NOT NULL DEFAULT 0,
      wake_s DOUBLE PRECISION NOT NULL DEFAULT 0, completed BIGINT NOT NULL DEFAULT 0,
      failed BIGINT NOT NULL DEFAULT 0, done SMALLINT NOT NULL DEFAULT 0, here SMALLINT NOT NULL DEFAULT 0, job TEXT,
      PRIMARY KEY (batch_id, number)
    );
    CREATE INDEX batch_shard_turn ON batch_shard (turn_s) WHERE done = 0;
    CREATE INDEX batch_shard_owner ON batch_shard (owner) WHERE done = 0;
    CREATE TABLE batch_row (
      batch_id TEXT NOT NULL, place BIGINT NOT NULL, ok SMALLINT NOT NULL, answer BYTEA NOT NULL,
      PRIMARY KEY (batch_id, place)
    );
    """,
    """
    CREATE OR REPLACE FUNCTION settle(p_scopes TEXT[], p_nano BIGINT, p_cost BIGINT, p_month TEXT, p_day TEXT)
    RETURNS void LANGUAGE plpgsql AS $$
    DECLARE s TEXT;
    BEGIN
      FOREACH s IN ARRAY p_scopes LOOP
        UPDATE budget b SET reserved_nano = reserved_nano - p_nano, spent_nano = spent(b, p_month, p_day) + p_cost,
          spent_in = CASE period WHEN 'total' THEN '' WHEN 'month' THEN p_month ELSE p_day END
        WHERE scope = s;
      END LOOP;
    END $$;

    CREATE OR REPLACE FUNCTION admit(
      p_project TEXT, p_key TEXT, p_fingerprint TEXT, p_request TEXT, p_owner TEXT, p_now DOUBLE PRECISION,
      p_lease DOUBLE PRECISION, p_expires DOUBLE PRECISION, p_nano BIGINT, p_scopes TEXT[], p_key_id TEXT,
      p_capability TEXT, p_month TEXT, p_day TEXT
    ) RETURNS TABLE (state TEXT, stored BYTEA, short TEXT) LANGUAGE plpgsql AS $$
    DECLARE c call; n INT;
    BEGIN
      LOOP
        INSERT INTO call VALUES (p_project, p_key, p_fingerprint, p_request, p_owner, p_lease, p_expires,
          coalesce(p_nano, 0), CASE WHEN p_nano > 0 THEN p_scopes ELSE '{}' END, p_key_id, p_capability, NULL)
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        SELECT * INTO c FROM call WHERE project_id = p_project AND key = p_key FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        IF c.answer IS NULL AND c.lease_s <= p_now THEN
          IF c.fingerprint <> p_fingerprint AND c.expires_s > p_now THEN
            state := 'conflict'; RETURN NEXT; RETURN;
          END IF;
          PERFORM bury(c, p_now, p_month, p_day);
        ELSIF c.answer IS NOT NULL AND c.expires_s <= p_now THEN
          DELETE FROM call WHERE project_id = p_project AND key = p_key;
        ELSIF c.fingerprint <> p_fingerprint THEN
          state := 'conflict'; RETURN NEXT; RETURN;
        ELSIF c.answer IS NOT NULL THEN
          state := 'done'; stored := c.answer; RETURN NEXT; RETURN;
        ELSE
          state := 'running'; RETURN NEXT; RETURN;
        END IF;
      END LOOP;
      IF p_nano IS NOT NULL THEN
        FOR n IN 1 .. cardinality(p_scopes) LOOP
          UPDATE budget b SET reserved_nano = reserved_nano + p_nano
          WHERE scope = p_scopes[n] AND limit_nano - spent(b, p_month, p_day) - reserved_nano >= greatest(p_nano, 1);
          CONTINUE WHEN FOUND;
          PERFORM 1 FROM budget WHERE scope = p_scopes[n];
          IF FOUND THEN
            UPDATE budget SET reserved_nano = reserved_nano - p_nano WHERE scope = ANY(p_scopes[:n - 1]);
            DELETE FROM call WHERE project_id = p_project AND key = p_key;
            state := 'refused'; short := p_scopes[n]; RETURN NEXT; RETURN;
          END IF;
        END LOOP;
      END IF;
      state := 'new'; RETURN NEXT;
    END $$;
    """,
    """
    DROP FUNCTION admit(TEXT, TEXT, TEXT, TEXT, TEXT, DOUBLE PRECISION, DOUBLE PRECISION, DOUBLE PRECISION, BIGINT,
      TEXT[], TEXT, TEXT, TEXT, TEXT);
    DROP FUNCTION spent(budget, TEXT, TEXT);
    ALTER TABLE budget ALTER COLUMN limit_nano DROP NOT NULL,
      ADD COLUMN month_limit_nano BIGINT, ADD COLUMN month_spent_nano BIGINT NOT NULL DEFAULT 0,
      ADD COLUMN month TEXT NOT NULL DEFAULT '', ADD COLUMN day_limit_nano BIGINT,
      ADD COLUMN day_spent_nano BIGINT NOT NULL DEFAULT 0, ADD COLUMN day TEXT NOT NULL DEFAULT '';
    UPDATE budget SET month_limit_nano = limit_nano, month_spent_nano = spent_nano, month = spent_in,
      limit_nano = NULL, spent_nano = 0 WHERE period = 'month';
    UPDATE budget SET day_limit_nano = limit_nano, day_spent_nano = spent_nano, day = spent_in,
      limit_nano = NULL, spent_nano = 0 WHERE period = 'day';
    ALTER TABLE budget DROP COLUMN period, DROP COLUMN spent_in;

    CREATE FUNCTION lacking(b budget, nano BIGINT, p_month TEXT, p_day TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$
      SELECT CASE
        WHEN b.limit_nano - b.spent_nano - b.reserved_nano < nano THEN 'total'
        WHEN b.month_limit_nano - b.reserved_nano - CASE WHEN b.month >= p_month THEN b.month_spent_nano ELSE 0 END
          < nano THEN 'month'
        WHEN b.day_limit_nano - b.reserved_nano - CASE WHEN b.day >= p_day THEN b.day_spent_nano ELSE 0 END
          < nano THEN 'day'
      END
    $$;

    CREATE FUNCTION tags_of(p_project TEXT, p_scopes TEXT[]) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$
      SELECT coalesce(json_object_agg(split_part(tag, '=', 1), substr(tag, strpos(tag, '=') + 1))::text, '{}')
      FROM (SELECT substr(s, length(p_project) + 6) AS tag FROM unnest(p_scopes) AS s
        WHERE starts_with(s, 'tag:' || p_project || ':')) AS tags
    $$;

    CREATE OR REPLACE FUNCTION bury(c call, p_now DOUBLE PRECISION, p_month TEXT, p_day TEXT) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
      IF c.reserved_nano > 0 THEN PERFORM settle(c.scopes, c.reserved_nano, 0, p_month, p_day); END IF;
      INSERT INTO ledger VALUES ('attempt', p_now, c.project_id, c.key_id, c.request_id, c.capability, NULL, NULL,
        'unknown', 0, NULL, NULL, NULL, 0, 0, '{}', c.reserved_nano,
        CASE WHEN c.key = c.request_id THEN NULL ELSE c.key END, NULL, tags_of(c.project_id, c.scopes));
      DELETE FROM call WHERE project_id = c.project_id AND key = c.key;
    END $$;

    CREATE OR REPLACE FUNCTION settle(p_scopes TEXT[], p_nano BIGINT, p_cost BIGINT, p_month TEXT, p_day TEXT)
    RETURNS void LANGUAGE plpgsql AS $$
    DECLARE s TEXT;
    BEGIN
      FOREACH s IN ARRAY p_scopes LOOP
        UPDATE budget SET reserved_nano = reserved_nano - p_nano, spent_nano = spent_nano + p_cost,
          month_spent_nano = CASE WHEN month >= p_month THEN month_spent_nano ELSE 0 END + p_cost,
          month = greatest(month, p_month),
          day_spent_nano = CASE WHEN day >= p_day THEN day_spent_nano ELSE 0 END + p_cost,
          day = greatest(day, p_day)
        WHERE scope = s;
      END LOOP;
    END $$;

    CREATE FUNCTION admit(
      p_project TEXT, p_key TEXT, p_fingerprint TEXT, p_request TEXT, p_owner TEXT, p_now DOUBLE PRECISION,
      p_lease DOUBLE PRECISION, p_expires DOUBLE PRECISION, p_nano BIGINT, p_scopes TEXT[], p_key_id TEXT,
      p_capability TEXT, p_month TEXT, p_day TEXT
    ) RETURNS TABLE (state TEXT, stored BYTEA, short TEXT, period TEXT) LANGUAGE plpgsql AS $$
    DECLARE c call; n INT;
    BEGIN
      LOOP
        INSERT INTO call VALUES (p_project, p_key, p_fingerprint, p_request, p_owner, p_lease, p_expires,
          coalesce(p_nano, 0), CASE WHEN p_nano > 0 THEN p_scopes ELSE '{}' END, p_key_id, p_capability, NULL)
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        SELECT * INTO c FROM call WHERE project_id = p_project AND key = p_key FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        IF c.answer IS NULL AND c.lease_s <= p_now THEN
          IF c.fingerprint <> p_fingerprint AND c.expires_s > p_now THEN
            state := 'conflict'; RETURN NEXT; RETURN;
          END IF;
          PERFORM bury(c, p_now, p_month, p_day);
        ELSIF c.answer IS NOT NULL AND c.expires_s <= p_now THEN
          DELETE FROM call WHERE project_id = p_project AND key = p_key;
        ELSIF c.fingerprint <> p_fingerprint THEN
          state := 'conflict'; RETURN NEXT; RETURN;
        ELSIF c.answer IS NOT NULL THEN
          state := 'done'; stored := c.answer; RETURN NEXT; RETURN;
        ELSE
          state := 'running'; RETURN NEXT; RETURN;
        END IF;
      END LOOP;
      IF p_nano IS NOT NULL THEN
        FOR n IN 1 .. cardinality(p_scopes) LOOP
          UPDATE budget b SET reserved_nano = reserved_nano + p_nano
          WHERE scope = p_scopes[n] AND lacking(b, greatest(p_nano, 1), p_month, p_day) IS NULL;
          CONTINUE WHEN FOUND;
          SELECT coalesce(lacking(b, greatest(p_nano, 1), p_month, p_day), 'total') INTO period
          FROM budget b WHERE scope = p_scopes[n];
          IF FOUND THEN
            UPDATE budget SET reserved_nano = reserved_nano - p_nano WHERE scope = ANY(p_scopes[:n - 1]);
            DELETE FROM call WHERE project_id = p_project AND key = p_key;
            state := 'refused'; short := p_scopes[n]; RETURN NEXT; RETURN;
          END IF;
        END LOOP;
      END IF;
      state := 'new'; RETURN NEXT;
    END $$;
    """,
    """
    ALTER TABLE budget ALTER COLUMN month TYPE TEXT COLLATE "C", ALTER COLUMN day TYPE TEXT COLLATE "C";

    CREATE OR REPLACE FUNCTION lacking(b budget, nano BIGINT, p_month TEXT, p_day TEXT) RETURNS TEXT
    LANGUAGE sql IMMUTABLE AS $$
      SELECT CASE
        WHEN b.limit_nano - b.spent_nano - b.reserved_nano < nano THEN 'total'
        WHEN b.month_limit_nano IS NULL AND b.day_limit_nano IS NULL THEN NULL
        WHEN b.month_limit_nano - b.reserved_nano - CASE WHEN b.month >= p_month THEN b.month_spent_nano ELSE 0 END
          < nano THEN 'month'
        WHEN b.day_limit_nano - b.reserved_nano - CASE WHEN b.day >= p_day THEN b.day_spent_nano ELSE 0 END
          < nano THEN 'day'
      END
    $$;
    """,
)
"""Forward only: entry N brings a schema of version N to version N + 1. Landed entries never change."""

_ADMIT = "SELECT state, stored, short, period FROM admit($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)"
_SPENT = "SELECT 1 FROM budget b WHERE scope = ANY($1) AND lacking(b, $2 - b.reserved_nano, $3, $4) IS NOT NULL"
_FINISH = "SELECT finish($1,$2,$3,$4,$5,$6,$7,$8,$9)"
_LEDGER_TYPES = (
    *("text", "float8", "text", "text", "text", "text", "text", "text", "text", "float8", "int8", "int8", "int8"),
    *("int2", "int2", "text", "int8", "text", "text", "text"),
)
MOST_ROWS_AT_ONCE = 8


@lru_cache(maxsize=MOST_ROWS_AT_ONCE)
def _book(rows: int) -> str:
    """The statement that ends a call and writes its rows of the ledger."""
    first = range(10, 10 + rows * LEDGER_VALUES, LEDGER_VALUES)
    values = (", ".join(f"${n}::{kind}" for n, kind in enumerate(_LEDGER_TYPES, start)) for start in first)
    return (
        "WITH ended AS MATERIALIZED (SELECT finish($1,$2,$3,$4,$5,$6,$7,$8,$9))"
        f" INSERT INTO ledger SELECT row.* FROM ended, (VALUES {', '.join(f'({row})' for row in values)}) AS row"
    )


_RENEW = "UPDATE call SET lease_s = greatest(lease_s, $1) WHERE owner = $2 AND answer IS NULL AND request_id = ANY($3)"
_TEND = "SELECT tend('',$1,$2,$3,$4,$5)"  # nobody's: leases are renewed by the call, not by the owner
_SWEEP = (
    "DELETE FROM call WHERE (project_id, key) IN (SELECT project_id, key FROM call"
    " WHERE answer IS NOT NULL AND expires_s <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)"
)
_PUT_OUTCOME = (
    "WITH put AS (INSERT INTO batch_row SELECT $1::text, $3::bigint, $4::smallint, $5::bytea FROM batch_shard"
    " WHERE batch_id = $1 AND number = $2 ON CONFLICT DO NOTHING RETURNING ok)"
    " UPDATE batch_shard SET completed = completed + (SELECT count(*) FROM put WHERE ok = 1),"
    " failed = failed + (SELECT count(*) FROM put WHERE ok = 0) WHERE batch_id = $1 AND number = $2"
)
_HOLD = "SELECT 1 FROM call WHERE project_id = $1 AND key = $2 FOR UPDATE"


class PostgresDurable(SqlDurable):
    """``Durable`` in a PostgreSQL schema. Make one with ``connect``."""

    DAY = "to_char(to_timestamp(at_s) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
    UNDER = "$1 = ANY(scopes)"
    TAGS = " LEFT JOIN LATERAL json_each_text(spent.tags::json) AS tag ON true"
    SKIP = " FOR UPDATE OF s SKIP LOCKED"

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self._connections = _Connections(pool)

    @classmethod
    async def connect(cls, url: str, *, upgrade: bool = False) -> PostgresDurable:
        """Opens a store. An empty database gets its schema; an older schema is brought up to date only when asked to
        (``upgrade``, as ``infrai db upgrade`` does). Raises ``ConfigError`` for a schema that is newer than this
        version, or older, and for an address that does not answer."""
        asyncpg = _asyncpg()
        try:
            pool = await asyncpg.create_pool(
                url, min_size=1, max_size=POOL, reset=_as_it_is, timeout=CONNECT_S, command_timeout=STATEMENT_S
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise ConfigError(f"the database does not answer: {type(error).__name__}") from None
        try:
            async with pool.acquire() as connection:
                await _migrate(connection, upgrade)
        except BaseException:
            await pool.close()
            raise
        return cls(pool)

    async def _fetch(self, sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = await self._call("fetch", sql, *values)
        return rows

    _change = _fetch

    async def _write(self, *statements: Statement) -> int:
        if len(statements) == 1:
            return _changed(await self._call("execute", statements[0][0], *statements[0][1]))
        async with self._transaction() as connection:
            done = [await connection.execute(sql, *values) for sql, values in statements]
        return _changed(done[-1])

    async def _call(self, method: str, sql: str, *values: Any) -> Any:
        async with self._connection() as connection:
            return await getattr(connection, method)(sql, *values)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        async with self._connection() as connection, connection.transaction():
            yield connection

    def _connection(self) -> _Using:
        return _Using(self._connections)

    async def _admit_once(self, admission: Admission) -> Admitted:
        a = admission
        when = (a.now, a.now + a.lease_s, a.now + a.ttl_s)
        money = (a.reserve_nano, sorted(a.scopes), a.key_id, a.capability)
        values = (a.project_id, a.key, a.fingerprint, a.request_id, a.owner, *when, *money, *_windows(a.now))
        admitted = Admitted(*await self._call("fetchrow", _ADMIT, *values))
        if admitted.state != "refused":
            return admitted
        spent = await self._fetch(_SPENT, sorted(a.scopes), a.reserve_nano or 1, *_windows(a.now))
        return replace(admitted, held=not spent)

    async def _book_once(self, booking: Booking, doubtful: bool) -> None:
        if not doubtful and booking.outcome is None and len(booking.rows) <= MOST_ROWS_AT_ONCE:
            rows = [value for row in booking.rows for value in ledger_values(row)]
            await self._call("execute", _book(len(booking.rows)) if rows else _FINISH, *_finish_values(booking), *rows)
            return
        async with self._transaction() as connection:
            if doubtful and await _is_booked(connection, booking.admission):
                return
            await connection.execute(_FINISH, *_finish_values(booking))
            if booking.rows:
                await connection.executemany(INSERT_LEDGER, [ledger_values(row) for row in booking.rows])
            for sql, values in self._outcome(booking.outcome) if booking.outcome else ():
                await connection.execute(sql, *values)

    async def _note_once(self, rows: Sequence[LedgerRow], doubtful: bool) -> None:
        if doubtful and await self._fetch(BOOKED, rows[0].request_id):
            return
        await self._call("executemany", INSERT_LEDGER, [ledger_values(row) for row in rows])

    def _outcome(self, outcome: Outcome) -> tuple[Statement, ...]:
        values = (outcome.batch_id, outcome.shard, outcome.place, int(outcome.ok), outcome.answer)
        return ((_PUT_OUTCOME, values),)

    async def _tend_once(self, owner: str, now: float, running: Collection[str]) -> None:
        if running:
            await self._call("execute", _RENEW, now + LEASE_S, owner, list(running))
        await self._call("execute", _TEND, now, now + LEASE_S, SWEPT_AT_ONCE, *_windows(now))
        for _ in range(MOST_SWEEPS):
            if await self._write((_SWEEP, (now, SWEPT_AT_ONCE))) < SWEPT_AT_ONCE:
                break

    async def close(self) -> None:
        """Closes the connections."""
        if self._noting is not None:
            self._noting.cancel()
        await self._connections.close()


async def _as_it_is(connection: Any) -> None:
    """How a connection comes back: no statement of the store leaves something behind, and a reset would be a round trip
    for every call."""


def _finish_values(booking: Booking) -> tuple[Any, ...]:
    a = booking.admission
    answer = booking.answer if a.ttl_s else None
    money = (a.reserve_nano or 0, booking.cost_nano, sorted(a.scopes))
    return (a.project_id, a.key, a.request_id, answer, *money, *_windows(booking.now))


async def _is_booked(connection: Any, a: Admission) -> bool:
    """Looked at with the call's row held: the transaction whose answer was lost may still be under way."""
    await connection.execute(_HOLD, a.project_id, a.key)
    return await connection.fetchval(BOOKED, a.request_id) is not None


def _windows(now: float) -> tuple[str, str]:
    return window("month", now), window("day", now)


def _changed(tag: str) -> int:
    """The count in a command tag such as ``UPDATE 1``."""
    return int(tag.rpartition(" ")[2])


class _Connections:
    """The connections of a pool. One that is done stays at hand while nobody waits for one: the driver's way into its
    pool and out of it again costs a call as much as a statement."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._idle: list[Any] = []
        self._waiting = 0

    async def take(self) -> Any:
        """One to use. Raises ``TimeoutError`` when none is free for ``ACQUIRE_S``."""
        while self._idle:
            if _lives(connection := self._idle.pop()):
                return connection
        self._waiting += 1
        try:
            async with asyncio.timeout(ACQUIRE_S):  # the pool's own timeout costs a task
                return await self._pool.acquire()
        finally:
            self._waiting -= 1

    async def give_back(self, connection: Any, sound: bool) -> None:
        """Ends its use; ``sound`` is False where a statement may still be under way, which the pool waits for."""
        if sound and not self._waiting:
            self._idle.append(connection)
        else:
            await self._pool.release(connection)

    async def close(self) -> None:
        """Closes all."""
        while self._idle:
            await self._pool.release(self._idle.pop())
        await self._pool.close()


def _lives(connection: Any) -> bool:
    """False for one that the database has ended: the pool has it back, and lends it no more under this name."""
    try:
        return not connection.is_closed()
    except _asyncpg().InterfaceError:
        return False


class _Using:
    """A connection in use. A database that does not answer is a 503 that nothing was billed for."""

    __slots__ = ("_connection", "_connections")

    def __init__(self, connections: _Connections) -> None:
        self._connections = connections

    async def __aenter__(self) -> Any:
        try:
            self._connection = await self._connections.take()
        except Exception as error:
            _check_gone(error)
            raise
        return self._connection

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        await self._connections.give_back(self._connection, error is None)
        if error is not None:
            _check_gone(error)


def _check_gone(error: BaseException) -> None:
    if _is_gone(error):
        raise Failure("OVERLOADED", "the runtime's database does not answer", retry_after_s=1.0) from error


def _is_gone(error: BaseException) -> bool:
    pg = _asyncpg()
    lost = (OSError, pg.PostgresConnectionError, pg.InterfaceError, asyncio.TimeoutError)
    leaving = (pg.InternalClientError,)  # asked while the database was saying that it ends the connection
    ends = (pg.OperatorInterventionError, pg.InsufficientResourcesError, pg.ReadOnlySQLTransactionError)
    return isinstance(error, (*lost, *leaving, *ends))


def _asyncpg() -> Any:
    try:
        import asyncpg
    except ImportError:
        lacks = missing_extra("postgres", "asyncpg", "a PostgreSQL database")
        raise ConfigError(f"{lacks}: {lacks.hint}") from None
    return asyncpg


async def _migrate(connection: Any, upgrade: bool) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INT NOT NULL)")
        version = await connection.fetchval("SELECT version FROM schema_version") or 0
        _check_version(version, upgrade)
        for script in MIGRATIONS[version:]:
            await connection.execute(script)
        if version < len(MIGRATIONS):
            await connection.execute("DELETE FROM schema_version")
            await connection.execute("INSERT INTO schema_version VALUES ($1)", len(MIGRATIONS))


def _check_version(version: int, upgrade: bool) -> None:
    if version > len(MIGRATIONS):
        raise ConfigError(
            f"the database has schema version {version}, this package knows up to {len(MIGRATIONS)}; upgrade it"
        )
    if 0 < version < len(MIGRATIONS) and not upgrade:
        raise ConfigError(
            f"the database has schema version {version}, this package needs {len(MIGRATIONS)}: infrai db upgrade"
        )
