"""A case's runtime: vendors that do what the case says, and the application on top of them."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

from infrai_runtime.app import create_app
from infrai_runtime.settings import Settings

from .case import Case, Json
from .vendor import WAIT_S, models_of, scripted


class Stage:
    """Made anew for every case. ``own`` are the settings of where it runs, which the case's own change."""

    def __init__(self, case: Case, **own: Any) -> None:
        self._commented = threading.Event()
        self._vendors = [scripted(*row, self._commented) for row in case.setup["vendors"].items()]
        self.app = create_app(_settings(case, own), vendors=self._vendors, catalogue=models_of(case.setup))

    def comment(self) -> None:
        """The caller has seen a comment, which a vendor may wait for."""
        self._commented.set()

    def begun(self) -> bool:
        """True as soon as the first vendor is asked; False when it is not."""
        return self._vendors[0].begun.wait(WAIT_S)

    def seen(self) -> list[Json]:
        """What the vendors were asked, one vendor after the other."""
        return [request for vendor in self._vendors for request in vendor.seen]


def _settings(case: Case, own: Json) -> Settings:
    given = dict(case.setup.get("settings", {}))
    if "trial_credit_usd" in given:
        given["trial_credit_usd"] = Decimal(str(given["trial_credit_usd"]))
    return Settings(**(own | {"retries": 0} | given))
