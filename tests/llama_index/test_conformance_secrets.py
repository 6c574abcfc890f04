from __future__ import annotations

from pydantic import SecretStr

from llama_index_infrai.testing.suite import secrets_in


def test_secrets_are_known_by_the_names_of_their_arguments() -> None:
    params = {
        "api_key": "one-key",
        "access_token": SecretStr("two-token"),
        "default_headers": {"x-anything": "three-header"},
        "max_tokens": None,
        "monkey": "banana",
        "key": 4,
        "password": "abc",
    }
    assert secrets_in(params) == ["one-key", "two-token", "three-header"]
