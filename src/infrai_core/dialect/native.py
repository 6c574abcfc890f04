"""The native surface, ``/ai/*`` (docs/protocol.md, sections 3 to 7). The only place that knows its paths and fields."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from infrai_core import models as m
from infrai_core.content import images_of, media_of, messages_of
from infrai_core.dialect.shape import ANSWERS, decoded_vectors, model_list, split, with_parts
from infrai_core.errors import ConfigError, ProtocolError
from infrai_core.lines import NDJSON, Rows, Upload
from infrai_core.operation import Operation
from infrai_core.params import (
    BatchableChatParams,
    BatchOptions,
    ChatParams,
    EmbedParams,
    ImageParams,
    MediaRef,
    Prompt,
    RealtimeParams,
    RerankParams,
    SpeechParams,
    TranscribeParams,
    VisionParams,
    checked,
    several,
    text,
    texts,
)


def chat(prompt: Prompt, params: Mapping[str, Any]) -> Operation[m.ChatReply]:
    """One whole answer."""
    body, options = split(checked(BatchableChatParams, params))
    body["messages"] = messages_of(prompt)
    return Operation("chat", "POST", "/ai/chat", _chat_reply, body, options=options)


def stream_chat(prompt: Prompt, params: Mapping[str, Any]) -> Operation[m.ChatReply]:
    """A streamed answer."""
    body, options = split(checked(ChatParams, params))
    body |= {"messages": messages_of(prompt), "stream": True}
    return Operation("chat", "POST", "/ai/chat", _chat_reply, body, options=options, stream=True)


def _chat_reply(data: dict[str, Any]) -> m.ChatReply:
    if ANSWERS.isdisjoint(data):
        raise ProtocolError(f"the answer to chat has none of {', '.join(sorted(ANSWERS))}")
    return m.ChatReply.model_validate(with_parts(data))


def embed(input: str | Sequence[str], params: Mapping[str, Any]) -> Operation[m.EmbedReply]:
    """Vectors for one text or several."""
    body, options = split(checked(EmbedParams, params))
    body["input"] = input if isinstance(input, str) else texts("input", input)
    return Operation("embed", "POST", "/ai/embed", _embed_reply, body, options=options)


def _embed_reply(data: dict[str, Any]) -> m.EmbedReply:
    return m.EmbedReply.model_validate({**data, "embeddings": decoded_vectors(data)})


def image(prompt: str, params: Mapping[str, Any]) -> Operation[m.ImageReply]:
    """Images for a prompt."""
    body, options = split(checked(ImageParams, params))
    body["prompt"] = text("prompt", prompt)
    return Operation("image", "POST", "/ai/image", _image_reply, body, options=options)


def _image_reply(data: dict[str, Any]) -> m.ImageReply:
    return m.ImageReply.model_validate({**data, "images": data.get("images") or data.get("data") or []})


def vision(prompt: str, images: Sequence[MediaRef], params: Mapping[str, Any]) -> Operation[m.ChatReply]:
    """An answer about images."""
    body, options = split(checked(VisionParams, params))
    body |= {"prompt": text("prompt", prompt), "images": images_of(images)}
    return Operation("vision", "POST", "/ai/vision", _chat_reply, body, options=options)


def tts(input: str, params: Mapping[str, Any]) -> Operation[m.SpeechReply]:
    """Speech for a text."""
    body, options = split(checked(SpeechParams, params))
    body["input"] = text("input", input)
    return Operation("tts", "POST", "/ai/tts", m.SpeechReply.model_validate, body, options=options)


def asr(audio: MediaRef, params: Mapping[str, Any]) -> Operation[m.TranscriptReply]:
    """A transcript of audio."""
    body, options = split(checked(TranscribeParams, params))
    body["audio"] = media_of(audio, "audio")
    return Operation("asr", "POST", "/ai/asr", m.TranscriptReply.model_validate, body, options=options)


def realtime_token(params: Mapping[str, Any]) -> Operation[m.RealtimeToken]:
    """A token for a realtime session."""
    body, options = split(checked(RealtimeParams, params))
    path = "/ai/realtime/token"
    return Operation("realtime", "POST", path, m.RealtimeToken.model_validate, body, options=options)


def rerank(query: str, candidates: Sequence[str], params: Mapping[str, Any]) -> Operation[m.RerankReply]:
    """Candidates by relevance to the query."""
    body, options = split(checked(RerankParams, params))
    body |= {"query": text("query", query), "candidates": texts("candidates", candidates)}
    return Operation("rerank", "POST", "/ai/rerank", m.RerankReply.model_validate, body, options=options)


def models(capability: str | None) -> Operation[m.ModelList]:
    """The models of the service."""
    path = "/ai/models" + (f"?capability={quote(capability)}" if capability else "")
    return Operation("models", "GET", path, model_list)


def vendors() -> Operation[m.VendorList]:
    """The vendors of a runtime and how they are."""
    return Operation("vendors", "GET", "/ai/vendors", m.VendorList.model_validate)


def account() -> Operation[m.Account]:
    """The balance of the account."""
    return Operation("account", "GET", "/account/balance", m.Account.model_validate)


def activate() -> Operation[m.Activation]:
    """A new project with its key."""
    return Operation("activate", "POST", "/activate", m.Activation.model_validate, {})


MOST_IN_ONE_BODY = 1000
"""How many requests of a batch job are sent as one JSON body; more, or an iterator's, go line by line."""


def batch_submit(requests: Rows, params: Mapping[str, Any]) -> Operation[m.BatchRecord]:
    """A batch job of ``{"capability", "body"}`` requests."""
    body, options = split(checked(BatchOptions, params))
    if not isinstance(requests, AsyncIterable):
        several("requests", requests, "requests")
    read, path = m.BatchRecord.model_validate, "/ai/batch/submit"
    if isinstance(requests, Sequence) and len(requests) <= MOST_IN_ONE_BODY:
        body["requests"] = [_job_request(i, request) for i, request in enumerate(requests)]
        return Operation("batch", "POST", path, read, body, options=options)
    query = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    path = f"{path}?{urlencode(query)}" if query else path
    return Operation("batch", "POST", path, read, options=options, upload=Upload(requests))


def _job_request(i: int, request: Any) -> dict[str, Any]:
    if not isinstance(request, Mapping):
        raise ConfigError(f"requests.{i}: came {type(request).__name__}, allowed is a mapping of capability and body")
    return dict(request)


def batch_request(prompt: Prompt, params: Mapping[str, Any]) -> dict[str, Any]:
    """A chat as a request of a batch job."""
    body, options = split(checked(ChatParams, params))
    for name in ("idempotency_key", "extra_headers"):
        if options.get(name):
            raise ConfigError(f"{name}: a request of a batch job has none; it belongs to the job")
    timeout = {"timeout_seconds": options["timeout_seconds"]} if options.get("timeout_seconds") else {}
    body = {**body, "messages": messages_of(prompt), **timeout, **(options.get("extra_body") or {})}
    return {"capability": "chat", "body": body}


def batch_reply(row: dict[str, Any]) -> m.ChatReply:
    """The reply of an opened result of a batch job."""
    return _chat_reply(row)


def batch_lines(batch_id: str) -> Operation[m.BatchResults]:
    """The results of a batch job, line by line."""
    path = f"/ai/batch/results/{quote(batch_id, safe='')}"
    return Operation("batch", "GET", path, _batch_results, stream=True, accept=NDJSON)


def batch_status(batch_id: str) -> Operation[m.BatchRecord]:
    """How far a batch job is."""
    return Operation("batch", "GET", f"/ai/batch/status/{quote(batch_id, safe='')}", m.BatchRecord.model_validate)


def batch_results(batch_id: str) -> Operation[m.BatchResults]:
    """One envelope per request of a batch job."""
    return Operation("batch", "GET", f"/ai/batch/results/{quote(batch_id, safe='')}", _batch_results)


def _batch_results(data: dict[str, Any]) -> m.BatchResults:
    return m.BatchResults.model_validate({**data, "results": data.get("results", data.get("data")) or []})


def batch_cancel(batch_id: str) -> Operation[m.BatchRecord]:
    """Stops a batch job."""
    return Operation("batch", "POST", f"/ai/batch/cancel/{quote(batch_id, safe='')}", m.BatchRecord.model_validate, {})


def batch_list() -> Operation[m.BatchList]:
    """The batch jobs of the project."""
    return Operation("batch", "GET", "/ai/batch/list", m.BatchList.model_validate)
