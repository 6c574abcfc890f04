"""What the models on this machine still need: which packages, and whether the sentence model was fetched."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from infrai_cli.package import install
from infrai_runtime.failure import Failure

PULL = "infrai local pull minilm"

_SPEECH = (("espeakng_loader", "local-voice"), ("numpy", "local"), ("soundfile", "local"))
_HEARING = (("pocketsphinx", "local-listen"), ("numpy", "local"), ("soundfile", "local"))
_PICTURES = (("PIL", "local"), ("numpy", "local"))
NEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "infrai-sight": (("PIL", "local"), ("rapidocr", "local-vision"), ("onnxruntime", "local-vision")),
    "infrai-sight-fast": (("PIL", "local"),),
    "infrai-minilm-384": (("numpy", "local"),),
    "infrai-speech": _SPEECH,
    "infrai-speech-fast": _SPEECH,
    "infrai-listen": _HEARING,
    "infrai-listen-fast": _HEARING,
    "infrai-draw": _PICTURES,
    "infrai-draw-fast": _PICTURES,
}
"""Model -> the importable modules it needs, each with the extra that installs it. Others need only the runtime."""


@dataclass(frozen=True, slots=True)
class Lack:
    """What keeps a model from being used, and the command that helps. ``broken``: what is there does not work."""

    what: str
    fix: str | None
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Engine:
    """An on-machine model; ``lack`` is None when it can be used now."""

    model: str
    capability: str
    lack: Lack | None


def engines(home: Path) -> list[Engine]:
    """Every on-machine model and its state."""
    from infrai_runtime.catalogue import builtin

    return [Engine(row.id, row.capability, _lack(row.id, home)) for row in builtin().models if row.on_machine]


def _lack(model: str, home: Path) -> Lack | None:
    for module, extra in NEEDS.get(model, ()):
        if find_spec(module) is None:
            return Lack(f"the package {module} is not installed", install(extra))
    return minilm_lack(home) if model == "infrai-minilm-384" else None


def minilm_lack(home: Path) -> Lack | None:
    """What the sentence model lacks; None when it is there and loads."""
    from infrai_runtime.vendors.local import minilm

    try:
        return None if minilm.load(home) else Lack("it was not fetched", PULL)
    except Failure as failure:
        return Lack(failure.message, failure.hint, broken=True)
