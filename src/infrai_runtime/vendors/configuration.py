"""Which vendors are configured: from the environment and from ``vendors.toml``. No request is made here.

A table of the file is a vendor; its name is the vendor's name::

    [openai]
    keys = ["sk-one", "sk-two"]         # several: they are used in turn
    # or: key_env = "MY_OPENAI_KEY"     # the variable that holds it (them, separated by commas)

    [my-gateway]                        # any other name needs a dialect and an address
    dialect = "openai"
    base_url = "https://llm.example.com/v1"
    key_env = "GATEWAY_KEY"
    idempotency_header = "Idempotency-Key"   # it gives the same answer again for the same key

What the file says goes before the environment. A wrong entry is a ``ConfigError`` that names file, table and field.
"""

from __future__ import annotations

import difflib
import logging
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from infrai_core.errors import ConfigError
from infrai_core.params import check_headers
from infrai_core.place import is_loopback
from infrai_runtime.vendors.keyring import Hidden
from infrai_runtime.vendors.known import DIALECTS, KNOWN, Known

Table = Mapping[str, Any]

FILE = "vendors.toml"
LOCAL = "local"
_OLLAMA_PORT = 11434
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = frozenset({"key", "keys", "key_env", "headers", "proxy"})
"""Fields whose values no error shows. In ``key_env``, a key may stand where its variable's name should."""

log = logging.getLogger("infrai_runtime")


@dataclass(frozen=True, slots=True)
class Entry:
    """A configured vendor. ``source`` says where it was found; ``options`` are the dialect's own fields."""

    name: str
    dialect: str
    base_url: str
    source: str
    keys: tuple[Hidden, ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    proxy: str | None = field(default=None, repr=False)
    idempotency_header: str | None = None


def entries(environ: Mapping[str, str], file: Path, only: Iterable[str] | None = None) -> list[Entry]:
    """Every configured vendor, by name; with ``only``, those of these names. Raises ``ConfigError``.

    A table with ``enabled = false`` switches a vendor off that the environment would configure.
    """
    tables = read_file(file)
    named = {*tables, *(name for name, known in KNOWN.items() if _in_environment(known, environ))}
    wanted = named if only is None else named & {*only}
    _check_known("INFRAI_VENDORS", only or (), tables)
    found = (_entry(name, tables.get(name), environ, file) for name in sorted(wanted))
    return [entry for entry in found if entry is not None]


def half_configured(environ: Mapping[str, str], file: Path, only: Iterable[str] | None = None) -> list[str]:
    """What somebody seems to have meant to configure and has not: vendors that the environment gives a key without the
    address that they need, or an address without a key, and names of ``INFRAI_VENDORS`` with neither."""
    tables = read_file(file)
    lacking = {
        name: known for name, known in KNOWN.items() if name not in tables and not _in_environment(known, environ)
    }
    if only is None:
        return [found for name, known in lacking.items() if (found := _half(name, known, environ))]
    named = ((name, lacking[name]) for name in only if name in lacking)
    return [_half(name, known, environ) or f"INFRAI_VENDORS names {name}: set {_lacks(known)}" for name, known in named]


def _half(name: str, known: Known, environ: Mapping[str, str]) -> str | None:
    there = _first(environ, known.keys) or _first(environ, known.urls)
    if there is None:
        return None
    lacks = known.keys if there in known.urls else known.urls
    return f"{there} is set, which is half of {name}: set {lacks[0]} too"


def _lacks(known: Known) -> str:
    needed = [names[0] for names in (() if known.keyless else known.keys, known.urls) if names]
    return " and ".join(needed if known.base_url is None else needed[:1])


def check_vendors(where: str, names: Iterable[str], file: Path) -> None:
    """Raises ``ConfigError``, naming ``where``, for a vendor that is neither known by name nor a table of the file."""
    _check_known(where, names, read_file(file))


def _check_known(where: str, names: Iterable[str], tables: Iterable[str]) -> None:
    there = {*tables, *KNOWN, LOCAL}
    for name in sorted({*names} - there):
        raise ConfigError(f"{where}: {name!r} is no vendor{_meant(name, there)}")


def _in_environment(known: Known, environ: Mapping[str, str]) -> bool:
    has_url = known.base_url is not None or _first(environ, known.urls)
    return bool(has_url and (known.keyless or _first(environ, known.keys)))


def _first(environ: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((name for name in names if environ.get(name, "").strip()), None)


# -- the file ----------------------------------------------------------------------------------------------------------


def read_file(file: Path) -> dict[str, Table]:
    """The tables of a file; empty when there is none."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        tables = tomllib.loads(raw.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from None
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{file}: {name}: every vendor is a table, such as [openai]")
        _check_fields(file, name, table)
    _warn_of_readers(file, tables)
    return tables


def _warn_of_readers(file: Path, tables: Mapping[str, Table]) -> None:
    holds_keys = any("key" in table or "keys" in table for table in tables.values())
    if holds_keys and file.stat().st_mode & 0o077:
        log.warning("%s holds keys and others on this machine can read it: chmod 600 %s", file, file)


@dataclass(frozen=True, slots=True)
class _Field:
    """What a field of a table may hold."""

    fits: Callable[[Any], bool]
    allowed: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_line(value: Any) -> bool:
    """Of a header or a path: a line break in it would fail every request."""
    return _is_text(value) and value.isascii() and value.isprintable()


def _is_dialect(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and value in DIALECTS


def _is_variable(value: Any) -> bool:
    return isinstance(value, str) and bool(_VARIABLE.fullmatch(value))


def _is_proxy(value: Any) -> bool:
    try:
        parts = urlsplit(value) if _is_line(value) else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_table_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


_TEXT = _Field(_is_text, "a text")
_LINE = _Field(_is_line, "a text of printable ASCII characters")
_FLAG = _Field(lambda value: isinstance(value, bool), "true or false")
_FIELDS: dict[str, _Field] = {
    "dialect": _Field(_is_dialect, f"one of {', '.join(sorted(DIALECTS))}"),
    "base_url": _TEXT,
    "key": _TEXT,
    "keys": _Field(_is_texts, "a list of texts"),
    "key_env": _Field(
        lambda value: _is_variable(value) or (_is_texts(value) and all(map(_is_variable, value))),
        "the name of a variable, or a list of them",
    ),
    "headers": _Field(_is_table_of_texts, "a table of texts"),
    "proxy": _Field(_is_proxy, "the http:// or https:// address of a proxy"),
    "idempotency_header": _Field(lambda value: _is_text(value) and bool(_HEADER.fullmatch(value)), "a header's name"),
    "allow_http": _FLAG,
    "enabled": _FLAG,
}
_OPTION_FIELDS: dict[str, _Field] = {
    "deployments": _Field(_is_table_of_texts, "a table of texts"),
    "finish_reason": _Field(lambda value: value in ("required", "optional"), "required or optional"),
}


def _check_fields(file: Path, name: str, table: Table) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{file}: [{name}]: a vendor's name has small letters, digits, and . _ -")
    if name == LOCAL:
        raise ConfigError(f"{file}: [{name}]: this is the on-machine vendor, which is always there")
    dialect = table.get("dialect") or (KNOWN[name].dialect if name in KNOWN else None)
    options = DIALECTS[dialect].options if _is_dialect(dialect) else frozenset()
    for key, value in table.items():
        if key not in _FIELDS and key not in options:
            raise ConfigError(f"{file}: [{name}] {key}: there is no such field{_meant(key, {*_FIELDS, *options})}")
        kind = _FIELDS.get(key) or _OPTION_FIELDS.get(key, _LINE)
        if not kind.fits(value):
            shown = "this value" if key in _SECRET else repr(value)
            raise ConfigError(f"{file}: [{name}] {key}: {shown} is not allowed; allowed is {kind.allowed}")
    check_headers(f"{file}: [{name}] headers", table.get("headers", {}))
    if len(table.keys() & {"key", "keys", "key_env"}) > 1:
        raise ConfigError(f"{file}: [{name}] key: give one of key, keys and key_env")


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), 1)
    return f"; {f'did you mean {near[0]!r}? There' if near else 'there'} are {', '.join(sorted(known))}"


# -- one vendor ------------------------------------------------------------------------------------------------------


def _entry(name: str, table: Table | None, environ: Mapping[str, str], file: Path) -> Entry | None:
    given: Table = table or {}
    if not given.get("enabled", True):
        return None
    known = KNOWN.get(name) or Known(given.get("dialect", ""), None, keyless=True)
    where = f"{file}: [{name}]" if table is not None else name
    if not known.dialect and "dialect" not in given:
        raise ConfigError(f"{where} dialect: is missing; allowed is {_FIELDS['dialect'].allowed}")
    keys, key_source = _keys(given, known, environ, where)
    if not keys and not known.keyless:
        raise ConfigError(f"{where} key: is missing: give key, keys or key_env, or set {known.keys[0]}")
    base_url = _base_url(name, given, known, environ, where, bool(keys))
    return Entry(
        name=name,
        dialect=given.get("dialect", known.dialect),
        base_url=base_url,
        source=str(file) if table is not None else (key_source or str(_first(environ, known.urls))),
        keys=keys,
        headers=given.get("headers", {}),
        options=_options(given, known, environ),
        proxy=given.get("proxy"),
        idempotency_header=given.get("idempotency_header", known.idempotency_header),
    )


def _keys(given: Table, known: Known, environ: Mapping[str, str], where: str) -> tuple[tuple[Hidden, ...], str | None]:
    """The keys, and the variable that they come from."""
    source = None
    if "key_env" in given:
        names = [given["key_env"]] if isinstance(given["key_env"], str) else given["key_env"]
        missing = next((name for name in names if not environ.get(name, "").strip()), None)
        if missing is not None:
            raise ConfigError(f"{where} key_env: the variable {missing} is not set")
        secrets = [key for name in names for key in environ[name].split(",")]
    elif "key" in given or "keys" in given:
        secrets = [given["key"]] if "key" in given else given["keys"]
    else:
        source = _first(environ, known.keys)
        secrets = environ[source].split(",") if source else []
    stripped = [secret.strip() for secret in secrets if secret.strip()]
    if any(not (secret.isascii() and secret.isprintable()) for secret in stripped):
        raise ConfigError(f"{source or f'{where} key'}: a key has printable ASCII characters only")
    return tuple(Hidden(secret) for secret in dict.fromkeys(stripped)), source


def _base_url(name: str, given: Table, known: Known, environ: Mapping[str, str], where: str, has_key: bool) -> str:
    variable = _first(environ, known.urls)
    at = f"{where} base_url" if "base_url" in given or variable is None else variable
    url = given.get("base_url", "").strip() or (environ[variable].strip() if variable else known.base_url)
    if url is None and not DIALECTS[given.get("dialect", known.dialect)].address:
        return ""
    if url is None:
        needed = f", or set {known.urls[0]}" if known.urls else ""
        raise ConfigError(f"{where} base_url: is missing{needed}")
    completed = _ollama_url(url, at) if name == "ollama" else url
    plain_is_fine = given.get("allow_http", False) or (known.keyless and not has_key and name in KNOWN)
    return checked_url(completed, at, allow_http=plain_is_fine)


def checked_url(url: str, where: str, *, allow_http: bool = False) -> str:
    """A base URL without a slash at its end. Raises ``ConfigError`` that names ``where``."""
    if set("@?# ") & set(url) or not _is_line(url):
        raise ConfigError(f"{where}: a base URL has no user, query, fragment or space, and ASCII characters only")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{where}: {url!r} is not a URL ({error})") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{where}: {url!r} is not a URL that begins with https://")
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise ConfigError(f"{where}: {url!r} would send keys and prompts unencrypted; use https, or allow_http = true")
    return url.rstrip("/")


def _ollama_url(host: str, where: str) -> str:
    """The base URL behind ``OLLAMA_HOST``, which may be a bare host, lack a port, or be the address to listen on."""
    named = f"127.0.0.1{host}" if re.fullmatch(r":\d+", host) else host
    parts = urlsplit(checked_url(named if "://" in named else f"http://{named}", where, allow_http=True))
    name = "127.0.0.1" if parts.hostname in ("0.0.0.0", "::") else str(parts.hostname)
    shown = f"[{name}]" if ":" in name else name
    port = parts.port or (443 if parts.scheme == "https" else _OLLAMA_PORT)
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{shown}:{port}{path if path.endswith('/v1') else f'{path}/v1'}"


def _options(given: Table, known: Known, environ: Mapping[str, str]) -> dict[str, Any]:
    variables = {name: v for name, names in known.from_environment.items() if (v := _first(environ, names))}
    wrong = next((v for v in variables.values() if not _is_line(environ[v])), None)
    if wrong is not None:
        raise ConfigError(f"{wrong}: {environ[wrong]!r} is not allowed; allowed is {_LINE.allowed}")
    found = {name: environ[v] for name, v in variables.items()}
    return found | {name: value for name, value in given.items() if name not in _FIELDS}
