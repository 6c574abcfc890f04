"""Loads an optional package at the moment it is first needed."""

from __future__ import annotations

import importlib
from typing import Any

from infrai_runtime.failure import missing_extra


def load(module: str, *, extra: str, package: str, what: str) -> Any:
    """The imported ``module``. Raises NO_VENDOR_AVAILABLE, whose hint names ``extra``, if it is missing.

    The result is ``Any``: most of these packages carry no types.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing_extra(extra, package, what) from error
