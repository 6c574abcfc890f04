"""Anonymous activation: a project with trial credit and its key, for a caller who has none."""

from __future__ import annotations

import secrets
import time
from decimal import Decimal
from typing import Any

from infrai_core.place import is_loopback
from infrai_runtime import keys
from infrai_runtime.failure import Failure
from infrai_runtime.settings import Settings
from infrai_runtime.store.durable import Durable, KeyRow
from infrai_runtime.store.ephemeral import Ephemeral

NANO = 10**9


async def activate(
    durable: Durable, ephemeral: Ephemeral, settings: Settings, address: str | None, has_vendor_keys: bool
) -> dict[str, Any]:
    """Makes a project: ``account_id, project_id, primary_api_key, trial_credit_usd, checkout_url``.

    ``address`` is the caller's, None inside the process. Raises FORBIDDEN off this machine unless the operator allows
    activation, and where real vendor keys could be spent unless the operator says so; RATE_LIMITED beyond
    ``activations_per_minute``.
    """
    _check(settings, address, has_vendor_keys)
    taken = await ephemeral.take("activate", 1, settings.activations_per_minute)
    if taken.wait_s is not None:
        raise Failure("RATE_LIMITED", "too many activations", retry_after_s=taken.wait_s)
    account, project, key_id = (f"{kind}_{secrets.token_hex(8)}" for kind in ("acct", "proj", "key"))
    key, now = keys.mint_key(), time.time()
    await durable.add_project(project, account, int(settings.trial_credit_usd * NANO), now)
    await durable.add_key(keys.hash_key(key), KeyRow(key_id, project, "activation", True, now))
    return {
        "account_id": account,
        "project_id": project,
        "primary_api_key": key,
        "trial_credit_usd": _number(settings.trial_credit_usd),
        "checkout_url": None,
    }


def _check(settings: Settings, address: str | None, has_vendor_keys: bool) -> None:
    if settings.allow_activation is True:
        return
    hint = "start the service with --allow-activation"
    if settings.allow_activation is False:
        raise Failure("FORBIDDEN", "activation is switched off here", hint=hint)
    if address is not None and not is_loopback(address):
        raise Failure("FORBIDDEN", "activation is only for callers on the service's own machine", hint=hint)
    if has_vendor_keys:
        raise Failure("FORBIDDEN", "a new key could spend the vendor keys that are configured here", hint=hint)


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
