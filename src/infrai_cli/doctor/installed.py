"""What is installed: Python, the project, and each extra with its packages."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata

from infrai_cli.doctor.check import Check
from infrai_cli.package import DISTRIBUTION, USED_EXTRAS, Need, install, needs, version

_OLDEST = (3, 11)


def checks() -> list[Check]:
    """Python, the distribution, every extra, the packages that a command wants, and the ``infrai`` names."""
    return [_python(), _project(), *_extras(), _agents(), _names()]


def _python() -> Check:
    where = "in a virtual environment" if sys.prefix != sys.base_prefix else "not in a virtual environment"
    detail = f"{platform.python_version()}, {sys.executable}, {where}"
    if sys.version_info < _OLDEST:
        return Check("python", "problem", f"{detail}; 3.11 or newer is needed", "install a newer Python")
    return Check("python", "ok", detail)


def _project() -> Check:
    found = version(DISTRIBUTION)
    if found is None:
        return Check(DISTRIBUTION, "problem", "runs from its source, not installed", "pip install -e .")
    editable = ", editable" if _is_editable() else ""
    return _of_needs(DISTRIBUTION, needs(), f"{found}{editable}; ", f"pip install --upgrade {DISTRIBUTION}")


def _is_editable() -> bool:
    told = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    return bool(told and json.loads(told).get("dir_info", {}).get("editable"))


def _extras() -> Iterator[Check]:
    """An extra is shown by what it adds to those before it."""
    shown: set[str] = set()
    for extra in USED_EXTRAS:
        added = [need for need in needs(extra) if need.name not in shown]
        shown |= {need.name for need in added}
        if added or not needs(extra):
            yield _of_needs(f"extra {extra}", added, "", install(extra))


def _of_needs(what: str, wanted: Sequence[Need], intro: str, fix: str) -> Check:
    """Missing when one is not installed, a problem when one is too old or too new."""
    listed = ", ".join(f"{need.name} {need.installed}" for need in wanted if need.installed)
    absent = [need.name for need in wanted if need.installed is None]
    wrong = [
        f"{need.name} {need.installed} (needs {need.bounds})" for need in wanted if need.installed and not need.fits
    ]
    if wrong:
        return Check(what, "problem", f"{intro}wrong version: {', '.join(wrong)}", fix)
    if absent or not wanted:
        return Check(what, "missing", f"{intro}not installed: {', '.join(absent) or what}", fix)
    return Check(what, "ok", intro + listed)


def _agents() -> Check:
    found = version("langchain")
    if found is None:
        return Check("langchain (agents)", "missing", "create_agent, which `infrai demo` uses", "pip install langchain")
    return Check("langchain (agents)", "ok", found)


def _names() -> Check:
    found = version("infrai")
    if found is None:
        return Check(
            "infrai (names)", "missing", "`from infrai import ai`: the documented names", "pip install ./infrai"
        )
    return Check("infrai (names)", "ok", found)
