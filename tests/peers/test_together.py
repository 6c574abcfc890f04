"""What Together's official SDK understands of its service's answers is what the adapter understands.

The SDK runs in its own environment (`scripts/peers clients`) as a process, and then the adapter on the same answers.
Shapes: together 3.1, ``src/together/types``; https://docs.together.ai/reference.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Event
from infrai_runtime.vendors.openai_like import make
from tests.peers.test_clients import HERE, PYTHON
from tests.vendors.fake import (
    KEY,
    Fake,
    Said,
    Seen,
    assembled,
    call_of,
    entry,
    events_of,
    finish_of,
    results_of,
    says,
    serving,
    streams,
    with_vendor,
)
from tests.vendors.openai_answers import OPENAI, completion
from tests.vendors.test_openai_media import PNG_64, SOUND, fields

pytestmark = pytest.mark.skipif(
    not PYTHON.exists() and not os.environ.get("CI"), reason="`scripts/peers clients` was not run"
)

Json = dict[str, Any]
USAGE = {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}


def together(row: Json) -> Json:
    """A completion of OpenAI's, or a chunk of one, as Together has it."""
    usage = {"usage": USAGE} if row.get("usage") else {}
    choices = [_choice(choice) for choice in row["choices"]]
    whole = {"prompt": []} if row["object"] == "chat.completion" else {}
    kept = {name: row[name] for name in ("id", "object", "created", "model")}
    return kept | {"choices": choices} | whole | usage


def _choice(choice: Json) -> Json:
    name = "message" if "message" in choice else "delta"
    said = {"role": "assistant"} | {n: v for n, v in choice[name].items() if n not in ("refusal", "annotations")}
    if said.get("tool_calls"):
        said["tool_calls"] = [{"index": n, **call} for n, call in enumerate(said["tool_calls"])]
    return {"index": choice["index"], name: said, "finish_reason": choice["finish_reason"]}


def ended(chunks: Iterable[Json]) -> list[Json]:
    """A stream; its usage stands in the chunk that says why it ended
    (https://docs.together.ai/docs/inference/chat/overview#streaming)."""
    rows = [together(chunk) for chunk in chunks]
    return [*rows[:-2], rows[-2] | {"usage": USAGE}]


def refused(message: str, kind: str = "invalid_request_error", code: str | None = None) -> Json:
    # https://docs.together.ai/docs/error-codes
    return {"id": "oKJ1", "error": {"message": message, "type": kind, "param": None, "code": code}}


LONG = "Input token count + max_tokens parameter must be less than the context length of the model being queried."
ERRORS: list[tuple[int, Json, str, str]] = [
    (400, refused("Invalid request."), "BadRequestError", "INVALID_REQUEST"),
    (401, refused("Invalid API key provided.", code="invalid_api_key"), "AuthenticationError", "UNAUTHORIZED"),
    (402, refused("Credit limit exceeded.", "credit_limit"), "APIStatusError", "INSUFFICIENT_CREDIT"),
    (403, refused(LONG), "PermissionDeniedError", "CONTEXT_LENGTH_EXCEEDED"),
    (404, refused("Unable to access model x.", code="model_not_available"), "NotFoundError", "VENDOR_ERROR"),
    (422, refused("temperature: too high."), "UnprocessableEntityError", "INVALID_REQUEST"),
    (429, refused("You have been rate limited.", "rate_limit"), "RateLimitError", "RATE_LIMITED"),
    (500, refused("Internal server error.", "server_error"), "InternalServerError", "VENDOR_ERROR"),
    (503, refused("The server is overloaded.", "service_unavailable"), "InternalServerError", "VENDOR_ERROR"),
    (524, refused("Cloudflare timeout."), "InternalServerError", "VENDOR_TIMEOUT"),
    (529, refused("Unexpected server error.", "server_error"), "InternalServerError", "VENDOR_ERROR"),
]
THOUGHT = completion({"content": "42.", "reasoning": "So… think."})
ANSWERS = {
    **{name: OPENAI[name] for name in ("text", "cut by length", "one tool call")},
    "calls": OPENAI["parallel tool calls, one without arguments"],
}
WHOLE = {name: says(together(answer.completion)) for name, answer in ANSWERS.items()}
CHATS: dict[str, tuple[bool, Said]] = {
    **{f"{name}, whole": (False, said) for name, said in WHOLE.items()},
    **{f"{name}, streamed": (True, streams(ended(answer.chunks))) for name, answer in ANSWERS.items()},
    "reasoning, whole": (False, says(together(THOUGHT))),
    **{f"error {status}": (False, says(body, status)) for status, body, _, _ in ERRORS},
}
JOB = {
    "id": "01234567-8901-2345-6789-012345678901",
    "user_id": "user_789xyz012",
    "input_file_id": "file-in",
    "status": "COMPLETED",
    "endpoint": "/v1/chat/completions",
    "progress": 100,
    "model_id": "m",
    "output_file_id": "file-out",
}
JOB_PATH = f"/v1/batches/{JOB['id']}"
FILE = {
    "id": "file-in",
    "bytes": 9,
    "created_at": 1,
    "filename": "batch.jsonl",
    "FileType": "jsonl",
    "object": "file",
    "purpose": "batch-api",
}
ROW = {
    "custom_id": "0",
    "response": {"status_code": 200, "body": together(completion({"content": "A"}))},
}
HEARD = {
    "text": "The beach was popular.",
    "language": "en",
    "duration": 8.47,
    "segments": [{"id": 0, "start": 0.0, "end": 3.3, "text": " The beach was"}],
}
RANKED = {
    "object": "rerank",
    "id": "r1",
    "model": "m",
    "usage": USAGE,
    "results": [
        {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
        {"index": 0, "relevance_score": 0.25, "document": {"text": "a"}},
    ],
}
VECTORS = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate([[0.25, -1.5], [3.0, 0.125]])],
}
PICTURE = {
    "id": "i1",
    "object": "list",
    "model": "m",
    "data": [{"index": 0, "type": "b64_json", "b64_json": PNG_64}],
}


def service() -> Fake:
    """The service, from its beginning."""
    answers: dict[str, Said | list[Said]] = {
        "/v1/chat/completions": [said for _, said in CHATS.values()],
        "/v1/embeddings": says(VECTORS),
        "/v1/images/generations": says(PICTURE),
        "/v1/audio/speech": Said([b"RIFFsound"], "audio/wav"),
        "/v1/audio/transcriptions": says(HEARD),
        "/v1/rerank": says(RANKED),
        "/v1/files/upload": says(FILE),
        "/v1/batches": says({"job": JOB}, 201),
        JOB_PATH: says(JOB),
        f"{JOB_PATH}/cancel": says(JOB),
        "/v1/files/file-out/content": Said([json.dumps(ROW).encode()], "application/octet-stream"),
    }
    return Fake(answers, vendor="together")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[Seen]]:
    """What the SDK understood, and what it asked."""
    home = str(tmp_path_factory.mktemp("home"))
    with serving(service()) as fake:
        streamed = json.dumps([stream for stream, _ in CHATS.values()])
        command = [str(PYTHON), str(HERE / "together_client.py"), fake.url, KEY, streamed]
        environ = {"PATH": os.environ["PATH"], "HOME": home}
        done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=110)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1]), fake.requests


@pytest.fixture(scope="module")
def mine() -> tuple[dict[str, Any], list[Seen]]:
    """What the adapter understood, and what it asked. Each call has a vendor of its own: a refused key would rest."""
    with serving(service()) as fake:
        found = {"chats": [_asked(fake, partial(_chatted, stream=stream)) for stream, _ in CHATS.values()]}
        return found | {name: _asked(fake, ask) for name, ask in OTHERS.items()}, fake.requests


def _asked(fake: Fake, ask: Callable[[Any], Any]) -> Any:
    return with_vendor(make, entry("together", f"{fake.url}/v1"), ask)


ASKED: Any = [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]
CALL = call_of("m")
OTHERS: dict[str, Callable[[Any], Any]] = {
    "vectors": lambda made: made.embed({"input": ["a", "b"]}, CALL),
    "picture": lambda made: made.draw({"prompt": "a fox", "n": 1, "size": "64x32"}, CALL),
    "sound": lambda made: made.speak({"input": "Hello", "format": "wav"}, CALL),
    "heard": lambda made: made.listen({**SOUND, "language": "en"}, call_of("openai/whisper-large-v3")),
    "ranked": lambda made: made.rerank({"query": "q", "candidates": ["a", "b"], "top_k": 2}, CALL),
    "job": lambda made: made.submit([{"messages": ASKED}], CALL),
    "polled": lambda made: made.poll(JOB["id"], CALL),
    "rows": lambda made: results_of(made, str(JOB["id"]), CALL),
    "stopped": lambda made: made.cancel(JOB["id"], CALL),
}


async def _chatted(made: Any, stream: bool) -> list[Event] | Failure:
    try:
        return await events_of(made.chat({"messages": ASKED}, call_of("m", stream=stream)))
    except Failure as failure:
        return failure


def told(events: list[Event]) -> Json:
    """What our events say, in the words of the client's script."""
    parts, finish = assembled(events).parts, finish_of(events)
    calls = [[part["id"], part["name"], part["arguments"]] for part in parts if part["type"] == "tool_call"]
    said = {
        name: "".join(part["text"] for part in parts if part["type"] == kind)
        for name, kind in (("thought", "reasoning"), ("text", "text"))
    }
    return said | {"calls": calls, "finish": finish.reason, "usage": finish.usage}


@pytest.mark.parametrize("name", [name for name in CHATS if not name.startswith("error")])
def test_a_chat_means_what_the_sdk_says(name: str, theirs: Any, mine: Any) -> None:
    place = list(CHATS).index(name)
    assert told(mine[0]["chats"][place]) == theirs[0]["chats"][place]


@pytest.mark.parametrize(("status", "body", "kind", "code"), ERRORS)
def test_an_error_is_the_one_that_the_sdk_raises(
    status: int, body: Json, kind: str, code: str, theirs: Any, mine: Any
) -> None:
    place = list(CHATS).index(f"error {status}")
    raised, failure = theirs[0]["chats"][place]["error"], mine[0]["chats"][place]
    assert raised[:2] == [kind, status]
    assert failure.code == code
    assert body["error"]["message"] in raised[2]
    assert body["error"]["message"] in failure.message


def test_vectors_pictures_and_sounds_are_those_of_the_sdk(theirs: Any, mine: Any) -> None:
    found, made = theirs[0], mine[0]
    assert made["vectors"].vectors == found["vectors"]
    assert made["picture"].files[0].data == base64.b64decode(found["picture"])
    assert made["sound"].files[0].data == base64.b64decode(found["sound"])
    for path in ("/v1/embeddings", "/v1/images/generations", "/v1/audio/speech"):
        assert sent(mine, path).body == sent(theirs, path).body


def test_a_transcript_is_that_of_the_sdk(theirs: Any, mine: Any) -> None:
    heard, (text, language, duration_s, segments) = mine[0]["heard"], theirs[0]["heard"]
    assert (heard.text, heard.language, heard.usage) == (text, language, {"audio_seconds": duration_s})
    assert [[row["start"], row["text"]] for row in heard.segments] == segments
    ours, sdks = (fields(sent(which, "/v1/audio/transcriptions")) for which in (mine, theirs))
    assert {name: ours[name] for name in sdks} == sdks


def test_a_ranking_is_that_of_the_sdk(theirs: Any, mine: Any) -> None:
    assert [list(row) for row in mine[0]["ranked"].results] == theirs[0]["ranked"]
    assert mine[0]["ranked"].usage["total_tokens"] == USAGE["total_tokens"]
    assert sent(mine, "/v1/rerank").body == sent(theirs, "/v1/rerank").body


def test_a_batch_is_handed_in_followed_read_and_stopped_as_by_the_sdk(theirs: Any, mine: Any) -> None:
    """The upload alone is not the SDK's, which asks for an address elsewhere to put large files to."""
    found, made = theirs[0], mine[0]
    assert (made["job"], made["polled"]["state"]) == (found["job"], found["polled"].lower())
    assert [[str(n), assembled(row.events).parts[0]["text"]] for n, row in made["rows"].items()] == found["rows"]
    assert found["stopped"] == made["job"]
    for path in ("/v1/batches", JOB_PATH, f"{JOB_PATH}/cancel", "/v1/files/file-out/content"):
        assert sent(mine, path).method == sent(theirs, path).method
    assert sent(mine, "/v1/batches").body == sent(theirs, "/v1/batches").body


def sent(who: tuple[Any, list[Seen]], path: str) -> Seen:
    """The first request of this path."""
    return next(seen for seen in who[1] if seen.path == path)
