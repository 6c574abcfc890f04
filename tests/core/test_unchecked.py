from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from infrai_core.unchecked import unchecked


class Plain(BaseModel):
    name: str
    count: int = 3
    tags: list[str] = Field(default_factory=list)


class Wider(Plain):
    model_config = ConfigDict(extra="allow")


@pytest.mark.parametrize("kind", [Plain, Wider])
@pytest.mark.parametrize("values", [{"name": "a"}, {"name": "a", "count": 0, "tags": ["x"]}], ids=["least", "all"])
def test_it_is_what_the_checks_would_have_made(kind: type[Plain], values: dict[str, Any]) -> None:
    quick, checked = unchecked(kind, *values)(**values), kind(**values)
    assert quick == checked
    assert repr(quick) == repr(checked)
    assert quick.model_dump(exclude_unset=True) == checked.model_dump(exclude_unset=True)
    assert quick.model_extra == checked.model_extra
    assert copy.deepcopy(quick) == pickle.loads(pickle.dumps(quick)) == checked


def test_nothing_is_checked() -> None:
    assert unchecked(Plain, "name")(7).name == 7  # type: ignore[comparison-overlap]


def test_two_of_them_share_nothing() -> None:
    make = unchecked(Wider, "name")
    one, other = make("a"), make(name="b")
    one.tags.append("x")
    one.count = 9
    one.more = 1  # type: ignore[attr-defined]
    assert (other.tags, other.count, other.model_extra, other.model_fields_set) == ([], 3, {}, {"name"})
