"""The official SDK of the generation that other packages pin, on a runtime: run by test_clients.py."""

import json
import sys

import openai

BASE, KEY = sys.argv[1:]
SUM = [{"role": "user", "content": "What is 2+2?"}]

with openai.OpenAI(base_url=BASE, api_key=KEY, max_retries=0) as sdk:
    whole = sdk.chat.completions.create(model="auto", messages=SUM)
    chunks = list(sdk.chat.completions.create(model="auto", messages=SUM, stream=True))
    print(
        json.dumps(
            {
                "answer": whole.choices[0].message.content,
                "streamed": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
                "vectors": [len(r.embedding) for r in sdk.embeddings.create(model="auto", input=["one"]).data],
                "models": "infrai-offline" in [m.id for m in sdk.models.list()],
            }
        )
    )
