"""Loggers that a test configures, given back as they were."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = ("", "infrai_runtime", "infrai_core", "uvicorn", "uvicorn.error", "uvicorn.access", "aiohttp", "asyncio")


@contextmanager
def as_they_were() -> Iterator[None]:
    """Whatever happens to the runtime's loggers inside is over at its end."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(logger, logger.handlers, logger.level, logger.propagate) for logger in loggers]
    try:
        yield
    finally:
        for logger, handlers, level, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
