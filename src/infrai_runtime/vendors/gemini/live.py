"""Short-lived tokens for the Live API (https://ai.google.dev/gemini-api/docs/ephemeral-tokens)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infrai_runtime.vendors.base import Request

Json = dict[str, Any]

PATH = "/v1alpha/auth_tokens"
USUAL_S = 600
LONGEST_S = 20 * 3600 - 60
SESSION_S = 1800
"""How long a session that was opened in time may go on: the API's own usual time."""
_SOCKET = "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained"


def body_of(request: Request, model: str, now: float) -> tuple[Json, float]:
    """The body that asks for a token of one session, and until when that session may be opened."""
    until = now + min(request.get("ttl_seconds", USUAL_S), LONGEST_S)
    setup: Json = {"model": f"models/{model.removeprefix('models/')}"}
    if "voice" in request:
        voice = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": request["voice"]}}}
        setup["generationConfig"] = {"responseModalities": ["AUDIO"], "speechConfig": voice}
    times = {"newSessionExpireTime": _time(until), "expireTime": _time(max(until, now + SESSION_S))}
    return {"uses": 1, **times, "bidiGenerateContentSetup": setup}, until


def session_of(answer: Mapping[str, Any], base_url: str, until: float) -> Json:
    """What a client connects with: its token is the ``access_token`` of the socket's address."""
    address = base_url.replace("http", "ws", 1) + _SOCKET
    return {"ice_servers": [], "token": str(answer["name"]), "expires_at": until, "url": address}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
