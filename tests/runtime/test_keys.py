from __future__ import annotations

import asyncio
import stat
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from infrai_core import ConfigError
from infrai_runtime import activation, keys, sign
from infrai_runtime.failure import Failure
from infrai_runtime.identity import request_id
from infrai_runtime.settings import Settings
from infrai_runtime.store.blob import Blobs
from infrai_runtime.store.memory import MemoryEphemeral
from infrai_runtime.store.sqlite import SqliteDurable


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, public_url="http://127.0.0.1:9")


@pytest.fixture
def durable() -> Iterator[SqliteDurable]:
    store = SqliteDurable(None)
    yield store
    asyncio.run(store.close())


def test_request_ids_are_uuids_of_version_7_and_rise() -> None:
    ids = [request_id() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert {uuid.UUID(i).version for i in ids} == {7}


def test_an_activated_key_opens_its_project_and_only_its_hash_is_stored(
    settings: Settings, durable: SqliteDurable
) -> None:
    async def body() -> None:
        made = await activation.activate(durable, MemoryEphemeral(), settings, "127.0.0.1", False)
        key = made["primary_api_key"]
        assert key.startswith("ifr_pk_proj_")
        caller = await keys.authenticate(durable, f"Bearer {key}", settings)
        assert (caller.project_id, caller.trial) == (made["project_id"], True)
        assert await durable.balance_nano(caller.project_id) == 5 * 10**9
        assert key not in repr(vars(durable))

    asyncio.run(body())


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer wrong"])
def test_a_missing_or_unknown_key_is_unauthorized(
    settings: Settings, durable: SqliteDurable, header: str | None
) -> None:
    with pytest.raises(Failure) as caught:
        asyncio.run(keys.authenticate(durable, header, settings))
    assert caught.value.code == "UNAUTHORIZED"
    assert "wrong" not in caught.value.message


def test_the_embedded_runtime_and_no_auth_need_no_key(settings: Settings, durable: SqliteDurable) -> None:
    open_settings = replace(settings, no_auth=True)
    assert asyncio.run(keys.authenticate(durable, None, open_settings)) == keys.LOCAL
    assert asyncio.run(keys.authenticate(durable, None, settings, embedded=True)) == keys.EMBEDDED


def test_no_auth_is_refused_off_this_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no_auth"):
        Settings(home=tmp_path, host="0.0.0.0", no_auth=True)


@pytest.mark.parametrize(
    ("allow", "address", "real", "code"),
    [
        (None, "127.0.0.1", False, None),
        (None, None, False, None),
        (None, "192.0.2.1", False, "FORBIDDEN"),
        (None, "127.0.0.1", True, "FORBIDDEN"),
        (True, "192.0.2.1", True, None),
        (False, "127.0.0.1", False, "FORBIDDEN"),
    ],
)
def test_activation_is_for_this_machine_unless_the_operator_says_more(
    settings: Settings, durable: SqliteDurable, allow: bool | None, address: str | None, real: bool, code: str | None
) -> None:
    allowing = replace(settings, allow_activation=allow)
    made = activation.activate(durable, MemoryEphemeral(), allowing, address, real)
    if code is None:
        assert asyncio.run(made)["trial_credit_usd"] == 5
    else:
        with pytest.raises(Failure) as caught:
            asyncio.run(made)
        assert caught.value.code == code


def test_activation_is_rate_limited(settings: Settings, durable: SqliteDurable) -> None:
    async def body() -> None:
        ephemeral = MemoryEphemeral()
        for _ in range(settings.activations_per_minute):
            await activation.activate(durable, ephemeral, settings, None, False)
        with pytest.raises(Failure) as caught:
            await activation.activate(durable, ephemeral, settings, None, False)
        assert caught.value.code == "RATE_LIMITED"
        assert caught.value.retry_after_s is not None

    asyncio.run(body())


def test_a_token_holds_until_it_expires_or_is_altered() -> None:
    now = [100.0]
    signer = sign.Signer(b"secret", now=lambda: now[0])
    token = signer.sign({"session": "s"}, 10)
    assert signer.verify(token) == {"session": "s"}
    text, _, mac = token.partition(".")
    for wrong in (f"{text}x.{mac}", f"{text}.{mac[:-1]}", f"{text}.", "", "é.é", sign.Signer(b"other").sign({}, 10)):
        with pytest.raises(Failure, match="not valid"):
            signer.verify(wrong)
    now[0] = 110.0
    with pytest.raises(Failure, match="expired"):
        signer.verify(token)
    assert "secret" not in repr(signer)


def test_the_signing_secret_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    token = sign.load(tmp_path / "home").sign({"a": 1}, 100)
    assert sign.load(tmp_path / "home").verify(token) == {"a": 1}
    assert stat.S_IMODE((tmp_path / "home" / "signing.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["signing.key"]


@pytest.mark.parametrize("left", [b"", b"x" * 31])
def test_a_secret_that_everybody_could_guess_signs_nothing(tmp_path: Path, left: bytes) -> None:
    """Such a file is left by a machine that crashed, or by a full disk."""
    (tmp_path / "signing.key").write_bytes(left)
    with pytest.raises(ConfigError, match=f"signing.key holds {len(left)} bytes, allowed are 32 and more"):
        sign.load(tmp_path)


def test_everybody_who_starts_at_once_gets_the_same_secret(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def start(number: int) -> str:
        together.wait()
        return sign.load(tmp_path / "home").mac("x")

    with ThreadPoolExecutor(8) as pool:
        macs = set(pool.map(start, range(8)))
    assert macs == {sign.load(tmp_path / "home").mac("x")}


def link_of(url: str) -> tuple[str, str, str]:
    path, _, query = url.partition("?")
    expires, _, signature = query.partition("&")
    return path.rsplit("/", 1)[1], expires.removeprefix("expires="), signature.removeprefix("signature=")


def test_a_kept_file_opens_by_its_link_until_that_ends(settings: Settings) -> None:
    async def body() -> None:
        now = [1000.0]
        signer = sign.Signer(b"secret")
        blobs = Blobs(settings, signer, now=lambda: now[0])
        stored = await blobs.put(b"png", "image/png", {"label": "x"}, "p")
        name, expires, signature = link_of(stored.url)
        path, mime = await blobs.open(name, expires, signature)
        assert (path.read_bytes(), mime) == (b"png", "image/png")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for wrong in (
            (name, str(int(expires) + 1), signature),
            (name, expires, "x"),
            ("../signing.key", expires, signature),
        ):
            with pytest.raises(Failure) as caught:
                await blobs.open(*wrong)
            assert caught.value.code == "UNAUTHORIZED"
        evil = "../../etc/passwd"
        with pytest.raises(Failure) as caught:  # even a link that was really signed cannot leave the directory
            await blobs.open(evil, expires, signer.mac(f"media:{evil}:{expires}"))
        assert caught.value.code == "NOT_FOUND"
        now[0] += settings.media_ttl_s
        with pytest.raises(Failure, match="expired"):
            await blobs.open(name, expires, signature)

    asyncio.run(body())


def test_the_embedded_runtime_links_to_files_and_expired_ones_are_removed(settings: Settings) -> None:
    async def body() -> None:
        import time

        now = [time.time()]
        blobs = Blobs(replace(settings, public_url=None), sign.Signer(b"s"), now=lambda: now[0])
        old = await blobs.put(b"old", "audio/mpeg", {}, "p")
        assert old.url.startswith("file://")
        assert old.url.endswith(".mp3")
        now[0] += settings.media_ttl_s + 61
        await blobs.put(b"new", "audio/mpeg", {}, "p")
        names = {path.name for path in (settings.home / "media").iterdir()}
        assert old.id not in names
        assert len(names) == 2

    asyncio.run(body())
