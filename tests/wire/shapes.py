"""What each vendor answers on each path, where that is said, and how its official SDK reads it.

A vendor whose page says to use ``openai`` with another base URL is read by ``openai``; what its page has beyond is
named. A new path of a fake service needs a line here, or every test that serves it fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from tests.wire.judge import Reads, Shape, called, typed

OPENAI_SDK, ANTHROPIC_SDK, GEMINI_SDK = "openai 3.57", "anthropic 2.14", "google-genai 3.6"
DAY = "2026-11-27"
"""When the pages without an SDK of their own were read last."""

_OPENAI = "https://platform.openai.com/docs/api-reference"
_BYTES = called("tests.wire.readers:anything")
_COMPLETION, _CHUNK = typed("openai.types.chat:ChatCompletion"), called("tests.wire.readers:openai_chunk")
_VECTORS = called("tests.wire.readers:openai_vectors")

CHAT = Shape(f"{_OPENAI}/chat/object, .../chat-streaming", OPENAI_SDK, _COMPLETION, _CHUNK)
EMBEDDINGS = Shape(f"{_OPENAI}/embeddings/create", OPENAI_SDK, _VECTORS)
IMAGES = Shape(f"{_OPENAI}/images/create", OPENAI_SDK, typed("openai.types:ImagesResponse"))
SPEECH = Shape(f"{_OPENAI}/audio/createSpeech", OPENAI_SDK, _BYTES, typed("tests.wire.readers:SpeechEvent"))
HEARD = Shape(
    f"{_OPENAI}/audio/createTranscription", OPENAI_SDK, typed("tests.wire.readers:Heard"), None, frozenset({"task"})
)
SECRETS = Shape(
    f"{_OPENAI}/realtime-sessions/create-realtime-client-secret",
    OPENAI_SDK,
    typed("openai.types.realtime:ClientSecretCreateResponse"),
)
FILES = Shape(f"{_OPENAI}/files/object", OPENAI_SDK, called("tests.wire.readers:openai_file"))
BATCHES = Shape(f"{_OPENAI}/batch/object", OPENAI_SDK, called("tests.wire.readers:openai_batches"))
ROWS = Shape(f"{_OPENAI}/batch/request-output", OPENAI_SDK, called("tests.wire.readers:openai_rows"))
MODELS = Shape(f"{_OPENAI}/models/list", OPENAI_SDK, typed("tests.wire.readers:Models"))

Shapes = tuple[tuple[str, Shape], ...]


def like_openai(
    page: str, *beyond: str, prefix: str = "/v1", others: Mapping[str, Shape] = MappingProxyType({})
) -> Shapes:
    """A vendor whose page says that its chat and vectors are read by ``openai``, with what it has beyond."""
    chat = replace(CHAT, source=page, beyond=frozenset(beyond))
    given = {"chat/completions": chat, "embeddings": replace(EMBEDDINGS, beyond=frozenset(beyond)), "models": MODELS}
    return tuple((f"{prefix}/{path}", shape) for path, shape in {**given, **others}.items())


def own(page: str, reads: Reads, event: Reads | None = None, seen: str = DAY, *beyond: str) -> Shape:
    """A shape of a vendor's own."""
    return Shape(page, seen, reads, event, frozenset(beyond))


_BATCH: dict[str, Shape] = {
    "batches(/[^/]+)?(/cancel)?": BATCHES,
    "files(/[^/]+)?": FILES,
    "files/[^/]+/content": ROWS,
}
_MEDIA: dict[str, Shape] = {"audio/speech": SPEECH, "audio/transcriptions": HEARD, "images/generations": IMAGES}
_ALL: dict[str, Shape] = {**_BATCH, **_MEDIA, "realtime/client_secrets": SECRETS}

# https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat has annotations in streams too
_STREAMED = ("annotations", "audio", "obfuscation")
_GROQ = "groq 1.7: src/groq/types"
_MISTRAL = "mistralai 3.7: src/mistralai/client/models"
_CLAUDE = "https://platform.claude.com/docs/en/api/messages"
_GEMINI = "https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse"
_COHERE = "https://docs.cohere.com/reference"
_FIREWORKS = "https://docs.fireworks.ai/api-reference"
_DASHSCOPE = "https://www.alibabacloud.com/help/en/model-studio"

SHAPES: dict[str, Shapes] = {
    "openai": like_openai(CHAT.source, *_STREAMED, others=_ALL),
    "azure": like_openai(
        "https://learn.microsoft.com/azure/foundry/openai/latest",
        *("prompt_filter_results", "content_filter_results"),
        prefix=r"/openai(/v1|/deployments/[^/]+)?",
        others=_ALL,
    ),
    "anthropic": (
        (
            "/v1/messages",
            own(
                f"{_CLAUDE}/create",
                typed("anthropic.types:Message"),
                typed("anthropic.types:RawMessageStreamEvent"),
                ANTHROPIC_SDK,
            ),
        ),
        (
            "/v1/messages/batches(/[^/]+)?(/cancel)?",
            own(f"{_CLAUDE}/batches/create", typed("anthropic.types.messages:MessageBatch"), None, ANTHROPIC_SDK),
        ),
        (
            "/v1/messages/batches/[^/]+/results",
            own(
                f"{_CLAUDE}/batches/results",
                typed("anthropic.types.messages:MessageBatchIndividualResponse"),
                None,
                ANTHROPIC_SDK,
            ),
        ),
    ),
    "gemini": (
        (
            "/v1beta/models/[^/]+:(stream)?[gG]enerateContent",
            own(_GEMINI, called("tests.wire.readers:gemini_response"), None, GEMINI_SDK),
        ),
        (
            "/v1beta/models/[^/]+:batchEmbedContents",
            own(
                "https://ai.google.dev/api/embeddings#method:-models.batchembedcontents",
                called("tests.wire.readers:gemini_vectors"),
                None,
                GEMINI_SDK,
            ),
        ),
        (
            "/v1beta/(models/[^/]+:batchGenerateContent|batches/[^/]+)",
            own("https://ai.google.dev/api/batch-api", called("tests.wire.readers:gemini_batch"), None, GEMINI_SDK),
        ),
        (
            "/v1beta/batches",
            own(
                "https://ai.google.dev/api/batch-api#method:-batches.list",
                called("tests.wire.readers:gemini_batches"),
                None,
                GEMINI_SDK,
            ),
        ),
        (
            "/v1alpha/auth_tokens",
            own("https://ai.google.dev/api/live#auth-tokens", called("tests.wire.readers:gemini_token")),
        ),
    ),
    "cohere": (
        (
            "/v2/chat",
            own(
                f"{_COHERE}/chat, https://docs.cohere.com/v2/docs/streaming",
                typed("cohere:V2ChatResponse"),
                typed("cohere.v2:V2ChatStreamResponse"),
                "cohere 7.3",
                *("content", "tool_plan", "tool_calls", "citations"),  # of message-start, in the guide
            ),
        ),
        ("/v2/rerank", own(f"{_COHERE}/rerank", typed("cohere:V2RerankResponse"), None, "cohere 7.3")),
        ("/v2/embed", own(f"{_COHERE}/embed", typed("cohere:EmbedByTypeResponse"), None, "cohere 7.3")),
    ),
    "voyage": (
        (
            "/v1/embeddings",
            own("https://docs.voyageai.com/reference/embeddings-api", typed("tests.wire.readers:VoyageVectors")),
        ),
        (
            "/v1/rerank",
            own("https://docs.voyageai.com/reference/reranker-api", typed("tests.wire.readers:VoyageRanking")),
        ),
    ),
    "jina": (
        ("/v1/embeddings", own("https://api.jina.ai/redoc#tag/embeddings", _VECTORS, None, DAY)),
        ("/v1/rerank", own("https://api.jina.ai/redoc#tag/rerank", typed("tests.wire.readers:JinaRanking"))),
    ),
    "deepseek": like_openai(
        "https://api-docs.deepseek.com/api/create-chat-completion",
        *("reasoning_content", "prompt_cache_hit_tokens", "prompt_cache_miss_tokens"),
    ),
    "mistral": (
        (
            "/v1/chat/completions",
            own(
                f"{_MISTRAL}/chatcompletionresponse.py, completionchunk.py",
                typed("mistralai.client.models:ChatCompletionResponse"),
                typed("mistralai.client.models:CompletionChunk"),
                "mistralai 3.7",
                # https://docs.mistral.ai/studio-api/conversations/advanced/prompt-caching
                *("prompt_tokens_details", "completion_tokens_details"),
            ),
        ),
        (
            "/v1/embeddings",
            own(
                f"{_MISTRAL}/embeddingresponse.py",
                typed("mistralai.client.models:EmbeddingResponse"),
                None,
                "mistralai 3.7",
            ),
        ),
        (
            "/v1/audio/transcriptions",
            own(
                f"{_MISTRAL}/transcriptionresponse.py",
                typed("mistralai.client.models:TranscriptionResponse"),
                None,
                "mistralai 3.7",
            ),
        ),
        (
            "/v1/audio/speech",
            own(
                f"{_MISTRAL}/speechresponse.py", typed("mistralai.client.models:SpeechResponse"), None, "mistralai 3.7"
            ),
        ),
        (
            "/v1/files",
            own(
                f"{_MISTRAL}/createfileresponse.py",
                typed("mistralai.client.models:CreateFileResponse"),
                None,
                "mistralai 3.7",
            ),
        ),
        ("/v1/files/[^/]+/content", own("https://docs.mistral.ai/capabilities/batch", _BYTES)),
        (
            "/v1/batch/jobs",
            own(f"{_MISTRAL}/batchjob.py, listbatchjobsresponse.py", called("tests.wire.readers:mistral_jobs")),
        ),
        (
            "/v1/batch/jobs/[^/]+(/cancel)?",
            own(f"{_MISTRAL}/batchjob.py", typed("mistralai.client.models:BatchJob"), None, "mistralai 3.7"),
        ),
    ),
    "groq": (
        (
            "(/openai)?/v1/chat/completions",
            own(
                f"{_GROQ}/chat/chat_completion.py, chat_completion_chunk.py",
                typed("groq.types.chat:ChatCompletion"),
                typed("groq.types.chat:ChatCompletionChunk"),
                "groq 1.7",
                "channel",  # https://console.groq.com/docs/reasoning
            ),
        ),
        ("(/openai)?/v1/audio/speech", own(f"{_GROQ}/audio/speech_create_params.py", _BYTES, None, "groq 1.7")),
        (
            "(/openai)?/v1/audio/transcriptions",
            own(
                f"{_GROQ}/audio/transcription.py",
                typed("groq.types.audio:Transcription"),
                None,
                "groq 1.7",
                # verbose_json: https://console.groq.com/docs/speech-to-text
                *("task", "language", "duration", "segments", "words", "x_groq"),
            ),
        ),
        (
            "(/openai)?/v1/batches(/[^/]+)?(/cancel)?",
            own(f"{_GROQ}/batch_retrieve_response.py", typed("groq.types:BatchRetrieveResponse"), None, "groq 1.7"),
        ),
        (
            "(/openai)?/v1/files",
            own(f"{_GROQ}/file_create_response.py", typed("groq.types:FileCreateResponse"), None, "groq 1.7"),
        ),
        ("(/openai)?/v1/files/[^/]+/content", replace(ROWS, source="https://console.groq.com/docs/batch")),
    ),
    "openrouter": (
        (
            "/v1/chat/completions",
            own(
                "https://openrouter.ai/docs/api-reference/overview; openrouter 1.3: components/chatresult.py",
                typed("openrouter.components:ChatResult"),
                typed("openrouter.components:ChatStreamChunk"),
                "openrouter 1.3",
            ),
        ),
        (
            "/v1/embeddings",
            own(
                "https://openrouter.ai/docs/api/reference/embeddings; openrouter 1.3: operations/createembeddings.py",
                typed("openrouter.operations:CreateEmbeddingsResponseBody"),
                None,
                "openrouter 1.3",
            ),
        ),
        (
            "/v1/batches(/[^/]+)?",
            own(
                "https://openrouter.ai/docs/api/api-reference/batch/get-a-batch; components/batchobject.py",
                called("tests.wire.batches:openrouter_batches"),
                None,
                "openrouter 1.3",
            ),
        ),
    ),
    "xai": (
        *like_openai(
            "https://docs.x.ai/developers/rest-api-reference/inference/chat",
            *("reasoning_content", "text_tokens", "image_tokens", "cost_in_usd_ticks"),
            others={
                "images/generations": own(
                    "https://docs.x.ai/developers/cost-tracking", called("tests.wire.readers:xai_images")
                ),
                "realtime/client_secrets": own("https://docs.x.ai/docs/guides/voice/agent", _BYTES),
            },
        ),
        ("/v1/tts", own("https://docs.x.ai/developers/model-capabilities/audio/text-to-speech", _BYTES)),
        (
            "/v1/stt",
            own(
                "https://docs.x.ai/developers/rest-api-reference/inference/speech-to-text",
                typed("tests.wire.readers:XaiHeard"),
            ),
        ),
        ("/v1/files", own("https://docs.x.ai/developers/files", typed("tests.wire.readers:XaiFile"))),
        (
            "/v1/batches(/[^/]+)?",
            own(
                "https://docs.x.ai/developers/advanced-api-usage/batch-api",
                called("tests.wire.readers:xai_batches"),
            ),
        ),
        (
            "/v1/batches/[^/]+/results",
            own(
                "https://docs.x.ai/developers/advanced-api-usage/batch-api",
                called("tests.wire.readers:xai_page"),
            ),
        ),
    ),
    "zhipu": (
        (
            "/v1/chat/completions",
            own(
                "https://docs.z.ai/api-reference/llm/chat-completion; zai-sdk 0.2: types/chat",
                typed("zai.types.chat.chat_completion:Completion"),
                called("tests.wire.readers:zhipu_chunk"),
                "zai-sdk 0.2",
            ),
        ),
        (
            "/v1/images/generations",
            own(
                "https://docs.z.ai/api-reference/image/generate-image; zai-sdk 0.2: types/image",
                typed("zai.types.image.image:ImagesResponded"),
                None,
                "zai-sdk 0.2",
            ),
        ),
        (
            "/v1/embeddings",
            own(
                "https://docs.bigmodel.cn/cn/guide/models/embedding/embedding-3; zai-sdk 0.2: types/embeddings",
                typed("zai.types.embeddings:EmbeddingsResponded"),
                None,
                "zai-sdk 0.2",
            ),
        ),
        (
            "/v1/audio/transcriptions",
            own(
                "https://docs.z.ai/api-reference/audio/audio-transcriptions",  # the SDK reads it as a chat's answer
                typed("tests.wire.readers:ZhipuHeard"),
            ),
        ),
        (
            "/v1/files",
            own(
                "https://docs.bigmodel.cn/cn/guide/tools/batch; zai-sdk 0.2: types/files/file_object.py",
                typed("zai.types.files:FileObject"),
                None,
                "zai-sdk 0.2",
            ),
        ),
        (
            "/v1/batches(/[^/]+)?(/cancel)?",
            own(
                "https://docs.bigmodel.cn/cn/guide/tools/batch; zai-sdk 0.2: types/batch/batch.py",
                called("tests.wire.batches:zhipu_batches"),
                None,
                "zai-sdk 0.2",
            ),
        ),
        (
            "/v1/files/[^/]+/content",
            own(
                "https://docs.bigmodel.cn/cn/guide/tools/batch",
                called("tests.wire.batches:zhipu_rows"),
                None,
                "zai-sdk 0.2",
            ),
        ),
    ),
    "perplexity": (
        (
            "(/v1)?/chat/completions|/v1/sonar",
            own(
                "https://docs.perplexity.ai/api-reference/chat-completions-post; types/stream_chunk.py",
                typed("perplexity.types:StreamChunk"),
                typed("perplexity.types:StreamChunk"),
                "perplexityai 0.46",
            ),
        ),
        (
            "/v1/embeddings",
            own(
                "https://docs.perplexity.ai/api-reference/embeddings-post",
                typed("perplexity.types:EmbeddingCreateResponse"),
                None,
                "perplexityai 0.46",
            ),
        ),
    ),
    "moonshot": like_openai(
        "https://platform.moonshot.ai/docs/api/chat",
        *("reasoning_content", "cached_tokens"),
        others={
            path: replace(shape, source="https://platform.kimi.ai/docs/guide/use-batch-api")
            for path, shape in _BATCH.items()
        },
    ),
    "dashscope": (
        *like_openai(f"{_DASHSCOPE}/compatibility-of-openai-with-dashscope", "reasoning_content", others=_BATCH),
        (
            "/api/v1/services/.+",
            own(f"{_DASHSCOPE}/qwen-image-api, .../qwen-tts-api", called("tests.wire.readers:dashscope_output")),
        ),
    ),
    "together": (
        *like_openai(
            "https://docs.together.ai/reference/chat-completions-1",
            *("prompt", "warnings", "seed", "reasoning", "index"),  # together 3.1: types/chat, types/tool_choice.py
            others=_MEDIA
            | {
                "images/generations": own(
                    "https://docs.together.ai/reference/post-images-generations",
                    typed("tests.wire.readers:TogetherImages"),
                ),
                "embeddings": own(
                    "https://docs.together.ai/reference/embeddings", typed("tests.wire.readers:TogetherVectors")
                ),
                "audio/transcriptions": own(
                    "https://docs.together.ai/reference/audio-transcriptions",
                    typed("tests.wire.readers:TogetherHeard"),
                ),
            },
        ),
        ("/v1/rerank", own("https://docs.together.ai/reference/rerank-1", typed("tests.wire.readers:Ranking"))),
        (
            "/v1/files/upload",
            own("https://docs.together.ai/reference/upload-file", typed("tests.wire.readers:TogetherFile")),
        ),
        (
            "/v1/batches(/[^/]+)?(/cancel)?",
            own("https://docs.together.ai/reference/batch-create", called("tests.wire.readers:together_job")),
        ),
        (
            "/v1/files/[^/]+/content",
            own("https://docs.together.ai/docs/inference/batch/manage", _BYTES),
        ),
    ),
    "fireworks": (
        (
            "(/inference)?/v1/chat/completions",
            own(
                "https://docs.fireworks.ai/api-reference/post-chatcompletions; fireworks-ai 1.2: types/chat",
                typed("fireworks.types.chat:CompletionCreateResponse"),
                typed("fireworks.types.chat:ChatCompletionChunk"),
                "fireworks-ai 1.2",
                "index",  # of a call in a stream: https://docs.fireworks.ai/guides/function-calling
            ),
        ),
        ("/v1/embeddings", replace(EMBEDDINGS, source="https://docs.fireworks.ai/guides/querying-embeddings-models")),
        (
            "/v1/accounts",
            own(
                f"{_FIREWORKS}/list-accounts",
                called("tests.wire.batches:fireworks_accounts"),
                None,
                "fireworks-ai 1.2",
            ),
        ),
        (
            "/v1/accounts/[^/]+/datasets(/[^/:]+)?",
            own(f"{_FIREWORKS}/get-dataset", typed("fireworks.types:Dataset"), None, "fireworks-ai 1.2"),
        ),
        (
            "/v1/accounts/[^/]+/datasets/[^/]+:upload",
            own(
                f"{_FIREWORKS}/upload-dataset-files",
                typed("fireworks.types:DatasetUploadResponse"),
                None,
                "fireworks-ai 1.2",
            ),
        ),
        (
            "/v1/accounts/[^/]+/datasets/[^/]+:getDownloadEndpoint",
            own(
                f"{_FIREWORKS}/get-dataset-download-endpoint",
                typed("fireworks.types:DatasetGetDownloadEndpointResponse"),
                None,
                "fireworks-ai 1.2",
            ),
        ),
        (
            "/v1/accounts/[^/]+/batchInferenceJobs(/[^/]+)?",
            own(
                f"{_FIREWORKS}/get-batch-inference-job",
                called("tests.wire.batches:fireworks_job"),
                None,
                "fireworks-ai 1.2",
            ),
        ),
        (
            "/dataset/.+",
            own("https://docs.fireworks.ai/guides/batch-inference", typed("tests.wire.batches:FireworksRow")),
        ),
    ),
    "ollama": like_openai("https://docs.ollama.com/api/openai-compatibility", "reasoning"),
    "vllm": like_openai("https://docs.vllm.ai/en/stable/serving/openai_compatible_server/", "reasoning_content"),
    "llamacpp": like_openai("https://github.com/ggml-org/llama.cpp/tree/master/tools/server", "reasoning_content"),
    "lmstudio": like_openai("https://lmstudio.ai/docs/developer/openai-compat", "reasoning_content"),
}
"""Vendor -> (pattern of a path, what is answered there). The first that fits counts."""

ERRORS: dict[str, str] = {
    "openai": "https://platform.openai.com/docs/guides/error-codes",
    "azure": "https://learn.microsoft.com/azure/foundry/openai/concepts/content-filter",
    "anthropic": "https://platform.claude.com/docs/en/api/errors",
    "gemini": "https://ai.google.dev/gemini-api/docs/troubleshooting",
    "cohere": "https://docs.cohere.com/reference/errors",
    "voyage": "https://docs.voyageai.com/docs/error-codes",
    "jina": "https://api.jina.ai/redoc",
    "deepseek": "https://api-docs.deepseek.com/quick_start/error_codes",
    "mistral": "https://docs.mistral.ai/api",
    "groq": "https://console.groq.com/docs/errors",
    "openrouter": "https://openrouter.ai/docs/api-reference/errors",
    "xai": "https://docs.x.ai/docs/key-information/debugging",
    "zhipu": "https://docs.z.ai/api-reference/api-code",
    "perplexity": "https://docs.perplexity.ai/guides/perplexity-sdk-error-handling",
    "moonshot": "https://platform.moonshot.ai/docs/api/chat",
    "dashscope": f"{_DASHSCOPE}/error-code",
    "together": "https://docs.together.ai/docs/error-codes",
    "fireworks": "https://docs.fireworks.ai/guides/inference-error-codes",
    "ollama": "https://docs.ollama.com/api/errors",
    "vllm": "https://docs.vllm.ai/en/stable/serving/openai_compatible_server/",
    "llamacpp": "https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    "lmstudio": "https://lmstudio.ai/docs/developer/openai-compat",
}
"""Vendor -> the page of its errors."""
