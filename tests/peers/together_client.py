"""Together's official SDK on a fake of its service: run by test_together.py in an environment of its own, because it
needs an older ``rich`` than this project's tools; prints what it understood as JSON.

Arguments: the service's base URL, a key, and for each chat in turn whether it is streamed.
"""

import base64
import json
import sys

import together
from together import Together

URL, KEY, STREAMED = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
ASKED = [{"role": "user", "content": "hi"}]


def put_together(answers, name):
    told = {"thought": "", "text": "", "calls": {}, "finish": None, "usage": None}
    for answer in answers:
        told["usage"] = (answer.usage and answer.usage.to_dict()) or told["usage"]
        for choice in answer.choices:
            said = getattr(choice, name)
            told["thought"] += said.reasoning or said.reasoning_content or ""
            told["text"] += said.content or ""
            told["finish"] = choice.finish_reason or told["finish"]
            for call in said.tool_calls or ():
                row = told["calls"].setdefault(str(call.index), ["", "", ""])
                pieces = (getattr(call, "id", None), getattr(call.function, "name", None), call.function.arguments)
                told["calls"][str(call.index)] = [had + (new or "") for had, new in zip(row, pieces, strict=True)]
    return told | {"calls": list(told["calls"].values())}


def chat(sdk, stream):
    try:
        made = sdk.chat.completions.create(model="m", messages=ASKED, stream=stream)
        return put_together(made if stream else [made], "delta" if stream else "message")
    except together.APIStatusError as error:
        return {"error": [type(error).__name__, error.status_code, str(error)]}


with Together(api_key=KEY, base_url=URL, max_retries=0) as sdk:
    chats = [chat(sdk, stream) for stream in STREAMED]
    vectors = sdk.embeddings.create(model="m", input=["a", "b"])
    drawn = sdk.images.generate(model="m", prompt="a fox", n=1, width=64, height=32, response_format="base64")
    spoken = sdk.audio.speech.create(model="m", input="Hello", voice="tara", response_format="wav")
    heard = sdk.audio.transcriptions.create(
        model="openai/whisper-large-v3",
        file=("audio.wav", b"RIFF0000WAVEfmt ", "audio/wav"),
        language="en",
        response_format="verbose_json",
    )
    ranked = sdk.rerank.create(model="m", query="q", documents=["a", "b"], top_n=2)
    job = sdk.batches.create(input_file_id="file-in", endpoint="/v1/chat/completions").job
    polled = sdk.batches.retrieve(job.id)
    rows = [json.loads(line) for line in sdk.files.content(polled.output_file_id).text().splitlines()]
    stopped = sdk.batches.cancel(job.id)
    print(
        json.dumps(
            {
                "chats": chats,
                "vectors": [row.embedding for row in sorted(vectors.data, key=lambda row: row.index)],
                "picture": drawn.data[0].b64_json,
                "sound": base64.b64encode(spoken.read()).decode(),
                "heard": [heard.text, heard.language, heard.duration, [[s.start, s.text] for s in heard.segments]],
                "ranked": [[row.index, row.relevance_score] for row in ranked.results],
                "job": job.id,
                "polled": polled.status,
                "rows": [[r["custom_id"], r["response"]["body"]["choices"][0]["message"]["content"]] for r in rows],
                "stopped": stopped.id,
                "version": together.__version__,
            }
        )
    )
