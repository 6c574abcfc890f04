"""rapidocr in a process of its own: ``{height, width}`` and BGR pixels become ``{found: [[box, text], ...]}``.

Run by ``worker_child.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any


def start(*models: str) -> Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]:
    """The reader; ``models`` are ``Part=path``."""
    import numpy as np
    from rapidocr import RapidOCR

    # A given model_path is used as it is; without one rapidocr would look for a model to download.
    paths = {f"{part}.model_path": path for part, path in (model.split("=", 1) for model in models)}
    engine: Any = RapidOCR(params={"Global.log_level": "critical", **paths})
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)

    def read(head: dict[str, Any], pixels: bytes) -> tuple[dict[str, Any], bytes]:
        found = engine(np.frombuffer(pixels, np.uint8).reshape(head["height"], head["width"], 3))
        if found.boxes is None or not found.txts:
            return {"found": []}, b""
        return {"found": [[box.tolist(), text] for box, text in zip(found.boxes, found.txts, strict=True)]}, b""

    return read
