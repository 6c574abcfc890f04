"""The vendors that speak OpenAI's dialect, a row each. Addresses and key variables stand in ``vendors.known``."""

from __future__ import annotations

from dataclasses import replace

from infrai_runtime.vendors.openai_like.row import OPTIONS, Row
from infrai_runtime.vendors.service_tier import USUAL

_THINKERS = r"o\d|gpt-[5-9](?!.*chat)"
"""https://platform.openai.com/docs/guides/latest-model ("parameter compatibility"); for ``stop``
https://platform.openai.com/docs/api-reference/chat/create and https://github.com/huggingface/smolagents/issues/1893."""

_OPENAI = Row(
    page="https://platform.openai.com/docs/api-reference",
    embed="/embeddings",
    draw="/images/generations",
    speak="/audio/speech",
    listen="/audio/transcriptions",
    realtime="/realtime/client_secrets",
    batches="/batches",
    names={"max_tokens": "max_completion_tokens"},
    fixed_sampling=_THINKERS,
    fixed_stops=_THINKERS,
    strict_tools=True,
    custom_tools=True,
    reads=frozenset({"image", "audio", "file"}),
    vectors="base64",
    diarizes="-diarize",
    allowed_options=OPTIONS
    | {"store", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "verbosity", "prediction"}
    | {"web_search_options", "quality", "background", "output_format", "moderation", "style", "instructions"},
)

_LOCAL = Row(
    page="",
    embed="/embeddings",
    fetches=False,
    reasoning_back="reasoning_content",
    allowed_options=OPTIONS | {"top_k", "min_p", "repeat_penalty", "repetition_penalty", "chat_template_kwargs"},
)

PLAIN = Row(page="https://platform.openai.com/docs/api-reference/chat", embed="/embeddings", fetches=False)
"""Any other server: what it has beyond chat and embeddings is said with ``like``."""

_QWEN_BATCHES = (
    r"qwen3\.[5-8]-(max|plus|flash|omni-.*)|qwen3-(max|vl-plus|vl-flash)|qwen-(max|plus|flash|turbo|long)(-latest)?"
    r"|qwen-vl-.*|deepseek-(r1|v3|v3\.2)"
)
"""https://help.aliyun.com/zh/model-studio/batch-interfaces-compatible-with-openai: of all regions; one that a region
lacks fails there as a job and is run on the usual way."""

ROWS: dict[str, Row] = {
    "openai": _OPENAI,
    "azure": replace(
        _OPENAI,
        page="https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle",
        auth=("api-key", ""),
    ),
    "deepseek": Row(
        page="https://api-docs.deepseek.com/api/create-chat-completion",
        refuses=frozenset({"seed", "user", "parallel_tool_calls", "choices"}),
        structured="object",
        effort="effort_or_off",
        reasoning_back="reasoning_content",
    ).with_options("thinking"),
    "mistral": Row(
        page="https://docs.mistral.ai/api",
        embed="/embeddings",
        speak="/audio/speech",
        listen="/audio/transcriptions",
        batches="/batch/jobs",
        batch_words="mistral",
        names={"seed": "random_seed"},
        refuses=frozenset({"user", "logprobs", "top_logprobs"}),
        required_tool="any",
        stream_usage=False,
        reads=frozenset({"image", "audio", "file"}),
        user_names=False,
        short_call_ids=True,
        reasoning_back="content",
        voice="",
        voice_field="voice_id",
        speaks_as="mistral",
        sound_field="audio_data",
        speech_formats=frozenset({"mp3", "opus", "flac", "wav", "pcm"}),
        verbose="$^",
    ).with_options("safe_prompt", "prompt_mode", "prompt_cache_key", "prediction"),
    "groq": Row(
        page="https://console.groq.com/docs/openai",
        speak="/audio/speech",
        listen="/audio/transcriptions",
        batches="/batches",
        names={"max_tokens": "max_completion_tokens"},
        refuses=frozenset({"logprobs", "top_logprobs", "choices"}),
        user_names=False,
        usual_tiers=USUAL | {"flex"},  # https://console.groq.com/docs/flex-processing
        voice="troy",
        speech_formats=frozenset({"wav"}),
    ).with_options("reasoning_format", "include_reasoning", "search_settings", "compound_custom"),
    "xai": Row(
        page="https://docs.x.ai/docs/api-reference",
        draw="/images/generations",
        speak="/tts",
        listen="/stt",
        realtime="/realtime/client_secrets",
        batches="/batches",
        batch_words="xai",
        names={"max_tokens": "max_completion_tokens"},
        fixed_stops="grok(?!.*non-reasoning)",  # https://docs.x.ai/docs/guides/reasoning
        cost=("cost_in_usd_ticks",),  # https://docs.x.ai/developers/cost-tracking
        cost_units=10**10,
        image_format="b64_json",
        image_size="",
        verbose="$^",
        listens_as="xai",
        listens_to=frozenset({"language"}),
        speaks_as="xai",
        voice="eve",
        speech_formats=frozenset({"mp3", "wav", "pcm"}),
    ).with_options(
        *("language", "optimize_streaming_latency", "text_normalization"),
        *("search_parameters", "deferred", "format", "keyterm", "diarize", "filler_words", "multichannel", "channels"),
        *("audio_format", "sample_rate"),
    ),
    "together": Row(
        page="https://docs.together.ai/reference/chat-completions-1",
        embed="/embeddings",
        draw="/images/generations",
        speak="/audio/speech",
        listen="/audio/transcriptions",
        rerank="/rerank",
        batches="/batches",
        batch_words="together",
        refuses=frozenset({"user", "parallel_tool_calls"}),
        image_format="base64",
        image_size="width_height",
        voice="tara",
        speech_formats=frozenset({"mp3", "wav"}),
    ).with_options("top_k", "min_p", "repetition_penalty", "safety_model", "steps", "reasoning"),
    "fireworks": Row(
        page="https://docs.fireworks.ai/api-reference/post-chatcompletions",
        embed="/embeddings",
        rerank="/rerank",
        batches="/batchInferenceJobs",
        batch_words="fireworks",
        reasoning_back="reasoning_content",
    ).with_options(
        "top_k", "min_p", "repetition_penalty", "context_length_exceeded_behavior", "prompt_cache_isolation_key"
    ),
    "openrouter": Row(
        page="https://openrouter.ai/docs/api-reference/overview",
        embed="/embeddings",
        batches="/batches",
        batch_words="openrouter",
        effort="reasoning.effort",
        strict_tools=True,
        reads=frozenset({"image", "audio", "file", "video"}),
        reasoning_back="reasoning_details",
        marks_cache=True,
        cost=("cost",),
    ).with_options("provider", "plugins", "transforms", "reasoning", "verbosity", "top_k", "min_p", "top_a"),
    "moonshot": Row(
        page="https://platform.moonshot.ai/docs/api/chat",
        batches="/batches",
        batch_words="moonshot",
        batch_models=r"kimi-k2\.[56]",  # https://platform.kimi.ai/docs/guide/use-batch-api
        names={"max_tokens": "max_completion_tokens"},
        refuses=frozenset({"seed", "logprobs", "top_logprobs", "user", "parallel_tool_calls", "choices"}),
        fixed_sampling="kimi",
        structured="object",
        reads=frozenset({"image", "video"}),
        fetches=False,
        effort="effort_or_off",
        reasoning_back="reasoning_content",
    ).with_options("thinking", "prompt_cache_key"),
    "zhipu": Row(
        page="https://docs.z.ai/api-reference/llm/chat-completion",
        embed="/embeddings",
        draw="/images/generations",
        listen="/audio/transcriptions",
        rerank="/rerank",
        batches="/batches",
        batch_words="zhipu",
        names={"user": "user_id"},
        refuses=frozenset({"seed", "logprobs", "top_logprobs", "parallel_tool_calls", "choices"}),
        structured="object",
        stream_usage=False,
        reads=frozenset({"image", "video"}),
        effort="thinking",
        reasoning_back="reasoning_content",
        verbose="$^",
        listens_as="plain",
        listens_to=frozenset({"prompt"}),  # https://docs.z.ai/api-reference/audio/audio-transcriptions
    ).with_options("thinking", "do_sample", "request_id", "quality"),
    "dashscope": Row(
        page="https://www.alibabacloud.com/help/en/model-studio/use-qwen-by-calling-api",
        embed="/embeddings",
        draw="/services/aigc/multimodal-generation/generation",
        drawn_in_messages=True,
        speak="/services",
        speaks_as="dashscope",
        most_texts=10,
        batches="/batches",
        batch_words="dashscope",
        batch_models=_QWEN_BATCHES,
        refuses=frozenset({"user"}),
        structured="object",
        reads=frozenset({"image", "audio", "video"}),
        marks_cache=True,
    ).with_options(
        *(
            "enable_thinking",
            "thinking_budget",
            "enable_search",
            "search_options",
            "top_k",
            "vl_high_resolution_images",
        ),
        *("negative_prompt", "prompt_extend", "watermark", "seed"),
        *(
            "language_type",
            "language_hints",
            "sample_rate",
            "volume",
            "pitch",
            "bit_rate",
            "instruction",
            "instructions",
        ),
    ),
    "perplexity": Row(
        page="https://docs.perplexity.ai/api-reference/chat-completions-post",
        embed="/v1/embeddings",
        vectors="base64_int8",
        most_texts=100,  # it takes 512, but no more than 120,000 tokens in all
        refuses=frozenset({"stop", "seed", "user", "logprobs", "top_logprobs", "parallel_tool_calls", "choices"}),
        stream_usage=False,
        end_mark=False,
        thinks_in_text=True,
        cost=("cost", "total_cost"),
    ).with_options(
        *("search_mode", "search_domain_filter", "search_recency_filter", "web_search_options", "return_images"),
        *("return_related_questions", "search_after_date_filter", "search_before_date_filter", "disable_search"),
    ),
    "ollama": replace(
        _LOCAL,
        page="https://docs.ollama.com/api/openai-compatibility",
        refuses=frozenset({"user", "choices", "tool_choice", "parallel_tool_calls"}),
        reasoning_back="reasoning",
    ),
    "vllm": replace(
        _LOCAL,
        page="https://docs.vllm.ai/en/stable/serving/openai_compatible_server/",
        listen="/audio/transcriptions",
        rerank="/rerank",
        reads=frozenset({"image", "audio", "video"}),
    ).with_options("guided_json", "guided_regex", "guided_choice", "structured_outputs", "stop_token_ids"),
    "llamacpp": replace(
        _LOCAL,
        page="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
        rerank="/rerank",
        reads=frozenset({"image", "audio"}),
    ).with_options("grammar", "cache_prompt", "id_slot", "mirostat", "reasoning_format"),
    "lmstudio": replace(
        _LOCAL, page="https://lmstudio.ai/docs/developer/openai-compat", refuses=frozenset({"user", "choices"})
    ).with_options("ttl"),
}
