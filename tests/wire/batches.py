"""How the SDKs of Zhipu, OpenRouter and Fireworks read batches; not in ``readers``, since importing them takes long."""

from __future__ import annotations

from typing import Any

from fireworks.pagination import SyncCursorAccounts
from fireworks.types import Account, BatchInferenceJob
from fireworks.types.chat import CompletionCreateResponse
from openrouter.components import BatchListResponse, BatchObject
from pydantic import BaseModel
from zai.types.batch import Batch as ZhipuBatch
from zai.types.chat.chat_completion import Completion

from tests.wire.readers import BatchRow


def zhipu_batches(body: Any) -> Any:
    """A batch, or a list of them."""
    listed = body.get("object") == "list"
    return [ZhipuBatch.model_validate(row) for row in body["data"]] if listed else ZhipuBatch.model_validate(body)


def zhipu_rows(line: Any) -> Any:
    """A line of a batch's output (https://docs.bigmodel.cn/cn/guide/tools/batch)."""
    row = BatchRow.model_validate(line)
    return Completion.model_validate(row.response.body) if row.response and row.response.status_code == 200 else row


def openrouter_batches(body: Any) -> Any:
    """A batch with its results, or a list of them without."""
    kind: Any = BatchListResponse if body.get("object") == "list" else BatchObject
    return kind.model_validate(body)


def fireworks_job(body: Any) -> Any:
    """A job; what its deletion answers is empty (https://docs.fireworks.ai/api-reference/delete-batch-inference-job)."""
    return BatchInferenceJob.model_validate(body) if body else None


def fireworks_accounts(body: Any) -> Any:
    """As ``client.accounts.list`` does."""
    return SyncCursorAccounts[Account].model_validate(body)


class FireworksRow(BaseModel, extra="forbid"):
    """A line of a data set of results: a completion in ``response``, or what went wrong in ``error``. No page shows
    one; https://docs.fireworks.ai/guides/batch-inference says that both kinds are there."""

    custom_id: str
    response: CompletionCreateResponse | None = None
    error: dict[str, Any] | None = None
