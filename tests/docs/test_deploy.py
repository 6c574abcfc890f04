"""The deployment example is true: its commands, variables and files are those of this package and of the fleet that the
tests run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml  # type: ignore[import-untyped,unused-ignore]
from benchmarks.fleet import NUMBERS, PARTS, with_sizing

from infrai_cli.main import _parser
from infrai_runtime.readiness import SPARED
from infrai_runtime.settings import Settings
from infrai_runtime.vendors import configured
from infrai_runtime.vendors.known import variables
from tests.replicas.fleet import CONFIGURATION
from tests.servers import found

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
GIVEN = {"POSTGRES_PASSWORD": "secret", "INFRAI_PUBLIC_URL": "https://ai.example.com"}
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\}")
RUNTIMES = ("runtime1", "runtime2", "runtime3")


def interpolated(value: Any, given: dict[str, str]) -> Any:
    """A value of the file as ``docker compose`` reads it (https://docs.docker.com/reference/compose-file/interpolation)."""
    if isinstance(value, dict):
        return {name: interpolated(inner, given) for name, inner in value.items()}
    if isinstance(value, list):
        return [interpolated(inner, given) for inner in value]
    return _VARIABLE.sub(lambda match: _given(match, given), value) if isinstance(value, str) else value


def _given(match: re.Match[str], given: dict[str, str]) -> str:
    value = given.get(match["name"])
    if value is None and match["how"] != "-":
        raise KeyError(match["name"])
    return value or match["rest"]


def services(**given: str) -> dict[str, Any]:
    read = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text("utf-8"))
    found: dict[str, Any] = interpolated(read["services"], {**GIVEN, **given})
    return found


def example(name: str) -> dict[str, str]:
    """The variables of an example file, those in comments too."""
    lines = [line.removeprefix("# ") for line in (DEPLOY / name).read_text("utf-8").splitlines()]
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))


@pytest.mark.parametrize("service", ["schema", *RUNTIMES])
def test_every_command_and_flag_is_one_that_infrai_has(service: str) -> None:
    command = services()[service]["command"]
    assert _parser(command).parse_args(command).command == command[0]


@pytest.mark.parametrize("service", ["schema", *RUNTIMES])
def test_the_environment_configures_a_runtime(service: str, tmp_path: Path) -> None:
    environment = services()[service]["environment"] | {"INFRAI_HOME": str(tmp_path)}
    settings = Settings.from_environment({**environment, **example("vendors.example.env"), "OPENAI_API_KEY": "sk-x"})
    assert settings.database == "postgresql://infrai:secret@postgres:5432/infrai"
    assert (settings.redis, settings.public_url) == ("redis://redis:6379/0", "https://ai.example.com")
    assert [vendor.name for vendor in configured(settings)] == ["openai", "local"]


def test_no_secret_is_in_the_files_and_none_has_a_default() -> None:
    for name in GIVEN:
        with pytest.raises(KeyError, match=name):
            interpolated(yaml.safe_load((DEPLOY / "docker-compose.yml").read_text("utf-8")), GIVEN | {name: None})  # type: ignore[dict-item]
    keys = example("vendors.example.env")
    assert keys.keys() <= set(variables())
    assert {*keys.values(), example("example.env")["POSTGRES_PASSWORD"]} == {""}
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {"deploy/.env", "deploy/vendors.env"} <= set(ignored)


def test_health_is_readiness_of_the_port_that_is_served() -> None:
    for service in RUNTIMES:
        runtime = services()[service]
        port = runtime["command"][runtime["command"].index("--port") + 1]
        assert f"http://127.0.0.1:{port}/readyz" in runtime["healthcheck"]["test"][-1]
        assert services()["proxy"]["environment"][f"INFRAI_RUNTIME_{service[-1]}"] == f"{service}:{port}"
    assert "GET /readyz" in CONFIGURATION.read_text("utf-8")
    assert {"cache"} == SPARED  # a runtime without Redis goes on, and so stays behind the proxy


def test_the_proxy_runs_the_configuration_that_the_fleet_runs() -> None:
    proxy = services()["proxy"]
    ((here, _, _),) = (volume.split(":") for volume in proxy["volumes"])
    assert (DEPLOY / here).resolve() == CONFIGURATION.resolve()
    used = set(re.findall(r"\$\{(\w+)", CONFIGURATION.read_text("utf-8")))
    assert used == set(proxy["environment"])


@pytest.mark.parametrize("tls", [False, True])
def test_haproxy_takes_the_configuration_as_the_example_has_it(tls: bool, tmp_path: Path) -> None:
    (haproxy,) = found("haproxy")
    bind = {"INFRAI_BIND": example("example.env")["INFRAI_BIND"].replace("/run/secrets/tls.pem", _pem(tmp_path))}
    environ = {**os.environ, **services(**(bind if tls else {}))["proxy"]["environment"]}
    checked = subprocess.run([haproxy, "-c", "-f", str(CONFIGURATION)], env=environ, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def _pem(directory: Path) -> str:
    """A certificate and its key in one file, as HAProxy wants it."""
    path = directory / "tls.pem"
    trustme.CA().issue_cert("ai.example.com").private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


def test_what_depends_on_another_names_it_and_waits_until_it_is_well() -> None:
    every = services()
    for service in every.values():
        for name, how in service.get("depends_on", {}).items():
            well = "healthcheck" in every[name] or how["condition"] == "service_completed_successfully"
            assert well, name
    volumes = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text("utf-8"))["volumes"]
    named = {volume.split(":")[0] for service in every.values() for volume in service.get("volumes", ())}
    assert {name for name in named if not name.startswith(".")} == set(volumes)


def test_the_image_has_the_extras_that_the_services_need_and_a_python_that_is_allowed() -> None:
    recipe = (DEPLOY / "Dockerfile").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [set(words.split(",")) for words in re.findall(r"\[([a-z,]+)\]\"", recipe)]
    assert len(asked) == 2
    assert asked[0] == asked[1] <= set(project["optional-dependencies"])
    assert {"runtime", "postgres", "redis"} <= asked[0]
    assert project["scripts"].keys() == {"infrai"}
    assert 'ENTRYPOINT ["infrai"]' in recipe
    assert set(re.findall(r"FROM python:3\.(\d+)-slim", recipe)) <= {"11", "12", "13"}
    kept = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"src", "docs", "pyproject.toml", "README.md", "LICENSE"} <= kept
    assert all((ROOT / name).exists() for name in kept)


def test_the_sizing_is_that_of_the_measured_numbers() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    assert page == with_sizing(page, json.loads(NUMBERS.read_text("utf-8")))
    assert page.count(f"| {PARTS[0]} |") == 1
