"""Chat through other people's adapters, ``litellm`` and ``any-llm``, for vendors that none of our dialects speaks to.

They take and give OpenAI's shapes, so that requests are written and answers read as in ``openai_like``. Each is an
extra of its own, imported when a vendor of ``vendors.toml`` names it; its retries are off: ``failover`` has them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from infrai_core.errors import ConfigError
from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Event, Note, Request
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.http import Pool
from infrai_runtime.vendors.keyring import Keyring
from infrai_runtime.vendors.material import inlined
from infrai_runtime.vendors.openai_like.answer import Broken, Reader
from infrai_runtime.vendors.openai_like.request import Draft, drafted
from infrai_runtime.vendors.openai_like.row import OPTIONS, Row
from infrai_runtime.vendors.refusal import failure_of
from infrai_runtime.vendors.vision import as_chat

Json = dict[str, Any]
Where = Callable[[str, str, str, float], Json]
"""(provider, model, key, seconds) -> what says where to send a request, in the library's words."""

ROW = Row(
    page="https://docs.litellm.ai/docs/completion/input",
    reads=frozenset({"image", "audio", "file"}),
    fetches=False,
    reasoning_back="reasoning_content",
    allowed_options=OPTIONS,
)
_WORDS = {"ContentPolicyViolationError": "content_policy_violation", "ContentFilterError": "content_filter"} | {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContextLengthExceededError": "context_length_exceeded",
}
"""The libraries' error classes that say more than their status."""


def litellm(entry: Entry, pool: Pool) -> LongTail:
    """A vendor behind LiteLLM. Raises ``ConfigError`` when the package is missing."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it fetches a price list when it is imported
    module = _imported("litellm", "litellm", entry)
    module.telemetry, module.suppress_debug_info, module.turn_off_message_logging = False, True, True

    def where(provider: str, model: str, key: str, seconds: float) -> Json:
        retries = {"num_retries": 0, "max_retries": 0}
        return {"model": f"{provider}/{model}", "api_key": key or None, "timeout": seconds} | retries

    return LongTail(entry, module.acompletion, where)


def any_llm(entry: Entry, pool: Pool) -> LongTail:
    """A vendor behind any-llm. Raises ``ConfigError`` when the package is missing."""
    module = _imported("any_llm", "any-llm", entry)

    def where(provider: str, model: str, key: str, seconds: float) -> Json:
        client = {"timeout": seconds, "max_retries": 0}
        return {"model": model, "provider": provider, "api_key": key or None, "client_args": client}

    return LongTail(entry, module.acompletion, where)


def _imported(name: str, extra: str, entry: Entry) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = f"{entry.source}: [{entry.name}] dialect: the package {error.name!r} is not installed"
        raise ConfigError(f'{message}: pip install "infrai-integrations[{extra}]"') from error


class LongTail:
    """Chat and vision of a vendor behind a library."""

    allowed_options = frozenset(OPTIONS)

    def __init__(self, entry: Entry, complete: Callable[..., Any], where: Where) -> None:
        self.name = entry.name
        self.keys = Keyring(entry.name, entry.keys)
        self._provider = str(entry.options.get("provider", entry.name))
        self._address = {"api_base": entry.base_url} if entry.base_url else {}
        self._complete = complete
        self._where = where

    async def close(self) -> None:
        """The library keeps its own connections."""

    async def chat(self, request: Request, call: Call) -> AsyncGenerator[Event, None]:
        """The answer: streamed when the caller reads along, else in one piece."""
        draft = drafted(await inlined(request, call, lambda part: False), call, ROW, call.model)
        for warning in draft.warnings:
            yield Note(warning=warning)
        answer = await self._answer(draft, call)
        reader = Reader(ROW)
        if not call.stream:
            for event in self._read(lambda: reader.whole(answer.model_dump())):
                yield event
        else:
            async with aclosing(self._streamed(reader, answer)) as events:
                async for event in events:
                    yield event
        if reader.empty:
            raise Failure("VENDOR_ERROR", f"{self.name}: its answer has no choices")

    async def see(self, request: Request, call: Call) -> AsyncGenerator[Event, None]:
        """A chat with the images in it."""
        async with aclosing(self.chat(as_chat(request), call)) as events:
            async for event in events:
                yield event

    async def _answer(self, draft: Draft, call: Call) -> Any:
        """What the library gives for the first key that the vendor takes."""
        body = {name: value for name, value in draft.body.items() if name != "model"}
        keys = self.keys.turn(call.model)
        for key in keys:
            where = self._where(self._provider, call.model, key.secret, call.deadline_s)
            try:
                answer = await self._complete(**body, **where, **self._address)
            except Exception as error:
                failure = self._failure(error)
                if not self.keys.refused(key, call.model, failure) or key is keys[-1]:
                    raise failure from None
                continue
            self.keys.worked(key, call.model)
            return answer
        raise AssertionError("a keyring hands out at least one key")

    async def _streamed(self, reader: Reader, answer: Any) -> AsyncGenerator[Event, None]:
        try:
            async for chunk in answer:
                for event in self._read(lambda chunk=chunk: reader.feed(chunk.model_dump())):  # type: ignore[misc]
                    yield event
        except Failure:
            raise
        except Exception as error:
            raise self._failure(error) from None
        finally:
            close = getattr(answer, "aclose", None) or getattr(answer, "close", None)
            if close is not None:
                await close()
        if not reader.finished:
            raise Failure("VENDOR_ERROR", f"{self.name}: its stream ended before its end")
        for event in reader.end():
            yield event

    def _read(self, read: Callable[[], list[Event]]) -> list[Event]:
        try:
            return read()
        except Broken as broken:
            raise Failure("VENDOR_ERROR", f"{self.name}: {broken}") from None
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Failure("VENDOR_ERROR", f"{self.name}: an answer of another shape ({error})") from error

    def _failure(self, error: Exception) -> Failure:
        """The failure for what a library raises: its status decides, as if the vendor's answer had come."""
        status = getattr(error, "status_code", None) or getattr(error.__cause__, "status_code", None)
        if status is None and isinstance(error, TimeoutError):
            status = 408
        said: Mapping[str, Any] = {"message": str(error), "code": _WORDS.get(type(error).__name__)}
        headers = getattr(getattr(error, "response", None), "headers", None)
        known = status if isinstance(status, int) and 400 <= status <= 599 else 502
        return failure_of(self.name, known, {"error": said}, headers, self.keys.secrets())
