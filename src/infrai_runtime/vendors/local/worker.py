"""A process of its own for work that may hang or crash, or that must end when nobody waits for it any more."""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from infrai_runtime.failure import Failure

_CHILD = Path(__file__).with_name("worker_child.py")
_TRIES = 2

Head = dict[str, Any]


class Worker:
    """One child process that answers one request at a time. Started when needed, replaced when it dies, killed when it
    is late. Safe to use from many threads."""

    def __init__(self, module: str, doing: str, arguments: Callable[[], Sequence[str]], *, alone: bool = False) -> None:
        """``module``: the file beside this one whose ``start(*arguments())`` gives the function that does the work.

        ``alone``: it needs the standard library only, and starts faster without the rest.
        """
        self._module, self._doing, self._arguments, self._alone = module, doing, arguments, alone
        self._stopped = False
        self.forget()
        atexit.register(self.stop)
        os.register_at_fork(after_in_child=self.forget)

    def ask(self, head: Head, body: bytes, limit_s: float) -> tuple[Head, bytes]:
        """The worker's answer to a request: what it says, and bytes (samples, pixels).

        A worker that dies is replaced once and asked again. Raises VENDOR_TIMEOUT after ``limit_s`` seconds
        (the worker is killed) and VENDOR_ERROR when a second worker dies of the same request.
        """
        end = time.monotonic() + limit_s
        if not self._lock.acquire(timeout=limit_s):
            raise self._late()
        try:
            return self._answer(head, body, end)
        finally:
            self._lock.release()

    def stop(self) -> None:
        """Ends the worker, if there is one, also while it works. The next `ask` starts another."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()
        if self._lock.acquire(timeout=1):
            self._end()
            self._lock.release()

    def process_id(self) -> int | None:
        """The worker's process id while there is one."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def forget(self) -> None:
        """In a forked child: drops the parent's worker without touching it."""
        self._lock = threading.Lock()
        running = getattr(self, "_process", None)
        if running is not None:
            running.returncode = 0  # not this process's child: nothing may wait for it
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def _answer(self, head: Head, body: bytes, end: float) -> tuple[Head, bytes]:
        self._stopped = False
        for _ in range(_TRIES):
            try:
                return self._exchange(head, body, end)
            except (EOFError, OSError):
                self._end()
                if self._stopped:
                    break
            except BaseException:
                self._end()
                raise
        raise Failure("VENDOR_ERROR", f"the {self._doing} process ended while it worked on this request")

    def _exchange(self, head: Head, body: bytes, end: float) -> tuple[Head, bytes]:
        pipe = self._running()
        for frame in (json.dumps(head).encode(), body):
            pipe.send_bytes(frame)
        return json.loads(self._received(pipe, end)), self._received(pipe, end)

    def _received(self, pipe: Connection, end: float) -> bytes:
        if not pipe.poll(max(0.0, end - time.monotonic())):
            raise self._late()
        return pipe.recv_bytes()

    def _late(self) -> Failure:
        return Failure("VENDOR_TIMEOUT", f"the {self._doing} process did not answer in time and was stopped")

    def _running(self) -> Connection:
        if self._pipe is None or self._process is None or self._process.poll() is not None:
            self._end()
            arguments = self._arguments()  # before anything is opened: it may say that a package is missing
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = self._started(theirs.fileno(), arguments)
            self._pipe = Connection(ours.detach())
        return self._pipe

    def _started(self, pipe: int, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        flags = ("-I", "-S") if self._alone else ("-P",)  # files here must not hide the standard library's
        module = str(_CHILD.with_name(self._module))
        return subprocess.Popen(
            [sys.executable, *flags, str(_CHILD), str(pipe), module, *arguments],
            pass_fds=(pipe,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )

    def _end(self) -> None:
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if process is not None:
            process.kill()
            process.wait()
        if pipe is not None:
            pipe.close()
