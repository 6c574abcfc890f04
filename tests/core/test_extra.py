"""Without an extra's packages the base install works, and what needs them says how to get them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = "import sys; sys.modules[{package!r}] = None\n"


def run_without(package: str, code: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Runs code in an interpreter that does not have the package."""
    env = {"INFRAI_HOME": str(home), "PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path))}
    script = WITHOUT.format(package=package) + code
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, timeout=60)


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("langchain_infrai", "langchain_core", "langchain"),
        ("llama_index_infrai", "llama_index.core", "llama-index"),
        ("llama_index.llms.infrai", "llama_index.core", "llama-index"),
        ("llama_index_infrai.testing", "pytest", "testing"),
    ],
)
def test_an_import_without_its_extra_says_how_to_install_it(
    module: str, package: str, extra: str, tmp_path: Path
) -> None:
    done = run_without(package, f"import {module}", tmp_path)
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"ModuleNotFoundError: this needs the package {package}")
    assert said.endswith(f': pip install "infrai-integrations[{extra}]"')


def test_another_package_that_is_missing_is_not_laid_to_the_extra(tmp_path: Path) -> None:
    done = run_without("httpx", "import langchain_infrai", tmp_path)
    assert "infrai-integrations[" not in done.stderr
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize(
    ("package", "extra", "made"),
    [
        ("asyncpg", "postgres", "from infrai_runtime.store.postgres import _asyncpg as made"),
        ("redis", "redis", "from infrai_runtime.store.redis import _redis as made"),
    ],
)
def test_a_store_without_its_extra_says_how_to_install_it(package: str, extra: str, made: str, tmp_path: Path) -> None:
    done = run_without(package, f"{made}\nmade()", tmp_path)
    assert done.stderr.splitlines()[-1].endswith(f': pip install "infrai-integrations[{extra}]"')


def test_the_doctor_works_on_the_base_install(tmp_path: Path) -> None:
    code = "from infrai_cli.main import main; sys.exit(main(['doctor', '--json', '--offline', '--port', '0']))"
    done = run_without("orjson", code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["what"]: row for section in json.loads(done.stdout).values() for row in section}
    assert rows["vendors"]["state"] == "missing"
    assert rows["vendors"]["fix"] == 'pip install "infrai-integrations[runtime]"'
