"""How a model reaches the service: the fields that chat and embeddings share, and their clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Self

import httpx
from langchain_core.utils import secret_from_env
from pydantic import (
    AliasChoices,
    BaseModel,
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
from infrai_core.config import ClientOptions, Dialect, check_options
from infrai_core.locks import lock
from infrai_core.params import Prefer, check_headers, checked, unknown, without_secrets
from langchain_infrai._listening import Gate, report
from langchain_infrai.errors import AS_LANGCHAIN, ERROR_CLASSES, InfraiConfigError

_GATE = Gate()

_SHARED = ("ledger", "http_client", "http_async_client", "client_options")
"""What a deep copy has in common with its original: it belongs to the process, not to the settings."""


class Clients:
    """The two clients of a model, made at first use and made anew when the settings changed. Pickles to none."""

    def __init__(self) -> None:
        self._lock = lock()
        self._made: dict[type[Any], tuple[dict[str, Any], Any]] = {}

    def get(self, kind: type[Any], options: dict[str, Any]) -> Any:
        """The client of this class for these options."""
        with self._lock:
            made = self._made.get(kind)
            if made is None or made[0] != options:
                made = self._made[kind] = (options, kind(**options))
            return made[1]

    def taken(self, kind: type[Any]) -> Any:
        """The client, out of the holder; None when there is none."""
        with self._lock:
            made = self._made.pop(kind, None)
        return made[1] if made else None

    def __eq__(self, other: object) -> bool:
        # Two models with equal fields are equal, whatever they called so far.
        return isinstance(other, Clients)

    __hash__ = None  # type: ignore[assignment]  # equal, mutable holders have no hash

    def __reduce__(self) -> tuple[Any, ...]:
        return Clients, ()


_SECRET = ("api_key", "default_headers")


@cache
def _names(model: type[BaseModel]) -> frozenset[str]:
    """What a field may be called when a model is made."""
    aliases = [f.validation_alias for f in model.model_fields.values()]
    choices = [a.choices if isinstance(a, AliasChoices) else [a] for a in aliases if a is not None]
    return frozenset(model.model_fields) | {str(name) for names in choices for name in names}


def _unknown(name: str, known: frozenset[str]) -> InitErrorDetails:
    said = unknown(name, known, "field")
    return {"type": PydanticCustomError("unknown_field", "{said}", {"said": said}), "loc": (name,), "input": name}


class Connection(BaseModel):
    """Fields that say where calls go and as whom."""

    # Deferred: the checks of a class are built with its first instance, and never for this one, which has none.
    model_config = ConfigDict(
        populate_by_name=True,
        extra="forbid",
        protected_namespaces=(),
        arbitrary_types_allowed=True,
        defer_build=True,
    )

    api_key: SecretStr | None = Field(
        default_factory=secret_from_env("INFRAI_API_KEY", default=None),
        validation_alias=AliasChoices("api_key", "infrai_api_key"),
    )
    """The key; else ``INFRAI_API_KEY``, else the credentials file. Never in ``repr``, traces or pickles."""
    base_url: str | None = Field(default=None, validation_alias=AliasChoices("base_url", "infrai_api_base"))
    """The service, or ``"embedded"`` for the runtime in this process; else ``INFRAI_BASE_URL``, else the hosted one."""
    profile_name: str = "default"
    """Profile of the credentials file."""
    dialect: Dialect = "native"
    """``native``, or ``openai`` for services with only the OpenAI surface."""
    timeout: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, validation_alias=AliasChoices("timeout", "request_timeout")
    )
    """Deadline of a call in seconds (60 when not set), which the service keeps; the client waits half as long again for
    what it says then, at most 5 s."""
    idle_timeout: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        validation_alias=AliasChoices("idle_timeout", "stream_chunk_timeout"),
    )
    """The longest silence inside a stream in seconds (60 when not set); keep-alives do not count as sound."""
    max_retries: int | None = Field(default=None, ge=0)
    """How often a failed call is tried again (2 when not set)."""
    default_headers: Mapping[str, str] | None = Field(default=None, exclude=True, repr=False)
    """More headers for every request. Those whose names say that they carry a secret (``X-Api-Key``, ``Cookie``…) do
    not travel in pickles, nor does the key; with ``client_options={"pickle_key": True}`` both do."""
    ledger: Ledger = Field(default_factory=Ledger, exclude=True, repr=False)
    """What the calls used and cost. Give several models the same one to sum over them."""
    http_client: httpx.Client | None = Field(default=None, exclude=True, repr=False)
    """Sends the synchronous calls."""
    http_async_client: httpx.AsyncClient | None = Field(default=None, exclude=True, repr=False)
    """Sends the asynchronous calls."""
    client_options: Mapping[str, Any] = Field(default_factory=dict, exclude=True, repr=False)
    """More options of ``infrai_core.Infrai``: ``hooks``, ``tags``, ``transport``, ``retry``…"""

    _clients: Clients = PrivateAttr(default_factory=Clients)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, given: Any) -> Any:
        """Refuses fields that do not exist. pydantic's own error shows their values: that of a misspelt key, too."""
        known = _names(cls)
        if isinstance(given, Mapping) and not known.issuperset(given):
            raise ValidationError.from_exception_data(
                cls.__name__, [_unknown(name, known) for name in given if name not in known]
            )
        return given

    @field_validator(*_SECRET, mode="before")
    @classmethod
    def _unseen(cls, given: Any, info: ValidationInfo) -> Any:
        """Refuses what is of a wrong kind without showing it, as pydantic would."""
        with AS_LANGCHAIN:
            if info.field_name == "default_headers":
                check_headers("default_headers", given or {})
            elif given is not None and not isinstance(given, str | SecretStr):
                raise ConfigError(f"api_key: came an object of type {type(given).__name__}; allowed is a string")
        return given

    @field_validator("client_options")
    @classmethod
    def _usable(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Refuses options that the client does not know or cannot use, when the model is made."""
        with AS_LANGCHAIN:
            check_options(checked(ClientOptions, given))
        return given

    @classmethod
    def embedded(cls, **fields: Any) -> Self:
        """A model on the runtime in this process: no account, no network."""
        return cls(base_url="embedded", **fields)

    @property
    def client(self) -> Infrai:
        """The synchronous client. Raises ``ConfigError`` when there is neither key nor base URL."""
        with AS_LANGCHAIN:
            client: Infrai = self._clients.get(Infrai, self._options(self.http_client))
        return client

    @property
    def async_client(self) -> AsyncInfrai:
        """The asynchronous client. Raises ``ConfigError`` when there is neither key nor base URL."""
        with AS_LANGCHAIN:
            client: AsyncInfrai = self._clients.get(AsyncInfrai, self._options(self.http_async_client))
        return client

    def _client_for(self, client: Any, given: Mapping[str, Any]) -> Any:
        """The client, or one like it with the settings of a single call. Raises ``InfraiConfigError``."""
        retries, idle_s = given.get("max_retries"), given.get("idle_timeout")
        options: dict[str, Any] = {} if idle_s is None else {"idle_timeout_s": idle_s}
        if retries is not None:
            if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
                raise InfraiConfigError(f"max_retries={retries!r}: allowed is a whole number from 0")
            options["retry"] = replace(client.config.retry, attempts=retries)
        return client.with_options(**options) if options else client

    def _options(self, http_client: Any) -> dict[str, Any]:
        given = {
            "timeout_s": self.timeout,
            "idle_timeout_s": self.idle_timeout,
            "headers": self.default_headers,
            "retry": None if self.max_retries is None else Retry(attempts=self.max_retries),
            "http_client": http_client,
            **self.client_options,
        }
        return {
            "api_key": self.api_key,
            "base_url": self.base_url,
            "profile": self.profile_name,
            "dialect": self.dialect,
            "ledger": self.ledger,
            "error_classes": ERROR_CLASSES,
            **{name: value for name, value in given.items() if value is not None},
            "hooks": (_GATE, *(given.get("hooks") or ())),
            "observers": (report, *(given.get("observers") or ())),
        }

    def close(self) -> None:
        """Lets go of the synchronous connections. The model can be used again after."""
        client = self._clients.taken(Infrai)
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Lets go of both kinds of connections, from an event loop. The model can be used again after."""
        client = self._clients.taken(AsyncInfrai)
        if client is not None:
            await client.aclose()
        self.close()

    def __copy__(self) -> Self:
        twin = super().__copy__()
        twin._clients = Clients()  # else two models with different settings would make a client in turn
        return twin

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        memo = {} if memo is None else memo
        for name in _SHARED:
            value = getattr(self, name)
            memo[id(value)] = value
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[Any, Any]:
        if self.http_client is not None or self.http_async_client is not None:
            raise InfraiConfigError("a model with an injected http client cannot be pickled; give base_url and options")
        if self.client_options.get("transport") is not None:
            raise InfraiConfigError("a model with a transport of its own cannot be pickled; give base_url and options")
        state = super().__getstate__()
        if not self.client_options.get("pickle_key"):
            # Like the client's own: a key does not travel; the other process reads it from its environment.
            state["__dict__"] = {**state["__dict__"], **self._without_secrets()}
        return state

    def _without_secrets(self) -> dict[str, Any]:
        """The fields that may hold a secret, without it."""
        options = dict(self.client_options)
        if options.get("headers"):
            options["headers"] = without_secrets(options["headers"])
        headers = None if self.default_headers is None else without_secrets(self.default_headers)
        return {"api_key": None, "default_headers": headers, "client_options": options}


class Routed(Connection):
    """Which vendor and model answer, for every capability."""

    model: str | None = Field(default=None, min_length=1, validation_alias=AliasChoices("model", "model_name"))
    """A model id; None: the router decides."""
    vendor: str | None = Field(default=None, min_length=1)
    """A vendor to stay with; a pinned vendor never fails over."""
    prefer: Prefer | None = None
    """``balanced``, ``cheapest`` or ``smartest``."""
    max_cost_multiplier: float | None = Field(default=None, ge=1, allow_inf_nan=False)
    """How much dearer than the first choice a failover may be."""
    session_id: str | None = None
    """Calls of one session stay with the vendor that served it."""
    vendor_options: dict[str, dict[str, Any]] | None = None
    """``{"openai": {…}}``: options for that vendor only."""

    def _routing(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ROUTING}


ROUTING = tuple(name for name in Routed.model_fields if name not in Connection.model_fields)
"""Fields that go with every call, under the same name."""
