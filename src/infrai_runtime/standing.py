"""How every configured vendor stands right now: what it can do, which of its keys rest and for how long, which of its
models failed lately. Keys are told by their place in the configuration, never by themselves.

Keys' rests and latencies are this process's own; breakers are shared where the runtimes share their state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infrai_runtime.breaker import Breaker, Standing
from infrai_runtime.eligible import Allowed
from infrai_runtime.metrics import Gauge, Sample
from infrai_runtime.vendors.base import CAPABILITIES, Vendor
from infrai_runtime.vendors.keyring import KeyHealth, Keyring
from infrai_runtime.wire import Json


def vendors_of(
    vendors: Mapping[str, Vendor], breaker: Breaker, latency_ms: Mapping[str, float], allowed: Allowed
) -> Json:
    """``GET /v1/ai/vendors``: a row per vendor that a key may use."""
    states = breaker.standing()
    rows = [
        _row(vendor, {name: states[name] for name in states if name.startswith(f"{vendor.name}/")}, latency_ms)
        for vendor in vendors.values()
        if allowed.vendors is None or vendor.name in allowed.vendors
    ]
    return {"object": "list", "count": len(rows), "data": rows}


def _row(vendor: Vendor, states: Mapping[str, Standing], latency_ms: Mapping[str, float]) -> Json:
    keys = keys_of(vendor)
    names = sorted({*states, *(name for name in latency_ms if name.startswith(f"{vendor.name}/"))})
    return {
        "id": vendor.name,
        "capabilities": [name for name, protocol in CAPABILITIES.items() if isinstance(vendor, protocol)],
        "healthy": all(key.healthy for key in keys) and all(state.word == "closed" for state in states.values()),
        "keys": [_key(key) for key in keys],
        "models": [_model(name, states.get(name), latency_ms.get(name)) for name in names],
    }


def keys_of(vendor: Vendor) -> Sequence[KeyHealth]:
    """How the keys of a vendor are; none for one without keys."""
    ring: Any = getattr(vendor, "keys", None)
    return ring.health() if isinstance(ring, Keyring) and len(ring) else ()


def _key(key: KeyHealth) -> Json:
    rests = [
        {"model": None if model == "*" else model, "code": code, "rest_s": round(left_s, 3)}
        for model, code, left_s in key.rests
    ]
    return {"label": key.label, "healthy": key.healthy, "rests": rests}


def _model(name: str, state: Standing | None, latency_ms: float | None) -> Json:
    known = state or Standing("closed", 0, 0.0)
    return {
        "id": name.partition("/")[2],
        "breaker": known.word,
        "failures": known.failures,
        "rest_s": round(known.rest_s, 3) or None,
        "latency_ms": None if latency_ms is None else round(latency_ms, 3),
    }


# -- the same as numbers for /metrics ----------------------------------------------------------------------------------


def gauges(vendors: Mapping[str, Vendor], breaker: Breaker) -> list[Gauge]:
    """The standing of keys and models, to be read together with the counters."""
    states = breaker.standing().items()
    return [
        Gauge("infrai_vendor_keys", "Keys that are configured.", lambda: _keys(vendors, resting=False), "vendor"),
        Gauge(
            "infrai_vendor_keys_resting",
            "Keys that the vendor refused lately and that rest, for all models or for some.",
            lambda: _keys(vendors, resting=True),
            "vendor",
        ),
        Gauge(
            "infrai_breaker_open",
            "1 while a model rests after failures, 0 when it failed lately and may be tried.",
            lambda: ((tuple(name.split("/", 1)), float(state.word == "open")) for name, state in states),
            *("vendor", "model"),
        ),
        Gauge(
            "infrai_breaker_rest_seconds",
            "How long a model still rests after failures.",
            lambda: ((tuple(name.split("/", 1)), state.rest_s) for name, state in states),
            *("vendor", "model"),
        ),
    ]


def _keys(vendors: Mapping[str, Vendor], *, resting: bool) -> Iterator[Sample]:
    for vendor in vendors.values():
        keys = keys_of(vendor)
        if keys:
            yield (vendor.name,), float(sum(not key.healthy for key in keys) if resting else len(keys))
