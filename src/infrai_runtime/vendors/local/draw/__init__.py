"""Pictures from words without a model: clip-art composed from the prompt's subjects, colours and style."""

from __future__ import annotations

from infrai_runtime.vendors.local.draw.picture import Picture, draw

__all__ = ["Picture", "draw"]
