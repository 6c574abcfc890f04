"""Packages that an extra of the distribution brings: an import that lacks one says which extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needing(extra: str, package: str) -> Iterator[None]:
    """Imports that need ``package``. Without it ``ModuleNotFoundError`` says how to install the extra that has it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        hint = f'this needs the package {error.name}: pip install "infrai-integrations[{extra}]"'
        raise ModuleNotFoundError(hint, name=error.name, path=error.path) from None
