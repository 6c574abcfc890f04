"""Text in a picture, through rapidocr and the models that its wheel carries."""

from __future__ import annotations

import logging
import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infrai_runtime.failure import missing_extra

if TYPE_CHECKING:
    from PIL.Image import Image

_LOCK = threading.Lock()
_MODELS = {"Det": "*_det_*.onnx", "Cls": "*_cls_*.onnx", "Rec": "*_rec_*.onnx"}


def can_read() -> bool:
    """Whether rapidocr, its engine and its model files are here. Nothing is imported or fetched."""
    return find_spec("onnxruntime") is not None and _model_paths() is not None


def lines_in(image: Image) -> list[str]:
    """The lines of text in an RGB image, top to bottom and left to right.

    Raises NO_VENDOR_AVAILABLE when rapidocr is not installed. Takes 0.4 to 2 s; one picture at a time.
    """
    import numpy as np

    pixels = np.asarray(image)[:, :, ::-1]
    with _LOCK:
        found = _engine()(np.ascontiguousarray(pixels))
    if found.boxes is None or not found.txts:
        return []
    return _in_reading_order(list(zip(found.boxes, found.txts, strict=True)))


@cache
def _engine() -> Any:
    paths = _model_paths()
    if paths is None:
        raise missing_extra("local-vision", "rapidocr", "Reading text in a picture")
    from rapidocr import RapidOCR

    # A given model_path is used as it is; without one rapidocr would look for a model to download.
    given = {f"{part}.model_path": str(path) for part, path in paths.items()}
    engine = RapidOCR(params={"Global.log_level": "critical", **given})
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    return engine


def _model_paths() -> dict[str, Path] | None:
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "models"
    paths = {part: next(iter(sorted(folder.glob(name))), None) for part, name in _MODELS.items()}
    present = {part: path for part, path in paths.items() if path is not None}
    return present if len(present) == len(_MODELS) else None


def _in_reading_order(found: list[tuple[Any, str]]) -> list[str]:
    """Boxes whose middles are at the same height are one line."""
    rows: list[list[tuple[float, float, float, str]]] = []
    for box, text in sorted(found, key=lambda one: _middle(one[0])):
        left, height, middle = min(point[0] for point in box), _height(box), _middle(box)
        if rows and middle - rows[-1][0][1] < 0.5 * min(height, rows[-1][0][2]):
            rows[-1].append((left, middle, height, text))
        else:
            rows.append([(left, middle, height, text)])
    return [" ".join(text for _, _, _, text in sorted(row)) for row in rows]


def _middle(box: Any) -> float:
    return float(sum(point[1] for point in box) / len(box))


def _height(box: Any) -> float:
    return float(max(point[1] for point in box) - min(point[1] for point in box))
