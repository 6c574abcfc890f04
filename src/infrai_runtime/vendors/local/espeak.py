"""The one espeak-ng worker of this process."""

from __future__ import annotations

from infrai_runtime.vendors.local.package import load
from infrai_runtime.vendors.local.worker import Worker


def worker() -> Worker:
    """A worker that speaks: see ``espeak_worker.py`` for what it is asked and what it answers."""
    return Worker("espeak_worker.py", "speech", _library, alone=True)


def _library() -> tuple[str, str]:
    loader = load("espeakng_loader", extra="local-voice", package="espeakng-loader", what="Speech")
    return loader.get_library_path(), loader.get_data_path()


ESPEAK = worker()
