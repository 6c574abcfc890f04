"""Where a client sends its calls and as whom: arguments, environment, ``~/.infrai/credentials``."""

from __future__ import annotations

import json
import os
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from threading import TIMEOUT_MAX
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypedDict
from urllib.parse import SplitResult, urlsplit

import httpx
from pydantic import SecretStr

from infrai_core.direct import raw_headers
from infrai_core.errors import ConfigError, InfraiError
from infrai_core.params import check_headers, without_secrets
from infrai_core.place import home as home
from infrai_core.place import is_loopback as is_loopback
from infrai_core.retry import Retry
from infrai_core.usage import Entry, Ledger

HOSTED = "https://api.infrai.cc/v1"
EMBEDDED = "embedded"
EMBEDDED_ORIGIN = "http://embedded.infrai.invalid/v1"
"""Base of the URLs that the embedded transport sees; `.invalid` never resolves (RFC 2606)."""
Dialect = Literal["native", "openai"]
GRACE_S = 5.0
"""The most that the client waits beyond the deadline that the service keeps."""


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """One HTTP attempt of a call, as hooks see it. ``number`` counts from 1; no header or body, so no secret."""

    capability: str
    method: str
    path: str
    number: int
    tags: Mapping[str, str]


class Hook(Protocol):
    """Called around every HTTP attempt, in order; for limits, tracing and budgets.

    ``before`` may raise an ``InfraiError`` to stop the call before it is sent.
    """

    def before(self, attempt: AttemptInfo) -> None:
        """Before the attempt is sent."""

    def after(self, attempt: AttemptInfo, status: int | None, error: InfraiError | None) -> None:
        """After the answer's head came (``status``), or the attempt failed (``error``)."""


class Limiter(Protocol):
    """Asked before every HTTP attempt that uses a model; returns when it may be sent."""

    def acquire(self, num_tokens: int = 0) -> None:
        """From a thread. ``num_tokens`` is an estimate: the text of the request and, where given, ``max_tokens``."""

    async def async_acquire(self, num_tokens: int = 0) -> None:
        """From an event loop."""


class ClientOptions(TypedDict, total=False):
    """Options of both clients, beside ``api_key`` and ``http_client``."""

    base_url: str | None
    """The hosted service (default), a served runtime, or ``"embedded"`` for the runtime in this process."""
    profile: str | None
    """Which profile of ``~/.infrai/credentials`` to read (default ``default``)."""
    dialect: Dialect | None
    """``native`` (default), or ``openai`` for services with only the OpenAI surface."""
    timeout_s: float | None
    """Total deadline of a call in seconds (default 60)."""
    idle_timeout_s: float | None
    """The longest silence inside a stream in seconds (default 60)."""
    retry: Retry | None
    """When to try again (default: twice)."""
    headers: Mapping[str, str] | None
    """More headers for every request. Those whose names say that they carry a secret (``X-Api-Key``, ``Cookie``…) stay
    out of pickles, as the key does."""
    transport: Any
    """An object with httpx's transport methods to send with, such as ``infrai_core.testing.Script``."""
    ledger: Ledger | None
    """Where usage and cost are booked (default: a ledger of the client's own)."""
    error_classes: Mapping[type[InfraiError], type[InfraiError]] | None
    """Error classes -> subclasses of theirs that are raised instead."""
    hooks: Sequence[Hook] | None
    """Called around every HTTP attempt."""
    observers: Sequence[Callable[[Entry], None]] | None
    """Called with every entry of the ledger, after it was booked, with the context variables that the call had."""
    limiter: Limiter | None
    """Asked before every HTTP attempt."""
    tags: Mapping[str, str] | None
    """Go into the ledger."""
    allow_plain_http: bool | None
    """Send the key over plain http also to other machines."""
    pickle_key: bool | None
    """A pickle keeps the key, instead of reading it again from the environment, and the headers that carry secrets."""


@dataclass(frozen=True)
class Config:
    """Everything a call needs beside its own parameters. Immutable; ``repr`` shows no secret, and a pickle holds none
    unless ``pickle_key``."""

    base_url: str
    api_key: SecretStr | None = field(default=None, repr=False)
    dialect: Dialect = "native"
    timeout_s: float = 60.0
    idle_timeout_s: float = 60.0
    retry: Retry = field(default_factory=Retry)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    error_classes: Mapping[type[InfraiError], type[InfraiError]] = field(default_factory=dict, repr=False)
    hooks: tuple[Hook, ...] = field(default=(), repr=False)
    observers: tuple[Callable[[Entry], None], ...] = field(default=(), repr=False)
    limiter: Limiter | None = field(default=None, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger, repr=False, compare=False)
    pickle_key: bool = field(default=False, repr=False)

    @property
    def embedded(self) -> bool:
        """Whether the runtime runs inside this process."""
        return self.base_url == EMBEDDED

    def __copy__(self) -> Config:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Config:
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = {one.name: getattr(self, one.name) for one in fields(self)}  # without what was made of them
        return state if self.pickle_key else {**state, "api_key": None, "headers": without_secrets(self.headers)}

    @cached_property
    def record(self) -> Callable[[Callable[[], Entry]], None]:
        """Books a call and tells the observers, and a ledger whose ``record`` is its own, of its entry."""
        heard = self.observers or type(self.ledger).record is not Ledger.record
        return self._tell if heard else self.ledger.note

    def _tell(self, noted: Callable[[], Entry]) -> None:
        entry = noted()
        self.ledger.record(entry)
        for observer in self.observers:
            observer(entry)

    @cached_property
    def root(self) -> str:
        """Base of all request URLs, ending in ``/v1`` without a slash."""
        return EMBEDDED_ORIGIN if self.embedded else self.base_url

    @cached_property
    def host(self) -> str:
        """The service's own host, which may be this machine. The files of a reply may be read from there."""
        return httpx.URL(self.root).host

    @cached_property
    def fixed_headers(self) -> dict[bytes, bytes]:
        """Headers of every request, the caller's own last."""
        own = {"accept-encoding": "gzip, deflate", "user-agent": "infrai-integrations"}
        if self.api_key is not None:
            own["authorization"] = f"Bearer {self.api_key.get_secret_value()}"
        return raw_headers(own) | raw_headers(self.headers)


def resolve(
    *,
    api_key: str | SecretStr | None = None,
    base_url: str | None = None,
    profile: str = "default",
    allow_plain_http: bool = False,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> Config:
    """The configuration for a client; ``options`` are fields of ``Config``.

    Key: argument, ``INFRAI_API_KEY``, credentials profile. Base URL: argument, ``INFRAI_BASE_URL``, profile, the
    hosted service. The key of a profile is used only with that profile's base URL, one of argument or environment with
    whatever base URL is in use; a profile that is named must exist.
    Raises ``ConfigError``.
    """
    env = os.environ if environ is None else environ
    stored = read_profile(profile, env)
    if not stored and profile != "default" and not (api_key and base_url):
        raise ConfigError(f"profile={profile!r}: the credentials file has none of that name")
    named = base_url or env.get("INFRAI_BASE_URL") or None
    url = normal_base_url(named or stored.get("base_url") or HOSTED, allow_plain_http)
    key = _secret(api_key) or _secret(env.get("INFRAI_API_KEY")) or _stored_key(stored, url, allow_plain_http)
    if key is None and named is None:
        raise ConfigError(_NO_KEY)
    options = {name: _OWN[name](value) if name in _OWN else value for name, value in options.items()}
    return Config(base_url=url, api_key=None if url == EMBEDDED else key, **options)


_OWN: Mapping[str, Callable[[Any], Any]] = {
    "headers": dict,
    "error_classes": dict,
    "tags": dict,
    "hooks": tuple,
    "observers": tuple,
}
"""Values that are copied, so that a later change of the caller's does not change the client."""

_NO_KEY = (
    "no API key and no base URL. Give api_key=…, set INFRAI_API_KEY, run `infrai activate` once "
    '(it writes ~/.infrai/credentials), or use base_url="embedded" for the runtime in this process'
)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < TIMEOUT_MAX


def _are_tags(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)


def _are(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda values: isinstance(values, Sequence) and all(map(fits, values))


def _sends(value: Any) -> bool:
    return _has("handle_request")(value) or _has("handle_async_request")(value)


def _has(*methods: str) -> Callable[[Any], bool]:
    return lambda value: all(callable(getattr(value, method, None)) for method in methods)


_SHAPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "dialect": (lambda value: value in ("native", "openai"), "native or openai"),
    **dict.fromkeys(("timeout_s", "idle_timeout_s"), (_is_time, "a number of seconds above 0")),
    "retry": (lambda value: isinstance(value, Retry), "an infrai_core.Retry"),
    "ledger": (lambda value: isinstance(value, Ledger), "an infrai_core.Ledger"),
    "tags": (_are_tags, "a mapping of texts to texts"),
    "hooks": (_are(_has("before", "after")), "a list of objects with before and after"),
    "observers": (_are(callable), "a list of functions"),
    "limiter": (
        lambda value: _has("acquire")(value) or _has("async_acquire")(value),
        "an object with acquire and async_acquire",
    ),
    "transport": (_sends, "an object with handle_request or handle_async_request, as httpx's transports"),
    "error_classes": (lambda value: isinstance(value, Mapping), "a mapping of error classes to subclasses of theirs"),
}
"""What an option must be, and how to say so."""


def check_options(options: Mapping[str, Any]) -> None:
    """Raises ``ConfigError`` that names an option of a wrong kind, what came and what is allowed."""
    for name, value in options.items():
        fits, allowed = _SHAPES.get(name, (None, ""))
        if fits is not None and not fits(value):
            raise ConfigError(f"{name}={reprlib.repr(value)}: allowed is {allowed}")
    check_headers("headers", options.get("headers") or {})


def _secret(value: str | SecretStr | None) -> SecretStr | None:
    if value is None:
        return None
    if not isinstance(value, str | SecretStr):
        raise ConfigError(f"api_key: came {type(value).__name__}, allowed is a text")
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not text.strip():
        return None
    # A key goes into a header: no control characters, no spaces, ASCII only. Its form is the service's business.
    if not re.fullmatch(r"[\x21-\x7e]+", text.strip()):
        raise ConfigError("api_key: allowed are printable ASCII characters without spaces")
    return SecretStr(text.strip())


def _stored_key(stored: Mapping[str, str], url: str, allow_plain_http: bool) -> SecretStr | None:
    home = normal_base_url(stored.get("base_url") or HOSTED, allow_plain_http=True)
    return _secret(stored.get("api_key")) if home == url else None


def normal_base_url(url: str, allow_plain_http: bool = False) -> str:
    """``url`` ending in ``/v1``, or ``"embedded"``. Raises ``ConfigError`` for anything a key must not be sent to."""
    if not isinstance(url, str):
        raise ConfigError(f"base_url={reprlib.repr(url)}: allowed is a text")
    if url == EMBEDDED:
        return url
    split = _split(url.strip())
    if split is None or split.scheme not in ("http", "https") or not split.hostname:
        said = "base_url" if "@" in url else f"base_url={url!r}"  # before an @ may be a password
        raise ConfigError(f'{said}: allowed is an http(s) URL with a host and port that can be, or "embedded"')
    if split.username or split.password or split.query or split.fragment:
        raise ConfigError("base_url: user, password, query and fragment are not allowed in it")
    if split.scheme == "http" and not (allow_plain_http or is_loopback(split.hostname)):
        raise ConfigError(
            f"base_url={url!r}: a key is sent over plain http only to this machine; use https, "
            "or allow_plain_http=True inside a network that you trust"
        )
    path = split.path.rstrip("/")
    return f"{split.scheme}://{split.netloc}{path if path.endswith('/v1') else path + '/v1'}"


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None where its host or port can be none: a port beyond 65535, an empty or overlong label."""
    try:
        split = urlsplit(url)
        _ = split.port, (split.hostname or "").rstrip(".").encode("idna"), httpx.URL(url).host
    except (ValueError, httpx.InvalidURL):  # what idna raises is a ValueError too
        return None
    return split


def read_profile(name: str = "default", environ: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """A profile of the credentials file: ``{api_key, base_url, account_id, project_id}``; empty when there is none."""
    profiles = _read_credentials(home(environ) / "credentials")
    found = profiles.get(name, {})
    if not isinstance(found, dict):
        raise ConfigError(f"profile {name!r} of the credentials file is not an object")
    return MappingProxyType({k: str(v) for k, v in found.items() if v is not None})


def _read_credentials(path: Path) -> dict[str, Any]:
    try:
        profiles = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"the credentials file cannot be read: {error.__class__.__name__}") from None
    if not isinstance(profiles, dict):
        raise ConfigError("the credentials file is not a JSON object of profiles")
    return profiles


def credentials_place(environ: Mapping[str, str] | None = None) -> Path:
    """The credentials file, whose directory is made. Raises ``ConfigError`` where it could not be written."""
    path = home(environ) / "credentials"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(f"{path.parent} cannot be made for the credentials: {error.strerror}") from None
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{path.parent}: the credentials cannot be written there")
    return path


def write_profile(values: Mapping[str, str], name: str = "default", environ: Mapping[str, str] | None = None) -> Path:
    """Stores a profile; the file is written whole, with mode 0600. Returns its path. Raises ``ConfigError``."""
    import tempfile  # slow to import, and few write

    path = credentials_place(environ)
    profiles = {**_read_credentials(path), name: dict(values)}
    descriptor, draft = tempfile.mkstemp(prefix="credentials.", dir=path.parent)  # new, and its owner's only
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(profiles, file, indent=2, sort_keys=True)
    os.replace(draft, path)
    return path
