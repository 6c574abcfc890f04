"""Images, sight, speech and transcription as tools of an agent."""

from __future__ import annotations

import asyncio
import base64
import os
import reprlib
from collections.abc import Iterable
from typing import Any, Literal, Self

from langchain_core.tools import BaseTool, BaseToolkit, ToolException
from langchain_core.tools.base import ArgsSchema
from pydantic import BaseModel, Field, ValidationError, model_validator

from infrai_core import (
    Artifacts,
    ChatReply,
    ConfigError,
    ImageReply,
    InvalidRequest,
    Media,
    SpeechReply,
    TranscriptReply,
    UnsupportedContent,
)
from infrai_core.params import AudioFormat, Task
from infrai_core.renamed import Renamed
from langchain_infrai._connection import Connection, Routed
from langchain_infrai._served import served
from langchain_infrai.errors import AS_LANGCHAIN

Answer = tuple[str, dict[str, Any]]
"""What a tool gives: the text that the model reads, and the artifact."""

_SOUND_MIMES = {"mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "pcm": "audio/L16"}
_MENDABLE = (ValueError, ConfigError, InvalidRequest, UnsupportedContent)
"""What a model can do better in a next call: it is told. Everything else ends the run."""


class ImageInput(BaseModel):
    """What ``InfraiImageTool`` takes."""

    prompt: str = Field(description="What the image shows.")
    size: str = Field(default="1024x1024", description="Width and height in pixels.", pattern=r"^\d{1,5}x\d{1,5}$")
    count: int = Field(default=1, ge=1, le=10, description="How many images.")


class VisionInput(BaseModel):
    """What ``InfraiVisionTool`` takes."""

    question: str = Field(description="What to find out.")
    images: list[str] = Field(
        min_length=1,
        description="The images: http(s) URLs, or names that another tool gave, such as image-0a1b2c3d.png.",
    )


class SpeechInput(BaseModel):
    """What ``InfraiTTSTool`` takes."""

    text: str = Field(description="What to say.")
    voice: str | None = Field(default=None, description="Name of the voice; leave it out for the usual one.")
    format: AudioFormat = Field(default="mp3", description="Form of the audio file.")


class TranscriptionInput(BaseModel):
    """What ``InfraiASRTool`` takes."""

    audio: str = Field(
        description="The recording: an http(s) URL, or a name that another tool gave, such as speech-0a1b2c3d.mp3."
    )
    language: str | None = Field(default=None, description="Language spoken, such as en; leave it out when unknown.")


_MEND = "Mend the arguments and call the tool again."


def wrong_arguments(error: ValidationError) -> str:
    """What a model is told of arguments that do not fit: the names, what came and what is allowed."""
    wrong = (
        f"{'.'.join(map(str, found['loc']))}={reprlib.repr(found['input'])}: {found['msg']}" for found in error.errors()
    )
    return f"{'; '.join(wrong)}. {_MEND}"


class InfraiTool(BaseTool, Routed):
    """What the tools have in common.

    Content is a short text that a model can read; the artifact of the ``ToolMessage`` is a dictionary with ``media``
    (LangChain's image or audio blocks with ``base64`` and ``mime_type``), ``model_name``, ``vendor`` and ``cost_usd``
    (decimal text, absent when unknown). Media that a tool made have a name, by which a model can hand them to the next
    tool. A model may name such media and ``http(s)`` URLs, which the service fetches; files of this machine only with
    ``root_dir``, inside it (``docs/langchain.md``). What the model can mend (a wrong name, a refused argument) is told
    to it as a failed tool call; other errors are raised.
    """

    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True
    handle_validation_error: Any = wrong_arguments
    root_dir: str | os.PathLike[str] | None = None
    """A directory that the tool reads from and saves in; None: media stay in memory."""
    artifacts: Artifacts | None = Field(default=None, exclude=True, repr=False)
    """Where media are kept; tools that share it can name each other's. Made from ``root_dir`` when not given."""

    @model_validator(mode="after")
    def _open_artifacts(self) -> Self:
        if self.artifacts is None:
            with AS_LANGCHAIN:
                self.artifacts = Artifacts(self.root_dir)
        return self

    @property
    def _shelf(self) -> Artifacts:
        assert self.artifacts is not None
        return self.artifacts

    def _kept(self, stem: str, kind: str, files: Iterable[tuple[bytes, str]]) -> list[dict[str, Any]]:
        """Keeps the files and gives their content blocks."""
        return [
            {
                "type": kind,
                "id": self._shelf.keep(content, stem, mime),
                "base64": base64.b64encode(content).decode(),
                "mime_type": mime,
            }
            for content, mime in files
        ]


_TOLD = Renamed(lambda error: ToolException(f"{error}. {_MEND}") if isinstance(error, _MENDABLE) else None)
"""Turns what the model can mend into the failed tool call that it is told of."""


def _listed(blocks: list[dict[str, Any]]) -> str:
    return "\n".join(f"{block['id']} ({block['mime_type']})" for block in blocks)


class InfraiImageTool(InfraiTool):
    """Draws images for a description.

    >>> from langchain_infrai import InfraiImageTool
    >>> InfraiImageTool.embedded().invoke({"prompt": "a red boat"})  # doctest: +SKIP
    'image-5f0c91ab.png (image/png)'
    """

    name: str = "generate_image"
    description: str = "Draw images for a description. Answers with the name of each image."
    args_schema: ArgsSchema | None = ImageInput

    def _run(self, prompt: str, size: str = "1024x1024", count: int = 1) -> Answer:
        client = self.client
        with _TOLD:
            reply = client.image(prompt, size=size, n=count, inline=True, **self._routing())
        return self._made(reply, [(image.read(), _mime(image)) for image in reply.images])

    async def _arun(self, prompt: str, size: str = "1024x1024", count: int = 1) -> Answer:
        client = self.async_client
        with _TOLD:
            reply = await client.image(prompt, size=size, n=count, inline=True, **self._routing())
        files = [(await image.aread(), _mime(image)) for image in reply.images]
        return await asyncio.to_thread(self._made, reply, files)

    def _made(self, reply: ImageReply, files: list[tuple[bytes, str]]) -> Answer:
        blocks = self._kept("image", "image", files)
        return _listed(blocks), {"media": blocks, **served(reply)}


def _mime(image: Media) -> str:
    return image.mime or "image/png"


class InfraiVisionTool(InfraiTool):
    """Answers questions about images."""

    name: str = "look_at_images"
    description: str = "Look at images and answer a question about them."
    args_schema: ArgsSchema | None = VisionInput
    task: Task | None = None
    """``general``, ``reasoning``, ``coding`` or ``long_context``."""
    max_tokens: int | None = Field(default=None, ge=1)
    """The longest answer."""

    def _run(self, question: str, images: list[str]) -> Answer:
        client = self.client
        with _TOLD:
            reply = client.vision(question, self._media(images), **self._arguments())
        return self._answered(reply)

    async def _arun(self, question: str, images: list[str]) -> Answer:
        client = self.async_client
        with _TOLD:
            media = await asyncio.to_thread(self._media, images)
            reply = await client.vision(question, media, **self._arguments())
        return self._answered(reply)

    def _arguments(self) -> dict[str, Any]:
        return {**self._routing(), "task": self.task, "max_tokens": self.max_tokens}

    def _media(self, images: Iterable[str]) -> list[dict[str, str]]:
        return [self._shelf.media(image) for image in images]

    @staticmethod
    def _answered(reply: ChatReply) -> Answer:
        return reply.content, {"text": reply.content, **served(reply)}


class InfraiTTSTool(InfraiTool):
    """Reads text aloud into an audio file."""

    name: str = "speak"
    description: str = "Read a text aloud into an audio file. Answers with the name of the file."
    args_schema: ArgsSchema | None = SpeechInput

    def _run(self, text: str, voice: str | None = None, format: AudioFormat = "mp3") -> Answer:
        client = self.client
        with _TOLD:
            reply = client.tts(text, voice=voice, format=format, inline=True, **self._routing())
        return self._made(reply, reply.read(), format)

    async def _arun(self, text: str, voice: str | None = None, format: AudioFormat = "mp3") -> Answer:
        client = self.async_client
        with _TOLD:
            reply = await client.tts(text, voice=voice, format=format, inline=True, **self._routing())
        return await asyncio.to_thread(self._made, reply, await reply.aread(), format)

    def _made(self, reply: SpeechReply, sound: bytes, asked: str) -> Answer:
        form = reply.format or asked
        blocks = self._kept("speech", "audio", [(sound, _SOUND_MIMES.get(form, f"audio/{form}"))])
        return _listed(blocks), {"media": blocks, **served(reply)}


class InfraiASRTool(InfraiTool):
    """Writes down what is said in a recording."""

    name: str = "transcribe"
    description: str = "Write down what is said in a recording. Answers with the text."
    args_schema: ArgsSchema | None = TranscriptionInput

    def _run(self, audio: str, language: str | None = None) -> Answer:
        client = self.client
        with _TOLD:
            reply = client.asr(self._shelf.media(audio), language=language, **self._routing())
        return self._heard(reply)

    async def _arun(self, audio: str, language: str | None = None) -> Answer:
        client = self.async_client
        with _TOLD:
            media = await asyncio.to_thread(self._shelf.media, audio)
            reply = await client.asr(media, language=language, **self._routing())
        return self._heard(reply)

    @staticmethod
    def _heard(reply: TranscriptReply) -> Answer:
        segments = [{"start": s.start, "end": s.end, "text": s.text} for s in reply.segments or ()]
        artifact = {"text": reply.text, "language": reply.language, "segments": segments, **served(reply)}
        return reply.text or "(nothing was said)", artifact


TOOLS: dict[str, type[InfraiTool]] = {
    "image": InfraiImageTool,
    "vision": InfraiVisionTool,
    "tts": InfraiTTSTool,
    "asr": InfraiASRTool,
}
"""The tool of each capability."""


class InfraiToolkit(BaseToolkit, Connection):
    """The four tools on one connection, one ledger, and one place for media, so that they can pass them on.

    >>> from langchain_infrai import InfraiToolkit
    >>> tools = InfraiToolkit.embedded(models={"image": "infrai-draw"}).get_tools()  # doctest: +SKIP
    """

    root_dir: str | os.PathLike[str] | None = None
    """A directory that the tools read from and save in; None: media stay in memory."""
    artifacts: Artifacts | None = Field(default=None, exclude=True, repr=False)
    """Where media are kept. Made from ``root_dir`` when not given."""
    models: dict[Literal["image", "vision", "tts", "asr"], str] = Field(default_factory=dict)
    """A model id per capability; the router decides for the others."""
    capabilities: tuple[Literal["image", "vision", "tts", "asr"], ...] = ("image", "vision", "tts", "asr")
    """Which tools to make."""

    @model_validator(mode="after")
    def _open_artifacts(self) -> Self:
        if self.artifacts is None:
            with AS_LANGCHAIN:
                self.artifacts = Artifacts(self.root_dir)
        return self

    def get_tools(self) -> list[BaseTool]:
        """The tools, in the order of ``capabilities``."""
        shared = {name: getattr(self, name) for name in (*Connection.model_fields, "root_dir", "artifacts")}
        return [TOOLS[kind](model=self.models.get(kind), **shared) for kind in self.capabilities]
