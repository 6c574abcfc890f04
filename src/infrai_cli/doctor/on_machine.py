"""The models on this machine, one line for those that need the same."""

from __future__ import annotations

from itertools import groupby

from infrai_cli.doctor.check import Check
from infrai_cli.machine import Engine, Lack, engines
from infrai_cli.package import extra_hint
from infrai_core.config import home

_ENGINES = {
    "chat": "extractive chat",
    "vision": "pictures (OCR: rapidocr)",
    "embed": "vectors",
    "rerank": "BM25",
    "tts": "speech (espeak-ng)",
    "asr": "transcription (pocketsphinx)",
    "image": "drawn illustrations",
    "realtime": "session tokens",
}


def checks() -> list[Check]:
    """Every on-machine model; without the runtime's packages there is one line that says so."""
    try:
        found = engines(home())
    except ModuleNotFoundError as error:
        return [Check("all", "missing", f"the package {error.name} is not installed", extra_hint(error.name))]
    groups = groupby(found, key=lambda engine: (engine.capability, engine.lack))
    return [_check(capability, lack, list(group)) for (capability, lack), group in groups]


def _check(capability: str, lack: Lack | None, group: list[Engine]) -> Check:
    names = ", ".join(engine.model for engine in group)
    what = f"{_ENGINES.get(capability, capability)}: {names}"
    if lack is None:
        return Check(capability, "ok", what)
    return Check(capability, "problem" if lack.broken else "missing", f"{what}: {lack.what}", lack.fix)
