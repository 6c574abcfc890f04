"""Text in a picture, through rapidocr and the models that its wheel carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infrai_runtime.failure import missing_extra
from infrai_runtime.vendors.local.worker import Worker

if TYPE_CHECKING:
    from PIL.Image import Image

_MODELS = {"Det": "*_det_*.onnx", "Cls": "*_cls_*.onnx", "Rec": "*_rec_*.onnx"}


def can_read() -> bool:
    """Whether rapidocr, its engine and its model files are here. Nothing is imported or fetched."""
    return find_spec("onnxruntime") is not None and _model_paths() is not None


def lines_in(image: Image, limit_s: float = 60.0) -> list[str]:
    """The lines of text in an RGB image, top to bottom and left to right.

    Takes 0.4 to 2 s for a page of some lines; one picture at a time. Raises NO_VENDOR_AVAILABLE when rapidocr is not
    installed, VENDOR_TIMEOUT after ``limit_s``.
    """
    size = {"height": image.height, "width": image.width}
    head, _ = READER.ask(size, image.tobytes("raw", "BGR"), limit_s)
    return _in_reading_order([(box, text) for box, text in head["found"]])


def _models() -> list[str]:
    paths = _model_paths()
    if paths is None:
        raise missing_extra("local-vision", "rapidocr", "Reading text in a picture")
    return [f"{part}={path}" for part, path in paths.items()]


READER = Worker("read_text_worker.py", "reading", _models)
"""onnxruntime's threads must be gone before this process ends, and a late reading must not go on: hence a process."""


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
