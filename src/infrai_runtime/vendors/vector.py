"""A vector as vendors send it."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Sequence
from typing import Any


def vector(given: Any) -> Sequence[float]:
    """Its numbers, also from base64 of little-endian float32. Raises ValueError or TypeError for anything else."""
    if not isinstance(given, str):
        return [float(number) for number in given]
    numbers = array("f")
    numbers.frombytes(base64.b64decode(given, validate=True))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
