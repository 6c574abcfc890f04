"""Vendors behind ``litellm`` and ``any-llm``, in their own environment (`scripts/peers clients`): what they make of a
server's bytes is what our own dialect makes of them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infrai_core.errors import ConfigError
from infrai_runtime.vendors import made
from infrai_runtime.vendors.configuration import Entry, entries
from tests.peers.test_clients import HERE, PYTHON
from tests.vendors.fake import KEY, Fake, Said, says, serving, streams
from tests.vendors.openai_answers import OPENAI, USAGE

ANSWER = OPENAI["parallel tool calls, one without arguments"]
CALLS = [("call_1", "get_weather", '{"city": "Paris", "unit": "°C"}'), ("call_2", "now", "{}")]

needs_peers = pytest.mark.skipif(
    not PYTHON.exists() and not os.environ.get("CI"), reason="`scripts/peers clients` was not run"
)


class Both(Fake):
    """Answers whole and streamed, as it is asked."""

    def answer(self, seen: Any) -> Said:
        found = super().answer(seen)
        if found.status == 200 and seen.body.get("stream"):
            cut = seen.path.startswith("/cut")
            return streams(ANSWER.chunks[:3] if cut else ANSWER.chunks, mark=not cut)
        return found


@pytest.fixture(scope="module", params=["litellm", "any-llm"])
def got(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the vendor's events said."""
    said = says(ANSWER.completion)
    with serving(Both({"/v1/chat/completions": said, "/cut/v1/chat/completions": said})) as fake:
        source = str(HERE.parents[1] / "src")
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path_factory.mktemp("home")), "PYTHONPATH": source}
        command = [str(PYTHON), str(HERE / "long_tail_client.py"), request.param, fake.url, KEY]
        done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@needs_peers
@pytest.mark.parametrize("how", ["whole", "streamed", "rotated"])
def test_an_answer_is_that_of_our_own_dialect(got: dict[str, Any], how: str) -> None:
    parts, finish = got[how]["parts"], got[how]["finish"]
    calls = [(part["id"], part["name"], part["arguments"]) for part in parts if part["type"] == "tool_call"]
    assert (parts[0]["text"], calls, finish["reason"]) == ("Let me look.", CALLS, "tool_calls")
    assert finish["usage"]["total_tokens"] == USAGE["total_tokens"]


@needs_peers
def test_a_refused_key_and_a_cut_stream_are_told(got: dict[str, Any]) -> None:
    assert got["refused"]["code"] == "UNAUTHORIZED"
    assert "revoked" not in got["refused"]["message"]
    assert got["cut"]["code"] == "VENDOR_ERROR"
    assert got["can"] == [True, True, False]


def test_a_missing_package_is_an_error_that_names_the_extra() -> None:
    with pytest.raises(ConfigError, match=r'\[mine\] dialect: .*pip install "infrai-integrations\[litellm\]"'):
        made([Entry("mine", "litellm", "", "vendors.toml")])


def test_a_library_knows_where_its_vendors_are(tmp_path: Path) -> None:
    file = tmp_path / "vendors.toml"
    file.write_text('[mine]\ndialect = "any-llm"\nprovider = "bedrock"\n')
    (entry,) = entries({}, file)
    assert (entry.dialect, entry.base_url, entry.options) == ("any-llm", "", {"provider": "bedrock"})
