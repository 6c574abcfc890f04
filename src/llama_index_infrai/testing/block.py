"""Tests of content blocks: what the model takes arrives, everything else is refused by name."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    BaseContentBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    VideoBlock,
)

from llama_index_infrai.testing.endpoint import CHATS, Endpoint, text_of
from llama_index_infrai.testing.subject import LLMSuite


def png(size: int = 16) -> bytes:
    """A red square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\0\0" * size) * size
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav(seconds: float = 0.25, rate: int = 16_000) -> bytes:
    """Silence."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\0\0" * int(seconds * rate))
    return buffer.getvalue()


def pdf(text: str = "The sky is blue.") -> bytes:
    """One page with a line of text."""
    content = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    made, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    return made + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        count,
        table,
        count,
        len(made),
    )


_SAMPLES: dict[type[BaseContentBlock], tuple[Callable[[], BaseContentBlock], str]] = {
    ImageBlock: (lambda: ImageBlock(image=png(), image_mimetype="image/png"), "image"),
    AudioBlock: (lambda: AudioBlock(audio=wav(), format="wav"), "audio"),
    VideoBlock: (lambda: VideoBlock(video=b"\0\0\0\x18ftypmp42", video_mimetype="video/mp4"), "video"),
    DocumentBlock: (
        lambda: DocumentBlock(data=pdf(), title="sky.pdf", document_mimetype="application/pdf"),
        "document|pdf|file",
    ),
    CachePoint: (lambda: CachePoint(cache_control=CacheControl(type="ephemeral")), "cache"),
    CitableBlock: (
        lambda: CitableBlock(title="Sky", source="sky.txt", content=[TextBlock(text="The sky is blue.")]),
        "cit",
    ),
    CitationBlock: (
        lambda: CitationBlock(
            cited_content=TextBlock(text="The sky is blue."), source="sky.txt", title="Sky", additional_location_info={}
        ),
        "cit",
    ),
    ThinkingBlock: (lambda: ThinkingBlock(content="The user wants a number."), "thinking|reasoning"),
}
"""Block class -> a sample, and what a refusal of it must name."""


class _Hologram(BaseContentBlock):
    """A kind of block that no integration knows."""

    block_type: str = "hologram"


class BlockTests(LLMSuite):
    """Content blocks of messages."""

    @pytest.mark.parametrize("endpoint", CHATS, ids=str)
    @pytest.mark.parametrize("kind", _SAMPLES, ids=lambda kind: kind.__name__)
    def test_a_block_is_taken_or_refused_by_name(
        self, llm: Any, kind: type[BaseContentBlock], endpoint: Endpoint
    ) -> None:
        make, name = _SAMPLES[kind]
        role = "assistant" if kind is ThinkingBlock else "user"
        blocks = [make(), TextBlock(text=self.question)]
        messages = [ChatMessage(role=role, blocks=blocks), ChatMessage(content=self.question)]
        if kind in self.supported_blocks:
            assert text_of(endpoint.ask(llm, messages)[-1]).strip()
            return
        with pytest.raises(Exception, match=f"(?i){name}"):
            endpoint.ask(llm, messages)

    @pytest.mark.parametrize("endpoint", CHATS, ids=str)
    def test_a_block_of_unknown_kind_is_refused_by_name(self, llm: Any, endpoint: Endpoint) -> None:
        message = ChatMessage(content=self.question)
        message.blocks.append(_Hologram())  # type: ignore[arg-type]  # being unknown is the point
        with pytest.raises(Exception, match=r"(?i)hologram"):
            endpoint.ask(llm, [message])
