"""The fault wall: a vendor's service on a real socket that fails in a chosen way, for tests of failover.

::

    with Wall() as wall:
        # a vendor of the OpenAI dialect with base_url=wall.url; the model's name selects the fault
        ...  # model "http-503", "cut-mid-content", "stall-first", … or "ok"

A model may be named ``fault/anything``: what stands behind the slash is for the test. ``faults()`` has every fault with
what a runtime is expected to make of it, from ``faults.toml``; docs/fault-wall.md shows the same table.
"""

from infrai_runtime.testing.expected import Expected, faults, table
from infrai_runtime.testing.till import Till
from infrai_runtime.testing.wall import Wall

__all__ = ["Expected", "Till", "Wall", "faults", "table"]
