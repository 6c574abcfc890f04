"""The operator's catalogue.toml: checked, applied, read again when it changes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from infrai_core.errors import ConfigError
from infrai_runtime import overrides
from infrai_runtime.catalogue import ABILITIES, MODALITIES, Catalogue, Model, Prices, builtin
from infrai_runtime.catalogue_file import CatalogueFiles, load

from .fake import model


def changed(tmp_path: Path, text: str, *rows: Model) -> Catalogue:
    path = tmp_path / "catalogue.toml"
    path.write_text(text)
    return overrides.read(path).applied(Catalogue(rows))


ROW = '[[model]]\nvendor = "a"\nid = "m"\n'


def test_a_change_touches_only_what_it_names(tmp_path: Path) -> None:
    before = model("a", "m", quality=50, usd={"input_mtok": 1, "output_mtok": 2}, context_window=9)
    (after,) = changed(tmp_path, ROW + "prices = { input_mtok = 0.5 }\ntiers = { coding = 90 }", before).models
    assert after.prices == Prices.of_usd({"input_mtok": "0.5", "output_mtok": 2})
    assert (after.quality("coding"), after.quality("general"), after.context_window) == (90, 50, 9)
    assert (after.source, after.reason) == ("catalogue.toml", "set by the operator")


def test_a_new_model_needs_a_capability_and_gets_tiers(tmp_path: Path) -> None:
    (after,) = changed(tmp_path, ROW + 'capability = "chat"\nprices = { free = true }').models
    assert (after.name, after.prices.free, after.quality("general")) == ("a/m", True, 40)
    with pytest.raises(ConfigError, match="a/m is not in the catalogue; a new model needs capability"):
        changed(tmp_path, ROW)


def test_rows_are_dropped_by_wildcard_and_a_drop_without_match_is_told(tmp_path: Path) -> None:
    text = '[[drop]]\nvendor = "a"\nid = "m*"\n[[drop]]\nvendor = "z"\nid = "*"'
    kept = changed(tmp_path, text, model("a", "m1"), model("a", "n"), model("b", "m1"))
    assert [m.name for m in kept.models] == ["a/n", "b/m1"]
    assert overrides.read(tmp_path / "catalogue.toml").idle(Catalogue((model("a", "m1"),))) == ["z/*"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[model]\n", "not TOML"),
        ("[model]\n", r"model: write \[\[model\]\], once per entry"),
        ("[[modle]]\n", "unknown table 'modle'; allowed are model, drop"),
        ('[[model]]\nvendor = "a"\n', "model.0.id is missing"),
        (ROW + "context = 1", "unknown field 'model.0.context'; did you mean"),
        (
            ROW + "prices = { input_mtok = -1 }",
            r"model.0.prices.input_mtok: came -1, allowed is a number from 0 to 1e\+06",
        ),
        (ROW + "prices = { input_mtok = nan }", "model.0.prices.input_mtok: came nan, allowed is a number from 0"),
        (ROW + "prices = { input_mtok = inf }", "model.0.prices.input_mtok: came inf, allowed is a number from 0"),
        (ROW + "prices = { image = 1e300 }", r"model.0.prices.image: came 1e\+300, allowed is a number from 0"),
        (ROW + 'abilities = ["tols"]', "model.0.abilities.0: came 'tols', allowed is one of audio, .*tools"),
        (ROW + 'modalities = { input = ["txt"] }', "model.0.modalities.input.0: came 'txt', allowed is one of audio"),
        (ROW + 'modalities = { in = ["text"] }', "unknown field 'model.0.modalities.in'; allowed are input, output"),
        (ROW + "dimension_range = [9, 5]", "model.0.dimension_range.1: came 5, allowed is .* at least 9"),
        (ROW + "tiers = { coding = 101 }", "model.0.tiers.coding: came 101, allowed is a whole number from 0 to 100"),
        (ROW + 'capability = "smell"', "model.0.capability: came 'smell', allowed is one of chat"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        changed(tmp_path, text)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert changed(tmp_path, "\ufeff" + ROW + 'capability = "chat"').models[0].name == "a/m"


def test_prices_of_long_prompts_may_stand_in_any_order(tmp_path: Path) -> None:
    text = ROW + (
        'capability = "chat"\nprices = { input_mtok = 1, '
        "long = [{ above_tokens = 200, input_mtok = 3 }, { above_tokens = 100, input_mtok = 2 }] }"
    )
    prices = changed(tmp_path, text).models[0].prices
    assert [prices.at(tokens).input_mtok for tokens in (100, 101, 201)] == [10**9, 2 * 10**9, 3 * 10**9]


def test_the_words_that_a_row_may_use_are_those_of_the_package() -> None:
    rows = builtin().models
    assert {word for row in rows for word in row.abilities} == set(ABILITIES)
    for end, words in MODALITIES.items():
        assert {word for row in rows for word in row.modalities.get(end, ())} == set(words)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(tmp_path, ROW + "context = 1\n" + ROW + "tiers = { coding = 101 }")
    assert "model.0.context" in str(caught.value)
    assert "model.1.tiers.coding" in str(caught.value)


def test_a_snapshot_of_the_home_takes_the_place_of_the_packages(tmp_path: Path) -> None:
    (tmp_path / "catalogue.json").write_text('{"models": [{"id": "m", "vendor": "v", "capability": "chat"}]}')
    assert [m.name for m in load(tmp_path).models if not m.on_machine] == ["v/m"]
    for wrong in ('{"models": [{"id": "m", "smell": 1}]}', "[]", "null", '{"models": [{"prices": 5}]}'):
        (tmp_path / "catalogue.json").write_text(wrong)
        with pytest.raises(ConfigError, match="no snapshot of the catalogue"):
            load(tmp_path)


def test_a_changed_file_is_read_again_and_a_wrong_one_leaves_the_last_good_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    time = [0.0]
    path = tmp_path / "catalogue.toml"
    files = CatalogueFiles(tmp_path, clock=lambda: time[0])
    assert files.now.models == builtin().models

    def write(text: str) -> None:
        path.write_text(text)
        os.utime(path, ns=(int(time[0] * 1e9), int(time[0] * 1e9)))

    def names() -> set[str]:
        time[0] += 2
        return {m.name for m in asyncio.run(files.current()).models}

    write(ROW + 'capability = "chat"')
    assert "a/m" not in {
        m.name for m in asyncio.run(files.current()).models
    }  # it is not looked at more than once a second
    assert "a/m" in names()
    write(ROW + "context = 1")
    assert "a/m" in names()
    assert "a/m" in names()
    assert caplog.text.count("the last good one stays") == 1
    path.unlink()
    assert "a/m" not in names()


def test_a_runtime_does_not_start_with_a_wrong_file(tmp_path: Path) -> None:
    (tmp_path / "catalogue.toml").write_text("[[model]\n")
    with pytest.raises(ConfigError, match=r"catalogue\.toml: not TOML"):
        CatalogueFiles(tmp_path)
