"""A process may fork at any moment: children find locks that they can take, and SQLite files as anybody else would."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from infrai_core.locks import lock
from infrai_runtime.failure import Failure
from infrai_runtime.store.forks import apart
from infrai_runtime.store.sqlite import SqliteDurable

WAIT_S = 20

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

ORPHAN = """
import asyncio, os, subprocess, sys
from pathlib import Path
from infrai_runtime.store.sqlite import SqliteDurable

PASSER_BY = '''
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(*db.execute("SELECT count(*) FROM project").fetchone())
db.close()
'''

async def child():
    theirs = SqliteDurable(Path(sys.argv[1]))
    for number in range(2):
        await theirs.add_project(f"p{number}", "a", 0, 0.0)
        subprocess.run([sys.executable, "-c", PASSER_BY, sys.argv[1]], check=True)

ours, parent = SqliteDurable(Path(sys.argv[1])), os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    pass
asyncio.run(child())
"""


def test_what_a_child_writes_stays_when_its_parent_is_gone_and_others_close_the_file(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", ORPHAN, str(tmp_path / "x.db")], capture_output=True, timeout=60)
    assert (said.stdout, said.stderr) == (b"1\n2\n", b"")


BUSY = """
import asyncio, itertools, os, sys, threading
from pathlib import Path
from infrai_runtime.store.sqlite import SqliteDurable

path, over = Path(sys.argv[1]), threading.Event()

async def write(name):
    store = SqliteDurable(path)
    for number in itertools.count():
        if over.is_set():
            break
        await store.add_project(f"{name} {number}", "a", 0, 0.0)
    await store.close()
    return number

async def child(name):
    await SqliteDurable(path).add_project(name, "a", 0, 0.0)

written = []
thread = threading.Thread(target=lambda: written.append(asyncio.run(write("ours"))))
thread.start()
ended = []
for number in range(20):
    if not (pid := os.fork()):
        asyncio.run(asyncio.wait_for(child(f"theirs {number}"), 10))
        os._exit(0)
    ended.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
over.set()
thread.join()

async def count():
    store = SqliteDurable(path)
    [(found,)] = await store._fetch("SELECT count(*) FROM project")
    await store.close()
    return found

print(ended == [0] * 20, asyncio.run(count()) == written[0] + 20)
"""


def test_children_that_are_forked_while_calls_are_booked_can_book_too(tmp_path: Path) -> None:
    # From Python 3.12 on it warns of forks beside threads, which is what happens here.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", BUSY, str(tmp_path / "x.db")]
    said = subprocess.run(command, capture_output=True, timeout=120)
    assert (said.stdout, said.stderr) == (b"True True\n", b"")


def _fork() -> int | None:
    child = multiprocessing.get_context("fork").Process(target=os._exit, args=(0,))
    child.start()
    child.join()
    return child.exitcode


def test_a_fork_waits_for_a_report(tmp_path: Path) -> None:
    ended: list[int | None] = []
    forking = threading.Thread(target=lambda: ended.append(_fork()))
    with apart():
        forking.start()
        time.sleep(0.05)
        assert not ended
    forking.join(WAIT_S)
    assert ended == [0]


@pytest.mark.parametrize("name", [None, "x.db"], ids=["memory", "file"])
def test_the_parent_goes_on_with_its_own_store(tmp_path: Path, name: str | None) -> None:
    async def body() -> None:
        store = SqliteDurable(tmp_path / name if name else None)
        await store.add_project("before", "a", 0, 0.0)
        assert _fork() == 0
        await store.add_project("after", "a", 0, 0.0)
        assert len(await store._fetch("SELECT 1 FROM project")) == 2
        await store.close()
        assert _fork() == 0

    asyncio.run(body())


def test_a_file_that_went_away_during_a_fork_is_not_made_anew_and_is_found_when_it_is_back(tmp_path: Path) -> None:
    async def body() -> None:
        file = tmp_path / "x.db"
        store = SqliteDurable(file)
        store.let_go()
        file.rename(tmp_path / "away.db")
        store.take_up()
        with pytest.raises(Failure, match="taken away"):
            await store.add_project("p", "a", 0, 0.0)
        assert not file.exists()
        (tmp_path / "away.db").rename(file)
        await store.tend("me", time.time())
        await store.add_project("p", "a", 0, 0.0)
        await store.close()

    asyncio.run(body())


def test_a_lock_that_another_thread_holds_is_free_in_a_child() -> None:
    held = lock()
    with held:
        child = multiprocessing.get_context("fork").Process(target=lambda: os._exit(not held.acquire(timeout=WAIT_S)))
        child.start()
        child.join()
        assert child.exitcode == 0
        assert held.locked()
