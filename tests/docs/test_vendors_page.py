"""docs/vendors.md says what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from infrai_runtime.vendors import made
from infrai_runtime.vendors.base import CAPABILITIES
from infrai_runtime.vendors.configuration import Entry, entries
from infrai_runtime.vendors.known import DIALECTS, KNOWN

PAGE = (Path(__file__).parents[2] / "docs" / "vendors.md").read_text("utf-8")


@pytest.mark.parametrize("name", KNOWN)
def test_the_table_has_every_vendor_with_its_variables_and_capabilities(name: str) -> None:
    known = KNOWN[name]
    (vendor,) = made([Entry(name, known.dialect, known.base_url or "http://127.0.0.1:1", "page")])
    can = ", ".join(capability for capability, protocol in CAPABILITIES.items() if isinstance(vendor, protocol))
    keys, urls = (", ".join(f"`{variable}`" for variable in names) for names in (known.keys, known.urls))
    assert f"\n| {name} | {keys} | {urls} | {can} |\n" in PAGE


def test_the_example_file_is_right(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "vendors.toml"
    file.write_text(example)
    file.chmod(0o600)
    environ = dict.fromkeys(("TEAM_MISTRAL_KEY", "AZURE_OPENAI_API_KEY", "GATEWAY_KEY", "GROQ_API_KEY"), "k")
    found = {entry.name for entry in entries(environ, file)}
    assert found == tomllib.loads(example).keys() - {"groq"}


def test_every_field_of_the_file_is_on_the_page() -> None:
    options = {option for dialect in DIALECTS.values() for option in dialect.options}
    assert all(f"`{option}`" in PAGE for option in options)
