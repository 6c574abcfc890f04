"""A vendor behind ``litellm`` or ``any-llm``, pointed at a server: run by test_long_tail.py in its environment.

Arguments: dialect, the server's base URL, a good key. Prints JSON.
"""

import asyncio
import json
import sys
from dataclasses import asdict

from infrai_core.fetch import Fetcher
from infrai_runtime.assembly import Assembly
from infrai_runtime.failure import Failure
from infrai_runtime.vendors import made
from infrai_runtime.vendors.base import Call, Chats, Embeds, Sees
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.keyring import Hidden

DIALECT, URL, KEY = sys.argv[1:]
REQUEST = {
    "messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}],
    "max_tokens": 20,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
}


def vendor(*keys, path="/v1"):
    entry = Entry("tail", DIALECT, URL + path, "test", tuple(map(Hidden, keys)), options={"provider": "openai"})
    return made([entry])[0]


async def told(one, model, *, stream):
    assembly = Assembly()
    try:
        async for event in one.chat(REQUEST, Call(model, 20.0, Fetcher(), stream=stream)):
            assembly.add(event)
    except Failure as failure:
        return {"code": failure.code, "message": failure.message, "parts": assembly.parts}
    return {"parts": assembly.parts, "finish": asdict(assembly.finish)}


async def main():
    good, rotated, bad = vendor(KEY), vendor("sk-revoked-key-00", KEY), vendor("sk-revoked-key-00")
    cut = vendor(KEY, path="/cut/v1")
    found = {
        "whole": await told(good, "m", stream=False),
        "streamed": await told(good, "m", stream=True),
        "rotated": await told(rotated, "m", stream=False),
        "refused": await told(bad, "m", stream=False),
        "cut": await told(cut, "m", stream=True),
        "can": [isinstance(good, kind) for kind in (Chats, Sees, Embeds)],
    }
    print(json.dumps(found))


asyncio.run(main())
