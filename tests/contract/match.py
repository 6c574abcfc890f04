"""What of an answer is fixed and what only has a form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

_UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_NUMBER = r"[0-9]+(\.[0-9]+)?(e-[0-9]+)?"
_WORDS = r"(?s).+"
_MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
_LINK = r"(https?|file)://\S+"

FORMS: dict[str, str] = {
    "*request_id": _UUID7,
    "*latency_ms": f"{_NUMBER}|None",
    "body.id": f"(chatcmpl-)?{_UUID7}",
    "body.data.id": _UUID7,
    "body.*.data.id": f"(chatcmpl-)?{_UUID7}",
    "body.created": r"[0-9]+",
    "body.*.data.created": r"[0-9]+",
    "body.data.session_id": f"sess_{_UUID7}",
    "body.data.token": r"[\w.-]{40,}",
    "body.data.images.*.url": _LINK,
    "body.data.*.url": _LINK,
    "body.data.audio_url": _LINK,
    "body.data.batch_id": f"batch_{_UUID7}",
    "body.data.created_at": _MOMENT,
    "body.data.expires_at": _MOMENT,
    "body.data.results_until": _MOMENT,
    "body.data.account_id": r"acct_\w+",
    "body.data.project_id": r"proj_\w+",
    "body.data.primary_api_key": r"ifr_pk_proj_\S{20,}",
    "*error.message": _WORDS,
    "*error.hint": _WORDS,
    "*error.retry_after": _NUMBER,
    "*metadata.route": _WORDS,
    "*infrai.route": _WORDS,
    "*.x-infrai-request-id": _UUID7,
    "*.x-infrai-latency-ms": _NUMBER,
    "*.idempotency-key": r"[0-9a-f]{32}",
}
"""Path (``*`` stands for anything) -> the form of what stands there. Wording is not part of the contract."""


def differences(expected: Any, came: Any, path: str = "", exact: Sequence[str] = ()) -> Iterator[str]:
    """What differs, one line each. A path in ``exact`` is compared by value although it has a form."""
    form = None if path in exact else next((FORMS[p] for p in FORMS if fnmatchcase(path, p)), None)
    if form is not None:
        yield from (f"{path}: {side!r} has not the form {form}" for side in (expected, came) if not _has(form, side))
    elif isinstance(expected, dict) and isinstance(came, dict):
        yield from _of_objects(expected, came, path, exact)
    elif isinstance(expected, list) and isinstance(came, list) and len(expected) == len(came):
        for index, pair in enumerate(zip(expected, came, strict=True)):
            yield from differences(*pair, _under(path, index), exact)
    elif expected != came or isinstance(expected, bool) != isinstance(came, bool):
        yield f"{path}: expected {expected!r}, came {came!r}"


def _has(form: str, value: Any) -> bool:
    return isinstance(value, str | int | float | None) and re.fullmatch(form, str(value)) is not None


def _of_objects(expected: dict[str, Any], came: dict[str, Any], path: str, exact: Sequence[str]) -> Iterator[str]:
    for name in expected.keys() | came.keys():
        where = _under(path, name)
        if name not in came:
            yield f"{where}: missing, expected {expected[name]!r}"
        elif name not in expected:
            yield f"{where}: not expected, came {came[name]!r}"
        else:
            yield from differences(expected[name], came[name], where, exact)


def _under(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


def bare(value: Any) -> Any:
    """A value without what says nothing: None, empty lists and empty objects."""
    if isinstance(value, dict):
        found = {name: bare(inner) for name, inner in value.items()}
        return {name: inner for name, inner in found.items() if inner not in (None, [], {})}
    return [bare(inner) for inner in value] if isinstance(value, list) else value
