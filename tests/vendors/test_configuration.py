from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from infrai_core.errors import ConfigError
from infrai_runtime.settings import Settings
from infrai_runtime.vendors import configured
from infrai_runtime.vendors.configuration import Entry, entries
from infrai_runtime.vendors.known import DIALECTS, KNOWN


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vendors.toml"
    path.touch(0o600)
    return path


def only(found: list[Entry]) -> Entry:
    (entry,) = found
    return entry


def test_the_usual_variables_configure_a_vendor(file: Path) -> None:
    entry = only(entries({"OPENAI_API_KEY": " sk-one, sk-two,sk-one ", "OPENAI_ORG_ID": "org"}, file))
    assert (entry.name, entry.base_url, entry.source) == ("openai", "https://api.openai.com/v1", "OPENAI_API_KEY")
    assert entry.keys == ("sk-one", "sk-two")
    assert entry.options == {"organization": "org"}
    assert "sk-one" not in repr(entry)


@pytest.mark.parametrize("name", [name for name, known in KNOWN.items() if known.base_url])
def test_every_known_vendor_is_configured_by_each_of_its_key_variables(name: str, file: Path) -> None:
    for variable in KNOWN[name].keys:
        entry = only(entries({variable: "k"}, file))
        assert (entry.name, entry.dialect, entry.keys) == (name, KNOWN[name].dialect, ("k",))
        assert entry.base_url.startswith("https://")


def test_an_empty_variable_configures_nothing(file: Path) -> None:
    assert entries({"OPENAI_API_KEY": "  ", "OLLAMA_HOST": ""}, file) == []


def test_a_base_url_in_the_environment_moves_a_vendor(file: Path) -> None:
    entry = only(entries({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://proxy.example/v1/"}, file))
    assert entry.base_url == "https://proxy.example/v1"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:11500", "http://127.0.0.1:11500/v1"),
        ("gpu-box", "http://gpu-box:11434/v1"),
        ("http://gpu-box:80/", "http://gpu-box:80/v1"),
        ("https://ollama.example/v1", "https://ollama.example:443/v1"),
        ("[::1]:7", "http://[::1]:7/v1"),
        (":11500", "http://127.0.0.1:11500/v1"),
        ("http://0.0.0.0", "http://127.0.0.1:11434/v1"),
    ],
)
def test_ollamas_host_has_many_forms(host: str, url: str, file: Path) -> None:
    entry = only(entries({"OLLAMA_HOST": host}, file))
    assert (entry.base_url, entry.keys, entry.source) == (url, (), "OLLAMA_HOST")


@pytest.mark.parametrize(
    "host", ["gpu-box:99999", "gpu-box:x", "http://[::1", "::1", "gpu box", "http://h?x=1", "http://"]
)
def test_an_ollama_host_that_is_none_names_its_variable(host: str, file: Path) -> None:
    with pytest.raises(ConfigError, match="OLLAMA_HOST: "):
        entries({"OLLAMA_HOST": host}, file)


@pytest.mark.parametrize(
    "text",
    [
        'key = "k"\nproxy = "http://user:hunter2@proxy:99999"',
        'key = "k"\nbase_url = "https://user:hunter2@x.example:99999"',
        'key_env = "sk-hunter2"',
        'key = "k"\nheaders = { X-Secret = "hunter2\\nX-More: 1" }',
    ],
)
def test_no_error_shows_what_may_be_secret(text: str, file: Path) -> None:
    file.write_text(f"[openai]\n{text}")
    with pytest.raises(ConfigError) as caught:
        entries({}, file)
    assert "hunter2" not in str(caught.value)


def test_a_byte_order_mark_is_no_mistake(file: Path) -> None:
    file.write_text('\ufeff[openai]\nkey = "k"')
    assert only(entries({}, file)).keys == ("k",)


def test_a_proxy_may_have_a_user(file: Path) -> None:
    file.write_text('[openai]\nkey = "k"\nproxy = "http://user:pass@proxy:3128"')
    assert only(entries({}, file)).proxy == "http://user:pass@proxy:3128"


def test_a_line_break_in_a_variable_is_an_error_that_names_it(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"OPENAI_ORG_ID: 'a\\nb' is not allowed"):
        entries({"OPENAI_API_KEY": "k", "OPENAI_ORG_ID": "a\nb"}, file)


def test_a_vendors_file_that_is_named_must_exist(tmp_path: Path) -> None:
    environ = {"INFRAI_HOME": str(tmp_path), "INFRAI_VENDORS_FILE": str(tmp_path / "vendor.toml")}
    with pytest.raises(ConfigError, match=r"INFRAI_VENDORS_FILE: .*vendor\.toml does not exist"):
        configured(Settings.from_environment(environ))


def test_the_file_goes_before_the_environment(file: Path) -> None:
    file.write_text('[openai]\nkeys = ["a", "b"]\nbase_url = "https://x.example"\n[groq]\nenabled = false\n')
    entry = only(entries({"OPENAI_API_KEY": "env", "GROQ_API_KEY": "env"}, file))
    assert (entry.keys, entry.base_url, entry.source) == (("a", "b"), "https://x.example", str(file))


def test_a_table_may_name_the_variable_of_its_key(file: Path) -> None:
    file.write_text('[openai]\nkey_env = ["ONE", "TWO"]\n[mistral]\n')
    openai, mistral = sorted(
        entries({"ONE": "1,2", "TWO": "3", "MISTRAL_API_KEY": "m"}, file), key=lambda e: e.name, reverse=True
    )
    assert openai.keys == ("1", "2", "3")
    assert mistral.keys == ("m",)


def test_any_other_name_is_a_vendor_with_a_dialect_and_an_address(file: Path) -> None:
    file.write_text(
        '[my-gateway]\ndialect = "openai"\nbase_url = "http://10.0.0.5:9/v1"\nallow_http = true\nkey = "k"\n'
        'headers = {X-Team = "a"}\n'
    )
    entry = only(entries({}, file))
    assert (entry.name, entry.dialect, entry.base_url) == ("my-gateway", "openai", "http://10.0.0.5:9/v1")
    assert entry.headers == {"X-Team": "a"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[openai", "is not TOML"),
        ('openai = "k"', "openai: every vendor is a table"),
        ('[openai]\nkye = "k"', r"\[openai\] kye: there is no such field; did you mean 'key'"),
        ("[openai]\nkeys = []", r"\[openai\] keys: this value is not allowed; allowed is a list of texts"),
        ("[openai]\nkey = 5", r"\[openai\] key: this value is not allowed; allowed is a text"),
        ('[openai]\nkey = "a"\nkeys = ["b"]', r"\[openai\] key: give one of"),
        ('[openai]\nallow_http = "yes"\nkey = "a"', r"\[openai\] allow_http: 'yes' is not allowed"),
        ("[openai]", r"\[openai\] key: is missing: .*OPENAI_API_KEY"),
        ('[openai]\nkey_env = "NOPE"', r"\[openai\] key_env: the variable NOPE is not set"),
        ('[openai]\nkey = "a"\nbase_url = "api.example"', r"\[openai\] base_url: 'api.example' is not a URL"),
        ('[openai]\nkey = "a"\nbase_url = "http://api.example"', r"\[openai\] base_url: .* unencrypted"),
        ('[openai]\nkey = "a"\nbase_url = "https://u:p@x.example"', r"\[openai\] base_url: a base URL has no user"),
        ('[openai]\nkey = "a"\nbase_url = "https://x.example?key=1"', r"\[openai\] base_url: a base URL has no"),
        ('[openai]\nkey = "a\\nb"', r"\[openai\] key: a key has printable ASCII"),
        ('[mine]\nbase_url = "https://x.example"', r"\[mine\] dialect: is missing; allowed is one of .*openai"),
        ('[mine]\ndialect = "nope"\nbase_url = "https://x.example"', r"\[mine\] dialect: 'nope' is not allowed"),
        ('[mine]\ndialect = "openai"', r"\[mine\] base_url: is missing"),
        ('[azure]\nkey = "a"', r"\[azure\] base_url: is missing, or set AZURE_OPENAI_ENDPOINT"),
        ('[mine]\ndialect = ["openai"]', r"\[mine\] dialect: \['openai'\] is not allowed; allowed is one of"),
        ('[openai]\nkey = "a"\nbase_url = "https://x. example"', r"\[openai\] base_url: a base URL has no .*space"),
        (
            '[openai]\nkey = "a"\nproxy = "proxy:3128"',
            r"\[openai\] proxy: .*allowed is the http:// or https:// address",
        ),
        ('[openai]\nkey = "a"\nproxy = "socks5://proxy:1"', r"\[openai\] proxy: .*allowed is the http:// or https://"),
        ('[openai]\nkey = "a"\nheaders = {"X A" = "b"}', r"\[openai\] headers: 'X A' cannot be sent"),
        ('[openai]\nkey = "a"\nheaders = {X-A = "b\\nc"}', r"\[openai\] headers: 'X-A' cannot be sent"),
        ('[openai]\nkey = "a"\nheaders = {content-length = "5"}', r"\[openai\] headers: 'content-length' is made"),
        ('[openai]\nkey = "a"\norganization = "b\\nc"', r"\[openai\] organization: .* printable ASCII"),
        ("[local]", r"\[local\]: this is the on-machine vendor"),
        ("[My]", r"\[My\]: a vendor's name"),
        ('[azure]\nkey = "a"\nbase_url = "https://x.example"\ndeployments = "x"', r"\[azure\] deployments: 'x' is not"),
    ],
)
def test_a_bad_entry_is_an_error_that_names_file_table_and_field(text: str, said: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        entries({}, file)
    assert str(file) in str(caught.value)


def test_a_plain_http_server_of_another_machine_may_be_used_without_a_key_only(file: Path) -> None:
    assert entries({"VLLM_BASE_URL": "http://gpu:8000/v1"}, file)
    with pytest.raises(ConfigError, match=r"VLLM_BASE_URL: .*unencrypted"):
        entries({"VLLM_BASE_URL": "http://gpu:8000/v1", "VLLM_API_KEY": "k"}, file)


def test_a_readable_file_with_keys_is_warned_about(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text('[openai]\nkey = "sk-secret"\n')
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        entries({}, file)
    assert "chmod 600" in caplog.text
    assert "sk-secret" not in caplog.text


def test_the_named_vendors_are_the_only_ones(file: Path) -> None:
    environ = {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"}
    assert [entry.name for entry in entries(environ, file, ("groq",))] == ["groq"]
    assert entries(environ, file, ("local",)) == []
    with pytest.raises(ConfigError, match="'grok' is no vendor; did you mean 'groq'"):
        entries(environ, file, ("grok",))


def test_without_a_vendor_key_there_is_the_machine_alone(tmp_path: Path) -> None:
    assert [vendor.name for vendor in configured(Settings.from_environment({"INFRAI_HOME": str(tmp_path)}))] == [
        "local"
    ]


def test_settings_that_do_not_come_from_an_environment_see_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    assert [vendor.name for vendor in configured(Settings(home=tmp_path))] == ["local"]


def test_the_environment_can_keep_everything_on_this_machine(tmp_path: Path) -> None:
    environ = {"INFRAI_HOME": str(tmp_path), "OPENAI_API_KEY": "sk-real", "INFRAI_VENDORS": "local"}
    settings = Settings.from_environment(environ)
    assert [vendor.name for vendor in configured(settings)] == ["local"]
    assert "sk-real" not in repr(settings)


def test_a_dialect_is_imported_only_when_it_is_configured() -> None:
    code = (
        "import sys; from pathlib import Path; from infrai_runtime.settings import Settings;"
        "from infrai_runtime.vendors import configured; configured(Settings(home=Path('/nonexistent')));"
        "print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert not loaded & {"aiohttp", *(dialect.factory.split(":")[0] for dialect in DIALECTS.values())}
