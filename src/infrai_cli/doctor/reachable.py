"""What answers: the runtime inside this process, the configured service, the port to serve on."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from dataclasses import replace
from typing import Any

import httpx

from infrai_cli.doctor.check import Check
from infrai_cli.package import extra_hint, install
from infrai_core import AuthenticationError, ConfigError, Infrai, InfraiError, Retry
from infrai_core.config import EMBEDDED

_SERVED = "port of infrai serve"
_ELSEWHERE = "INFRAI_HOME=<an empty directory> infrai doctor"


def checks(args: Any) -> list[Check]:
    """The embedded runtime, the service, the port."""
    return [_embedded(), _service(args), _port(args.port)]


def _embedded() -> Check:
    what, begun = "embedded runtime", time.perf_counter()
    try:
        with Infrai(base_url=EMBEDDED, retry=Retry(attempts=0)) as client:
            count = len(client.models().data)
    except ConfigError as error:
        if isinstance(error.__cause__, ImportError):
            return Check(what, "missing", error.message, extra_hint(error.__cause__.name) or install("runtime"))
        return Check(what, "problem", error.message, _ELSEWHERE)
    except InfraiError as error:
        return Check(what, "problem", f"does not start: {error}", _ELSEWHERE)
    return Check(what, "ok", f"answers, {count} models, started in {time.perf_counter() - begun:.1f} s")


def _service(args: Any) -> Check:
    what = "service"
    try:
        client = Infrai(profile=args.profile, timeout_s=args.timeout, retry=Retry(attempts=0))
    except ConfigError as error:
        if "no API key" in error.message:
            return Check(what, "missing", "none is configured", "infrai activate")
        return Check(what, "problem", error.message, "unset INFRAI_BASE_URL INFRAI_API_KEY; infrai activate")
    if client.config.embedded:
        return Check(what, "ok", "the embedded runtime is configured")
    if args.offline:
        return Check(what, "missing", f"{client.config.base_url}: not asked (--offline)", "infrai doctor")
    with client:
        return _asked(what, client)


def _asked(what: str, client: Infrai) -> Check:
    url, begun = client.config.base_url, time.perf_counter()
    try:
        count = len(client.models().data)
        if client.config.api_key is not None:
            client.account()
    except AuthenticationError:
        return Check(what, "problem", f"{url} answers, but refuses the key", f"infrai activate --base-url {url}")
    except InfraiError as error:
        return Check(what, "problem", f"{url}: {error}", f"curl -i {url}/models")
    return Check(what, "ok", f"{url} answers, {count} models, in {time.perf_counter() - begun:.1f} s")


def _port(port: int | None) -> Check:
    from infrai_runtime.settings import Settings

    try:
        settings = Settings.from_environment()
        settings = settings if port is None else replace(settings, port=port)
    except ConfigError as error:
        return Check(_SERVED, "problem", error.message, "infrai serve --port 0   # takes a free one")
    place = f"{settings.host}:{settings.port}"
    try:
        with closing(socket.create_server((settings.host, settings.port))):
            return Check(_SERVED, "ok", f"{place} is free")
    except OSError as error:
        reason = error.strerror or str(error)
    if _is_ours(place):
        return Check(_SERVED, "ok", f"a runtime serves on http://{place}")
    return Check(_SERVED, "problem", f"{place}: {reason}", "infrai serve --port 0   # takes a free one")


def _is_ours(place: str) -> bool:
    try:
        answer = httpx.get(f"http://{place}/healthz", timeout=2, trust_env=False)
        return isinstance(answer.json().get("vendors"), list)
    except (httpx.HTTPError, ValueError, AttributeError):
        return False
