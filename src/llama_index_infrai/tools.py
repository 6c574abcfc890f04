"""``InfraiToolSpec``: images, speech, transcripts and sight as tools of an agent."""

# No postponed annotations here: LlamaIndex makes the tools' schemas from them and does not resolve their names.

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from llama_index.core.base.llms.types import AudioBlock, ImageBlock, TextBlock
from llama_index.core.tools.tool_spec.base import BaseToolSpec

from infrai_core import Artifacts, ConfigError, Ledger
from infrai_core.params import RANGES, AudioFormat
from llama_index_infrai._connection import Routed, options_of

Blocks = list[TextBlock | ImageBlock | AudioBlock]

_CAPABILITIES = ("image", "tts", "asr", "vision")
_ROUTING = ("vendor", "prefer", "max_cost_multiplier", "session_id", "vendor_options")
_RETURNS = ("blocks", "names")
_SOUND_MIMES = {"mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "pcm": "audio/L16"}
_FORMATS = {mime: name for name, mime in _SOUND_MIMES.items()}


class InfraiToolSpec(BaseToolSpec):
    """Tools that draw, speak, transcribe and look at images, each synchronous and asynchronous.

    What a tool makes is kept under a name (``image-5f0c91ab.png``) that the model can hand to the next tool, and
    comes back as content blocks: the name as text and the image or sound itself, so that a model that can see or hear
    does. ``returns="names"`` leaves the media out, for models without that sense.

    A model may name such media, and ``http(s)`` URLs, which are handed to the service and not fetched here. Files of
    this machine it can neither read nor write, unless ``root_dir`` is given: then inside that directory, and there
    media are saved; ways out of it are refused with ``ValueError`` and no file is overwritten. ``artifacts`` lets
    several toolkits share their media.

    ``models`` names a model per capability (``image``, ``tts``, ``asr``, ``vision``); the other options are those of
    the connection and of routing, such as ``api_key``, ``base_url``, ``vendor`` and ``prefer``.
    """

    def __init__(
        self,
        root_dir: str | Path | None = None,
        *,
        models: Mapping[str, str] | None = None,
        returns: Literal["blocks", "names"] = "blocks",
        artifacts: Artifacts | None = None,
        **options: Any,
    ) -> None:
        """Raises ``ConfigError`` when ``root_dir`` is no directory or an option is wrong."""
        _check(models or {}, returns, options)
        if root_dir is not None and artifacts is not None:
            raise ConfigError("root_dir and artifacts: allowed is one of them")
        self.spec_functions = [
            ("generate_image", "agenerate_image"),
            ("speak", "aspeak"),
            ("transcribe", "atranscribe"),
            ("look_at_images", "alook_at_images"),
        ]
        self.artifacts = Artifacts(root_dir) if artifacts is None else artifacts
        self._returns = returns
        self._models = dict(models or {})
        self._connection = Routed(**options)

    @property
    def ledger(self) -> Ledger:
        """What all calls used and cost."""
        return self._connection.ledger

    def _options(self, capability: str) -> dict[str, Any]:
        return options_of(self._connection, _ROUTING, {"model": self._models.get(capability)})

    # -- tools: their descriptions are what a model reads ----------------------------------------------------------

    def generate_image(self, prompt: str, size: str = "1024x1024", count: int = 1) -> Blocks:
        """Draw images for a description. Answers with the images and their names.

        Args:
            prompt (str): what the image shows
            size (str): width and height in pixels, such as 1024x1024
            count (int): how many images, from 1 to 10

        """
        reply = self._connection.client.image(prompt, size=size, n=_counted(count), **self._options("image"))
        return self._kept("image", [(image.read(), image.mime or "image/png") for image in reply.images])

    async def agenerate_image(self, prompt: str, size: str = "1024x1024", count: int = 1) -> Blocks:
        """``generate_image`` from an event loop."""
        reply = await self._connection.aclient.image(prompt, size=size, n=_counted(count), **self._options("image"))
        images = [(await image.aread(), image.mime or "image/png") for image in reply.images]
        return await asyncio.to_thread(self._kept, "image", images)

    def speak(self, text: str, voice: str | None = None, format: AudioFormat = "mp3") -> Blocks:
        """Read a text aloud. Answers with the recording and its name.

        Args:
            text (str): what to say
            voice (str): name of the voice; leave it out for the usual one
            format (str): mp3, wav, ogg or pcm

        """
        reply = self._connection.client.tts(text, voice=voice, format=format, **self._options("tts"))
        return self._kept("speech", [(reply.read(), _SOUND_MIMES[reply.format or format])])

    async def aspeak(self, text: str, voice: str | None = None, format: AudioFormat = "mp3") -> Blocks:
        """``speak`` from an event loop."""
        reply = await self._connection.aclient.tts(text, voice=voice, format=format, **self._options("tts"))
        sound = (await reply.aread(), _SOUND_MIMES[reply.format or format])
        return await asyncio.to_thread(self._kept, "speech", [sound])

    def transcribe(self, audio: str, language: str | None = None) -> str:
        """Write down what is said in a recording. Answers with the text.

        Args:
            audio (str): an http(s) URL, or a name that another tool gave, such as speech-0a1b2c3d.mp3
            language (str): language spoken, such as en or zh; leave it out when unknown

        """
        media = self.artifacts.media(audio)
        return self._connection.client.asr(media, language=language, **self._options("asr")).text

    async def atranscribe(self, audio: str, language: str | None = None) -> str:
        """``transcribe`` from an event loop."""
        media = await asyncio.to_thread(self.artifacts.media, audio)
        reply = await self._connection.aclient.asr(media, language=language, **self._options("asr"))
        return reply.text

    def look_at_images(self, question: str, images: list[str]) -> str:
        """Answer a question about images.

        Args:
            question (str): what to find out
            images (list): http(s) URLs, or names that another tool gave, such as image-0a1b2c3d.png

        """
        reply = self._connection.client.vision(question, self._media(images), **self._options("vision"))
        return reply.content

    async def alook_at_images(self, question: str, images: list[str]) -> str:
        """``look_at_images`` from an event loop."""
        media = await asyncio.to_thread(self._media, images)
        reply = await self._connection.aclient.vision(question, media, **self._options("vision"))
        return reply.content

    # -- media -----------------------------------------------------------------------------------------------------

    def _media(self, references: str | Sequence[str]) -> list[dict[str, str]]:
        # Models do write one name where a list is asked for.
        named = [references] if isinstance(references, str) else references
        if not isinstance(named, Sequence) or not named:
            raise ValueError(f"images={references!r}: allowed is a list of http(s) URLs and names that the tools gave")
        return [self.artifacts.media(reference) for reference in named]

    def _kept(self, stem: str, files: Iterable[tuple[bytes, str]]) -> Blocks:
        found: Blocks = []
        for content, mime in files:
            found.append(TextBlock(text=self.artifacts.keep(content, stem, mime)))
            if self._returns == "blocks":
                found.append(_block(content, mime))
        return found


def _counted(count: int) -> int:
    """Raises ``ValueError`` in the words of the tool: its caller is a model."""
    low, high = RANGES["n"]
    if type(count) is not int or not low <= count <= high:
        raise ValueError(f"count={count!r}: allowed is a whole number from {low:g} to {high:g}")
    return count


def _block(content: bytes, mime: str) -> ImageBlock | AudioBlock:
    if mime in _FORMATS:
        return AudioBlock(audio=content, format=_FORMATS[mime])
    return ImageBlock(image=content, image_mimetype=mime)


def _check(models: Mapping[str, str], returns: str, options: Mapping[str, Any]) -> None:
    unknown = sorted(set(models) - {*_CAPABILITIES})
    if unknown:
        raise ConfigError(f"models: unknown {', '.join(unknown)}; allowed are {', '.join(_CAPABILITIES)}")
    if returns not in _RETURNS:
        raise ConfigError(f"returns={returns!r}: allowed are {', '.join(_RETURNS)}")
    if "model" in options:
        raise ConfigError("model: one model cannot do all of this; name one per capability with models={'image': …}")
