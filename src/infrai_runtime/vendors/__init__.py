"""The vendors that answer requests."""

from __future__ import annotations

from infrai_runtime.settings import Settings
from infrai_runtime.vendors.base import Vendor


def configured(settings: Settings) -> list[Vendor]:
    """Every vendor that this runtime can use; the one place that knows them all."""
    from infrai_runtime.vendors.local import Local

    return [Local(settings.home)]
