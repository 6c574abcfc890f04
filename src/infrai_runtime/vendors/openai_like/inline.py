"""Jobs that have their requests and their results inside, as OpenRouter has them
(https://openrouter.ai/docs/guides/features/batch-api)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from infrai_runtime.vendors.base import Call, Request, Result
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.openai_like.batch import ENDPOINT, Batches


class InlineBatches(Batches):
    """Runs many chats as one job, at one of the providers behind the vendor."""

    def takes(self, request: Request, call: Call) -> bool:
        """Texts and images by URL, which is all that every provider behind it takes, and no preferences of routing: a
        job goes to one provider."""
        parts = (part for message in request["messages"] for part in message.get("parts") or ())
        plain = all(part["type"] not in _MEDIA or _is_image_by_url(part) for part in parts)
        return plain and not _SYNC_ONLY & call.options.keys()

    async def submit(self, requests: Sequence[Request], call: Call) -> str:
        """Starts the job; its id."""
        body = {"endpoint": ENDPOINT, "model": self.model(call), "requests": await self.lines(requests, call)}
        batch = await self.http.post(self.row.batches, body, call)
        with documented(self.http):
            return str(batch["id"])

    async def results(self, job: str, call: Call) -> AsyncGenerator[Result, None]:
        """The rows that a job has when it has ended."""
        batch = await self.job(job, call)
        for row in batch.get("results") or ():
            for result in self.result(row, "custom_id"):
                yield result

    async def cancel(self, job: str, call: Call) -> None:
        """Nothing: there is no way to stop a job, so what it does will be read and paid."""


_MEDIA = frozenset({"image", "audio", "file", "video"})
_SYNC_ONLY = frozenset({"provider", "plugins", "transforms"})


def _is_image_by_url(part: Mapping[str, Any]) -> bool:
    return part["type"] == "image" and str(part.get("url", "")).startswith(("http://", "https://"))
