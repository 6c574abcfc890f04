"""``infrai vendors``: what is configured, checked with real requests, and never a key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.vendors.fake import KEY, Fake, says, serving

MODELS = says({"object": "list", "data": [{"id": "gpt-5.2", "object": "model"}]})


def test_without_a_key_there_is_this_machine_and_the_way_on(run: Run) -> None:
    code, out, err = run("vendors")
    assert (code, err) == (0, "")
    assert "on this machine" in out
    assert "infrai vendors --known" in out


def test_a_configured_vendor_is_shown_with_what_it_can_do_and_without_its_keys(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk_secret-one,gsk_secret-two")
    code, out, _ = run("vendors")
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("groq"))
    assert line.split()[1] == "2"
    assert "https://api.groq.com/openai/v1" in line
    assert "GROQ_API_KEY" in line
    assert "groq can do: chat, vision, tts, asr, batch" in out
    assert "secret" not in out


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"AZURE_OPENAI_API_KEY": "k"},
            "AZURE_OPENAI_API_KEY is set, which is half of azure: set AZURE_OPENAI_ENDPOINT",
        ),
        (
            {"OPENAI_BASE_URL": "http://127.0.0.1:1"},
            "OPENAI_BASE_URL is set, which is half of openai: set OPENAI_API_KEY",
        ),
        ({"INFRAI_VENDORS": "openai"}, "INFRAI_VENDORS names openai: set OPENAI_API_KEY"),
        ({"INFRAI_VENDORS": "azure"}, "INFRAI_VENDORS names azure: set AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT"),
        ({"INFRAI_VENDORS": "ollama,local"}, "INFRAI_VENDORS names ollama: set OLLAMA_HOST"),
    ],
)
def test_what_configures_no_vendor_by_half_is_said_by_vendors_and_doctor(
    run: Run, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], said: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert said in " ".join(run("vendors")[1].split())
    assert said in " ".join(run("doctor", "--offline")[1].split())


def test_a_vendor_that_is_switched_off_or_whole_is_not_called_half(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    monkeypatch.setenv("GROQ_API_KEY", "k")
    home.mkdir()
    (home / "vendors.toml").write_text("[azure]\nenabled = false\n")
    assert "half" not in run("vendors")[1]


def test_the_rows_come_as_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-1")
    rows = json.loads(run("vendors", "--json")[1])
    deepseek = next(row for row in rows if row["name"] == "deepseek")
    assert (deepseek["keys"], deepseek["dialect"], deepseek["key_states"]) == (1, "openai", None)
    assert deepseek["models"]["chat"] >= 1
    assert [row["name"] for row in rows][-1] == "local"


def test_check_says_of_each_key_whether_it_is_good(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Fake({"/v1/models": MODELS})) as fake:
        home.mkdir()
        (home / "vendors.toml").write_text(
            f'[mine]\ndialect = "openai"\nbase_url = "{fake.url}/v1"\nkeys = ["{KEY}", "sk-revoked-key"]\n'
        )
        (home / "vendors.toml").chmod(0o600)
        code, out, _ = run("vendors", "--check")
    assert code == 1
    assert "key #1: good" in out
    assert "key #2: mine: Incorrect API key provided (HTTP 401)" in out
    assert KEY not in out
    assert "revoked" not in out


def test_known_lists_every_vendor_and_its_variables(run: Run) -> None:
    code, out, _ = run("vendors", "--known")
    assert code == 0
    assert all(name in out for name in ("OPENAI_API_KEY", "OLLAMA_HOST", "AZURE_OPENAI_ENDPOINT", "ANTHROPIC_API_KEY"))
    rows = json.loads(run("vendors", "--known", "--json")[1])
    assert {"name", "base_url", "key_variables", "url_variables"} == rows[0].keys()


def test_a_wrong_file_is_one_line_that_names_its_place(run: Run, home: Path) -> None:
    home.mkdir()
    (home / "vendors.toml").write_text('[openai]\nkye = "x"\n')
    code, out, err = run("vendors")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "vendors.toml: [openai] kye: there is no such field" in err


def test_a_vendor_that_lists_no_models_is_not_called_bad(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Fake({})) as fake:
        monkeypatch.setenv("PERPLEXITY_API_KEY", KEY)
        monkeypatch.setenv("PERPLEXITY_BASE_URL", fake.url)
        code, out, _ = run("vendors", "--check")
    assert code == 0
    assert "key #1: cannot be checked" in out
