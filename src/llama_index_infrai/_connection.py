"""What the LLM, the embedding model and the tools have in common: where calls go, as whom, and the two clients."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Literal, Self

from llama_index.core.schema import BaseComponent
from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from infrai_core import AsyncInfrai, ConfigError, Infrai, Ledger, Retry
from infrai_core.params import Prefer, check_headers, unknown, without_secrets
from llama_index_infrai._limit import Meter, Paced
from llama_index_infrai.usage import publish

_LIVE = ("ledger", "http_client", "async_http_client", "transport", "hooks")
"""Fields that belong to this process: not pickled, and shared by a deep copy."""
_SECRET = ("api_key", "headers")
_SHARED = (*_LIVE, "callback_manager", "rate_limiter", "embeddings_cache")


_ELSEWHERE = {
    "api_base": "here it is base_url",
    "timeout": "here it is timeout_s",
    "default_headers": "here it is headers",
    "is_function_calling_model": "here it is function_calling",
    "max_completion_tokens": "here it is max_tokens",
    "additional_kwargs": "give the fields themselves, or extra_body in a call",
    "is_chat_model": "it is not needed here",
    "reuse_client": "it is not needed here",
    "strict": "it is not needed here",
    "should_use_structured_outputs": "it is not needed here",
}
"""Arguments of LlamaIndex's OpenAI classes -> what to do about them."""


def _unknown(name: str, known: list[str]) -> InitErrorDetails:
    there = _ELSEWHERE.get(name)
    said = f"unknown argument {name!r}; {there}" if there else unknown(name, known, "argument")
    return {"type": PydanticCustomError("unknown_argument", "{said}", {"said": said}), "loc": (name,), "input": name}


_from_pickle: ContextVar[bool] = ContextVar("infrai_from_pickle", default=False)


class _NoClient:
    """In the place of clients that could not be made where a pickle was opened, for want of a key: the first call
    raises why. ``multiprocessing.Pool`` waits for ever for a worker that fails while it opens its task."""

    def __init__(self, error: ConfigError) -> None:
        self._error = ConfigError(f"{error.message}. A pickle has no key, unless made with pickle_key=True")

    def __getattr__(self, name: str) -> Any:
        raise self._error


class Connection(BaseComponent):
    """Connection settings. They are fixed once given; the key is in no ``repr``, ``to_dict`` or event."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    api_key: SecretStr | None = Field(
        default=None,
        exclude=True,
        repr=False,
        frozen=True,
        description="API key; without it INFRAI_API_KEY or the credentials profile is used.",
    )
    base_url: str | None = Field(
        default=None, frozen=True, description='URL of the service, or "embedded" for the runtime in this process.'
    )
    profile: str = Field(default="default", frozen=True, description="Profile of the credentials file.")
    dialect: Literal["native", "openai"] = Field(
        default="native", frozen=True, description='"openai" for services with only the OpenAI surface.'
    )
    timeout_s: float = Field(default=60.0, gt=0, frozen=True, description="Total deadline of a call, in seconds.")
    idle_timeout_s: float = Field(
        default=60.0, gt=0, frozen=True, description="Longest silence inside a stream, in seconds."
    )
    max_retries: int = Field(default=2, ge=0, frozen=True, description="Further tries after a failed one.")
    headers: dict[str, str] | None = Field(
        default=None, exclude=True, repr=False, frozen=True, description="More HTTP headers of every call."
    )
    tags: dict[str, str] | None = Field(default=None, frozen=True, description="Tags of every ledger entry.")
    allow_plain_http: bool = Field(default=False, frozen=True, description="Allow http to other machines.")
    pickle_key: bool = Field(
        default=False,
        exclude=True,
        frozen=True,
        description="Keep the key in a pickle, and the headers that carry secrets (X-Api-Key, Cookie…), for worker "
        "processes; without it they read the key from their own environment or credentials file.",
    )
    ledger: Ledger = Field(
        default_factory=Ledger, exclude=True, repr=False, frozen=True, description="What all calls used and cost."
    )
    http_client: Any = Field(default=None, exclude=True, repr=False, frozen=True, description="An httpx.Client.")
    async_http_client: Any = Field(
        default=None, exclude=True, repr=False, frozen=True, description="An httpx.AsyncClient."
    )
    transport: Any = Field(
        default=None, exclude=True, repr=False, frozen=True, description="An object with httpx's transport methods."
    )
    hooks: tuple[Any, ...] = Field(
        default=(), exclude=True, repr=False, frozen=True, description="Hooks around every HTTP attempt."
    )

    _client: Infrai = PrivateAttr()
    _aclient: AsyncInfrai = PrivateAttr()

    @classmethod
    def embedded(cls, **options: Any) -> Self:
        """One that uses the runtime inside this process: no account, no key, no server."""
        return cls(base_url="embedded", **options)

    @model_validator(mode="before")
    @classmethod
    def _known_arguments(cls, given: Any) -> Any:
        """Refuses arguments that do not exist. pydantic's own error shows their values: that of a misspelt key, too."""
        odd = sorted(given.keys() - cls.model_fields.keys()) if isinstance(given, Mapping) else []
        if odd:
            errors = [_unknown(name, sorted(cls.model_fields)) for name in odd]
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return given

    @field_validator(*_SECRET, mode="before")
    @classmethod
    def _unseen(cls, given: Any, info: ValidationInfo) -> Any:
        """Refuses what is of a wrong kind without showing it, as pydantic would."""
        if info.field_name == "headers":
            check_headers("headers", given or {})
        elif given is not None and not isinstance(given, str | SecretStr):
            raise ConfigError(f"api_key: came an object of type {type(given).__name__}; allowed is a string")
        return given

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        self._connect()

    def _connect(self) -> None:
        limiter = getattr(self, "rate_limiter", None)
        bare = limiter.limiter if isinstance(limiter, Paced) else limiter
        if bare is not None:
            self.__dict__["rate_limiter"] = Paced(bare)
        options = {**self._client_options(), "limiter": None if bare is None else Meter(bare)}
        try:
            self._client = Infrai(self.api_key, http_client=self.http_client, **options)
            self._aclient = AsyncInfrai(self.api_key, http_client=self.async_http_client, **options)
        except ConfigError as error:
            if not _from_pickle.get():
                raise
            none: Any = _NoClient(error)
            self._client = self._aclient = none

    def _client_options(self) -> dict[str, Any]:
        return {
            "base_url": self.base_url,
            "profile": self.profile,
            "dialect": self.dialect,
            "timeout_s": self.timeout_s,
            "idle_timeout_s": self.idle_timeout_s,
            "retry": Retry(attempts=self.max_retries),
            "headers": self.headers,
            "tags": self.tags,
            "ledger": self.ledger,
            "transport": self.transport,
            "hooks": self.hooks,
            "observers": (publish,),
            "allow_plain_http": self.allow_plain_http,
        }

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SECRET:  # pydantic's own error would show the value
            raise ConfigError(
                f"{name} is frozen: it cannot change later; model_copy(update=…) gives a copy with another"
            )
        super().__setattr__(name, value)
        if name == "rate_limiter":
            self._connect()

    @property
    def client(self) -> Infrai:
        """The synchronous client behind this: every other capability, with the same ledger."""
        return self._client

    @property
    def aclient(self) -> AsyncInfrai:
        """The asynchronous client behind this."""
        return self._aclient

    def close(self) -> None:
        """Lets go of the synchronous connections. Can be used again after."""
        self._client.close()

    async def aclose(self) -> None:
        """Lets go of the asynchronous connections of this event loop. Can be used again after."""
        await self._aclient.aclose()

    # -- copies ----------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        # Clients and locks do not pickle; without them here the base class has nothing to warn about.
        bare = self.model_copy()
        bare.__dict__ = {name: value for name, value in self.__dict__.items() if name not in _LIVE}
        if not self.pickle_key:
            bare.__dict__ |= {"api_key": None, "headers": self.headers and without_secrets(self.headers)}
        bare.__pydantic_private__ = None
        return BaseComponent.__getstate__(bare)

    def __setstate__(self, state: dict[str, Any]) -> None:
        token = _from_pickle.set(True)
        try:
            self.__init__(**state["__dict__"])  # type: ignore[misc]  # pickle gives an object that was never initialised
        finally:
            _from_pickle.reset(token)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; with ``update`` one that has these fields instead, checked as arguments of the constructor are."""
        copied = copy.deepcopy(self) if deep else copy.copy(self)
        return type(self)(**{**copied.__dict__, **update}) if update else copied

    def __copy__(self) -> Self:
        return type(self)(**self.__dict__)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        own = {name: value for name, value in self.__dict__.items() if name not in _SHARED}
        shared = {name: value for name, value in self.__dict__.items() if name in _SHARED}
        return type(self)(**copy.deepcopy(own, memo), **shared)


class Routed(Connection):
    """Which vendor and model answer, for every capability. Each can be given per call too; the call wins."""

    model: str | None = Field(
        default=None, min_length=1, description="A model id, or auto, cheapest, balanced, smartest."
    )
    vendor: str | None = Field(default=None, min_length=1, description="A vendor to stay with; it never fails over.")
    prefer: Prefer | None = Field(default=None, description="balanced (default), cheapest or smartest.")
    max_cost_multiplier: float | None = Field(
        default=None,
        ge=1,
        allow_inf_nan=False,
        description="How much dearer than the first choice a failover may be (default 1.5).",
    )
    vendor_options: Mapping[str, Mapping[str, Any]] | None = Field(
        default=None, description='Options for one vendor only: {"anthropic": {…}}.'
    )
    session_id: str | None = Field(
        default=None, description="Calls of one session stay with the vendor that served it."
    )


def options_of(component: BaseComponent, names: tuple[str, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of one call: the component's own fields, then the given ones. None means not sent."""
    merged = {**{name: getattr(component, name) for name in names}, **given}
    return {name: value for name, value in merged.items() if value is not None}
