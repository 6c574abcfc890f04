"""A progress bar, where tqdm is installed."""

from __future__ import annotations

from typing import Any

from langchain_infrai.errors import InfraiConfigError


def bar(option: str, total: int, unit: str, about: str) -> Any:
    """A tqdm bar, a context manager. Raises ``InfraiConfigError`` that names the option where tqdm is missing."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise InfraiConfigError(f"{option}=True needs tqdm: pip install tqdm") from None
    return tqdm(total=total, unit=unit, desc=about)
