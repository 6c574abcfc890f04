"""Tiers of service at which a vendor works at another price than its list says."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

USUAL = frozenset({"default", "standard", "auto", "on_demand", "batch"})
"""The vendors' words for the tier that the list price is for; a batch has its own prices already."""


def tier_of(word: Any, usual: Set[str] = USUAL) -> dict[str, str]:
    """``service_tier`` of a usage: what the vendor says it worked at, where that is not the usual."""
    tier = word.lower().removeprefix("service_tier_") if isinstance(word, str) else ""
    return {"service_tier": tier} if tier and tier not in usual and tier != "unspecified" else {}
