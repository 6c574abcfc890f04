"""The ephemeral state in Redis, shared by the runtimes of several machines.

Without Redis nothing stops: an operation that it does not answer is done in this process's own memory instead, and
for ``APART_S`` nobody waits for it again. In that time the replicas share neither cache nor limits, so each grants what
a limit allows by itself.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar

from infrai_core.errors import ConfigError
from infrai_runtime.failure import Failure, missing_extra
from infrai_runtime.store.ephemeral import Ephemeral, Failing, Held, Place, Taken, Wish, held
from infrai_runtime.store.memory import MemoryEphemeral
from infrai_runtime.time_limit import TimeLimit

T = TypeVar("T")

ANSWER_S = 0.5
APART_S = 2.0
FRESH_S = 0.5
ANY_NUMBER = 2**31
PREFIX = "infrai:"
FAILING = f"{PREFIX}failing"
PROBE = f"{PREFIX}probe"

log = logging.getLogger("infrai_runtime")

_HOLD = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local holder, most, lease, owe = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local count = (#ARGV - 4) / 2
local room = KEYS[count + 1]
local again = room and not owe and redis.call('ZSCORE', room, holder)
local levels, granted, entered = {}, 1, 1
for i = 1, count do
  local amount, per_minute = tonumber(ARGV[3 + 2 * i]), tonumber(ARGV[4 + 2 * i])
  local held = redis.call('HMGET', KEYS[i], 'level', 'at')
  local level, at = tonumber(held[1]) or per_minute, tonumber(held[2]) or now
  levels[i] = math.min(per_minute, level + (now - at) * per_minute / 60)
  if not owe and not again and levels[i] < amount then granted = 0 end
end
if room and not owe then
  redis.call('ZREMRANGEBYSCORE', room, '-inf', now)
  if not again and redis.call('ZCARD', room) >= most then entered = 0 end
end
if granted == 1 and entered == 1 then
  for i = 1, again and 0 or count do
    levels[i] = levels[i] - tonumber(ARGV[3 + 2 * i])
    redis.call('HSET', KEYS[i], 'level', tostring(levels[i]), 'at', tostring(now))
    redis.call('PEXPIRE', KEYS[i], 120000)
  end
  if room and owe then
    redis.call('ZREM', room, holder)
  elseif room then
    redis.call('ZADD', room, now + lease, holder)
    redis.call('PEXPIRE', room, math.ceil(lease * 1000))
  end
end
for i = 1, count do levels[i] = tostring(levels[i]) end
return {granted, entered, unpack(levels)}
"""
"""Takes from buckets and a place in a room, all or nothing; or, to ``owe``, takes in any case and gives the place
back. Who has the place already asks again, because the answer was lost, and is told the same."""
_FAILING = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local rows = redis.call('HGETALL', KEYS[1])
for i = 2, #rows, 2 do
  local count, at, asked = string.match(rows[i], '(%S+) (%S+) (%S+)')
  rows[i] = count .. ' ' .. tostring(now - at) .. ' ' .. asked
end
return rows
"""
_RECORD = """
redis.call('DEL', KEYS[2])
if ARGV[2] == '1' then return redis.call('HDEL', KEYS[1], ARGV[1]) end
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local count, at, asked = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '0 0 0', '(%S+) (%S+) (%S+)')
local rest = math.max(tonumber(ARGV[3]), at + asked - now)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d %.6f %s', count + 1, now, tostring(rest)))
redis.call('EXPIRE', KEYS[1], 3600)
return count + 1
"""


class RedisEphemeral:
    """``Ephemeral`` in Redis, and in memory while Redis does not answer. Raises ``ConfigError`` for a wrong address."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        module = _redis()
        try:
            self._redis = module.asyncio.from_url(url, socket_timeout=None, socket_connect_timeout=ANSWER_S)
        except ValueError:
            raise ConfigError("redis: allowed is an address such as redis://host:6379/0") from None
        self._gone = (module.RedisError, OSError)
        self._refused = module.ResponseError
        self._own: Ephemeral = MemoryEphemeral(clock=clock)
        self._apart_until = 0.0
        self._clock = clock
        self._scripts = Scripts(self._redis)
        self._places: dict[tuple[str, str], float] = {}
        self._seen: Mapping[str, Failing] = {}
        self._read_again = 0.0

    async def _either(self, shared: Callable[[], Awaitable[T]], own: Callable[[Ephemeral], Awaitable[T]]) -> T:
        if self._clock() < self._apart_until:
            return await own(self._own)
        try:
            return await self._asked(shared)
        except self._gone as error:
            log.warning("%s; this process goes on by itself", self._said(error))
            self._apart_until = self._clock() + APART_S
            return await own(self._own)

    async def _asked(self, shared: Callable[[], Awaitable[T]]) -> T:
        """Asks Redis, and once more where the answer was lost or late: this process itself may have been held up. What
        was done and asked for again without a place counts twice: a limit then allows a call less for a moment."""
        try:
            with TimeLimit(ANSWER_S):  # the driver's own timeout costs a task for each command
                return await shared()
        except self._gone:
            with TimeLimit(ANSWER_S):
                return await shared()

    async def get(self, key: str) -> bytes | None:
        """A stored value that has not expired."""
        return await self._either(lambda: self._redis.get(PREFIX + key), lambda own: own.get(key))

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Stores a value; Redis's own ``maxmemory`` makes room."""
        milliseconds = max(1, int(ttl_s * 1000))
        await self._either(
            lambda: self._redis.set(PREFIX + key, value, px=milliseconds), lambda own: own.put(key, value, ttl_s)
        )

    async def take(self, bucket: str, amount: float, per_minute: float, *, owe: bool = False) -> Taken:
        """Takes from a bucket."""
        wish = Wish(bucket, amount, per_minute)

        async def shared() -> Taken:
            return (await self._held((wish,), None, owe=owe)).taken[0]

        return await self._either(shared, lambda own: own.take(bucket, amount, per_minute, owe=owe))

    async def hold(self, wishes: Sequence[Wish], place: Place | None = None) -> Held:
        """Takes everything or nothing."""

        async def shared() -> Held:
            got = await self._held(wishes, place)
            if place is not None and got.granted:
                self._places[place.room, place.holder] = place.lease_s
            return got

        return await self._either(shared, lambda own: own.hold(wishes, place))

    async def let_go(self, debts: Sequence[Wish], place: Place | None = None) -> None:
        """Owes, and gives a place back, wherever it was given."""
        if place is not None:
            await self._own.leave(place.room, place.holder)
            place = place if self._places.pop((place.room, place.holder), None) is not None else None
        if debts or place is not None:
            await self._either(lambda: self._held(debts, place, owe=True), lambda own: own.let_go(debts))

    async def _held(self, wishes: Sequence[Wish], place: Place | None, *, owe: bool = False) -> Held:
        keys = [f"{PREFIX}bucket:{wish.bucket}" for wish in wishes]
        keys += [] if place is None else [_room(place.room)]
        about = ("", 0, 0) if place is None else place[1:]
        amounts = [value for wish in wishes for value in wish[1:]]
        granted, entered, *levels = await self._scripts.run(_HOLD, keys, (*about, int(owe), *amounts))
        return held(bool(granted and entered), bool(entered), [float(level) for level in levels], wishes)

    async def enter(self, room: str, holder: str, most: int, lease_s: float) -> bool:
        """Gives a place."""
        return (await self.hold((), Place(room, holder, most, lease_s))).entered

    async def leave(self, room: str, holder: str) -> None:
        """Gives a place back, wherever it was given."""
        await self.let_go((), Place(room, holder, 0, 0.0))

    async def tend(self) -> None:
        """Renews the places; a Redis that has forgotten them, because it began anew, learns of them."""
        for (room, holder), lease_s in tuple(self._places.items()):
            await self._either(partial(self._stay, room, holder, lease_s), lambda own: own.tend())

    async def _stay(self, room: str, holder: str, lease_s: float) -> None:
        if (room, holder) in self._places:
            await self._held((), Place(room, holder, ANY_NUMBER, lease_s))

    async def failing(self) -> Mapping[str, Failing]:
        """Everything whose latest attempt failed, by name; at most ``FRESH_S`` old, since every plan asks for it."""
        if self._clock() >= self._read_again:
            self._seen = await self._either(self._failing_there, lambda own: own.failing())
            self._read_again = self._clock() + FRESH_S
        return self._seen

    async def _failing_there(self) -> Mapping[str, Failing]:
        rows = await self._scripts.run(_FAILING, (FAILING,))
        triples = zip(rows[::2], (row.decode().split() for row in rows[1::2]), strict=True)
        return {name.decode(): Failing(int(v[0]), float(v[1]), float(v[2])) for name, v in triples}

    async def record(self, name: str, ok: bool, asked_s: float = 0.0) -> None:
        """Notes a success or a failure."""
        self._read_again = 0.0
        await self._either(
            lambda: self._scripts.run(_RECORD, (FAILING, f"{PREFIX}lease:probe:{name}"), (name, int(ok), asked_s)),
            lambda own: own.record(name, ok, asked_s),
        )

    async def lease(self, name: str, ttl_s: float) -> bool:
        """Takes a name for a while."""

        async def shared() -> bool:
            return bool(await self._redis.set(f"{PREFIX}lease:{name}", b"1", nx=True, px=max(1, int(ttl_s * 1000))))

        return await self._either(shared, lambda own: own.lease(name, ttl_s))

    async def ping(self) -> None:
        """Raises OVERLOADED when Redis does not answer, or takes nothing: one that is full, or a replica, answers a
        PING. The runtime serves nevertheless."""
        try:
            with TimeLimit(ANSWER_S):
                await self._redis.set(PROBE, b"1", ex=60)
        except self._gone as error:
            raise Failure("OVERLOADED", self._said(error)) from error

    def _said(self, error: Exception) -> str:
        """What is wrong with Redis, in words."""
        refused = isinstance(error, self._refused)
        return f"redis {'takes nothing' if refused else 'does not answer'} ({type(error).__name__})"

    async def close(self) -> None:
        """Closes the connections."""
        await self._scripts.close()
        await self._redis.aclose()
        await self._own.close()


class Scripts:
    """Runs scripts in Redis on connections of their own, which are the driver's: its way to a command costs more than
    all the rest, for taking a connection, the retries and the measures that it brings along."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._idle: list[Any] = []
        self._unknown = _redis().exceptions.NoScriptError

    async def run(self, script: str, keys: Sequence[str], about: Sequence[Any] = ()) -> Any:
        """What the script says. Raises as the driver does."""
        pool = self._client.connection_pool
        values = [str(value).encode() for value in (*keys, *about)]
        connection = self._idle.pop() if self._idle else await pool.get_connection()
        try:
            await pool.ensure_connection(connection)  # opens one that was closed, there or here
            await connection.send_packed_command(_command(b"EVALSHA", _name(script), b"%d" % len(keys), *values))
            try:
                return await connection.read_response()
            except self._unknown:
                await connection.send_packed_command(_command(b"EVAL", script.encode(), b"%d" % len(keys), *values))
                return await connection.read_response()
        finally:  # one that was left in the middle of something is closed
            self._idle.append(connection)

    async def close(self) -> None:
        """Gives the connections back."""
        while self._idle:
            await self._client.connection_pool.release(self._idle.pop())


@lru_cache(maxsize=8)
def _name(script: str) -> bytes:
    """How Redis names a script that it has run."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest().encode()


def _command(*words: bytes) -> bytes:
    """A command as it goes over the wire (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def _room(name: str) -> str:
    return f"{PREFIX}room:{name}"


def _redis() -> Any:
    try:
        import redis
        import redis.asyncio
    except ImportError:
        lacks = missing_extra("redis", "redis", "a Redis server")
        raise ConfigError(f"{lacks}: {lacks.hint}") from None
    return redis
