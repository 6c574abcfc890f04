"""Signed, short-lived notes: realtime tokens and links to media. HMAC-SHA-256 with a secret that stays on disk."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from infrai_core.errors import ConfigError
from infrai_runtime.failure import Failure

SECRET_BYTES = 32


class Signer:
    """Signs and checks. ``repr`` does not show the secret."""

    def __init__(self, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._now = now

    def __repr__(self) -> str:
        return "Signer(…)"

    def mac(self, text: str) -> str:
        """The signature of a text, safe in URLs."""
        return _b64(hmac.new(self._secret, text.encode(), hashlib.sha256).digest())

    def matches(self, text: str, signature: str) -> bool:
        """Whether the signature is the text's; takes the same time for every wrong one."""
        return hmac.compare_digest(self.mac(text).encode(), signature.encode())

    def sign(self, payload: Mapping[str, Any], ttl_s: float) -> str:
        """A token that holds the payload, readable but not changeable, for ``ttl_s`` seconds."""
        body = {**payload, "exp": self._now() + ttl_s}
        text = _b64(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
        return f"{text}.{self.mac(text)}"

    def verify(self, token: str) -> dict[str, Any]:
        """The payload of a token. Raises UNAUTHORIZED when it was altered or its time is over."""
        text, _, signature = token.partition(".")
        if not self.matches(text, signature):
            raise Failure("UNAUTHORIZED", "the token is not valid")
        try:
            payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, ValueError):
            raise Failure("UNAUTHORIZED", "the token is not valid") from None
        if payload.pop("exp") <= self._now():
            raise Failure("UNAUTHORIZED", "the token has expired")
        return payload


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def load(home: Path) -> Signer:
    """The signer of a home directory; its secret is made once, readable by its owner only. Raises ``ConfigError`` for
    one that everybody could guess: a file that a crash of the machine or a full disk left empty."""
    path = home / "signing.key"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        return Signer(_secret(path))
    # A draft is linked into place, so that everybody who starts at the same time agrees on one whole secret.
    descriptor, draft = tempfile.mkstemp(prefix="signing.key.", dir=home)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())  # the name must not reach the disk before the secret does
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
    return Signer(_secret(path))


def _secret(path: Path) -> bytes:
    secret = path.read_bytes()
    if len(secret) < SECRET_BYTES:
        what = f"{path} holds {len(secret)} bytes, allowed are {SECRET_BYTES} and more"
        raise ConfigError(f"{what}; without the file a new one is made, and links and tokens of the old one end")
    return secret
