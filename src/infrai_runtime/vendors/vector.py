"""A vector as vendors send it."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Sequence
from typing import Any


def vector(given: Any, in_bytes: bool = False) -> Sequence[float]:
    """Its numbers, also from base64: of little-endian float32, or ``in_bytes`` of signed bytes, which are numbers from
    -128 to 127. Raises ValueError or TypeError for anything else."""
    if not isinstance(given, str):
        return [float(number) for number in given]
    data = base64.b64decode(given, validate=True)
    if in_bytes:
        return [float(number) for number in array("b", data)]
    numbers = array("f")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
