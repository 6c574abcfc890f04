"""Project keys: made, hashed and checked. Only hashes are stored; a key has 256 bits of chance, so SHA-256 will do."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import NamedTuple

from infrai_runtime.eligible import EVERYTHING, Allowed
from infrai_runtime.failure import Failure
from infrai_runtime.settings import Settings
from infrai_runtime.store.durable import ANYTHING, Durable, Policy

PREFIX = "ifr_pk_proj_"


class Caller(NamedTuple):
    """Who calls: a project, and the key it used (None where none is needed)."""

    project_id: str
    key_id: str | None = None
    trial: bool = False
    policy: Policy = ANYTHING

    @property
    def allowed(self) -> Allowed:
        """Which models and vendors the key may use."""
        models, vendors = self.policy.models, self.policy.vendors
        if not models and not vendors:
            return EVERYTHING
        return Allowed(frozenset(models) or None, frozenset(vendors) or None)


EMBEDDED = Caller("embedded")
LOCAL = Caller("local")


def mint_key() -> str:
    """A new key. It is shown once and never stored."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


async def authenticate(
    durable: Durable, authorization: str | None, settings: Settings, *, embedded: bool = False
) -> Caller:
    """Who calls. Raises UNAUTHORIZED for a missing, unknown, expired or revoked key.

    The lookup is by hash, so its time tells nothing about the key.
    """
    if embedded:
        return EMBEDDED
    if settings.no_auth:
        return LOCAL
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        message = "no API key: send the header Authorization: Bearer <key>"
        raise Failure("UNAUTHORIZED", message, hint="`infrai activate` makes one")
    row = await durable.find_key(hash_key(key))
    if row is None or row.ended(time.time()):
        raise Failure("UNAUTHORIZED", "the API key is unknown, expired or revoked")
    return Caller(row.project_id, row.key_id, row.trial, row.policy)
