"""The names of the service's own documentation: ``ai``, ``infra`` and ``account``, over one shared client.

Results are dictionaries with ``_metadata`` [official]; a streamed chat is both an iterable of chunks and such a
dictionary, because the documentation uses it both ways. The client is made at first use, from the environment.
"""

from __future__ import annotations

import os
import reprlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infrai_core.chat_stream import ChatStream
from infrai_core.client import Infrai
from infrai_core.config import HOSTED, credentials_place, normal_base_url, write_profile
from infrai_core.errors import ConfigError
from infrai_core.locks import lock
from infrai_core.models import ChatChunk, ChatReply, Reply
from infrai_core.params import MediaRef, Prompt


class Result(dict[str, Any]):
    """A reply as a dictionary, with ``_metadata``; ``reply`` is the typed reply that it came from."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(_plain(reply))
        self.reply = reply


def _plain(reply: Reply) -> dict[str, Any]:
    data = reply.model_dump(exclude={"metadata"})
    if isinstance(reply, ChatReply):
        calls = [call.model_dump() for call in reply.tool_calls]
        data |= {"content": reply.content, "tool_calls": calls, "reasoning": reply.reasoning, "refusal": reply.refusal}
    return {**data, "_metadata": reply.metadata.model_dump()}


class StreamResult(Mapping[str, Any]):
    """A streamed chat. Iterate it for chunks (``chunk.delta.content``); ask it like a dictionary (``get``, ``[…]``)
    and it reads to the end first. Both in either order: what was iterated is part of the dictionary. A loop that is
    left closes the stream, and the dictionary has what came until then, with a ``finish_reason`` of None."""

    def __init__(self, stream: ChatStream) -> None:
        self._stream = stream
        self._whole: Result | None = None

    # Iterating gives chunks, not keys: that is how the service's page uses it.
    def __iter__(self) -> Iterator[ChatChunk]:  # type: ignore[override]
        return iter(self._stream)

    def _drained(self) -> Result:
        if self._whole is None:
            self._whole = Result(self._stream.so_far if self._stream.left else self._stream.reply())
        return self._whole

    def __getitem__(self, name: str) -> Any:
        return self._drained()[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of the whole reply's field."""
        return self._drained().get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._drained()

    def __len__(self) -> int:
        return len(self._drained())

    def keys(self) -> Any:
        """The fields of the whole reply."""
        return self._drained().keys()

    def values(self) -> Any:
        """The values of the whole reply."""
        return self._drained().values()

    def items(self) -> Any:
        """The fields and values of the whole reply."""
        return self._drained().items()

    def close(self) -> None:
        """Ends the stream now."""
        self._stream.close()

    def __enter__(self) -> StreamResult:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Shared:
    """The one client of the facade, made at first use and remade after ``configure`` or ``infra.activate``."""

    def __init__(self) -> None:
        self._lock = lock()
        self._client: Infrai | None = None
        self._options: dict[str, Any] = {}

    def client(self) -> Infrai:
        with self._lock:
            if self._client is None:
                self._client = Infrai(**self._options)
            return self._client

    def options(self) -> dict[str, Any]:
        with self._lock:
            return dict(self._options)

    def configure(self, **options: Any) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client, self._options = None, options


_shared = _Shared()


def configure(**options: Any) -> None:
    """Options for the facade's client, as for ``Infrai`` (``api_key``, ``base_url``, …). Without any: the defaults."""
    _shared.configure(**options)


class _Embed:
    """``ai.embed.create``; ``ai.embed(…)`` is the same."""

    def create(self, text: str | Sequence[str], **params: Any) -> Result:
        """Vectors for one text or several: ``embeddings``, ``model``, ``usage``."""
        return Result(_shared.client().embed(text, **params))

    __call__ = create


class _Image:
    """``ai.image.generate``; ``ai.image(…)`` is the same."""

    def generate(self, prompt: str, **params: Any) -> Result:
        """Images for a prompt: ``images`` with ``url``."""
        return Result(_shared.client().image(prompt, **params))

    __call__ = generate


class _Realtime:
    """``ai.realtime.token``."""

    def token(self, **params: Any) -> Result:
        """A token for a realtime session: ``session_id``, ``ice_servers``, ``token``, ``expires_at``."""
        return Result(_shared.client().realtime_token(**params))


class _Ai:
    """The AI runtime's methods, as the service documents them."""

    embed = _Embed()
    image = _Image()
    realtime = _Realtime()

    def chat(
        self, prompt: Prompt | None = None, *, messages: Prompt | None = None, stream: bool = False, **params: Any
    ) -> Any:
        """A chat: a ``Result``, or with ``stream=True`` a ``StreamResult``. ``messages`` is another name of
        ``prompt``. Raises ``ConfigError`` for a ``stream`` that is not True or False."""
        if not isinstance(stream, bool):
            raise ConfigError(f"stream={reprlib.repr(stream)}: allowed is True or False")
        asked = prompt if prompt is not None else messages
        if asked is None or (prompt is not None and messages is not None):
            raise ConfigError("chat: give one of prompt and messages")
        client = _shared.client()
        if stream:
            # The page's signature has batch_mode=False beside stream=True; only a true one contradicts it.
            if not params.get("batch_mode"):
                params.pop("batch_mode", None)
            return StreamResult(client.stream_chat(asked, **params))
        return Result(client.chat(asked, **params))

    def vision(self, *, prompt: str, images: Sequence[MediaRef], **params: Any) -> Result:
        """An answer about images."""
        return Result(_shared.client().vision(prompt, images, **params))

    def tts(self, *, input: str, **params: Any) -> Result:
        """Speech for a text: ``audio_url``, ``format``."""
        return Result(_shared.client().tts(input, **params))

    def asr(self, *, audio: MediaRef, **params: Any) -> Result:
        """A transcript: ``text``, ``language``, ``segments``."""
        return Result(_shared.client().asr(audio, **params))

    def rerank(self, query: str, candidates: Sequence[str], **params: Any) -> Result:
        """Candidates by relevance: ``results`` with ``index`` and ``relevance_score``."""
        return Result(_shared.client().rerank(query, candidates, **params))


class _Account:
    """The account that the key belongs to."""

    def balance(self) -> Result:
        """``balance_usd`` and ``currency``."""
        return Result(_shared.client().account())


class _Infra:
    """One-time set-up."""

    def activate(self, *, base_url: str | None = None, profile: str | None = None) -> Result:
        """Makes an anonymous project with trial credit and writes its key, with the base URL that it belongs to, to
        ``~/.infrai/credentials`` (mode 0600). The facade's calls use that profile from then on.

        Without ``base_url``, also in ``configure`` and ``INFRAI_BASE_URL``, it asks the hosted service; without
        ``profile`` it is the configured one or ``default``. The result does not hold the key. Where ``INFRAI_API_KEY``
        is set, which is used before the new key, a ``UserWarning`` and the result's ``hint`` say so. Raises
        ``ConfigError`` before a project is made when its key could not be written.
        """
        options = _shared.options()
        profile = profile or options.get("profile") or "default"
        url = base_url or options.get("base_url") or os.environ.get("INFRAI_BASE_URL") or HOSTED
        url = normal_base_url(url, bool(options.get("allow_plain_http")))
        credentials_place()
        options |= {"api_key": None, "base_url": url, "profile": None}  # the profile is yet to be written
        with Infrai(**options) as client:
            made = client.activate()
        values = {"api_key": made.primary_api_key, "base_url": url}
        values |= {name: v for name in ("account_id", "project_id") if (v := getattr(made, name)) is not None}
        path = write_profile(values, profile)
        configure(**{**options, "profile": profile})
        result = Result(made)
        del result["primary_api_key"]
        result["credentials"] = str(path)
        if os.environ.get("INFRAI_API_KEY", "").strip():
            result["hint"] = (
                f"INFRAI_API_KEY is set and is used before the new key; unset it to use profile {profile!r}"
            )
            warnings.warn(result["hint"], stacklevel=2)
        return result


ai = _Ai()
infra = _Infra()
account = _Account()

__all__ = ["Result", "StreamResult", "account", "ai", "configure", "infra"]
