"""``from infrai import ai, infra, account``: the service's documented names, over ``infrai_core.facade``.

A distribution of its own, so that the service's own SDK can take the name ``infrai`` one day.
"""

from infrai_core.facade import account, ai, configure, infra

__all__ = ["account", "ai", "configure", "infra"]
