"""``InfraiToolSpec``: images, speech, transcripts and sight as tools of an agent."""

# No postponed annotations here: LlamaIndex makes the tools' schemas from them and does not resolve their names.

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_index.core.tools.tool_spec.base import BaseToolSpec

from infrai_core import Artifacts, ConfigError, Ledger
from infrai_core.params import AudioFormat
from llama_index_infrai._connection import Connection

_CAPABILITIES = ("image", "tts", "asr", "vision")
_SOUND_MIMES = {"mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "pcm": "audio/L16"}


class InfraiToolSpec(BaseToolSpec):
    """Tools that draw, speak, transcribe and look at images, each synchronous and asynchronous.

    Files are read and written inside ``root_dir`` only: the names that a model gives are relative to it, ways out of
    it are refused with ``ValueError``, and no file is overwritten. ``http(s)`` URLs are handed to the service and not
    fetched here. ``models`` names a model per capability (``image``, ``tts``, ``asr``, ``vision``); the other options
    are those of the connection, such as ``api_key`` and ``base_url``.
    """

    def __init__(self, root_dir: str | Path, *, models: Mapping[str, str] | None = None, **connection: Any) -> None:
        """Raises ``ConfigError`` when ``root_dir`` is no directory or the connection cannot be made."""
        unknown = sorted(set(models or {}) - {*_CAPABILITIES})
        if unknown:
            raise ConfigError(f"models: unknown {', '.join(unknown)}; allowed are {', '.join(_CAPABILITIES)}")
        self.spec_functions = [
            ("generate_image", "agenerate_image"),
            ("speak", "aspeak"),
            ("transcribe", "atranscribe"),
            ("look_at_images", "alook_at_images"),
        ]
        self._artifacts = Artifacts(root_dir)
        self._models = dict(models or {})
        self._connection = Connection(**connection)

    @property
    def ledger(self) -> Ledger:
        """What all calls used and cost."""
        return self._connection.ledger

    def generate_image(self, prompt: str, size: str = "1024x1024", count: int = 1) -> str:
        """Draw images for a description and save them as files. Answers with the file names, one per line.

        Args:
            prompt (str): what the image shows
            size (str): width and height in pixels, such as 1024x1024
            count (int): how many images, from 1 to 10

        """
        reply = self._connection.client.image(prompt, size=size, n=count, model=self._models.get("image"))
        return self._saved("image", [(image.read(), image.mime or "image/png") for image in reply.images])

    async def agenerate_image(self, prompt: str, size: str = "1024x1024", count: int = 1) -> str:
        """``generate_image`` from an event loop."""
        reply = await self._connection.aclient.image(prompt, size=size, n=count, model=self._models.get("image"))
        images = [(await image.aread(), image.mime or "image/png") for image in reply.images]
        return await asyncio.to_thread(self._saved, "image", images)

    def speak(self, text: str, voice: str | None = None, format: AudioFormat = "mp3") -> str:
        """Read a text aloud into an audio file. Answers with the file name.

        Args:
            text (str): what to say
            voice (str): name of the voice; leave it out for the usual one
            format (str): mp3, wav, ogg or pcm

        """
        reply = self._connection.client.tts(text, voice=voice, format=format, model=self._models.get("tts"))
        return self._saved("speech", [(reply.read(), _SOUND_MIMES[reply.format or format])])

    async def aspeak(self, text: str, voice: str | None = None, format: AudioFormat = "mp3") -> str:
        """``speak`` from an event loop."""
        reply = await self._connection.aclient.tts(text, voice=voice, format=format, model=self._models.get("tts"))
        sound = (await reply.aread(), _SOUND_MIMES[reply.format or format])
        return await asyncio.to_thread(self._saved, "speech", [sound])

    def transcribe(self, audio: str, language: str | None = None) -> str:
        """Write down what is said in an audio file. Answers with the text.

        Args:
            audio (str): name of an audio file, or its http(s) URL
            language (str): language spoken, such as en or zh; leave it out when unknown

        """
        media = self._artifacts.media(audio)
        return self._connection.client.asr(media, language=language, model=self._models.get("asr")).text

    async def atranscribe(self, audio: str, language: str | None = None) -> str:
        """``transcribe`` from an event loop."""
        media = await asyncio.to_thread(self._artifacts.media, audio)
        reply = await self._connection.aclient.asr(media, language=language, model=self._models.get("asr"))
        return reply.text

    def look_at_images(self, question: str, images: list[str]) -> str:
        """Answer a question about images.

        Args:
            question (str): what to find out
            images (list): names of image files, or their http(s) URLs

        """
        return self._connection.client.vision(question, self._media(images), model=self._models.get("vision")).content

    async def alook_at_images(self, question: str, images: list[str]) -> str:
        """``look_at_images`` from an event loop."""
        media = await asyncio.to_thread(self._media, images)
        reply = await self._connection.aclient.vision(question, media, model=self._models.get("vision"))
        return reply.content

    def _media(self, references: Sequence[str]) -> list[dict[str, str]]:
        return [self._artifacts.media(reference) for reference in references]

    def _saved(self, stem: str, files: Sequence[tuple[bytes, str]]) -> str:
        return "\n".join(self._artifacts.keep(content, stem, mime) for content, mime in files)
