"""Voices that belong to one vendor, where another one speaks."""

from __future__ import annotations

from infrai_runtime.vendors.base import Request

OPENAI_VOICES = frozenset(
    {
        *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer"),
        "verse",
    }
)
"""https://platform.openai.com/docs/guides/text-to-speech#voice-options. OpenAI's SDK cannot ask for speech without a
voice, so callers of a routed service name one of these without knowing who will speak."""


def voice_of(request: Request, usual: str) -> tuple[str, list[str]]:
    """The voice for a vendor that has none of OpenAI's: the one asked for, else its ``usual`` one, with a warning where
    that takes the place of one of OpenAI's."""
    asked = str(request.get("voice", usual))
    if asked.lower() not in OPENAI_VOICES:
        return asked, []
    return usual, [f"voice: this vendor has no {asked!r}, which is OpenAI's; {usual or 'its usual one'} was used"]
