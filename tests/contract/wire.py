"""Cases as bytes and bytes as what cases hold: bodies, server-sent events, forms."""

from __future__ import annotations

import base64
import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

Json = dict[str, Any]


def compact(value: Any) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


# -- responses ---------------------------------------------------------------------------------------------------------


def media_type(response: Json) -> str:
    """The content type of a response: the one that is given, else the one of its kind of body."""
    given: str | None = response.get("headers", {}).get("content-type")
    return given or ("text/event-stream" if "frames" in response else "application/json")


def body_of(response: Json) -> bytes:
    """The body that a client receives."""
    if "frames" in response:
        return b"".join(_event(frame) for frame in response["frames"])
    if "text" in response:
        return "".join(response["text"]).encode()
    if "base64" in response:
        return base64.b64decode(response["base64"])
    return compact(response["json"])


def _event(frame: Json) -> bytes:
    if "comment" in frame:
        return f": {frame['comment']}\n\n".encode()
    data = frame["data"]
    name = f"event: {frame['event']}\n".encode() if "event" in frame else b""
    return name + b"data: " + (data.encode() if isinstance(data, str) else compact(data)) + b"\n\n"


def frames_of(body: bytes) -> list[Json]:
    """The frames of an event stream; comments in a row count as one."""
    found = [_frame(block) for block in body.decode().split("\n\n") if block]
    return [f for i, f in enumerate(found) if "comment" not in f or i == 0 or found[i - 1] != f]


def _frame(block: str) -> Json:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    if "" in fields:
        return {"comment": fields[""]}
    data = fields["data"]
    name = {"event": fields["event"]} if "event" in fields else {}
    return name | {"data": data if data == "[DONE]" else json.loads(data)}


# -- forms -------------------------------------------------------------------------------------------------------------


def form_of(content_type: str, body: bytes) -> Json:
    """A multipart form: texts, and files as ``{"filename", "mime", "base64"}``."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return {str(part.get_param("name", header="content-disposition")): _value(part) for part in message.iter_parts()}


def _value(part: Any) -> Any:
    data: bytes = part.get_payload(decode=True)
    if part.get_filename() is None:
        return data.decode()
    return {
        "filename": part.get_filename(),
        "mime": part.get_content_type(),
        "base64": base64.b64encode(data).decode(),
    }


def files_of(form: Json) -> list[tuple[str, tuple[str | None, bytes] | tuple[str | None, bytes, str]]]:
    """A form as httpx sends it."""
    return [(name, _sent(value)) for name, value in form.items()]


def _sent(value: Any) -> tuple[str | None, bytes] | tuple[str | None, bytes, str]:
    if isinstance(value, str):
        return None, value.encode()
    return value["filename"], base64.b64decode(value["base64"]), value["mime"]
