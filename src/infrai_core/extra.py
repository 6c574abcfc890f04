"""Packages that an extra of the distribution brings: an import that lacks one says which extra."""

from __future__ import annotations

from infrai_core.renamed import Renamed


def needing(extra: str, package: str) -> Renamed:
    """Imports that need ``package``. Without it ``ModuleNotFoundError`` says how to install the extra that has it."""

    def told(error: Exception) -> ModuleNotFoundError | None:
        if not isinstance(error, ModuleNotFoundError) or (error.name or "").partition(".")[0] != package:
            return None
        hint = f'this needs the package {error.name}: pip install "infrai-integrations[{extra}]"'
        named = ModuleNotFoundError(hint, name=error.name, path=error.path)
        named.__cause__ = None
        return named

    return Renamed(told)
