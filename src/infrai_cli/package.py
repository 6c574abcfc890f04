"""What is installed, by the metadata of the packages themselves: no second list of extras to keep true."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata

DISTRIBUTION = "infrai-integrations"
USED_EXTRAS = ("langchain", "llama-index", "runtime", "local", "local-listen", "local-voice", "local-vision")
"""Extras that add something to use, each before those that contain it."""

_NAMES = {"PIL": "pillow", "llama_index": "llama-index-core", "multipart": "python-multipart"}
"""Import name -> distribution, where they differ by more than a hyphen."""
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?\s*(?P<bounds>[^;]*)(?:;(?P<marker>.*))?")
_EXTRA = re.compile(r"extra == ['\"](?P<extra>[\w-]+)['\"]")
_MARK = re.compile(r"(python_version|sys_platform|platform_python_implementation) *(==|!=|<|>=) *['\"]([^'\"]*)['\"]")
_BOUND = re.compile(r"(>=|<)\s*([\d.]+)")


@dataclass(frozen=True, slots=True)
class Need:
    """A distribution that an extra needs (``extra`` is "" for the base install), with its version bounds."""

    name: str
    bounds: str
    extra: str

    @property
    def installed(self) -> str | None:
        """The installed version, or None."""
        return version(self.name)

    @property
    def fits(self) -> bool:
        """Whether the installed version lies within the bounds."""
        found = self.installed
        return found is not None and within(found, self.bounds)


def version(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def needs(extra: str = "") -> list[Need]:
    """What the base install or an extra needs here; empty where the project was not installed as a distribution."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    return [need for need in map(_need, filter(applies, lines)) if need.extra == extra]


def applies(line: str) -> bool:
    """Whether a requirement is one of this Python and platform; marks joined by "or" are not looked at."""
    return all(_holds(*mark) for mark in _MARK.findall(line.partition(";")[2]))


def _holds(name: str, sign: str, wanted: str) -> bool:
    if name == "python_version":
        return within(platform.python_version(), f"{sign}{wanted}")
    found = sys.platform if name == "sys_platform" else platform.python_implementation()
    return (found == wanted) is (sign == "==")


def _need(line: str) -> Need:
    match = _REQUIREMENT.match(line)
    assert match is not None, line
    extra = _EXTRA.search(match["marker"] or "")
    return Need(match["name"], match["bounds"].strip(), extra["extra"] if extra else "")


def within(found: str, bounds: str) -> bool:
    """Whether a version keeps its ``>=`` and ``<`` bounds; other kinds of bounds are not looked at."""
    have = _numbers(found)
    limits = [(sign, _numbers(limit)) for sign, limit in _BOUND.findall(bounds)]
    return all(have >= limit if sign == ">=" else have < limit for sign, limit in limits)


def _numbers(text: str) -> tuple[int, ...]:
    """``1.2.0`` as (1, 2): trailing zeros say nothing."""
    numbers = [int(part) for part in re.match(r"\d+(?:\.\d+)*", text)[0].split(".")]  # type: ignore[index]  # a version
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def extra_hint(module: str | None) -> str | None:
    """The command that installs an importable module, if it is one that an extra or a command needs."""
    top = (module or "").partition(".")[0]
    name = _NAMES.get(top, top.replace("_", "-"))
    if name == "langchain":  # the agents' package: the adapter itself needs only langchain-core
        return "pip install langchain"
    found = [extra for extra in USED_EXTRAS if any(need.name == name for need in needs(extra))]
    return install(found[0]) if found else None
