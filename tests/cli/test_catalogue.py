from __future__ import annotations

import json
from pathlib import Path

from ..runtime.test_snapshot import wheels
from .conftest import Run


def test_the_list_has_a_line_per_model_and_can_be_narrowed(run: Run) -> None:
    code, out, _ = run("catalogue", "list", "--vendor", "anthropic", "--capability", "chat")
    assert code == 0
    rows = out.splitlines()[2:]
    assert len(rows) > 5
    assert all(" anthropic " in row for row in rows)
    assert all(
        row["model"].startswith("local/")
        for row in json.loads(run("catalogue", "list", "--vendor", "local", "--json")[1])
    )


def test_an_unknown_price_is_null_and_says_so(run: Run) -> None:
    [row] = json.loads(run("catalogue", "show", "grok-voice-tts-1.0", "--json")[1])
    assert row["prices"] is None
    assert "prices            unknown" in run("catalogue", "show", "grok-voice-tts-1.0")[1]
    [listed] = [line for line in run("catalogue", "list", "--vendor", "xai")[1].splitlines() if "voice-tts" in line]
    assert listed.count("unknown") == 2
    [other] = [
        line for line in run("catalogue", "list")[1].splitlines() if line.startswith("tts-1-hd") and "openai" in line
    ]
    assert "unknown" not in other  # it is priced by the character


def test_show_has_every_vendor_of_a_model_with_source_and_date(run: Run) -> None:
    code, out, _ = run("catalogue", "show", "gpt-oss-120b", "--json")
    rows = json.loads(out)
    assert code == 0
    assert len(rows) >= 3
    assert all(row["source"] and row["date"] and row["reason"] and "prices" in row for row in rows)


def test_an_unknown_model_is_answered_with_the_nearest_name(run: Run) -> None:
    code, _, told = run("catalogue", "show", "claude-sonet-5")
    assert code == 2
    assert "did you mean 'claude-sonnet-5'?" in told


def test_validate_says_what_a_file_changes_and_what_is_wrong_with_it(run: Run, home: Path) -> None:
    home.mkdir()
    path = home / "catalogue.toml"
    path.write_text('[[drop]]\nvendor = "anthropic"\nid = "claude-sonnet-5"\n[[drop]]\nvendor = "nobody"\nid = "*"')
    code, out, _ = run("catalogue", "validate")
    assert (code, "0 changed, 0 added, 1 dropped" in out, "note: drop nobody/* matches no model" in out) == (
        0,
        True,
        True,
    )
    path.write_text("[[modle]]")
    code, _, told = run("catalogue", "validate", str(path))
    assert (code, "unknown table 'modle'" in told) == (2, True)


def test_refresh_writes_a_snapshot_that_the_next_command_uses(run: Run, home: Path, tmp_path: Path) -> None:
    code, out, _ = run("catalogue", "refresh", "--wheels", str(wheels(tmp_path)), "--date", "2026-11-27")
    assert code == 0
    assert "reading genai-prices 4.5.6, litellm 1.2.3" in out
    assert (home / "catalogue.json").exists()
    shown = json.loads(run("catalogue", "list", "--json")[1])
    assert {row["model"] for row in shown if row["date"] == "2026-11-27" and "openai" in row["model"]} >= {
        "openai/tts-1"
    }
    assert len([row for row in shown if not row["model"].startswith("local/")]) < 20


def test_refresh_writes_the_packages_own_data_for_a_checkout(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "src"
    assert run("catalogue", "refresh", "--wheels", str(wheels(tmp_path)), "--source", str(source))[0] == 0
    facts = json.loads((source / "infrai_core" / "data" / "vendor_models.json").read_text())
    rows = json.loads((source / "infrai_runtime" / "data" / "vendor_models.json").read_text())["models"]
    assert {row["id"] for row in facts} == {row["id"] for row in rows}


def test_a_list_of_an_unknown_vendor_is_no_empty_table(run: Run) -> None:
    code, out, err = run("catalogue", "list", "--vendor", "opnai")
    assert (code, out) == (2, "")
    assert "--vendor: no model is of 'opnai'; there are anthropic," in err
