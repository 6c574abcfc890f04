"""The one way to fetch a URL that a user gave: an image, a recording, a document.

The danger is a URL that makes this process read its own network (SSRF). The guard: only http and https; the
name is resolved once, every address it has must be globally routable, and the connection goes to a checked
address, so a second answer of the name server changes nothing; each of at most three redirects passes the
same checks; no proxy of the environment, no cookie and no credential is used; size and time are bounded.

``fetch`` and ``fetch_sync`` raise ``FetchRefused`` (a rule said no; the URL will never do) and
``FetchFailed`` (the network or the other side failed). Neither shows the query or the user part of the URL:
signed links are secrets.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote_to_bytes

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

from infrai_core.inflate import Inflater
from infrai_core.renamed import Renamed

if TYPE_CHECKING:
    import httpcore
    import httpx

Address = IPv4Address | IPv6Address
Allow = Callable[[str, str], bool]
"""``allow(host, ip)``: True admits an address (or an internal name) that the guard would refuse."""
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""``await resolve(host, port)``: every IP address of the name, in the order to try them."""
Connect: TypeAlias = "Callable[[str, int, float], Awaitable[httpcore.AsyncNetworkStream]]"
"""``await connect(ip, port, timeout_s)``: an open stream to an address that passed the guard."""

MAX_REDIRECTS = 3
MOST_LOOKUPS = 100
"""How many names are looked up at a time."""
_LOOKUPS: RunVar[CapacityLimiter] = RunVar("infrai.lookups")
MAX_URL_CHARACTERS = 8192

# Any port may serve http, save those where other protocols listen and could take a request for one of theirs.
# fmt: off
REFUSED_PORTS = frozenset((
    0, 1, 7, 9, 19, 20, 21, 22, 23, 25, 53, 69, 79, 110, 111, 119, 135, 137, 138, 139, 143, 161, 389, 445,
    465, 514, 587, 636, 873, 993, 995, 1433, 1521, 2049, 2375, 2379, 3306, 3389, 5432, 5672, 6000, 6379, 6667,
    9200, 11211, 27017,
))
# fmt: on

_PORTS = {"http": 80, "https": 443}
_INTERNAL_NAME = re.compile(r"(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|home\.arpa)")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER_LAST = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\\]")
_REDIRECTS = frozenset((301, 302, 303, 307, 308))

# Not all of these are "not global" for every Python version that we run on.
_REFUSED_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "240.0.0.0/4",
        "2001::/23",
        "3fff::/20",
    )
)
_NAT64 = ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ip_network("2000::/3")


class FetchRefused(ValueError):
    """The guard refused: the URL, an address, a redirect, the size or the type. ``url`` shows no secret."""

    def __init__(self, reason: str, url: str) -> None:
        super().__init__(f"{reason}: {url}")
        self.reason = reason
        self.url = url


class FetchFailed(OSError):
    """The network, the time limit or the other side failed. ``url`` shows no secret."""

    def __init__(self, reason: str, url: str) -> None:
        super().__init__(f"{reason}: {url}")
        self.reason = reason
        self.url = url


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a URL held. ``mime`` is what the first bytes say, else what the server said, without parameters.

    ``url`` is where the data came from after redirects, without its query.
    """

    data: bytes
    mime: str
    url: str


async def fetch(
    url: str,
    *,
    max_bytes: int,
    timeout_s: float,
    allow: Allow | None = None,
    accept: Sequence[str] | None = None,
) -> Fetched:
    """The data behind an http, https or data URL, at most ``max_bytes`` of it, within ``timeout_s`` in all.

    ``accept`` lists MIME prefixes such as ``"image/"``. Works on asyncio and trio. Raises FetchRefused and
    FetchFailed.
    """
    return await Fetcher(allow=allow).get(url, max_bytes=max_bytes, timeout_s=timeout_s, accept=accept)


def fetch_sync(
    url: str,
    *,
    max_bytes: int,
    timeout_s: float,
    allow: Allow | None = None,
    accept: Sequence[str] | None = None,
) -> Fetched:
    """``fetch`` for code without an event loop; may also be called while one runs (it blocks)."""
    return Fetcher(allow=allow).get_sync(url, max_bytes=max_bytes, timeout_s=timeout_s, accept=accept)


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """The addresses that this machine's resolver gives. Its blocked thread is left when time runs out."""
    lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await anyio.to_thread.run_sync(lookup, abandon_on_cancel=True, limiter=_lookups())
    return list(dict.fromkeys(str(row[4][0]) for row in found))


def _lookups() -> CapacityLimiter:
    """The running loop's threads for names. Whoever gives a URL chooses whose name server is asked, and how long that
    takes: what else is done on threads does not wait for it."""
    try:
        return _LOOKUPS.get()
    except LookupError:
        _LOOKUPS.set(made := CapacityLimiter(MOST_LOOKUPS))
        return made


async def connect_by_tcp(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
    """A plain TCP connection to one address."""
    from infrai_core import fetch_http

    return await fetch_http.connect_by_tcp(ip, port, timeout_s)


@dataclass(frozen=True, slots=True)
class Fetcher:
    """The guard with its two doors to the world as values: who resolves names and who opens connections.

    ``allow(host, ip)`` admits single private addresses, for an operator with a media server of their own.
    """

    allow: Allow | None = None
    resolve: Resolve = field(default=resolve_by_system, repr=False)
    connect: Connect = field(default=connect_by_tcp, repr=False)

    async def get(self, url: str, *, max_bytes: int, timeout_s: float, accept: Sequence[str] | None = None) -> Fetched:
        """See ``fetch``."""
        with Renamed(partial(_failure, url)), anyio.fail_after(timeout_s):
            fetched = await self._follow(url, max_bytes)
        return _accepted(fetched, accept)

    def get_sync(self, url: str, *, max_bytes: int, timeout_s: float, accept: Sequence[str] | None = None) -> Fetched:
        """See ``fetch_sync``. It runs ``get`` on an event loop in its own thread: there is one policy."""
        call = partial(self.get, url, max_bytes=max_bytes, timeout_s=timeout_s, accept=accept)
        with anyio.from_thread.start_blocking_portal() as portal:
            return portal.call(call)

    async def _follow(self, url: str, max_bytes: int) -> Fetched:
        if _is_data_url(url):
            return _data_url(url, max_bytes)
        # Most processes never fetch a URL; the HTTP library is imported for the first one, beside the loop.
        await anyio.to_thread.run_sync(importlib.import_module, "infrai_core.fetch_http")
        target = _target(url)
        for _ in range(1 + MAX_REDIRECTS):
            answer = await self._ask(target, max_bytes)
            if isinstance(answer, Fetched):
                return answer
            target = _target(answer)
        raise FetchRefused(f"more than {MAX_REDIRECTS} redirects", redacted(url))

    async def _ask(self, target: _Target, max_bytes: int) -> Fetched | str:
        """One request: the data, or the absolute URL of a redirect."""
        addresses = await self._checked_addresses(target)
        from infrai_core.fetch_http import CheckedBackend, answered

        async with answered(target.url, target.host, CheckedBackend(addresses, self.connect)) as response:
            headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in headers:
                return target.join(headers[b"location"])
            if not 200 <= response.status < 300:
                raise FetchFailed(f"the server answered with status {response.status}", target.shown)
            data = await _body(response, headers, max_bytes, target.shown)
        return Fetched(data, mime_of(data, headers.get(b"content-type", "")), target.shown)

    async def _checked_addresses(self, target: _Target) -> list[str]:
        """Every address of the host, once all have passed; a name with one bad address is refused."""
        internal = _INTERNAL_NAME.fullmatch(target.host) is not None
        if internal and self.allow is None:
            raise FetchRefused("an internal host name", target.shown)
        addresses = [target.host] if target.is_address else list(await self.resolve(target.host, target.port))
        for address in addresses:
            if (internal or not is_public(address)) and not (self.allow and self.allow(target.host, address)):
                raise FetchRefused("the host is not on the public internet", target.shown)
        if not addresses:
            raise FetchFailed("the host has no address", target.shown)
        return addresses


def stand_in(servers: Mapping[str, tuple[str, int]]) -> Fetcher:
    """A fetcher for tests and offline examples: each host of ``servers`` is played by the plain-HTTP server
    at its (ip, port), for http and https URLs alike. Other hosts meet the usual guard.
    """
    labels = {host: f"127.53.{n // 256}.{n % 256}" for n, host in enumerate(servers)}
    played = {labels[host]: server for host, server in servers.items()}

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [labels[host]] if host in labels else await resolve_by_system(host, port)

    async def connect(ip: str, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        if ip not in played:
            return await connect_by_tcp(ip, port, timeout_s)
        from infrai_core.fetch_http import PlainStream

        return PlainStream(await connect_by_tcp(*played[ip], timeout_s))

    return Fetcher(allow=lambda host, ip: labels.get(host) == ip, resolve=resolve, connect=connect)


def is_public(address: str) -> bool:
    """Whether an IP address is unicast and globally routable, also after what a translator makes of it."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return all(map(_is_routable, _meant(ip)))


def redacted(url: str) -> str:
    """A URL as it may appear in a log: no query, fragment, user part or data, and one short line."""
    if _is_data_url(url):
        return url[:100].partition(",")[0]
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    if "@" in bare:
        bare = bare.partition(":")[0][:10] + "://...@" + bare.rpartition("@")[2]
    return _UNPRINTABLE.sub("_", bare)[:300]


# -- addresses and URLs: pure ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL that passed every check that needs no name server. ``host`` is lower case, without brackets."""

    url: httpx.URL
    host: str
    port: int
    shown: str

    @property
    def is_address(self) -> bool:
        return ":" in self.host or _NUMBER_LAST.fullmatch(self.host) is not None

    def join(self, location: str) -> str:
        if _UNPRINTABLE.search(location):
            raise FetchRefused("a redirect to something that is no URL", self.shown)
        from infrai_core.fetch_http import InvalidURL

        try:
            return str(self.url.join(location))
        except (InvalidURL, ValueError):
            raise FetchRefused("a redirect to something that is no URL", self.shown) from None


def _target(url: str) -> _Target:
    shown = redacted(url)
    parsed = _parsed(url, shown)
    host = parsed.raw_host.decode("ascii").lower().removesuffix(".")
    port = parsed.port if parsed.port is not None else _PORTS.get(parsed.scheme, 0)
    for wrong, reason in (
        (parsed.scheme not in _PORTS, "only http, https and data URLs are fetched"),
        (bool(parsed.userinfo), "a user name or password in the URL"),
        (not _is_plain_host(host), "not a host name or a plainly written address"),
        (port in REFUSED_PORTS or port > 65535, f"port {port} is not for http"),
    ):
        if wrong:
            raise FetchRefused(reason, shown)
    return _Target(parsed, host, port, shown)


def _parsed(url: str, shown: str) -> httpx.URL:
    if len(url) > MAX_URL_CHARACTERS:
        raise FetchRefused(f"a URL of more than {MAX_URL_CHARACTERS} characters", shown)
    if _UNPRINTABLE.search(url):
        raise FetchRefused("a space, control character or backslash in the URL", shown)
    from infrai_core.fetch_http import URL, InvalidURL

    try:
        return URL(url)
    except (InvalidURL, ValueError):
        raise FetchRefused("not a URL", shown) from None


def _is_plain_host(host: str) -> bool:
    """A DNS name, a dotted quad or an IPv6 address; not 127.1, 0x7f000001, 0177.0.0.1 or 2130706433."""
    if ":" not in host and not _NUMBER_LAST.fullmatch(host):
        return _NAME.fullmatch(host) is not None
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _is_routable(ip: Address) -> bool:
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _REFUSED_NETWORKS)


def _meant(ip: Address) -> list[Address]:
    """Where a packet to this address may end: an IPv6 address can carry an IPv4 one."""
    if isinstance(ip, IPv4Address):
        return [ip]
    if ip.ipv4_mapped:
        return [ip.ipv4_mapped]
    if ip in _NAT64:
        return [IPv4Address(int(ip) & 0xFFFFFFFF)]
    # 6to4 is judged by the IPv4 address alone: some versions of Python take all of 2002::/16 for private.
    return [ip.sixtofour or ip]


# -- one request -----------------------------------------------------------------------------------


async def _body(response: httpcore.Response, headers: Mapping[bytes, str], max_bytes: int, shown: str) -> bytes:
    """The decoded body. Neither more of it than ``max_bytes`` nor a bomb's full size is ever in memory."""
    too_large = FetchRefused(f"more than {max_bytes} bytes", shown)
    if int(headers.get(b"content-length", 0)) > max_bytes:
        raise too_large
    inflate = _inflater(headers.get(b"content-encoding", "identity").strip().lower(), shown)
    data = bytearray()
    with anyio.CancelScope() as scope:
        async for chunk in response.aiter_stream():
            for piece in inflate.pieces(chunk) if inflate else (chunk,):
                data += piece
                if len(data) > max_bytes:
                    break
            if len(data) > max_bytes:
                scope.cancel()  # ends the stream from inside; raising here leaves its generators half-way
    if len(data) > max_bytes:
        raise too_large
    if inflate and not inflate.complete:
        raise FetchFailed("the compressed answer was cut short", shown)
    return bytes(data)


def _inflater(coding: str, shown: str) -> Inflater | None:
    if coding in ("identity", ""):
        return None
    if coding in ("gzip", "x-gzip", "deflate"):
        return Inflater()
    raise FetchFailed(f"the server compressed the answer as {coding[:20]!r} though nothing was asked", shown)


def _failure(url: str, error: Exception) -> FetchFailed | None:
    """Whatever the network throws, as one error that names the URL without its secrets."""
    from infrai_core.fetch_http import NETWORK_ERRORS, TIMEOUTS

    if isinstance(error, FetchFailed | FetchRefused):
        return None
    if isinstance(error, TIMEOUTS):
        late = FetchFailed("no whole answer in time", redacted(url))
        late.__cause__ = None
        return late
    return FetchFailed(f"{type(error).__name__}: {error}", redacted(url)) if isinstance(error, NETWORK_ERRORS) else None


# -- what the data is ------------------------------------------------------------------------------


def _is_data_url(url: str) -> bool:
    return url[:5].lower() == "data:"


def _data_url(url: str, max_bytes: int) -> Fetched:
    head, comma, payload = url[5:].partition(",")
    shown = redacted(url)
    if not comma:
        raise FetchRefused("a data URL without a comma", shown)
    if len(payload) > 4 * max_bytes + 4:  # percent-encoded base64 may take this much, nothing takes more
        raise FetchRefused(f"more than {max_bytes} bytes", shown)
    declared, *options = head.split(";")
    data = unquote_to_bytes(payload)
    if options and options[-1].strip().lower() == "base64":
        data = _from_base64(data, shown)
    if len(data) > max_bytes:
        raise FetchRefused(f"more than {max_bytes} bytes", shown)
    return Fetched(data, mime_of(data, declared or "text/plain"), shown)


def _from_base64(data: bytes, shown: str) -> bytes:
    packed = b"".join(data.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error:
        raise FetchRefused("a data URL whose base64 is broken", shown) from None


def _accepted(fetched: Fetched, accept: Sequence[str] | None) -> Fetched:
    if accept is None or fetched.mime.startswith(tuple(accept)):
        return fetched
    raise FetchRefused(f"the data is {fetched.mime}, wanted is {' or '.join(accept)}", fetched.url)


def mime_of(data: bytes, content_type: str = "") -> str:
    """The type by the first bytes; a declared type wins only among types that share these bytes."""
    declared = content_type.partition(";")[0].strip().lower()
    for signature, mimes in _SIGNATURES:
        if signature.match(data):
            return declared if declared in mimes else mimes[0]
    return declared if _MIME.fullmatch(declared) else "application/octet-stream"


_MIME = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_SIGNATURES = tuple(
    (re.compile(pattern, re.DOTALL), mimes)
    for pattern, mimes in (
        (rb"\x89PNG\r\n\x1a\n", ("image/png", "image/apng")),
        (rb"\xff\xd8\xff", ("image/jpeg", "image/jpg")),
        (rb"GIF8[79]a", ("image/gif",)),
        (rb"BM.{8}", ("image/bmp", "image/x-ms-bmp")),
        (rb"II\*\x00|MM\x00\*", ("image/tiff",)),
        (rb"RIFF....WEBP", ("image/webp",)),
        (rb"RIFF....WAVE", ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")),
        (rb"....ftyp(?:heic|heix|mif1)", ("image/heic", "image/heif")),
        (rb"....ftypavi[fs]", ("image/avif",)),
        (rb"....ftypM4[AB] ", ("audio/mp4", "audio/m4a", "audio/x-m4a")),
        (rb"....ftyp", ("video/mp4", "audio/mp4", "audio/m4a", "audio/x-m4a", "video/quicktime")),
        (rb"\x1aE\xdf\xa3", ("video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska")),
        (rb"OggS", ("audio/ogg", "audio/opus", "video/ogg", "application/ogg")),
        (rb"fLaC", ("audio/flac", "audio/x-flac")),
        (rb"\xff[\xf1\xf9]", ("audio/aac", "audio/aacp")),
        (rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", ("audio/mpeg", "audio/mp3")),
        (rb"%PDF-", ("application/pdf",)),
        (rb"(?i:\s*<!doctype html|\s*<html[\s>])", ("text/html", "application/xhtml+xml")),
        (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?<svg[\s>]", ("image/svg+xml",)),
    )
)
