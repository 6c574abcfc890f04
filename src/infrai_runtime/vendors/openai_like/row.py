"""What differs between the services that speak OpenAI's Chat Completions: one frozen row each, no code.

The default is a plain server that follows https://platform.openai.com/docs/api-reference/chat. Where a vendor's page
says otherwise, its row does, and names the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Literal

from infrai_runtime.vendors.service_tier import USUAL

Structured = Literal["schema", "object"]
Media = Literal["image", "audio", "file", "video"]

OPTIONS = frozenset({"frequency_penalty", "presence_penalty", "logit_bias", "metadata", "service_tier"})
"""Options of a call that nearly every vendor knows and that have no field of their own here."""


@dataclass(frozen=True, slots=True)
class Row:
    """One vendor's differences.

    Paths are relative to the base URL; an empty one means that the vendor does not have the capability.
    """

    page: str
    """The vendor's page that this row follows."""

    # -- paths
    embed: str = ""
    draw: str = ""
    drawn_in_messages: bool = False
    """``draw`` is a path of DashScope's own interface."""
    speak: str = ""
    listen: str = ""
    rerank: str = ""
    realtime: str = ""
    batches: str = ""
    batch_words: Literal[
        "openai", "mistral", "together", "xai", "dashscope", "moonshot", "zhipu", "openrouter", "fireworks"
    ] = "openai"
    """In whose words batches are told (``batch.WORDS``)."""
    batch_models: str = ""
    """A pattern of the models that its batch service has; empty: its pages name none that it lacks."""

    # -- the request
    auth: tuple[str, str] = ("Authorization", "Bearer ")
    headers: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """Our name of a field -> the vendor's."""
    refuses: Set[str] = frozenset()
    """Fields that the vendor answers with an error, or that mean nothing there: left out, with a warning."""
    fixed_sampling: str = ""
    """A pattern of the models that take no ``temperature`` and ``top_p`` while they think."""
    fixed_stops: str = ""
    """A pattern of the models that take no ``stop`` and no penalties while they think."""
    structured: Structured = "schema"
    """How an answer by a schema is asked for: by the schema, or by JSON mode with the schema in the instructions."""
    strict_tools: bool = False
    """Tools may be ``strict``."""
    custom_tools: bool = False
    """Tools may be ``custom``, whose input is a text."""
    required_tool: str = "required"
    """The word for: some tool must be called."""
    effort: Literal["reasoning_effort", "reasoning.effort", "effort_or_off", "thinking"] = "reasoning_effort"
    """Where the reasoning effort goes. ``thinking`` only switches it on and off; with ``effort_or_off`` that switch is
    for ``none`` and there are degrees beside it."""
    stream_usage: bool = True
    """Usage of a stream has to be asked for with ``stream_options``."""
    reads: Set[Media] = frozenset({"image"})
    """Media that messages may have."""
    fetches: bool = True
    """The vendor fetches URLs of images by itself. A server in the operator's network must not: what it is told to
    fetch would be chosen by the caller."""
    user_names: bool = True
    """Messages may have a ``name``."""
    short_call_ids: bool = False
    """Ids of tool calls have exactly nine letters and digits."""
    reasoning_back: Literal["", "reasoning_content", "reasoning", "reasoning_details", "content"] = ""
    """Where earlier reasoning goes back; empty: the vendor does not want it."""
    marks_cache: bool = False
    """Texts may carry ``cache_control``."""
    allowed_options: Set[str] = OPTIONS
    usual_tiers: Set[str] = USUAL
    """The tiers of service that cost what the list says."""
    """What ``vendor_options`` may set."""

    # -- the answer
    end_mark: bool = True
    """Streams end with ``[DONE]``."""
    thinks_in_text: bool = False
    """Thoughts stand in the text, between marks at its beginning."""
    cost: tuple[str, ...] = ()
    """Where in ``usage`` the price in USD stands."""
    cost_units: int = 1
    """How many of the units that the vendor reports its price in make a USD."""

    # -- media
    vectors: Literal["", "base64", "base64_int8"] = ""
    """What ``encoding_format`` is asked for; empty: it is not sent, and vectors are numbers."""
    most_texts: int = 2048
    """The most texts of one call of embeddings."""
    image_format: Literal["", "b64_json", "base64"] = ""
    """What ``response_format`` of an image has to be for bytes; empty: it is not sent."""
    image_size: Literal["size", "width_height", ""] = "size"
    voice: str = "alloy"
    """The voice of who names none; empty: the vendor's own choice."""
    voice_field: Literal["voice", "voice_id"] = "voice"
    speaks_as: Literal["openai", "mistral", "xai", "dashscope"] = "openai"
    """In whose words speech is asked for; ``speak`` of DashScope's is its own interface (``speech.SpeaksByLink``)."""
    sound_field: str = ""
    """Where in a JSON answer the sound stands, in base64; empty: the answer is the sound."""
    speech_formats: Set[str] = frozenset({"mp3", "opus", "aac", "flac", "wav", "pcm"})
    verbose: str = "whisper"
    """A pattern of the transcription models that can tell segments and language (``verbose_json``)."""
    diarizes: str = "$^"
    """A pattern of the transcription models that tell speakers (``diarized_json``); they take no ``prompt``."""
    listens_as: Literal["openai", "plain", "xai"] = "openai"
    """In whose words a transcription is asked for: a plain one has no ``response_format``, nor has xAI's, which always
    tells its words."""
    listens_to: Set[str] = frozenset({"language", "prompt", "temperature"})
    """What a transcription may be told."""

    def __post_init__(self) -> None:
        assert self.allowed_options.isdisjoint(PROTECTED)

    def with_options(self, *names: str) -> Row:
        """The row that lets callers set these options too."""
        return replace(self, allowed_options=self.allowed_options | set(names))


PROTECTED = frozenset({"model", "messages", "stream", "input", "file", "prompt", "base_url", "api_key", "headers"})
"""What no option of a caller may set."""
