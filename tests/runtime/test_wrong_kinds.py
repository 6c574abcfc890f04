"""Values of a wrong kind at every place of a request: the caller hears of it, and neither the runtime nor a vendor's
adapter breaks on them. An adapter that broke would count as a vendor that fails, and be left alone for everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vendors.fake import KEY, Fake, Said, Seen, says, serving, unlike

from .api import client

pytestmark = pytest.mark.anyio

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "string", "enum": ["x", "y"], "description": "one", "minLength": 1, "pattern": "x"},
        "b": {"$ref": "#/$defs/B"},
        "c": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
        "d": {"anyOf": [{"type": "null"}, {"type": ["number", "string"]}]},
    },
    "required": ["a"],
    "$defs": {"B": {"type": "object", "properties": {"z": {"type": "string"}}}},
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}}
OPTIONS = {
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": True,
    "stop": ["x"],
    "seed": 1,
    "max_tokens": 10,
    "temperature": 0.5,
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}},
    "reasoning_effort": "low",
    "tags": {"a": "b"},
    "prefer": "cheapest",
    "vendor_options": {"openai": {"service_tier": "auto"}},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CITED = {"type": "url_citation", "url_citation": {"url": "https://a.example/", "title": "t"}}
OPENAI = {
    "model": "auto",
    "messages": [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL], "annotations": [CITED]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "ok"}]},
    ],
    "stream_options": {"include_usage": True},
    "metadata": {"a": "b"},
    "logit_bias": {"1": 2},
    **OPTIONS,
}
SIGNED = {"type": "reasoning", "text": "t", "opaque": {"a": 1}, "vendor": "openai", "model": "m"}
FOUND = {
    "type": "server_tool_result",
    "id": "s1",
    "name": "web",
    "parts": [{"type": "text", "text": "x"}],
    "mime": "a/b",
}
NATIVE = {
    "messages": [
        {
            "role": "user",
            "parts": [{"type": "text", "text": "hi"}, {"type": "image", "base64": PIXEL, "mime": "image/png"}],
        },
        {
            "role": "assistant",
            "parts": [
                SIGNED,
                {"type": "tool_call", "id": "c1", "name": "f", "arguments": "{}"},
                {"type": "server_tool_call", "id": "s1", "name": "web", "vendor": "openai", "input": {"q": 1}},
                FOUND,
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_result", "tool_call_id": "c1", "parts": [{"type": "text", "text": "o"}]}],
        },
    ],
    **OPTIONS,
}
BODIES = {
    "/chat/completions": OPENAI,
    "/ai/chat": NATIVE,
    "/ai/vision": {"images": [{"base64": PIXEL, "mime": "image/png"}], "prompt": "what"},
    "/ai/embed": {"input": ["a", "b"], "encoding_format": "float"},
    "/ai/image": {"prompt": "a cat", "n": 1, "size": "64x64"},
    "/ai/tts": {"input": "hi", "format": "wav", "speed": 1.0},
    "/ai/rerank": {"query": "q", "candidates": ["a", "b"], "top_k": 1},
    "/ai/batch/submit": {"requests": [{"capability": "chat", "body": {"messages": "hi"}}], "metadata": {"a": "b"}},
}
WRONG: tuple[Any, ...] = (1.5, "", [], ["x"], {"a": 1}, [{"type": []}])


class Refusing(Fake):
    """A service that takes no request, which is the caller's fault and not its own."""

    def answer(self, seen: Seen) -> Said:
        self.requests.append(seen)
        return unlike(says({"error": {"message": "no"}}, 400))


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield from places(item, (*place, name))


def put(value: Any, place: tuple[Any, ...], wrong: Any) -> Any:
    if not place:
        return wrong
    name, *rest = place
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[name] = put(value[name], tuple(rest), wrong)
    return copy


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "gemini", "cohere", "local"])
async def test_a_wrong_kind_at_any_place_breaks_nothing(
    vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFRAI_VENDORS", vendor)
    broken = []
    with serving(Refusing({})) as fake:
        (tmp_path / "vendors.toml").write_text(
            f'[{vendor}]\nbase_url = "{fake.url}/v1"\nkeys = ["{KEY}"]\n' * (vendor != "local")
        )
        (tmp_path / "vendors.toml").chmod(0o600)
        async with client(tmp_path) as api:
            for path, body in BODIES.items():
                for place in places(body):
                    for wrong in WRONG:
                        sent = json.dumps(put(body, place, wrong))
                        came = await api.post(path, content=sent, headers={"content-type": "application/json"})
                        if came.status_code >= 500:
                            broken.append((path, place, wrong, came.text[:200]))
    assert broken == []
    assert fake.requests or vendor == "local"
