"""``init_chat_model``: a model from a string, and one whose settings are chosen when it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import ConfigurableField, Runnable
from langchain_core.runnables.configurable import RunnableConfigurableFields
from langchain_core.tools import BaseTool

from langchain_infrai._served import PROVIDER
from langchain_infrai._structure import structured
from langchain_infrai.chat_models import CONFIGURABLE, ChatInfrai
from langchain_infrai.errors import InfraiConfigError

if TYPE_CHECKING:
    _Configurable = RunnableConfigurableFields[LanguageModelInput, AIMessage]
else:
    _Configurable = (
        RunnableConfigurableFields  # with its types given, pydantic would check the inner model against them
    )


class ConfigurableChatInfrai(_Configurable):
    """A ``ChatInfrai`` some of whose fields are read from ``config["configurable"]`` at each call, also behind tools
    and structured output. Made by ``init_chat_model``."""

    def bind_tools(
        self, tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool], **options: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """As ``ChatInfrai.bind_tools``."""
        assert isinstance(self.default, ChatInfrai)
        bound: Any = self.default.bind_tools(tools, **options)
        return self.bind(**bound.kwargs)

    def with_structured_output(
        self, schema: Mapping[str, Any] | type | None = None, **options: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """As ``ChatInfrai.with_structured_output``."""
        return structured(self, schema, **options)


def init_chat_model(
    model: str | None = None,
    *,
    model_provider: str | None = None,
    configurable_fields: Literal["any"] | Sequence[str] | None = None,
    config_prefix: str | None = None,
    **fields: Any,
) -> Any:
    """A ``ChatInfrai``, in the manner of ``langchain.chat_models.init_chat_model``, which has no way to learn of us.

    ``model``: an id, with or without ``infrai:`` before it, or a preference such as ``infrai:cheapest``; None lets the
    router choose. A ``model_provider`` other than ``infrai`` is handed to LangChain's own function (package
    ``langchain``). ``configurable_fields``: names, or ``"any"`` for all that a call may set; those are then read from
    ``config["configurable"]``, under ``config_prefix`` and ``_`` where given. Where the key is sent cannot be chosen
    so. ``fields`` are those of ``ChatInfrai``. Raises ``InfraiConfigError`` for a name that is not configurable.

    >>> from langchain_infrai import init_chat_model
    >>> init_chat_model("infrai:cheapest", temperature=0).model
    'cheapest'
    """
    if model_provider not in (None, PROVIDER):
        from langchain.chat_models import init_chat_model as of_langchain

        chosen: Any = configurable_fields
        return of_langchain(
            model, model_provider=model_provider, configurable_fields=chosen, config_prefix=config_prefix, **fields
        )
    name = model.removeprefix(f"{PROVIDER}:") or None if isinstance(model, str) else model
    made = ChatInfrai(model=name, **fields)
    given = (configurable_fields,) if isinstance(configurable_fields, str) else configurable_fields or ()
    if not isinstance(given, Sequence):
        raise InfraiConfigError(
            f"configurable_fields: came {type(given).__name__}; allowed are any, or a list of names"
        )
    names = CONFIGURABLE if configurable_fields == "any" else given
    return _configurable(made, names, f"{config_prefix}_" if config_prefix else "") if names else made


def _configurable(model: ChatInfrai, names: Sequence[str], prefix: str) -> ConfigurableChatInfrai:
    for name in names:
        if name not in CONFIGURABLE:
            raise InfraiConfigError(f"configurable_fields: {name!r}; allowed are any, or of {', '.join(CONFIGURABLE)}")
    fields: dict[str, Any] = {name: ConfigurableField(id=f"{prefix}{name}", name=name) for name in names}
    return ConfigurableChatInfrai(default=model, fields=fields)
