"""One model in threads, loops, forks and copies, and thousands of models in one process."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from infrai_core import transport
from langchain_infrai import ChatInfrai, InfraiEmbeddings
from tests.core.wall import STREAM_HEAD, Play, Wall, ok, text_frame

REPLY = {"parts": [{"type": "text", "text": "hi"}], "finish_reason": "stop", "model": "m"}


def test_a_model_per_call_uses_one_connection() -> None:
    with Wall([ok(REPLY) for _ in range(20)]) as wall:
        for _ in range(20):
            assert ChatInfrai(api_key="key", base_url=wall.url).invoke("x").text == "hi"
        assert wall.connections == 1


def test_a_model_per_call_uses_one_connection_of_a_loop() -> None:
    async def calls() -> None:
        for _ in range(20):
            assert (await ChatInfrai(api_key="key", base_url=wall.url).ainvoke("x")).text == "hi"

    with Wall([ok(REPLY) for _ in range(20)]) as wall:
        asyncio.run(calls())
        assert wall.connections == 1


def test_models_are_collected_and_their_pools_counted_down() -> None:
    with Wall([ok(REPLY) for _ in range(20)]) as wall:
        models = [ChatInfrai(api_key="key", base_url=wall.url) for _ in range(1_000)]
        for model in models[:20]:
            model.invoke("x")
        seen = [weakref.ref(model) for model in models]
        models.clear()
        del model
        gc.collect()
        assert [ref for ref in seen if ref() is not None] == []
        root = f"{wall.url}/v1"
        assert [pool.users for key, pool in transport._pools.items() if key[1] == root] == [0]


def test_closing_the_last_model_closes_the_connection() -> None:
    with Wall([ok(REPLY), ok(REPLY)]) as wall:
        one, other = (ChatInfrai(api_key="key", base_url=wall.url) for _ in range(2))
        one.invoke("x")
        other.invoke("x")
        one.close()
        assert [key for key in transport._pools if key[1] == f"{wall.url}/v1"]
        other.close()
        assert not [key for key in transport._pools if key[1] == f"{wall.url}/v1"]


def test_threads_share_a_model() -> None:
    with Wall([ok(REPLY) for _ in range(40)]) as wall:
        model = ChatInfrai(api_key="key", base_url=wall.url)
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: model.invoke("x").text, range(40))) == {"hi"}
        assert model.ledger.total.calls == 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_calls_on_a_connection_of_its_own() -> None:
    # In a process of its own: a fork of the test runner would take its threads' locks with it.
    code = (
        "import os, sys\n"
        "from langchain_infrai import ChatInfrai\n"
        "model = ChatInfrai(api_key='key', base_url=sys.argv[1])\n"
        "assert model.invoke('x').text == 'hi'\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if model.invoke('x').text == 'hi' else 3)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        "assert model.invoke('x').text == 'hi'\n"
    )
    with Wall([ok(REPLY) for _ in range(3)]) as wall:
        done = subprocess.run([sys.executable, "-c", code, wall.url], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert wall.connections == 2


def test_a_program_that_ends_inside_a_stream_says_nothing_of_it() -> None:
    code = (
        "import sys\n"
        "from langchain_infrai import ChatInfrai\n"
        "held = ChatInfrai(api_key='key', base_url=sys.argv[1]).stream('x')\n"
        "print(next(held).text)\n"
    )
    with Wall([Play([STREAM_HEAD, text_frame("one")], hang=True)]) as wall:
        done = subprocess.run([sys.executable, "-c", code, wall.url], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "one", "")


def test_a_used_model_is_copied_and_pickled() -> None:
    with Wall([ok(REPLY) for _ in range(4)]) as wall:
        model = ChatInfrai(api_key="key", base_url=wall.url, temperature=0.5, client_options={"pickle_key": True})
        model.invoke("x")
        for other in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert other.invoke("x").text == "hi"
            assert other.temperature == 0.5


def test_embeddings_are_used_by_several_loops_and_threads() -> None:
    vectors = {"embeddings": [[1.0, 0.0]], "model": "m"}
    with Wall([ok(vectors) for _ in range(12)]) as wall:
        model = InfraiEmbeddings(api_key="key", base_url=wall.url)
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda _: asyncio.run(model.aembed_query("x")), range(12)))
    assert found == [[1.0, 0.0]] * 12
