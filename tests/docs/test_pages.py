"""The Python examples of the framework pages run, in order and as they stand, on the embedded runtime."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PRINTS = {
    "langchain.md": [
        r"42",
        r"It is 36 metres high\.",
        r"local infrai-offline 0",
        r"Liis Tamm",
        r"\[\{'name': 'multiply', 'args': \{'a': 23, 'b': 7\}",
        r"161",
        r"name='Kõpu' height_m=36",
        r"#[0-9a-f]{6}",
        r"model +calls +prompt",
        r"arithmetic +2 ",
        r"(It is 36 metres high\.\n){2}",
        r"20 of 20\n.*361.* batch_",
        r"Tickets for the ferry cost four euros\.",
        r"image-[0-9a-f]{8}\.png",
        r"\['image/png'\]",
        r"\d\.\d+ \d\.\d+ \w+",
        r"True False (MODEL_)?NOT_FOUND",
    ],
    "llama_index.md": [
        r"30",
        r"It is 36 metres high\.\nlocal infrai-offline 0",
        r"\d+ tokens\nIt is 36 metres high\.\n\d+ tokens",
        r"(It is 36 metres high\.\nTrue\n){2}",
        r"multiply \{'a': 23, 'b': 7\}",
        r"161",
        r"Lighthouse\(name='Kõpu', height_m=36\)",
        r"#[0-9a-f]{6}",
        r"2 1024 infrai-keyword-1024",
        r"Tickets for the ferry cost four euros\. \['prices'\]",
        r"\d\.\d+ \d\.\d+ \w+",
        r"image-[0-9a-f]{8}\.png \['text', 'image'\]",
        r"capability +calls.*total +4 ",
        r"3 4",
        r"hello\nthe budget of 0\.5 USD is spent",
        r"MODEL_NOT_FOUND False",
    ],
}
"""Page -> what its examples print, as patterns in order."""


@pytest.mark.timeout(600)  # a whole page, models included, while other tests keep the machine busy
@pytest.mark.parametrize("page", PRINTS)
def test_the_examples_of_the_page_run(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text("utf-8"), re.S)
    environment = {**os.environ, "INFRAI_HOME": str(tmp_path), "INFRAI_BASE_URL": "embedded"}
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", "\n".join(blocks)]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    place = 0
    for pattern in PRINTS[page]:
        found = re.compile(pattern, re.S).search(ran.stdout, place)
        assert found, f"{pattern!r} is not in {ran.stdout[place:]}"
        place = found.end()
