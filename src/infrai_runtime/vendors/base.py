"""What a vendor is: an object that has the capabilities it can do as methods.

No flag says what a vendor can do; ``isinstance(vendor, Chats)`` does, so flag and code cannot disagree. Requests are
the validated, canonical dictionaries of ``infrai_runtime.request`` (messages with ``parts``); results are the small
values below. Vendors raise ``Failure``. Cancelling the task that awaits a method (or closing the event iterator)
cancels the vendor's work; blocking work runs in threads. What is made anew for every call is not frozen, as that would
double the work of making it; nobody changes it all the same.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict, runtime_checkable

from infrai_core.fetch import Fetcher
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.bill import Bill

Request = Mapping[str, Any]


@dataclass(slots=True)
class Call:
    """What a vendor gets beside the request: the model to use, the time it has, and what it may reach."""

    model: str
    deadline_s: float
    """Seconds left for the whole call."""
    fetcher: Fetcher
    """The only way to fetch a URL that a user gave."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The caller's ``vendor_options`` for this vendor, already checked."""
    media: bool = True
    """The request may hold media. Where it is known to hold none, nobody looks for them."""
    stream: bool = False
    """The caller reads along. Otherwise a vendor may ask for the answer in one piece, which is cheaper."""
    mark_cache: bool = True
    """``cache_strategy`` is ``vendor``: the vendor's prompt cache is wanted, also where it has to be asked for."""
    connect_s: float = 10.0
    """The longest wait for a connection."""
    idle_s: float | None = None
    """The longest silence inside an answer; None: the deadline."""
    idempotency_key: Callable[[], str | None] = lambda: None
    """Makes what is the same for the same attempt of the same call, also when a process that died had made it before.
    Asked for, and sent, where a vendor is known to give the same answer again for it, instead of charging twice."""
    bill: Bill = field(default_factory=Bill, repr=False)
    """What becomes known of the attempt's cost."""


# -- what a chat yields, in order: any number of Fragment and Note, then one Finish ------------------------------------


@dataclass(slots=True)
class Fragment:
    """A piece of the part at ``index``: a wire part dictionary (``type`` and what it adds; ``done`` closes one that is
    streamed).

    Pieces of ``text``, ``arguments``, ``transcript`` and ``base64`` are joined; lists (``annotations``, a text's
    ``logprobs`` in OpenAI's shape of a token) are put together; of every other field the last value stays.
    """

    index: int
    part: dict[str, Any]
    choice: int = 0
    """Which of several answers (``choices`` of the request) it belongs to."""


class Origins(TypedDict, total=False):
    """Where the values of an answer come from, as ``metadata`` has it; what is empty is absent.

    ``invented`` are the dotted paths of values that no input shows to be true. ``quotes`` has the words of the input
    that the others were read from, by their paths; they are content, which no log, span or ledger holds.
    """

    invented: Sequence[str]
    quotes: Mapping[str, str]


@dataclass(slots=True)
class Note:
    """Something the caller should know: a warning, or where values come from (``Origins``)."""

    warning: str | None = None
    invented: Sequence[str] = ()
    quotes: Mapping[str, str] | None = None


@dataclass(slots=True)
class Finish:
    """The end of an answer. ``usage`` is wire-shaped; None when the vendor did not say. ``cost_usd`` only where the
    vendor reports its own price."""

    reason: str
    usage: dict[str, Any] | None = None
    model: str | None = None
    cost_usd: float | None = None
    others: Mapping[int, str] = field(default_factory=dict)
    """Why the further answers ended, by their ``choice``, where several were asked for."""
    fingerprint: str | None = None
    """The vendor's ``system_fingerprint``: what it ran on, which says whether a ``seed`` can give the same again."""


Event = Fragment | Note | Finish


def unknown_reason(reason: str) -> str:
    """The warning for an end that an adapter does not know: it counts as one of the model's own will."""
    return f"the vendor ended its answer with {reason!r}, which this version does not know; taken for 'stop'"


# -- results of the other capabilities -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vectors:
    """One vector per input, in input order."""

    vectors: Sequence[Sequence[float]]
    usage: dict[str, Any]
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A generated file; ``about`` is kept with it (an honest label, size, seconds)."""

    data: bytes
    mime: str
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Files:
    """Generated files and what they used."""

    files: Sequence[File]
    usage: dict[str, Any]
    warnings: Sequence[str] = ()
    cost_usd: float | None = None
    """Only where the vendor reports its own price."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Speech that is being made. ``pieces`` are its bytes as they come; closing them ends the vendor's work, and a cut
    sound raises ``Failure`` there."""

    mime: str
    pieces: AsyncGenerator[bytes, None]
    usage: dict[str, Any]
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said; segments are ``{"start", "end", "text", "speaker"?}``, words ``{"start", "end", "word"}``, in
    seconds."""

    text: str
    language: str | None
    segments: Sequence[Mapping[str, Any]]
    usage: dict[str, Any]
    warnings: Sequence[str] = ()
    words: Sequence[Mapping[str, Any]] = ()
    logprobs: Sequence[Mapping[str, Any]] = ()
    """In OpenAI's shape of a token, where they were asked for."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """(index of the candidate, score), best first."""

    results: Sequence[tuple[int, float]]
    usage: dict[str, Any]


class Vendor(Protocol):
    """What every vendor has."""

    name: str

    async def close(self) -> None:
        """Frees connections, processes and threads."""


@runtime_checkable
class Chats(Protocol):
    """Answers messages."""

    def chat(self, request: Request, call: Call) -> AsyncIterator[Event]:
        """Yields the answer as events; used for streamed and whole answers alike."""


class AnswersAtOnce(Chats, Protocol):
    """Gives out an answer that nobody reads along, which a vendor may do beside ``Chats``."""

    async def answer(self, request: Request, call: Call) -> Sequence[Event]:
        """The events of the whole answer."""


@runtime_checkable
class Sees(Protocol):
    """Answers a prompt about images: ``{"prompt", "images": [{"url"} | {"base64", "mime"?}]}``."""

    def see(self, request: Request, call: Call) -> AsyncIterator[Event]:
        """Yields the answer as events."""


@runtime_checkable
class Embeds(Protocol):
    """Makes vectors: ``{"input": [str], "dimensions"?, "input_type"?: "query" | "document"}``."""

    async def embed(self, request: Request, call: Call) -> Vectors:
        """One vector per input, in order."""


@runtime_checkable
class Draws(Protocol):
    """Makes images: ``{"prompt", "size"?, "n"?}``."""

    async def draw(self, request: Request, call: Call) -> Files:
        """``n`` images."""


@runtime_checkable
class Speaks(Protocol):
    """Makes speech: ``{"input", "voice"?, "format"?}``."""

    async def speak(self, request: Request, call: Call) -> Files:
        """One sound file; ``about`` has ``format`` and ``seconds``."""


@runtime_checkable
class SpeaksAlong(Protocol):
    """Gives speech out while it is made, which a vendor may do beside ``Speaks``."""

    async def speak_along(self, request: Request, call: Call) -> Sound:
        """The sound, once the vendor has begun to answer."""


@runtime_checkable
class Listens(Protocol):
    """Transcribes: ``{"audio": {"url"} | {"base64", "mime"?}, "language"?, "prompt"?, "temperature"?,
    "timestamp_granularities"?, "diarize"?}``; the last four and ``passthrough`` come from the OpenAI surface only."""

    async def listen(self, request: Request, call: Call) -> Transcript:
        """The transcript."""


@runtime_checkable
class Reranks(Protocol):
    """Orders candidates: ``{"query", "candidates": [str], "top_k"?}``."""

    async def rerank(self, request: Request, call: Call) -> Ranking:
        """Candidates by relevance."""


@runtime_checkable
class Opens(Protocol):
    """Opens realtime voice sessions: ``{"voice"?, "ttl_seconds"?}``."""

    async def open(self, request: Request, call: Call) -> Mapping[str, Any]:
        """What the session needs at the vendor: ``ice_servers``; where the vendor has tokens of its own also ``token``,
        ``expires_at`` (seconds since the epoch), ``url`` to connect to, and ``session_id``."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request of a job: the events of its answer, or why there is none."""

    place: int
    """Which of the job's requests it was, from 0."""
    events: Sequence[Event] = ()
    failure: Failure | None = None


@runtime_checkable
class Batches(Protocol):
    """Runs many requests as one job at the vendor's own batch service."""

    def takes(self, request: Request, call: Call) -> bool:
        """Whether the service runs such a request; does no I/O."""

    async def submit(self, requests: Sequence[Request], call: Call) -> str:
        """The vendor's id of the job, which carries ``call.idempotency_key()`` where the vendor has a place for it."""

    async def find(self, call: Call) -> str | None:
        """The id of the job that was handed in under ``call.idempotency_key()``, when the answer that told it was lost;
        None where the vendor has none, or nothing to know it by."""

    async def poll(self, job: str, call: Call) -> Mapping[str, Any]:
        """``{"state", "completed_count", "failed_count"}``; the counts are 0 where the vendor does not count."""

    def results(self, job: str, call: Call) -> AsyncGenerator[Result, None]:
        """What the vendor has answered, in any order, as it is read. A request that it did not come to is not there, or
        is a failure."""

    async def cancel(self, job: str, call: Call) -> None:
        """Asks the vendor to stop the job; what is done stays done."""


CAPABILITIES: dict[str, type] = {
    "chat": Chats,
    "vision": Sees,
    "embed": Embeds,
    "image": Draws,
    "tts": Speaks,
    "asr": Listens,
    "rerank": Reranks,
    "realtime": Opens,
    "batch": Batches,
}
"""Capability name -> the protocol a vendor has when it can do it."""
