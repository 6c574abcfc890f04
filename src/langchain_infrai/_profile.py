"""What a model can do, as LangChain's model profile. The facts are core's; nothing about models is written here."""

from __future__ import annotations

from typing import cast

from langchain_core.language_models.model_profile import ModelProfile

from infrai_core import ModelInfo

_ABILITY = {
    "tool_calling": "tools",
    "tool_call_streaming": "tools",
    "tool_choice": "tool_choice",
    "structured_output": "structured",
    "image_inputs": "vision",
    "image_url_inputs": "vision",
    "audio_inputs": "audio",
    "pdf_inputs": "pdf",
    "video_inputs": "video",
    "reasoning_output": "reasoning",
}
"""LangChain's name -> the catalogue's."""


def profile_of(facts: ModelInfo) -> ModelProfile | None:
    """The profile of a model; None for a model that nobody knows, so that nothing is made up."""
    if not facts.abilities and facts.context_window is None:
        return None
    limits = {"max_input_tokens": facts.context_window, "max_output_tokens": facts.max_output_tokens}
    known = {name: limit for name, limit in limits.items() if limit is not None}
    abilities = {name: ability in facts.abilities for name, ability in _ABILITY.items()}
    return cast("ModelProfile", {"name": facts.id, "text_inputs": True, **known, **abilities, **_outputs(facts)})


def _outputs(facts: ModelInfo) -> dict[str, bool]:
    told = facts.modalities.get("output") if isinstance(facts.modalities, dict) else None
    outputs = {"text", *(told or ()), *(["audio"] if "audio_output" in facts.abilities else ())}
    return {f"{kind}_outputs": kind in outputs for kind in ("text", "image", "audio", "video")}
