"""The cases themselves: they name their sources and leave no route and no error code out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from infrai_core.errors import CODES
from infrai_runtime.app import _TABLE

from .case import Case, cases, for_runtime

SOURCE = re.compile(r"(protocol §\d|seed)")
KNOWN_SETUP = {"vendors", "models", "settings", "hosts", "before", "activate", "elsewhere", "seen", "exact"}

# Asked with what an earlier answer gave, so they are in test_client_against_runtime, or shown whole in tests/runtime.
ELSEWHERE = {("GET", "/discovery"), ("POST", "/ai/realtime/session"), ("POST", "/ai/route/explain")}

# They are read by the operator's machines and are no part of the protocol.
FOR_OPERATORS = {"/healthz", "/readyz", "/metrics"}

# No request makes the runtime say these: it stops only with its process, and a request that does not come is none
# (tests/runtime/test_uploads.py).
CLIENT_ONLY = {"SHUTTING_DOWN", "REQUEST_TIMEOUT"}


# Said of a batch by its id, which a case cannot know: tests/runtime/test_batches.py has them.
IN_BATCHES = {"BATCH_NOT_DONE", "BATCH_CANCELLED", "BATCH_EXPIRED"}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases()])
def test_a_case_names_its_source_and_has_a_side_and_an_outcome(case: Case) -> None:
    assert SOURCE.search(case.source)
    assert case.call is not None or case.runtime is not None
    assert (case.call is None) == (case.value is None and case.error is None)
    assert case.value is None or case.error is None
    assert case.setup.keys() <= KNOWN_SETUP


def test_every_case_of_the_runtime_holds_over_three_processes() -> None:
    assert {row.values[0].id for row in for_runtime("replicas")} == {case.id for case in cases() if case.runtime}


@pytest.mark.parametrize("route", [row[:2] for row in _TABLE], ids=" ".join)
def test_every_route_of_the_runtime_has_a_case(route: tuple[str, str]) -> None:
    method, path = route
    pattern = re.compile("/v1" + re.sub(r"\{[^}]*\}", "[^/?]+", path) + r"(\?.*)?")
    asked = {(c.request["method"], bool(pattern.fullmatch(c.request["path"]))) for c in cases() if c.runtime}
    assert route in ELSEWHERE or (method, True) in asked or path in FOR_OPERATORS


@pytest.mark.parametrize("code", CODES)
def test_every_error_code_is_read_by_the_client_and_made_by_the_runtime(code: str) -> None:
    assert code in {case.error.get("code") for case in cases() if case.error}
    assert code in CLIENT_ONLY | IN_BATCHES or code in {_code(case.response) for case in cases() if case.runtime}


def _code(response: dict[str, Any]) -> Any:
    body = response.get("json")
    error = body.get("error") if isinstance(body, dict) else None
    return error.get("code") if error else None
