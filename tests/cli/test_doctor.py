"""The doctor finds what is broken, says what helps, and keeps keys to itself."""

from __future__ import annotations

import json
import socket
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from infrai_cli.package import applies, needs, within
from tests.cli.conftest import Run
from tests.serving import served_process

ROOT = Path(__file__).parents[2]
KEY = "ifr_pk_proj_this-must-not-be-seen"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def checked(run: Run, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the checks by what they looked at."""
    code, out, err = run("doctor", "--json", "--port", str(free_port()), *arguments)
    assert err == ""
    assert KEY not in out
    rows = [row for section in json.loads(out).values() for row in section]
    assert code == any(row["state"] == "problem" for row in rows)
    assert all(row["fix"] for row in rows if row["state"] != "ok")
    return code, {row["what"]: row for row in rows}


def test_a_fresh_machine_has_no_problem_and_every_missing_thing_has_a_command(run: Run) -> None:
    code, checks = checked(run)
    assert code == 0
    assert {row["state"] for row in checks.values()} == {"ok", "missing"}
    assert checks["embedded runtime"]["state"] == "ok"
    assert checks["API key"]["fix"] == "infrai activate"


def test_the_table_fits_into_100_columns_and_has_no_colour_in_a_pipe(run: Run) -> None:
    code, out, _ = run("doctor", "--port", str(free_port()))
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100
    assert "\033" not in out
    assert " 0 problem" in out


def test_the_source_of_a_key_is_told_and_not_the_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRAI_API_KEY", KEY)
    _, checks = checked(run, "--offline")
    assert checks["API key"]["detail"] == "from INFRAI_API_KEY"
    assert "not asked" in checks["service"]["detail"]


def test_a_malformed_key_is_a_problem_and_is_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRAI_API_KEY", f"{KEY} with spaces")
    code, checks = checked(run, "--offline")
    assert code == 1
    assert checks["API key"]["state"] == "problem"


def test_credentials_that_others_can_read_are_a_problem_with_the_command_that_helps(run: Run, home: Path) -> None:
    home.mkdir()
    stored = home / "credentials"
    stored.write_text(json.dumps({"default": {"api_key": KEY, "base_url": "https://example.com/v1"}}))
    stored.chmod(0o644)
    code, checks = checked(run, "--offline")
    assert code == 1
    assert checks["credentials file"]["fix"] == f"chmod 600 {stored}"
    stored.chmod(0o600)
    code, checks = checked(run, "--offline")
    assert code == 0
    assert checks["API key"]["detail"] == "from profile 'default'"
    assert "profile 'default'" in checks["base URL"]["detail"]


def test_credentials_that_are_no_json_are_a_problem(run: Run, home: Path) -> None:
    home.mkdir()
    (home / "credentials").write_text("{" + KEY)
    code, checks = checked(run)
    assert code == 1
    assert checks["credentials file"]["state"] == "problem"


def test_a_key_of_another_service_is_not_taken_for_this_one(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / "credentials").write_text(json.dumps({"default": {"api_key": KEY, "base_url": "https://a.example/v1"}}))
    (home / "credentials").chmod(0o600)
    monkeypatch.setenv("INFRAI_BASE_URL", "https://b.example/v1")
    _, checks = checked(run, "--offline")
    assert checks["API key"]["state"] == "missing"
    assert "belongs to https://a.example/v1" in checks["API key"]["detail"]


def test_a_home_that_is_a_file_is_a_problem(run: Run, home: Path) -> None:
    home.write_text("")
    code, checks = checked(run)
    assert code == 1
    assert checks["home"]["state"] == "problem"


def test_a_damaged_sentence_model_is_a_problem(run: Run, home: Path) -> None:
    folder = home / "models" / "minilm"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "vocab.txt"):
        (folder / name).write_bytes(b"damaged")
    code, out, _ = run("doctor", "--port", str(free_port()))
    assert code == 1
    assert "infrai local pull minilm" in out


def test_a_service_that_does_not_answer_is_a_problem(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRAI_BASE_URL", f"http://127.0.0.1:{free_port()}")
    code, checks = checked(run)
    assert code == 1
    assert "cannot be reached" in checks["service"]["detail"]


def test_a_refused_key_is_told_apart_from_a_service_that_is_away(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with served_process(tmp_path / "server") as server:
        monkeypatch.setenv("INFRAI_BASE_URL", server.base_url)
        monkeypatch.setenv("INFRAI_API_KEY", KEY)
        _, checks = checked(run)
        assert "refuses the key" in checks["service"]["detail"]
        monkeypatch.setenv("INFRAI_API_KEY", server.activate())
        _, checks = checked(run)
        assert checks["service"]["state"] == "ok"


def test_a_port_with_a_runtime_on_it_is_fine_and_one_with_something_else_is_not(run: Run, tmp_path: Path) -> None:
    def port_state(port: int) -> str:
        report = json.loads(run("doctor", "--json", "--port", str(port))[1])
        return {row["what"]: row["state"] for row in report["reachable"]}["port of infrai serve"]

    with served_process(tmp_path / "server") as server:
        assert port_state(int(server.base_url.split(":")[2].split("/")[0])) == "ok"
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert port_state(other.getsockname()[1]) == "problem"


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("1.7.2", "<2,>=1.7", True),
        ("2.0", "<2,>=1.7", False),
        ("2.0.0rc1", "<2,>=1.7", False),
        ("1.6.9", "<2,>=1.7", False),
        ("1.7", ">=1.7.0", True),
        ("4.16.0", "<5,>=4.5", True),
        ("0.14.25", "<0.15,>=0.14.10", True),
        ("3", "", True),
    ],
)
def test_versions_are_held_to_their_bounds(version: str, bounds: str, fits: bool) -> None:
    assert within(version, bounds) is fits


def test_extras_are_read_from_the_package_itself() -> None:
    assert [need.name for need in needs("langchain")] == ["langchain-core"]
    assert {"httpx", "pydantic", "anyio"} == {need.name for need in needs()}


@pytest.mark.parametrize(
    ("line", "here"),
    [
        ("x>=1", True),
        ("x>=1; extra == 'local'", True),
        ("x>=1; (python_version < '3.11') and extra == 'local'", False),
        ("x>=1; python_version >= '3.11' and extra == 'local'", True),
        (f"x; (sys_platform != '{sys.platform}') and extra == 'runtime'", False),
        (f"x; (sys_platform == '{sys.platform}' and platform_python_implementation == 'Jython')", False),
    ],
)
def test_a_package_for_another_python_or_platform_is_none_that_is_missing(line: str, here: bool) -> None:
    assert applies(line) is here


def test_what_needs_a_compiler_on_a_new_python_is_in_no_extra_but_its_own() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    marks = {extra: line for extra, lines in extras.items() for line in lines if line.startswith("pocketsphinx")}
    assert marks == {"local": "pocketsphinx>=5.0.3; python_version < '3.14'", "local-listen": "pocketsphinx>=5.0.3"}


def test_the_vendors_with_keys_are_named_and_a_wrong_file_is_a_problem(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    assert checked(run, "--offline")[1]["vendors"]["detail"].startswith("groq (")
    home.mkdir(exist_ok=True)
    (home / "vendors.toml").write_text("[groq]\nkeys = 3\n")
    code, checks = checked(run, "--offline")
    assert (code, checks["vendors"]["state"]) == (1, "problem")
