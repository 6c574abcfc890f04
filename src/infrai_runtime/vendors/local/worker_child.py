"""The child's side of a worker, run by path: ``worker_child.py <pipe> <module> <arguments>``.

Loads the module, whose ``start(*arguments)`` gives a function from (head, body) to (head, body), and answers requests
until the pipe is closed. Needs the standard library only.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from multiprocessing.connection import Connection
from typing import Any


def loaded(path: str) -> Any:
    """The module in this file."""
    spec = importlib.util.spec_from_file_location("work", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(pipe: int, module: str, *arguments: str) -> None:
    """Serves until the parent is gone."""
    work = loaded(module).start(*arguments)
    with Connection(pipe) as parent:
        while True:
            try:
                request = json.loads(parent.recv_bytes()), parent.recv_bytes()
                head, body = work(*request)
                parent.send_bytes(json.dumps(head).encode())
                parent.send_bytes(body)
            except (EOFError, BrokenPipeError):
                return


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
