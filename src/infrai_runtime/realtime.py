"""Tokens of realtime voice sessions: a signed note of which session it opens and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infrai_runtime import identity
from infrai_runtime.failure import Failure
from infrai_runtime.request import Ask
from infrai_runtime.sign import Signer
from infrai_runtime.trace import Trace
from infrai_runtime.wire import Json

DEFAULT_TTL_S = 600
PURPOSE = "realtime"


def rfc3339(seconds: float) -> str:
    """A time since the epoch as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def session_data(signer: Signer, ask: Ask, trace: Trace, opened: Mapping[str, Any], now: float) -> Json:
    """Reply data of ``/realtime/token``: session, ICE servers, token, expiry.

    A vendor's own token is handed on with the address that it is for; else the token is one of this runtime.
    """
    if "token" in opened:
        return _vendors_session(opened)
    ttl_s = ask.body.get("ttl_seconds", DEFAULT_TTL_S)
    session = {
        "session_id": f"sess_{identity.request_id()}",
        "project_id": trace.caller.project_id,
        "vendor": trace.vendor,
        "model": trace.model,
        "voice": ask.body.get("voice"),
        "expires_at": rfc3339(now + ttl_s),
    }
    token = signer.sign({"purpose": PURPOSE, **session}, ttl_s)
    return {
        "session_id": session["session_id"],
        "ice_servers": opened["ice_servers"],
        "token": token,
        "expires_at": session["expires_at"],
        "model": trace.model,
    }


def _vendors_session(opened: Mapping[str, Any]) -> Json:
    return {
        "session_id": opened.get("session_id") or f"sess_{identity.request_id()}",
        "ice_servers": opened["ice_servers"],
        "token": opened["token"],
        "expires_at": rfc3339(opened["expires_at"]),
        "url": opened["url"],
        "model": opened["model"],
    }


def session_of(signer: Signer, token: str) -> Json:
    """The session that a token opens. Raises UNAUTHORIZED when it is expired, altered or for something else."""
    session = signer.verify(token)
    if session.get("purpose") != PURPOSE:
        raise Failure("UNAUTHORIZED", "this token opens no realtime session")
    names = ("session_id", "vendor", "model", "voice", "expires_at")
    return {name: session.get(name) for name in names}
