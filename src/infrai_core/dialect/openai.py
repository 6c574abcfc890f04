"""The OpenAI-shaped surface (docs/protocol.md, section 6; https://platform.openai.com/docs/api-reference). The only
place that knows its paths and fields. What the surface has no path for is a ``ConfigError`` that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from infrai_core import models as m
from infrai_core.content import images_of, media_bytes, media_of, messages_of, openai_messages
from infrai_core.dialect.shape import decoded_vectors, model_list, parts_from_flat, split
from infrai_core.errors import ConfigError, ProtocolError
from infrai_core.lines import Rows
from infrai_core.operation import Operation
from infrai_core.params import (
    BatchableChatParams,
    ChatParams,
    EmbedParams,
    ImageParams,
    MediaRef,
    Prompt,
    SpeechParams,
    TranscribeParams,
    VisionParams,
    checked,
    text,
    texts,
)


def _absent(what: str) -> NoReturn:
    raise ConfigError(f'the OpenAI surface has no {what}; use dialect="native"')


def _body(kind: type, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    body, options = split(checked(kind, params))
    if body.pop("batch_mode", None):
        _absent("batch_mode")
    # Without a model the surface's own name for "you choose"; `prefer` has names of its own there.
    prefer = body.pop("prefer", None)
    body.setdefault("model", {None: "auto", "balanced": "auto"}.get(prefer, prefer))
    return body, options


def chat(prompt: Prompt, params: Mapping[str, Any]) -> Operation[m.ChatReply]:
    """One whole answer."""
    body, options = _body(BatchableChatParams, params)
    body["messages"] = openai_messages(messages_of(prompt))
    return Operation("chat", "POST", "/chat/completions", _chat_reply, body, options=options)


def stream_chat(prompt: Prompt, params: Mapping[str, Any]) -> Operation[m.ChatReply]:
    """A streamed answer, with usage on its last chunk."""
    body, options = _body(ChatParams, params)
    body["messages"] = openai_messages(messages_of(prompt))
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    return Operation("chat", "POST", "/chat/completions", _chat_reply, body, options=options, stream=True)


def _chat_reply(data: dict[str, Any]) -> m.ChatReply:
    choices = data.get("choices")
    if not choices:
        raise ProtocolError("the answer to chat has no choices")
    message = choices[0].get("message") or {}
    marked = {name: data[name] for name in ("system_fingerprint",) if data.get(name)}
    return m.ChatReply.model_validate(
        {
            "id": data.get("id"),
            "model": data.get("model"),
            "parts": message.get("parts") or parts_from_flat(message) + _image_parts(message),
            "finish_reason": choices[0].get("finish_reason"),
            "usage": data.get("usage"),
            "metadata": metadata_of(data),
            **marked,
        }
    )


def _image_parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Images that OpenRouter-like services put beside the content."""
    found = [(image.get("image_url") or {}).get("url") for image in message.get("images") or ()]
    return [{"type": "image", **media_of(url, "images")} for url in found if url]


def metadata_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a body or chunk; a plain OpenAI-shaped service tells at least the model."""
    return {"model": data.get("model"), "request_id": data.get("id"), **(data.get("metadata") or {})}


def embed(input: str | Sequence[str], params: Mapping[str, Any]) -> Operation[m.EmbedReply]:
    """Vectors for one text or several."""
    body, options = _body(EmbedParams, params)
    body["input"] = input if isinstance(input, str) else texts("input", input)
    return Operation("embed", "POST", "/embeddings", _embed_reply, body, options=options)


def _embed_reply(data: dict[str, Any]) -> m.EmbedReply:
    vectors = decoded_vectors(data)
    given = {"model": data.get("model"), "usage": data.get("usage"), "metadata": metadata_of(data)}
    return m.EmbedReply.model_validate({**given, "embeddings": vectors})


def image(prompt: str, params: Mapping[str, Any]) -> Operation[m.ImageReply]:
    """Images for a prompt."""
    body, options = _body(ImageParams, params)
    if body.pop("inline", None):
        body["response_format"] = "b64_json"
    body["prompt"] = text("prompt", prompt)
    return Operation("image", "POST", "/images/generations", _image_reply, body, options=options)


def _image_reply(data: dict[str, Any]) -> m.ImageReply:
    rows = [{**row, "b64": row.get("b64_json")} for row in data.get("data") or ()]
    given = {"images": rows, "usage": data.get("usage"), "metadata": metadata_of(data)}
    return m.ImageReply.model_validate(given)


def vision(prompt: str, images: Sequence[MediaRef], params: Mapping[str, Any]) -> Operation[m.ChatReply]:
    """An answer about images: a chat whose message has them."""
    checked(VisionParams, params)
    parts: list[dict[str, Any]] = [{"type": "text", "text": text("prompt", prompt)}]
    parts += [{"type": "image", **image} for image in images_of(images)]
    return chat([{"role": "user", "parts": parts}], params)


def tts(input: str, params: Mapping[str, Any]) -> Operation[m.SpeechReply]:
    """Speech for a text. The surface answers with the bytes, so the reply is always inline."""
    body, options = _body(SpeechParams, params)
    body.pop("inline", None)
    format_ = body.pop("format", None) or "mp3"
    body |= {"input": text("input", input), "voice": body.get("voice") or "alloy", "response_format": format_}

    def raw(content: bytes, headers: Mapping[str, str]) -> m.SpeechReply:
        from base64 import b64encode

        from infrai_core.envelope import header_metadata

        metadata = m.Metadata.model_validate(header_metadata(headers))
        return m.SpeechReply(b64=b64encode(content).decode(), format=format_, metadata=metadata)

    read = m.SpeechReply.model_validate
    return Operation("tts", "POST", "/audio/speech", read, body, options=options, raw=raw)


def asr(audio: MediaRef, params: Mapping[str, Any]) -> Operation[m.TranscriptReply]:
    """A transcript of audio given as bytes."""
    fields, options = _body(TranscribeParams, params)
    media = media_of(audio, "audio")
    mime = media.get("mime") or "audio/wav"
    name = f"audio.{mime.partition('/')[2]}"
    form: dict[str, str | tuple[str, bytes, str]] = {
        key: value for key, value in fields.items() if isinstance(value, str)
    }
    form |= {"response_format": "verbose_json", "file": (name, media_bytes(media, "audio"), mime)}
    read = m.TranscriptReply.model_validate
    return Operation("asr", "POST", "/audio/transcriptions", read, form=form, options=options)


def models(capability: str | None) -> Operation[m.ModelList]:
    """The models of the service."""
    if capability:
        _absent("filter by capability")
    return Operation("models", "GET", "/models", model_list)


def realtime_token(params: Mapping[str, Any]) -> Operation[m.RealtimeToken]:
    """Not on this surface."""
    _absent("realtime tokens")


def rerank(query: str, candidates: Sequence[str], params: Mapping[str, Any]) -> Operation[m.RerankReply]:
    """Not on this surface."""
    _absent("rerank")


def vendors() -> Operation[m.VendorList]:
    """Not on this surface."""
    _absent("vendors")


def account() -> Operation[m.Account]:
    """Not on this surface."""
    _absent("account")


def activate() -> Operation[m.Activation]:
    """Not on this surface."""
    _absent("activation")


def batch_submit(requests: Rows, params: Mapping[str, Any]) -> Operation[m.BatchRecord]:
    """Not on this surface."""
    _absent("batch jobs")


def batch_request(prompt: Prompt, params: Mapping[str, Any]) -> dict[str, Any]:
    """Not on this surface."""
    _absent("batch jobs")


def batch_reply(row: dict[str, Any]) -> m.ChatReply:
    """Not on this surface."""
    _absent("batch jobs")


def batch_lines(batch_id: str) -> Operation[m.BatchResults]:
    """Not on this surface."""
    _absent("batch jobs")


def batch_status(batch_id: str) -> Operation[m.BatchRecord]:
    """Not on this surface."""
    _absent("batch jobs")


def batch_results(batch_id: str) -> Operation[m.BatchResults]:
    """Not on this surface."""
    _absent("batch jobs")


def batch_cancel(batch_id: str) -> Operation[m.BatchRecord]:
    """Not on this surface."""
    _absent("batch jobs")


def batch_list() -> Operation[m.BatchList]:
    """Not on this surface."""
    _absent("batch jobs")
