"""Every body that stands for a vendor's wire has a citation, and that vendor's official SDK takes it.

The fake services hold each answer that they give against ``tests.wire.shapes``, so a test that serves a body without a
page or an SDK's file behind it, one that the SDK does not take, or one with a field that neither knows, fails by
itself. Here: that this is so, that every vendor has its citations, and that no server stands beside it.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import fixed_server
from infrai_runtime.testing import wall
from infrai_runtime.vendors.known import DIALECTS, KNOWN
from tests.core.wall import Play, Wall, http
from tests.replicas import vendor as replicas
from tests.runtime.vendors import claude_answers, gemini_answers, oracle
from tests.vendors.fake import KEY, Fake, Said, entry, says, serving, streams, unlike
from tests.vendors.openai_answers import OPENAI, QUIRKS, chunk, completion
from tests.wire.judge import Shape, objection
from tests.wire.shapes import CHAT, DAY, ERRORS, SHAPES

ROOT = Path(__file__).parents[2]
PATH = "/v1/chat/completions"
PAGE = re.compile(r"https://\S+|[a-z-]+ \d+\.\d+: \S+")
"""A page of the vendor, or a file of its SDK with the version that has it."""


# -- the citations -----------------------------------------------------------------------------------------------------

ROWS = [(f"{vendor} {pattern}", shape) for vendor, shapes in SHAPES.items() for pattern, shape in shapes]


@pytest.mark.parametrize("shape", [shape for _, shape in ROWS], ids=[name for name, _ in ROWS])
def test_a_shape_cites_a_page_or_an_sdk_and_says_when_it_was_read(shape: Shape) -> None:
    assert PAGE.match(shape.source)
    package, _, version = shape.seen.partition(" ")
    assert shape.seen == DAY or (version and importlib.metadata.version(package))


def test_every_known_vendor_has_its_shapes_and_its_errors() -> None:
    spoken = {name for name, known in KNOWN.items() if DIALECTS[known.dialect].address}
    assert spoken == SHAPES.keys() == ERRORS.keys()
    assert all(PAGE.match(page) for page in ERRORS.values())


def test_every_named_fixture_says_where_it_is_from() -> None:
    sources = [*(row.source for row in OPENAI.values()), *(row.source for row in QUIRKS.values())]
    assert claude_answers.SOURCES.keys() == claude_answers.ANSWERS.keys()
    assert gemini_answers.SOURCES.keys() == gemini_answers.ANSWERS.keys()
    for source in [*sources, *claude_answers.SOURCES.values(), *gemini_answers.SOURCES.values()]:
        assert PAGE.match(source), source


# -- they hold ---------------------------------------------------------------------------------------------------------


def served(said: Said, path: str = PATH, vendor: str = "openai") -> None:
    with serving(Fake({path: said})) as service:
        entry(vendor, f"{service.url}/v1")
        httpx.post(service.url + path, headers={"authorization": f"Bearer {KEY}"}, trust_env=False, timeout=60)


GOOD = completion({"content": "Hi."})


def test_a_vendors_answer_passes_and_so_does_one_that_is_wrong_on_purpose() -> None:
    served(says(GOOD))
    served(streams([chunk({"content": "Hi."}, "stop")]))
    served(unlike(says({"choices": "x"})))
    served(says({"anything": 1}), vendor="a-service-of-ones-own")


@pytest.mark.parametrize(
    ("said", "path", "vendor", "why"),
    [
        (says(GOOD), "/v1/new/path", "openai", "no page and no test of an SDK is cited"),
        (says(GOOD | {"object": "completion"}), PATH, "openai", "the official SDK does not take it"),
        (says({name: value for name, value in GOOD.items() if name != "id"}), PATH, "openai", "does not take it"),
        (says(GOOD | {"mood": "good"}), PATH, "openai", "neither the SDK nor .* knows: mood"),
        (streams([chunk({"content": "Hi.", "mood": "good"})]), PATH, "openai", "neither the SDK nor .* knows: mood"),
        (streams(["data: {nonsense"]), PATH, "openai", "the official SDK does not take it"),
        (says(completion({"content": "x", "reasoning_content": "y"})), PATH, "openai", "knows: reasoning_content"),
        (says({"id": "x"}), PATH, "mistral", "the official SDK does not take it"),
    ],
)
def test_a_body_that_is_not_the_vendors_fails_the_test_that_serves_it(
    said: Said, path: str, vendor: str, why: str
) -> None:
    with pytest.raises(AssertionError, match=why):
        served(said, path, vendor)


@pytest.mark.parametrize(
    ("vendor", "path", "body"),
    [
        ("anthropic", "/v1/messages", {"type": "message", "content": [{"type": "poem"}]}),
        ("gemini", "/v1beta/models/m:generateContent", {"candidates": [{"mood": "good"}]}),
        ("cohere", "/v2/chat", {"id": "x"}),
        ("voyage", "/v1/rerank", {"results": []}),
    ],
)
def test_so_it_is_where_an_adapter_is_pointed_at_scripted_bytes(vendor: str, path: str, body: Any) -> None:
    data = json.dumps(body).encode()
    for play, held in ((Play([http(data)]), True), (oracle.unlike(Play([http(data)])), False)):
        scripted = Wall([play])
        oracle.entry(vendor, scripted)
        if held:
            with pytest.raises(AssertionError, match="does not take it"), scripted:
                httpx.post(scripted.url + path, trust_env=False, timeout=60)
        else:
            with scripted:
                httpx.post(scripted.url + path, trust_env=False, timeout=60)


# -- and nothing stands beside them ------------------------------------------------------------------------------------

BESIDE = {
    "benchmarks/fixed_server.py": "its chat is held against the SDK below",
    "src/infrai_runtime/testing/wall.py": "its sound answers are held against the SDK below, the others are faults",
    "tests/replicas/vendor.py": "its chat is held against the SDK below",
    "tests/runtime/vendors/test_speech_stream.py": "sounds, in pieces that a test lets go",
    "tests/vendors/fake.py": "holds its answers against tests.wire",
    "tests/core/wall.py": "holds them where an adapter is pointed at it (oracle.entry), else plays our own service",
    "tests/vendors/test_connection.py": "HTTP alone",
    "tests/vendors/test_http.py": "HTTP alone",
    "tests/runtime/test_otlp.py": "a collector of telemetry",
    "tests/relay.py": "passes on what others say",
    "tests/media.py": "pictures and sounds",
    "tests/servers.py": "starts databases",
    "tests/facade/test_seed_page.py": "plays our own service",
    "tests/contract/host.py": "plays our own service",
    "tests/core/talking.py": "plays our own service",
    "tests/llama_index/test_stream.py": "plays our own service",
    "tests/langchain/integration_tests/test_pipelines.py": "plays our own service",
    "tests/runtime/api.py": "serves the runtime",
    "tests/runtime/test_openai_sdk_calls.py": "a wire between the runtime and its caller, which breaks",
}
"""Where a server is made for tests, and why no body of a vendor slips through there."""
_SERVES = re.compile(r"BaseHTTPRequestHandler|ThreadingHTTPServer|asyncio\.start_server|socket\.create_server")
_VENDORS = re.compile(r'"choices"|"candidates"|"content_block|"embedding"|"usageMetadata"|"relevance_score"')


def test_no_other_server_of_the_tests_stands_for_a_vendor() -> None:
    places = ("tests", "benchmarks", "src/infrai_runtime/testing")
    files = [path for place in places for path in (ROOT / place).rglob("*.py")]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    found = {name for name, text in texts.items() if _SERVES.search(text) and _VENDORS.search(text)}
    assert found - {"tests/wire/test_wire.py"} <= BESIDE.keys()


OTHERS: dict[str, list[tuple[str, bytes]]] = {
    "benchmarks": [
        ("application/json", fixed_server.openai_reply()),
        ("text/event-stream", b"".join(fixed_server.openai_stream(3, False))),
        ("text/event-stream", b"".join(fixed_server.openai_stream(3, True))),
    ],
    "the fault wall": [
        ("application/json", wall.play_of({"model": "ok"}).body),
        ("text/event-stream", wall.play_of({"model": "ok", "stream": True}).body),
    ],
    "replicas": [("application/json", json.dumps(wall.completion("x", usage=replicas.USAGE)).encode())],
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_servers_say_is_the_vendors_too(name: str) -> None:
    for mime, data in OTHERS[name]:
        assert data
        assert objection([(".*", CHAT)], PATH, mime, data) is None
