"""No test sees a real vendor key of the machine it runs on, nor does any process that a test starts."""

from __future__ import annotations

import os

from infrai_runtime.vendors.known import variables

for name in (*variables(), "INFRAI_VENDORS", "INFRAI_VENDORS_FILE"):
    os.environ.pop(name, None)
