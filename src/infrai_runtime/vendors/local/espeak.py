"""The parent's side of the espeak-ng worker: one process, started when needed, replaced when it dies."""

from __future__ import annotations

import atexit
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.package import load

_WORKER = Path(__file__).with_name("espeak_worker.py")
_LENGTH = struct.Struct(">I")
_TRIES = 2


class WorkerLost(Exception):
    """The worker process ended before it had answered."""


class Espeak:
    """One espeak-ng worker process and the lock around it. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: dict[str, Any], limit_s: float) -> tuple[dict[str, Any], bytes]:
        """The worker's reply to ``request``: its head and its mono 16 bit samples.

        A worker that dies is replaced once and asked again. Raises VENDOR_TIMEOUT after ``limit_s`` seconds
        (the worker is killed) and VENDOR_ERROR when a second worker dies of the same request.
        """
        frame = json.dumps(request).encode()
        with self._lock:
            for _ in range(_TRIES):
                try:
                    return self._exchange(self._running(), frame, time.monotonic() + limit_s)
                except (WorkerLost, BrokenPipeError):
                    self._end()
                except BaseException:
                    self._end()
                    raise
        raise Failure("VENDOR_ERROR", "the speech process ended while it was speaking this text")

    def stop(self) -> None:
        """Ends the worker, if there is one. The next `ask` starts another."""
        with self._lock:
            self._end()

    def process_id(self) -> int | None:
        """The worker's process id while there is one."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def forget(self) -> None:
        """In a forked child: drops the parent's worker without touching it; its pipes close with the parent."""
        process, self._process = self._process, None
        self._lock = threading.Lock()
        if process is not None:
            process.returncode = 0
            _close_pipes(process)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = _start()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            _close_pipes(process)

    def _exchange(
        self, process: subprocess.Popen[bytes], frame: bytes, deadline: float
    ) -> tuple[dict[str, Any], bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(_LENGTH.pack(len(frame)) + frame)
        process.stdin.flush()
        source = process.stdout.fileno()
        head = json.loads(_read_frame(source, deadline))
        return head, b"" if "error" in head else _read_frame(source, deadline)


def _start() -> subprocess.Popen[bytes]:
    loader = load("espeakng_loader", extra="local-voice", package="espeakng-loader", what="Speech")
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_WORKER), loader.get_library_path(), loader.get_data_path()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue


def _read_frame(source: int, deadline: float) -> bytes:
    (size,) = _LENGTH.unpack(_read_exactly(source, _LENGTH.size, deadline))
    return _read_exactly(source, size, deadline)


def _read_exactly(source: int, size: int, deadline: float) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        _wait_readable(source, deadline)
        part = os.read(source, size - len(parts))
        if not part:
            raise WorkerLost
        parts += part
    return bytes(parts)


def _wait_readable(source: int, deadline: float) -> None:
    waiter = select.poll()
    waiter.register(source, select.POLLIN)
    if not waiter.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise Failure("VENDOR_TIMEOUT", "the speech process did not answer in time and was stopped")


ESPEAK = Espeak()
"""The one worker of this process."""

atexit.register(ESPEAK.stop)
os.register_at_fork(after_in_child=ESPEAK.forget)
