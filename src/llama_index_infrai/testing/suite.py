"""What every suite has: its tests cannot be dropped or replaced unseen."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

_PACKAGE = "llama_index_infrai.testing"
_SECRET = {"key", "token", "secret", "password", "authorization"}


class Suite:
    """Base of the suites. A subclass says what to test by properties; it may not change the tests themselves.

    A test that a class cannot pass yet is marked where the defect belongs::

        @pytest.mark.xfail(reason="usage is missing in streams: issue 16721")
        def test_usage_is_in_the_last_response(self, endpoint): ...
    """

    def make(self, **options: Any) -> Any:
        """What is tested; ``options`` win over the suite's own constructor arguments."""
        raise NotImplementedError

    def close(self, made: Any) -> None:
        """Lets go of connections after a test, where the class has a way to."""

    def test_no_test_is_replaced_without_a_reason(self) -> None:
        """Every inherited test is there as it was written, or is marked ``xfail`` with a reason."""
        replaced = [name for name in dir(type(self)) if name.startswith("test_") and not self._is_original(name)]
        assert not replaced, f"replaced without @pytest.mark.xfail(reason=…): {replaced}"

    def _is_original(self, name: str) -> bool:
        given = inspect.getattr_static(type(self), name)
        ours = next((vars(kind)[name] for kind in _suites(type(self)) if name in vars(kind)), given)
        return given is ours or any(
            mark.name == "xfail" and mark.kwargs.get("reason") for mark in getattr(given, "pytestmark", ())
        )


def _suites(kind: type) -> Iterator[type]:
    return (base for base in kind.__mro__ if base.__module__.startswith(_PACKAGE))


def secrets_in(params: Mapping[str, Any]) -> list[str]:
    """The texts of constructor arguments whose name says that they are secret, and of all headers."""
    found: list[str] = []
    for name, value in params.items():
        if isinstance(value, Mapping) and "header" in name.lower():
            found += [str(inner) for inner in value.values()]
        elif _SECRET & set(name.lower().split("_")):  # api_key, but not max_tokens
            found.append(_text(value))
    return [secret for secret in found if len(secret) > 3]  # shorter ones stand in any text by chance


def _text(value: Any) -> str:
    reveal = getattr(value, "get_secret_value", None)
    shown = reveal() if callable(reveal) else value
    return shown if isinstance(shown, str) else ""
