"""What lives as long as the application: stores, vendors, and the service on top of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

from infrai_core.errors import ConfigError
from infrai_core.fetch import Fetcher
from infrai_runtime import sign
from infrai_runtime.batch.worker import Worker
from infrai_runtime.catalogue import Catalogue
from infrai_runtime.catalogue_file import CatalogueFiles, Catalogues, FixedCatalogue
from infrai_runtime.observe import CallLog, Observer
from infrai_runtime.service import Service
from infrai_runtime.settings import Settings
from infrai_runtime.store.blob import Blobs
from infrai_runtime.store.durable import TEND_EVERY_S, Durable
from infrai_runtime.store.ephemeral import Ephemeral
from infrai_runtime.store.memory import MemoryEphemeral
from infrai_runtime.store.sqlite import SqliteDurable
from infrai_runtime.vendors import configured
from infrai_runtime.vendors.base import Vendor

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("infrai_runtime")

Stores: TypeAlias = Callable[[Settings], Awaitable[tuple[Durable, Ephemeral]]]
"""Opens what a runtime keeps its state in."""

BATCH_GRACE_S = 5.0
"""How long running requests of batches may go on after a server was told to stop."""


class Runtime:
    """Opens everything once, at the lifespan's start or at the first request, and closes it once."""

    def __init__(
        self,
        settings: Settings,
        vendors: Sequence[Vendor] | None,
        catalogue: Catalogue | None,
        fetcher: Fetcher | None = None,
        observers: Sequence[Observer] = (),
        stores: Stores | None = None,
    ) -> None:
        self._settings = _with_public_url(settings)
        self._vendors = vendors
        self._catalogue = catalogue
        self._fetcher = fetcher
        self._observers = observers
        self._stores = stores or opened
        self.opened: Service | None = None
        """The service, once somebody has asked for it."""
        self._tending: asyncio.Task[None] | None = None
        self._worker: Worker | None = None
        self._lock = asyncio.Lock()

    async def service(self) -> Service:
        """The service, opened when first asked for."""
        if self.opened is None:
            async with self._lock:
                if self.opened is None:
                    self.opened = await self._open()
                    self._tending = asyncio.create_task(_tend(self.opened))
                    if self._settings.batch_concurrency:
                        self._worker = Worker(self.opened, self._settings.batch_concurrency, time.time)
        return self.opened

    async def _open(self) -> Service:
        durable, ephemeral = await self._stores(self._settings)
        try:
            return await self._open_on(durable, ephemeral)
        except BaseException:
            await durable.close()
            await ephemeral.close()
            raise

    async def _open_on(self, durable: Durable, ephemeral: Ephemeral) -> Service:
        settings = self._settings
        signer = await _on_disk(sign.load, settings.home)
        vendors = configured(settings) if self._vendors is None else self._vendors
        return Service(
            settings,
            vendors,
            await self._catalogues(),
            durable,
            ephemeral,
            Blobs(settings, signer),
            signer,
            fetcher=self._fetcher,
            observers=[*_observers(settings, {vendor.name: vendor for vendor in vendors}), *self._observers],
        )

    async def _catalogues(self) -> Catalogues:
        if self._catalogue is not None:
            return FixedCatalogue(self._catalogue)
        return await asyncio.to_thread(CatalogueFiles, self._settings.home)

    def begin_no_more(self) -> None:
        """Begins no further request of a batch."""
        if self._worker is not None:
            self._worker.begin_no_more()

    async def end_calls(self) -> None:
        """Breaks off what runs; its callers are told that the runtime is shutting down."""
        if self.opened is not None:
            await self.opened.end_calls()

    async def close(self, batch_grace_s: float = BATCH_GRACE_S) -> None:
        """Ends what runs and closes the stores. Running requests of batches have ``batch_grace_s`` to end."""
        service, self.opened = self.opened, None
        if service is not None:
            if self._tending is not None:
                self._tending.cancel()
            if self._worker is not None:
                await self._worker.stop(0.0 if self._settings.embedded else batch_grace_s)
            await service.close()
            await _tend_once(service)  # what could not be booked so far
            await service.durable.close()
            await service.ephemeral.close()


def _observers(settings: Settings, vendors: Mapping[str, Any]) -> list[Observer]:
    """In one's own process the caller hears of failures, and needs no log of them."""
    log: list[Observer] = [] if settings.embedded else [CallLog()]
    return log + ([_telemetry(settings, vendors)] if settings.telemetry else [])


def _telemetry(settings: Settings, vendors: Mapping[str, Any]) -> Observer:
    try:
        from infrai_runtime.telemetry import Telemetry
    except ImportError as error:
        raise ConfigError(
            f'telemetry needs the package {error.name}: pip install "infrai-integrations[otel]"'
        ) from error
    return Telemetry(settings.telemetry_content, vendors=vendors)


async def _tend(service: Service) -> None:
    """Lets the service look after its state for as long as it is open."""
    while True:
        await asyncio.sleep(TEND_EVERY_S)
        await _tend_once(service)


async def _tend_once(service: Service) -> None:
    try:
        await service.tend()
    except Exception:
        log.exception("the state could not be looked after; it is tried again while the runtime is open")


async def opened(settings: Settings) -> tuple[Durable, Ephemeral]:
    """The stores that the settings name. Raises ``ConfigError``."""
    return await durable(settings.database), _ephemeral(settings.redis)


async def durable(database: Path | str | None, *, upgrade: bool = False) -> Durable:
    """The durable store that a setting names; ``upgrade`` brings a shared one's schema up to date, and an old file's
    pages. Raises ``ConfigError``."""
    if isinstance(database, str):
        from infrai_runtime.store.postgres import PostgresDurable

        return await PostgresDurable.connect(database, upgrade=upgrade)
    return await _on_disk(SqliteDurable, database, upgrade=upgrade)


async def _on_disk(make: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """What is made of files of the home, on a thread."""
    try:
        return await asyncio.to_thread(make, *args, **options)
    except OSError as error:
        raise ConfigError(
            f"the runtime cannot keep its state: {error.strerror}: {error.filename}; INFRAI_HOME names another place"
        ) from error


def _ephemeral(redis: str | None) -> Ephemeral:
    if redis is None:
        return MemoryEphemeral()
    from infrai_runtime.store.redis import RedisEphemeral

    return RedisEphemeral(redis)


def _with_public_url(settings: Settings) -> Settings:
    """A served runtime has links that its clients can follow; the embedded one has files."""
    if settings.embedded or settings.public_url is not None:
        return settings
    return replace(settings, public_url=settings.own_url)
