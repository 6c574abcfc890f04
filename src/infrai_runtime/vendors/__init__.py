"""The vendors that answer requests."""

from __future__ import annotations

import importlib
from typing import Any

from infrai_core.errors import ConfigError
from infrai_runtime.settings import Settings
from infrai_runtime.vendors import configuration
from infrai_runtime.vendors.base import Vendor
from infrai_runtime.vendors.configuration import LOCAL, Entry, entries
from infrai_runtime.vendors.known import DIALECTS


def configured(settings: Settings) -> list[Vendor]:
    """Every vendor that this runtime can use; the one place that knows them all. Raises ``ConfigError``."""
    from infrai_runtime.vendors.local import Local

    found = configured_entries(settings)
    local: list[Vendor] = [Local(settings.home)] if settings.vendors is None or LOCAL in settings.vendors else []
    return [*made(found), *local]


def configured_entries(settings: Settings) -> list[Entry]:
    """What is configured of vendors beyond this machine. Raises ``ConfigError``, also where a file that
    is named does not exist."""
    if settings.vendors_file is not None and not settings.vendors_file.exists():
        raise ConfigError(f"INFRAI_VENDORS_FILE: {settings.vendors_file} does not exist")
    return entries(dict(settings.vendor_environ), settings.vendors_path, settings.vendors)


def half_configured(settings: Settings) -> list[str]:
    """What seems to be meant for a vendor and configures none, one line each. Raises ``ConfigError``."""
    return configuration.half_configured(dict(settings.vendor_environ), settings.vendors_path, settings.vendors)


def made(found: list[Entry]) -> list[Vendor]:
    """The vendors of these entries, on one pool of connections."""
    if not found:
        return []
    from infrai_runtime.vendors.http import Pool

    pool = Pool()
    return [_factory(entry)(entry, pool) for entry in found]


def _factory(entry: Entry) -> Any:
    module, _, function = DIALECTS[entry.dialect].factory.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise ConfigError(f"{entry.source}: {entry.name} needs the package {error.name!r}") from error
