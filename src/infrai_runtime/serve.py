"""The runtime as an HTTP server: ``python -m infrai_runtime.serve``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infrai_core.errors import ConfigError
from infrai_core.place import is_loopback
from infrai_runtime import logs
from infrai_runtime.crowd import SPARE, Crowd
from infrai_runtime.lifespan import App, Endpoint, Message, Receive, Scope, Send, no_endpoint
from infrai_runtime.settings import Settings

log = logging.getLogger("infrai_runtime")

GRACEFUL_S = 10
"""How long running answers may go on after the server was told to stop."""
MOST_FILES = 65_536
OTHER_FILES = 64 + SPARE
"""Of the database, the log, media and workers, and of callers that are told that there are too many."""
LAST_WORDS_S = 5
"""How long it may take then to tell the callers of the others, and to book these."""
KEEP_ALIVE_S = 75
"""How long a connection is kept for the next request: longer than clients and proxies keep theirs (5 to 60 seconds), so
that none sends a request into a connection that is just being closed."""
GC_THRESHOLDS = (10_000, 20, 50)
"""A call leaves next to no cycles, so that the collector may look for them seldom."""


def serve(settings: Settings, make: Callable[[Settings], App] | None = None) -> None:
    """Serves until SIGINT, SIGTERM or SIGHUP, then lets running answers end for ``GRACEFUL_S`` seconds. ``make``
    replaces ``create_app``.

    Prints one line, once requests are answered: the URL, and how to get a key. Port 0 takes a free one. Raises
    ``ConfigError`` when the address cannot be used, the runtime does not start, or its packages are missing.
    """
    uvicorn, proxied, http11, create_app = _packages()
    crowd = Crowd(_most_connections(settings, _allow_files()))
    _warn_of_halves(settings)
    flush = export_telemetry() if settings.telemetry else None
    with _listener(settings) as listener:
        settings = _located(settings, listener.getsockname()[1])
        _check_vendors_are_others(settings)
        app = (make or create_app)(settings)
        watched = _Watched(app, partial(_started, settings), flush)
        config = uvicorn.Config(
            watched,
            http=partial(http11.Protocol, crowd=crowd),
            lifespan="on",
            proxy_headers=False,  # `_Watched` sees to them
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACEFUL_S + LAST_WORDS_S,
        )
        watched.proxied = proxied(app, config.forwarded_allow_ips)
        server = http11.Server(config, GRACEFUL_S, getattr(app, "end_calls", _nothing))
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, server.handle_exit)  # a terminal that is closed; under nohup it is ignored
        # Once it has ended, uvicorn raises a SIGINT again, and leaves with SystemExit when the lifespan did not begin.
        with suppress(KeyboardInterrupt, SystemExit):
            server.run(sockets=[listener])
    if watched.problem is not None:
        raise _why(watched.problem) from watched.problem


def _allow_files() -> int:
    """How many files the process may open from now on. What systems let one open unasked is often 1,024."""
    soft, hard = (MOST_FILES if limit == resource.RLIM_INFINITY else limit for limit in _files())
    if soft < (most := min(hard, MOST_FILES)):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, _files()[1]))
    return max(soft, most)


def _files() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def _most_connections(settings: Settings, files: int) -> int:
    """How many callers may be answered at a time: each takes a file here and one at its vendor."""
    fit = max(1, (files - OTHER_FILES) // 2)
    if settings.max_connections is not None and settings.max_connections > fit:
        told = "max_connections=%d is more than the %d that fit into the %d files which this process may open"
        log.warning(told, settings.max_connections, fit, files)
    return min(settings.max_connections or fit, fit)


async def _nothing() -> None:
    """What an application ends that has no calls."""


def _warn_of_halves(settings: Settings) -> None:
    from infrai_runtime.vendors import half_configured

    for line in half_configured(settings):
        log.warning("%s", line)


def _check_vendors_are_others(settings: Settings) -> None:
    """A vendor at this service's own address makes calls without end out of one: ``OPENAI_BASE_URL`` that was meant for
    its clients does that."""
    from infrai_runtime.vendors import configured_entries

    for entry in configured_entries(settings):
        if _is_own(entry.base_url, settings):
            raise ConfigError(
                f"{entry.name}: its address {entry.base_url} ({entry.source}) is this service's own; a variable that is"
                " meant for clients of the service belongs where they run"
            )


def _is_own(url: str, settings: Settings) -> bool:
    asked, public = urlsplit(url), urlsplit(settings.public_url or settings.own_url)
    host, here = asked.hostname or "", settings.host
    on_this_machine = is_loopback(host) and (is_loopback(here) or here in ("0.0.0.0", "::"))
    own_host = on_this_machine or host == here
    return asked.netloc == public.netloc or (own_host and asked.port == settings.port)


def _packages() -> tuple[Any, Any, Any, Callable[[Settings], App]]:
    try:
        import uvicorn
        from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

        from infrai_runtime import http11
        from infrai_runtime.app import create_app
    except ImportError as error:
        raise ConfigError(
            f'serving needs the package {error.name}: pip install "infrai-integrations[runtime]"'
        ) from error
    return uvicorn, ProxyHeadersMiddleware, http11, create_app


def export_telemetry() -> Callable[[], None]:
    """Has the process's telemetry sent to its collector. What it returns sends the rest at the end. Raises
    ``ConfigError`` without the packages."""
    try:
        from infrai_runtime import telemetry
    except ImportError as error:
        raise ConfigError(
            f'telemetry needs the package {error.name}: pip install "infrai-integrations[otel]"'
        ) from error
    return telemetry.export_by_environment()


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(f"host={settings.host!r}, port={settings.port}: {error.strerror or error}") from None
    # Connections inherit it. asyncio switches Nagle's delay off only for sockets made with the protocol's number, and
    # `create_server` leaves that out: each answer would wait 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _located(settings: Settings, port: int) -> Settings:
    located = replace(settings, port=port)
    return located if located.public_url else replace(located, public_url=located.own_url)


def _started(settings: Settings) -> None:
    """What was made for the start stays: the collector need not look at it again with every few calls."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    with suppress(OSError):  # who started it may not want to read that
        print(_line(settings), flush=True)


def _line(settings: Settings) -> str:
    base = f"{settings.public_url}/v1"
    return f"infrai runtime on {base} - {_key_advice(settings, base)}"


def _key_advice(settings: Settings, base: str) -> str:
    if settings.no_auth:
        return "no key needed"
    if settings.allow_activation is False or not (settings.allow_activation or is_loopback(settings.host)):
        return "for a key, start it with --allow-activation"
    return f"for a key: curl -X POST {base}/activate"


_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})


class _Watched:
    """An application whose start is announced, and whose failure to start is kept. ``last`` is done when it has ended:
    after that the server leaves by the signal that stopped it, and nothing registered with ``atexit`` runs."""

    def __init__(self, app: App, announce: Callable[[], None], last: Callable[[], None] | None = None) -> None:
        self._app = app
        self._endpoint: Callable[[Scope], Endpoint | None] = getattr(app, "endpoint", no_endpoint)
        self.proxied = app
        """Answers what a proxy forwards, as for the client that the proxy names."""
        self._announce = announce
        self._last = last
        self.problem: Exception | None = None

    def endpoint(self, scope: Scope) -> Endpoint | None:
        """The application's for a request, unless a proxy may have to tell whose that is."""
        endpoint = self._endpoint(scope)
        return None if endpoint is None or endpoint.heeds_client else endpoint

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif _FORWARDED.isdisjoint(dict(scope["headers"])):
            await self._app(scope, receive, send)
        else:
            await self.proxied(scope, receive, send)

    async def _live(self, scope: Any, receive: Receive, send: Send) -> None:
        async def watching(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.problem = RuntimeError(message.get("message", ""))
                message = {**message, "message": ""}  # it is a whole traceback; the error is raised instead
            if message["type"] == "lifespan.shutdown.complete":
                await asyncio.to_thread(self._end)
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._announce()

        try:
            await self._app(scope, receive, watching)
        except Exception as error:
            self.problem = error
            raise

    def _end(self) -> None:
        if self._last is not None:
            self._last()
        logs.flush()


def _why(problem: Exception) -> ConfigError:
    if isinstance(problem, ConfigError):
        return problem
    return ConfigError(f"the runtime did not start: {type(problem).__name__}: {problem}")


# -- the command -----------------------------------------------------------------------------------------------------


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of serving, for this module's command and for the ``infrai`` command."""
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one (8402)")
    add_state_options(parser)
    parser.add_argument(
        "--batch-concurrency",
        type=int,
        metavar="N",
        help="requests of batches at a time; 0 leaves them to `infrai worker` (INFRAI_BATCH_CONCURRENCY or 8)",
    )
    parser.add_argument(
        "--body-timeout",
        dest="body_timeout_s",
        type=float,
        metavar="S",
        help="seconds that the body of a request may stand still (INFRAI_BODY_TIMEOUT or 60)",
    )
    parser.add_argument(
        "--max-connections",
        type=int,
        metavar="N",
        help="callers that are answered at a time; more get 503 (INFRAI_MAX_CONNECTIONS, or half as many as the files"
        " that the process may open)",
    )
    parser.add_argument("--public-url", help="base of media links, where clients see another address than this one")
    parser.add_argument("--no-auth", action="store_true", default=None, help="no keys; only on 127.0.0.1")
    parser.add_argument(
        "--allow-activation",
        action=argparse.BooleanOptionalAction,
        help="let anybody who reaches the service make a key (only this machine, and only without vendor keys)",
    )


def add_state_options(parser: argparse.ArgumentParser) -> None:
    """The options of every process that works with a runtime's state: where that is, and what it tells."""
    parser.add_argument("--home", type=Path, help="directory of state and media (INFRAI_HOME or ~/.infrai)")
    parser.add_argument(
        "--database",
        help="SQLite file of keys, credit and usage, a postgresql:// address that several machines share, or "
        '"memory" (INFRAI_DATABASE or <home>/runtime.db); an address with a password belongs into the variable',
    )
    parser.add_argument(
        "--redis", help="redis:// address of limits, cache and breaker that several machines share (INFRAI_REDIS)"
    )
    parser.add_argument("--log-level", choices=logs.LEVELS, default="warning", help="least level of the log (warning)")
    parser.add_argument(
        "--log-format", choices=logs.FORMATS, default="json", help="a JSON object per line (json), or text"
    )
    parser.add_argument(
        "--telemetry",
        choices=("off", "on", "content"),
        help="OpenTelemetry spans and metrics; content: also what was asked and answered (INFRAI_TELEMETRY or off)",
    )


_GIVEN = (
    "host",
    "port",
    "home",
    "no_auth",
    "allow_activation",
    "batch_concurrency",
    "body_timeout_s",
    "max_connections",
)


def settings_from(options: argparse.Namespace) -> Settings:
    """The settings that the options and the environment ask for. Raises ``ConfigError``."""
    given = {name: value for name in _GIVEN if (value := getattr(options, name, None)) is not None}
    # As the variable says it, so that both read the same.
    named = {
        "INFRAI_DATABASE": options.database,
        "INFRAI_REDIS": options.redis,
        "INFRAI_TELEMETRY": options.telemetry,
        "INFRAI_PUBLIC_URL": getattr(options, "public_url", None),
    }
    environ = {**os.environ, **{name: value for name, value in named.items() if value}}
    return Settings.from_environment(environ, **given)


def run(options: argparse.Namespace) -> None:
    """Serves as the options say, with a log. Raises ``ConfigError``."""
    logs.configure(options.log_level, options.log_format)
    serve(settings_from(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves; 2 and a line on stderr when it cannot."""
    parser = argparse.ArgumentParser(prog="python -m infrai_runtime.serve", description="Serve the infrai runtime.")
    add_options(parser)
    try:
        run(parser.parse_args(arguments))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
