"""How official SDKs read what they have no single type for."""

from __future__ import annotations

import base64
from array import array
from typing import Any, Literal

from google.genai import batches, types
from google.genai.models import _EmbedContentResponse_from_mldev, _GenerateContentResponse_from_mldev
from mistralai.client.models import BatchJob, ListBatchJobsResponse
from openai.types import Batch, CreateEmbeddingResponse, FileDeleted, FileObject, ImagesResponse, Model
from openai.types.audio import Transcription, TranscriptionDiarized, TranscriptionVerbose
from openai.types.chat import ChatCompletion
from openai.types.chat import chat_completion_chunk as completion_chunk
from pydantic import BaseModel
from zai.types.chat.chat_completion_chunk import ChatCompletionChunk


def anything(body: Any) -> Any:
    """Sounds and pictures."""
    return body


def gemini_response(body: Any) -> Any:
    """As ``client.models.generate_content`` does, which leaves out what it does not know."""
    _known(types.GenerateContentResponse, body)
    for candidate in body.get("candidates", ()):
        _known(types.Candidate, candidate)
    return types.GenerateContentResponse.model_validate(_GenerateContentResponse_from_mldev(body))


def _known(kind: type[BaseModel], body: Any) -> None:
    unknown = body.keys() - {field.alias for field in kind.model_fields.values()}
    if unknown:
        raise ValueError(f"unknown to {kind.__name__}: {', '.join(sorted(unknown))}")


def gemini_vectors(body: Any) -> Any:
    """As ``client.models.embed_content`` does."""
    return types.EmbedContentResponse.model_validate(_EmbedContentResponse_from_mldev(body))


def gemini_token(body: Any) -> Any:
    """As ``client.auth_tokens.create`` does."""
    return types.AuthToken.model_validate(body)


def gemini_batch(body: Any) -> Any:
    """As ``client.batches`` does; what a cancellation answers is empty."""
    return types.BatchJob.model_validate(batches._BatchJob_from_mldev(body)) if body else None


def gemini_batches(body: Any) -> Any:
    """As ``client.batches.list`` does."""
    return types.ListBatchJobsResponse.model_validate(batches._ListBatchJobsResponse_from_mldev(body))


class BatchRow(BaseModel, extra="forbid"):
    """A line of a batch's output (https://platform.openai.com/docs/api-reference/batch/request-output); the SDK gives
    the file's text."""

    class Response(BaseModel, extra="forbid"):
        status_code: int
        request_id: str
        body: Any

    class Error(BaseModel, extra="forbid"):
        code: str
        message: str

    id: str
    custom_id: str
    response: Response | None
    error: Error | None


def openai_chunk(body: Any) -> Any:
    """A chunk; its client hands out the pieces of a custom call as they come, and has a type for functions alone."""
    choices = [choice | {"delta": _functions_of(choice["delta"])} for choice in body["choices"]]
    return completion_chunk.ChatCompletionChunk.model_validate(body | {"choices": choices})


def _functions_of(delta: Any) -> Any:
    calls = delta.get("tool_calls") or []
    for call in calls:
        if "custom" in call:
            CustomPiece.model_validate(call)
    functions = [call for call in calls if "custom" not in call]
    return {**delta, "tool_calls": functions} if calls else delta


def openai_rows(line: Any) -> Any:
    """A line of a batch's output: its answer is one of the interface that the batch was for."""
    row = BatchRow.model_validate(line)
    return ChatCompletion.model_validate(row.response.body) if row.response and row.response.status_code == 200 else row


def openai_batches(body: Any) -> Any:
    """A batch, or a list of them."""
    return [Batch.model_validate(row) for row in body["data"]] if body.get("object") == "list" else Batch(**body)


def openai_file(body: Any) -> Any:
    """A file, or that it was deleted; Azure adds the statuses in which it is still read."""
    if "deleted" in body:
        return FileDeleted.model_validate(body)
    return FileObject.model_validate(body | ({"status": "uploaded"} if body.get("status") == "pending" else {}))


def openai_vectors(body: Any) -> Any:
    """As ``client.embeddings.create`` does: vectors in base64 become numbers."""
    rows = [row | {"embedding": _numbers(row["embedding"])} for row in body["data"]]
    return CreateEmbeddingResponse.model_validate(body | {"data": rows})


def _numbers(vector: Any) -> Any:
    return list(array("f", base64.b64decode(vector))) if isinstance(vector, str) else vector


Heard = Transcription | TranscriptionVerbose | TranscriptionDiarized
"""What ``client.audio.transcriptions.create`` gives, by the format that was asked for."""


class Models(BaseModel):
    """``client.models.list``."""

    object: str
    data: list[Model]


# -- vendors without an SDK of their own for these; their pages' words, and nothing else


class _Exact(BaseModel, extra="forbid"):
    """As a page has it."""


class Row(_Exact):
    index: int
    relevance_score: float
    document: Any = None


class Ranking(_Exact):
    """https://docs.together.ai/reference/rerank-1"""

    object: str = "rerank"
    id: str | None = None
    model: str | None = None
    results: list[Row]
    usage: dict[str, int] | None = None


class CustomPiece(_Exact):
    """https://platform.openai.com/docs/guides/function-calling#custom-tools; openai 3.57 has the whole of it,
    ``ChatCompletionMessageCustomToolCall``."""

    class Custom(_Exact):
        input: str
        name: str | None = None

    index: int
    custom: Custom
    id: str | None = None
    type: Literal["custom"] | None = None


class JinaRanking(_Exact):
    """https://api.jina.ai/redoc#tag/rerank"""

    model: str
    object: str
    usage: dict[str, int]
    results: list[Row]


class VoyageRanking(_Exact):
    """https://docs.voyageai.com/reference/reranker-api; the SDK has no types, its ``RerankingObject`` reads these."""

    object: str
    data: list[Row]
    model: str
    usage: dict[str, int]


class VoyageRow(_Exact):
    object: str
    embedding: list[float] | str
    index: int


class VoyageVectors(_Exact):
    """https://docs.voyageai.com/reference/embeddings-api; the SDK's ``EmbeddingsObject`` reads it without types."""

    object: str
    data: list[VoyageRow]
    model: str
    usage: dict[str, int]


class XaiWord(_Exact):
    text: str
    start: float
    end: float
    speaker: int | None = None


class XaiHeard(_Exact):
    """https://docs.x.ai/developers/rest-api-reference/inference/speech-to-text"""

    text: str
    language: str
    duration: float
    words: list[XaiWord] | None = None


def xai_images(body: Any) -> Any:
    """OpenAI's shape with a usage of its own (https://docs.x.ai/developers/cost-tracking)."""
    if (body.get("usage") or {}).keys() - {"cost_in_usd_ticks"}:
        raise ValueError("usage: cost_in_usd_ticks alone is documented")
    return ImagesResponse.model_validate({name: value for name, value in body.items() if name != "usage"})


class XaiFile(BaseModel):
    """https://docs.x.ai/developers/files"""

    id: str


class XaiState(_Exact):
    num_requests: int
    num_pending: int
    num_success: int
    num_error: int
    num_cancelled: int


class XaiBatch(_Exact):
    """https://docs.x.ai/developers/advanced-api-usage/batch-api"""

    batch_id: str
    name: str
    state: XaiState
    create_time: str | None = None
    expire_time: str | None = None
    cancel_time: str | None = None
    cancel_by_xai_message: str | None = None


def xai_batches(body: Any) -> Any:
    """A batch, or a page of them."""
    return [XaiBatch(**row) for row in body["batches"]] if "batches" in body else XaiBatch(**body)


class _XaiError(_Exact):
    code: int
    message: str


class _XaiResult(_Exact):
    response: dict[str, ChatCompletion] | None = None
    error: _XaiError | None = None


class _XaiRow(_Exact):
    batch_request_id: str
    batch_result: _XaiResult


class _XaiPage(_Exact):
    results: list[_XaiRow]
    pagination_token: str | None


def xai_page(body: Any) -> Any:
    """A page of results; its answers are chat completions."""
    return _XaiPage(**body)


class ZhipuHeard(_Exact):
    """https://docs.z.ai/api-reference/audio/audio-transcriptions"""

    id: str
    created: int
    request_id: str
    model: str
    text: str


class TogetherImage(_Exact):
    index: int
    type: Literal["b64_json", "url"]
    b64_json: str | None = None
    url: str | None = None


class TogetherImages(_Exact):
    """together 3.1: types/image_file.py"""

    id: str
    model: str
    object: Literal["list"]
    data: list[TogetherImage]


class TogetherVector(_Exact):
    object: Literal["embedding"]
    index: int
    embedding: list[float]


class TogetherVectors(_Exact):
    """together 3.1: types/embedding.py; it tells no usage."""

    object: Literal["list"]
    model: str
    data: list[TogetherVector]


class TogetherSegment(_Exact):
    id: int
    start: float
    end: float
    text: str


class TogetherHeard(_Exact):
    """together 3.1: types/audio/transcription_create_response.py"""

    text: str
    language: str | None = None
    duration: float | None = None
    segments: list[TogetherSegment] | None = None
    words: list[dict[str, Any]] | None = None


class TogetherFile(BaseModel):
    """https://docs.together.ai/reference/upload-file"""

    id: str
    object: str
    purpose: str
    filename: str


class TogetherJob(_Exact):
    """https://docs.together.ai/reference/batch-create"""

    id: str
    user_id: str
    input_file_id: str
    status: str
    endpoint: str
    progress: float
    model_id: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    file_size_bytes: int | None = None
    job_deadline: str | None = None
    created_at: str | None = None
    completed_at: str | None = None
    error: str | None = None


def together_job(body: Any) -> Any:
    """A new job stands in ``job``, later it is told as it is."""
    return TogetherJob(**body.get("job", body))


def zhipu_chunk(body: Any) -> Any:
    """As the SDK reads it, whose type asks for a field that no chunk has."""
    return ChatCompletionChunk.model_validate(body | {"extra_json": {}})


def mistral_jobs(body: Any) -> Any:
    """A new job, or a list of them."""
    kind: Any = ListBatchJobsResponse if "data" in body else BatchJob
    return kind.model_validate(body)


def dashscope_output(body: Any) -> Any:
    """As the SDK's calls read it: ``DashScopeAPIResponse`` takes output and usage as they are."""
    missing = {"output", "usage", "request_id"} - body.keys()
    if missing:
        raise ValueError(f"missing: {', '.join(sorted(missing))}")
    return body


class SpeechEvent(BaseModel):
    """A piece of streamed speech (https://platform.openai.com/docs/api-reference/audio/speech-audio-delta-event)."""

    type: str
