"""A setting that no call could use is refused when an object is made: of a tool's a model would be told to mend it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from infrai_core import ConfigError
from langchain_infrai import (
    ChatInfrai,
    InfraiAudioParser,
    InfraiEmbeddings,
    InfraiImageTool,
    InfraiRerank,
    InfraiToolkit,
    InfraiVisionTool,
)

ROUTED = (ChatInfrai, InfraiAudioParser, InfraiEmbeddings, InfraiImageTool, InfraiRerank, InfraiVisionTool)
OF_ALL: list[tuple[str, Any]] = [
    ("model", ""),
    ("vendor", ""),
    ("vendor", "\ud800"),
    ("max_cost_multiplier", math.nan),
    ("max_cost_multiplier", math.inf),
    ("max_cost_multiplier", -1),
    ("prefer", "fastest"),
    ("timeout", math.inf),
    ("idle_timeout", math.nan),
    ("vendor_options", {"openai": 1}),
]
OF_ONE: list[tuple[Any, str, Any]] = [
    (ChatInfrai, "temperature", math.nan),
    (ChatInfrai, "temperature", 2.5),
    (ChatInfrai, "top_p", -0.1),
    (ChatInfrai, "max_tokens", 0),
    (InfraiVisionTool, "max_tokens", -1),
    (InfraiEmbeddings, "dimensions", 70_000),
    (InfraiRerank, "top_n", 0),
    (InfraiImageTool, "root_dir", ""),
    (InfraiToolkit, "root_dir", ""),
]
CASES = [*((kind, name, value) for kind in ROUTED for name, value in OF_ALL), *OF_ONE]


@pytest.mark.parametrize(("kind", "name", "value"), CASES)
def test_a_setting_that_no_call_could_use_is_refused_by_name(kind: Any, name: str, value: Any) -> None:
    with pytest.raises((ValueError, ConfigError), match=name):
        kind(api_key="key", **{name: value})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"transport": 3}, "transport=3: allowed is an object with handle_request"),
        ({"transprot": 3}, "unknown parameter 'transprot'; did you mean 'transport'"),
        ({"retry": 5}, "retry=5: allowed is an infrai_core.Retry"),
        ({"tags": ["a"]}, "tags="),
    ],
)
@pytest.mark.parametrize("kind", [*ROUTED, InfraiToolkit])
def test_options_of_the_client_are_checked_with_the_fields(kind: Any, options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        kind(api_key="key", client_options=options)
