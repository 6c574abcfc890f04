"""Reads the safetensors format: eight bytes of header length, a JSON header, then the tensors' bytes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
_MAX_HEADER_BYTES = 1 << 24


def read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Every tensor of the file by name, as read-only views on the mapped file: only what is used is loaded.

    Raises ValueError for a file that is cut short or not of this format.
    """
    import numpy as np

    header, start = _header(path)
    data = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))[start:]
    return {name: _tensor(data, name, entry) for name, entry in header.items()}


def _header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        packed = file.read(size) if size <= _MAX_HEADER_BYTES else b""
    if len(packed) < max(size, 2):
        raise ValueError(f"{path.name} is not a whole safetensors file")
    header = json.loads(packed)
    header.pop("__metadata__", None)
    return header, struct.calcsize("<Q") + size


def _tensor(data: npt.NDArray[Any], name: str, entry: Any) -> npt.NDArray[Any]:
    import numpy as np

    begin, end = entry["data_offsets"]
    dtype = np.dtype(_TYPES[entry["dtype"]])
    size = int(np.prod(entry["shape"], dtype=np.int64)) * dtype.itemsize
    if not 0 <= begin <= end <= data.size or end - begin != size:
        raise ValueError(f"the tensor {name} reaches outside of its file")
    return data[begin:end].view(dtype).reshape(entry["shape"])
