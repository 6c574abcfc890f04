"""Realtime sessions: a short-lived key for a browser
(https://platform.openai.com/docs/api-reference/realtime-sessions/create-realtime-client-secret)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infrai_runtime.vendors.base import Call, Request
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.openai_like.chat import Base

SHORTEST_S, LONGEST_S = 10, 7200
"""What the vendor allows for the life of a secret."""


class Opens(Base):
    """Opens realtime voice sessions."""

    async def open(self, request: Request, call: Call) -> Mapping[str, Any]:
        """``token``, ``expires_at`` (seconds since the epoch), ``session_id`` where the vendor names it, ``url`` to
        connect to. The vendor's WebRTC endpoint is reachable without relays, so there are no ICE servers."""
        session: dict[str, Any] = {"type": "realtime", "model": self.model(call)}
        if "voice" in request:
            session["audio"] = {"output": {"voice": request["voice"]}}
        body: dict[str, Any] = {"session": session}
        if "ttl_seconds" in request:
            seconds = min(max(request["ttl_seconds"], SHORTEST_S), LONGEST_S)
            body["expires_after"] = {"anchor": "created_at", "seconds": seconds}
        answer = await self.http.post(self.row.realtime, body | dict(call.options), call)
        with documented(self.http):
            opened = {"ice_servers": [], "token": str(answer["value"]), "expires_at": float(answer["expires_at"])}
            session_id = (answer.get("session") or {}).get("id")
        named = {"session_id": session_id} if session_id else {}
        return opened | named | {"url": self._url()}

    def _url(self) -> str:
        base = self.http.endpoint.base_url
        return f"{base}{self.row.realtime.rpartition('/')[0]}/calls"
