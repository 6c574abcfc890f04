"""Answers of ``/chat/completions``, in the shapes that the vendors' pages and the SDKs' tests show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

FINGERPRINT = "fp_44709d6fcb"


@dataclass(frozen=True)
class Answer:
    """A vendor's answer. ``source`` is where its shape comes from; ``chunks`` are the same told as a stream."""

    source: str
    vendor: str
    completion: Json
    chunks: list[Json]


def completion(message: Json, finish: str = "stop", usage: Any = None, model: str = "gpt-5.2", **more: Any) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion", "created": 1741569952}
    tail = {"usage": usage or USAGE, "service_tier": "default", "system_fingerprint": FINGERPRINT}
    return head | {"model": model, "choices": [choice]} | tail | more


def chunk(
    delta: Json | None, finish: str | None = None, usage: Any = None, model: str = "gpt-5.2", **more: Any
) -> Json:
    head = {"id": "chatcmpl-123", "object": "chat.completion.chunk", "created": 1694268190, "model": model}
    rows = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    return head | {"system_fingerprint": FINGERPRINT, "choices": rows, "usage": usage} | more


def text_chunks(*texts: str) -> Iterator[Json]:
    yield chunk({"role": "assistant", "content": "", "refusal": None})
    yield from (chunk({"content": text}) for text in texts)


# https://platform.openai.com/docs/api-reference/chat/object
USAGE = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 3,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
WEATHER = {"name": "get_weather", "arguments": '{"city": "Paris", "unit": "°C"}'}
LOGPROBS = {
    "content": [
        {
            "token": "Hello",
            "logprob": -0.31725305,
            "bytes": [72, 101],
            "top_logprobs": [{"token": "Hi", "logprob": -1.3}],
        }
    ],
    "refusal": None,
}
CITATION = {
    "type": "url_citation",
    "url_citation": {"start_index": 0, "end_index": 5, "title": "A page", "url": "https://example.com/a"},
}


def call(index: int | None, call_id: str | None, name: str | None, arguments: str) -> Json:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    head: Json = {} if index is None else {"index": index}
    return head | ({"id": call_id, "type": "function"} if call_id else {}) | {"function": function}


def _with_logprobs(row: Json) -> Json:
    return row | {"choices": [row["choices"][0] | {"logprobs": LOGPROBS}]}


OPENAI: dict[str, Answer] = {
    "text": Answer(
        "https://platform.openai.com/docs/api-reference/chat-streaming",
        "openai",
        completion({"content": "Hello! How can I help? 你好 🦝", "refusal": None, "annotations": []}),
        [*text_chunks("Hello! How", " can I help?", " 你好 🦝"), chunk({}, "stop"), chunk(None, usage=USAGE)],
    ),
    "cut by length": Answer(
        "https://platform.openai.com/docs/api-reference/chat/object",
        "openai",
        completion({"content": "Once upon", "refusal": None}, "length"),
        [*text_chunks("Once upon"), chunk({}, "length"), chunk(None, usage=USAGE)],
    ),
    "refusal": Answer(
        "https://platform.openai.com/docs/guides/structured-outputs#refusals",
        "openai",
        completion({"content": None, "refusal": "I'm sorry, I cannot assist with that."}),
        [
            chunk({"role": "assistant", "content": None, "refusal": "I'm sorry, I"}),
            chunk({"refusal": " cannot assist with that."}),
            chunk({}, "stop"),
            chunk(None, usage=USAGE),
        ],
    ),
    "one tool call": Answer(
        "https://platform.openai.com/docs/guides/function-calling#streaming",
        "openai",
        completion(
            {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": WEATHER}]}, "tool_calls"
        ),
        [
            chunk({"role": "assistant", "content": None, "tool_calls": [call(0, "call_1", "get_weather", "")]}),
            chunk({"tool_calls": [call(0, None, None, '{"city": "Pa')]}),
            chunk({"tool_calls": [call(0, None, None, 'ris", "unit": "°C"}')]}),
            chunk({}, "tool_calls"),
            chunk(None, usage=USAGE),
        ],
    ),
    "parallel tool calls, one without arguments": Answer(
        "https://platform.openai.com/docs/guides/function-calling#parallel-function-calling",
        "openai",
        completion(
            {
                "content": "Let me look.",
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": WEATHER},
                    {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
                ],
            },
            "tool_calls",
        ),
        [
            *text_chunks("Let me ", "look."),
            chunk({"tool_calls": [call(0, "call_1", "get_weather", "")]}),
            chunk({"tool_calls": [call(0, None, None, '{"city": "Paris",')]}),
            chunk({"tool_calls": [call(1, "call_2", "now", "")]}),
            chunk({"tool_calls": [call(0, None, None, ' "unit": "°C"}'), call(1, None, None, "{}")]}),
            chunk({}, "tool_calls"),
            chunk(None, usage=USAGE),
        ],
    ),
    "logprobs": Answer(
        "https://platform.openai.com/docs/api-reference/chat/create (logprobs example)",
        "openai",
        _with_logprobs(completion({"content": "Hello"})),
        [_with_logprobs(chunk({"role": "assistant", "content": "Hello"})), chunk({}, "stop"), chunk(None, usage=USAGE)],
    ),
    "citations": Answer(
        "https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat",
        "openai",
        completion({"content": "Hello, see there.", "annotations": [CITATION]}),
        [
            *text_chunks("Hello, see there."),
            chunk({"annotations": [CITATION]}),
            chunk({}, "stop"),
            chunk(None, usage=USAGE),
        ],
    ),
    "filtered": Answer(
        "https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter",
        "azure",
        completion({"content": "Well", "refusal": None}, "content_filter"),
        [
            # Azure's first chunk has no choices and says how the prompt was filtered.
            chunk(None) | {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
            *text_chunks("Well"),
            chunk({}, "content_filter"),
            chunk(None, usage=USAGE),
        ],
    ),
}
"""Name -> an answer that the official SDK understands whole and streamed."""


def plain_usage(prompt: int = 7, completion: int = 5, **more: Any) -> Mapping[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion} | more


DEEPSEEK_USAGE = plain_usage(
    prompt_cache_hit_tokens=3, prompt_cache_miss_tokens=4, completion_tokens_details={"reasoning_tokens": 2}
)
PERPLEXITY_USAGE = plain_usage(
    search_context_size="low",
    num_search_queries=2,
    cost={"input_tokens_cost": 0.00002, "output_tokens_cost": 0.00026, "request_cost": 0.006, "total_cost": 0.00628},
)
OPENROUTER_USAGE = plain_usage(
    cost=0.95, cost_details={"upstream_inference_cost": 19}, prompt_tokens_details={"cached_tokens": 2}
)
XAI_USAGE = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "completion_tokens_details": {"reasoning_tokens": 94},
    "prompt_tokens_details": {"text_tokens": 32, "cached_tokens": 6},
}
THOUGHTS = [
    {"type": "reasoning.text", "text": "Let me ", "format": "anthropic-claude-v1", "index": 0, "signature": None},
    {"type": "reasoning.text", "text": "think.", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "signature": "EqQBCg==", "format": "anthropic-claude-v1", "index": 0},
]
THOUGHT = {
    "type": "reasoning.text",
    "text": "Let me think.",
    "format": "anthropic-claude-v1",
    "index": 0,
    "signature": "EqQBCg==",
}
RESULTS = [
    {"title": "One", "url": "https://one.example", "date": "2026-01-02"},
    {"title": "Two", "url": "https://two.example", "date": None},
]


SOURCES = ["https://one.example", "https://two.example"]


def perplexity_answer(text: str, delta: str, finish: str | None = None, **more: Any) -> Json:
    """Whole and streamed alike: what came so far, and what is new."""
    said = {"message": {"role": "assistant", "content": text}, "delta": {"role": "assistant", "content": delta}}
    head = {"id": "8e7b0f4f", "object": "chat.completion", "created": 1741569952, "model": "sonar-pro"}
    usage = {"usage": PERPLEXITY_USAGE} if finish else {}
    return head | {"choices": [{"index": 0, "finish_reason": finish, **said}], **usage, **more}


THOUGHT_IN_TEXT = '<think>\nSo… think.</think>\n\n{"n": 42}'
STEP = {
    "thought": "So… think.",
    "type": "web_search",
    "web_search": {"search_keywords": ["42"], "search_results": []},
}


def with_steps(answer: Json, name: str) -> Json:
    """An answer of Perplexity's with a step in its message, or in what is new."""
    (choice,) = answer["choices"]
    return answer | {"choices": [choice | {name: choice[name] | {"reasoning_steps": [STEP]}}]}


def zhipus(row: Json) -> Json:
    """What Zhipu does not say."""
    return {n: v for n, v in row.items() if n not in ("object", "service_tier", "system_fingerprint")} | {
        "choices": [{n: v for n, v in choice.items() if n != "logprobs"} for choice in row["choices"]]
    }


ZHIPU_USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def _stream(*deltas: Json, finish: str = "stop", usage: Any = None, **more: Any) -> list[Json]:
    return [*(chunk(delta, **more) for delta in deltas), chunk({"content": ""}, finish, usage, **more)]


@dataclass(frozen=True)
class Quirk:
    """A vendor's own way, and the parts, reason, usage and cost that it means."""

    source: str
    vendor: str
    completion: Json
    chunks: list[Json]
    parts: list[Json]
    usage: Json
    reason: str = "stop"
    cost_usd: float | None = None
    mark: bool = True
    faithful: bool = True
    """The vendor still answers so."""


def _usage(**more: Any) -> Json:
    return {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12} | more


GROQ = {"service_tier": "on_demand"}
EXECUTED = {"index": 0, "type": "search", "arguments": '{"query": "raccoons"}', "output": "Title: Raccoon"}
DOCUMENT = {"type": "document_url", "document_url": "https://example.com/a.pdf"}
REASONED = [{"type": "reasoning", "text": "So… think."}, {"type": "text", "text": "42."}]

QUIRKS: dict[str, Quirk] = {
    "deepseek: reasoning_content": Quirk(
        "https://api-docs.deepseek.com/guides/thinking_mode",
        "deepseek",
        completion({"content": "42.", "reasoning_content": "So… think."}, usage=DEEPSEEK_USAGE),
        _stream(
            {"role": "assistant", "content": None, "reasoning_content": "So…"},
            {"content": None, "reasoning_content": " think."},
            {"content": "42.", "reasoning_content": None},
            usage=DEEPSEEK_USAGE,
        ),
        REASONED,
        _usage(prompt_tokens_details={"cached_tokens": 3}, completion_tokens_details={"reasoning_tokens": 2}),
    ),
    "openrouter: reasoning_details and cost": Quirk(
        "https://openrouter.ai/docs/use-cases/reasoning-tokens, https://openrouter.ai/docs/use-cases/usage-accounting",
        "openrouter",
        completion(
            {"content": "42.", "reasoning": "Let me think.", "reasoning_details": [THOUGHT]}, usage=OPENROUTER_USAGE
        ),
        [
            chunk({"role": "assistant", "content": "", "reasoning": "Let me ", "reasoning_details": [THOUGHTS[0]]}),
            chunk({"content": "", "reasoning": "think.", "reasoning_details": [THOUGHTS[1]]}),
            chunk({"content": "", "reasoning": None, "reasoning_details": [THOUGHTS[2]]}),
            chunk({"content": "42."}),
            chunk({"content": ""}, "stop", native_finish_reason="end_turn"),
            chunk({"role": "assistant", "content": ""}, None, OPENROUTER_USAGE),
        ],
        [{"type": "reasoning", "text": "Let me think.", "opaque": [THOUGHT]}, {"type": "text", "text": "42."}],
        _usage(prompt_tokens_details={"cached_tokens": 2}),
        cost_usd=0.95,
    ),
    "mistral: thinking as content": Quirk(
        "https://docs.mistral.ai/capabilities/reasoning",
        "mistral",
        completion(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "So… think."}]},
                    {"type": "text", "text": "42."},
                ],
                "tool_calls": None,
            },
            usage=plain_usage(),
        ),
        _stream(
            {"role": "assistant", "content": ""},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "So…"}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": " think."}]}]},
            {"content": "42."},
            usage=plain_usage(),
        ),
        REASONED,
        _usage(),
    ),
    "groq: reasoning, usage in x_groq": Quirk(
        "https://console.groq.com/docs/reasoning, https://github.com/groq/groq-python (ChatCompletionChunk.x_groq)",
        "groq",
        completion(
            {"content": "42.", "reasoning": "So… think."}, usage=plain_usage(queue_time=0.01, total_time=0.3), **GROQ
        ),
        [
            *_stream({"role": "assistant", "content": ""}, {"reasoning": "So…", "channel": "analysis"})[:2],
            chunk({"reasoning": " think."}),
            chunk({"content": "42."}),
            chunk({}, "stop", x_groq={"id": "req_1", "usage": plain_usage(queue_time=0.01)}),
        ],
        REASONED,
        _usage(),
    ),
    "groq: tools that ran at the vendor": Quirk(
        "https://console.groq.com/docs/compound/built-in-tools, https://github.com/groq/groq-python (ExecutedTool)",
        "groq",
        completion({"content": "42.", "executed_tools": [EXECUTED]}, usage=plain_usage(), **GROQ),
        [
            *_stream({"role": "assistant", "content": ""})[:1],
            chunk({"executed_tools": [{name: EXECUTED[name] for name in ("index", "type", "arguments")}]}),
            chunk({"executed_tools": [EXECUTED]}),
            chunk({"content": "42."}),
            chunk({}, "stop", x_groq={"id": "req_1", "usage": plain_usage()}),
        ],
        [
            {"type": "text", "text": "42."},
            {"type": "server_tool_result", "name": "search", "vendor": "groq", "native": EXECUTED},
        ],
        _usage(),
    ),
    "openai: another tier of service": Quirk(
        "https://platform.openai.com/docs/api-reference/chat/object (service_tier)",
        "openai",
        completion({"content": "42."}, usage=plain_usage(), service_tier="priority"),
        [
            chunk({"role": "assistant", "content": "42."}, service_tier="priority"),
            chunk({}, "stop", service_tier="priority"),
            chunk(None, usage=plain_usage(), service_tier="priority"),
        ],
        [{"type": "text", "text": "42."}],
        _usage(service_tier="priority"),
    ),
    "mistral: minutes of sound and the tier in the usage": Quirk(
        "https://github.com/mistralai/client-python (UsageInfo: prompt_audio_seconds, service_tier)",
        "mistral",
        completion(
            {"content": "42."}, usage=plain_usage(prompt_audio_seconds=90, service_tier="priority"), service_tier=None
        ),
        _stream({"content": "42."}, usage=plain_usage(prompt_audio_seconds=90, service_tier="priority")),
        [{"type": "text", "text": "42."}],
        _usage(audio_seconds=90, service_tier="priority"),
    ),
    "mistral: a chunk without a part of ours": Quirk(
        "https://github.com/mistralai/client-python (ContentChunk: document_url)",
        "mistral",
        completion({"content": [DOCUMENT, {"type": "text", "text": "42."}]}, usage=plain_usage()),
        _stream({"role": "assistant", "content": [DOCUMENT]}, {"content": "42."}, usage=plain_usage()),
        [
            {"type": "server_tool_result", "name": "document_url", "vendor": "mistral", "native": DOCUMENT},
            {"type": "text", "text": "42."},
        ],
        _usage(),
    ),
    "xai: its own price, in ticks": Quirk(
        "https://docs.x.ai/developers/cost-tracking",
        "xai",
        completion({"content": "42."}, usage=plain_usage(cost_in_usd_ticks=37_756_000)),
        _stream({"content": "42."}, usage=plain_usage(cost_in_usd_ticks=37_756_000)),
        [{"type": "text", "text": "42."}],
        _usage(),
        cost_usd=0.0037756,
    ),
    "xai: reasoning counted apart": Quirk(
        "https://docs.x.ai/docs/guides/reasoning",
        "xai",
        completion({"content": "42.", "reasoning_content": "So… think.", "refusal": None}, usage=XAI_USAGE),
        _stream(
            {"role": "assistant", "reasoning_content": "So…"},
            {"reasoning_content": " think."},
            {"content": "42."},
            usage=XAI_USAGE,
        ),
        REASONED,
        {
            "prompt_tokens": 32,
            "completion_tokens": 103,
            "total_tokens": 135,
            "prompt_tokens_details": {"cached_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 94},
        },
    ),
    "perplexity: sources, cost, no end mark": Quirk(
        "https://docs.perplexity.ai/api-reference/chat-completions-post",
        "perplexity",
        perplexity_answer("So [1] and [2][9].", "", "stop", citations=SOURCES, search_results=RESULTS),
        [
            perplexity_answer("So [1]", "So [1]"),
            perplexity_answer("So [1] and [2][9].", " and [2][9]."),
            perplexity_answer("So [1] and [2][9].", "", "stop", citations=SOURCES, search_results=RESULTS),
        ],
        [
            {
                "type": "text",
                "text": "So [1] and [2][9].",
                "annotations": [
                    {
                        "type": "citation",
                        "url": "https://one.example",
                        "title": "One",
                        "native": RESULTS[0],
                        "start": 3,
                        "end": 6,
                    },
                    {
                        "type": "citation",
                        "url": "https://two.example",
                        "title": "Two",
                        "native": RESULTS[1],
                        "start": 11,
                        "end": 14,
                    },
                ],
            }
        ],
        _usage(search_units=2),
        cost_usd=0.00628,
        mark=False,
    ),
    "perplexity: thoughts in the text": Quirk(
        "https://docs.perplexity.ai/docs/sonar/models/sonar-reasoning-pro, https://docs.perplexity.ai/guides/structured-outputs",
        "perplexity",
        perplexity_answer(THOUGHT_IN_TEXT, "", "stop"),
        [
            *(
                perplexity_answer(THOUGHT_IN_TEXT[:end], THOUGHT_IN_TEXT[start:end])
                for start, end in ((0, 4), (4, 10), (10, 21), (21, 24), (24, 28), (28, 32), (32, len(THOUGHT_IN_TEXT)))
            ),
            perplexity_answer(THOUGHT_IN_TEXT, "", "stop"),
        ],
        [{"type": "reasoning", "text": "\nSo… think."}, {"type": "text", "text": '{"n": 42}'}],
        _usage(search_units=2),
        cost_usd=0.00628,
        mark=False,
    ),
    "perplexity: steps of reasoning": Quirk(
        "https://docs.perplexity.ai/docs/sonar/pro-search/stream-mode; perplexityai 0.46: types/shared",
        "perplexity",
        with_steps(perplexity_answer("42.", "", "stop"), "message"),
        [
            with_steps(perplexity_answer("", ""), "delta"),
            perplexity_answer("42.", "42."),
            perplexity_answer("42.", "", "stop"),
        ],
        REASONED,
        _usage(search_units=2),
        cost_usd=0.00628,
        mark=False,
    ),
    "zhipu: reasoning_content": Quirk(
        "https://docs.z.ai/guides/capabilities/thinking-mode; zai-sdk 0.2: types/chat",
        "zhipu",
        zhipus(completion({"content": "42.", "reasoning_content": "So… think."}, usage=ZHIPU_USAGE)),
        [
            zhipus(row)
            for row in _stream(
                {"role": "assistant", "reasoning_content": "So…"},
                {"reasoning_content": " think."},
                {"content": "42."},
                usage=ZHIPU_USAGE,
            )
        ],
        REASONED,
        _usage(prompt_tokens_details={"cached_tokens": 2}, completion_tokens_details={"reasoning_tokens": 3}),
    ),
    "moonshot: usage inside the choice's chunk, cached_tokens": Quirk(
        "https://platform.moonshot.ai/docs/api/chat",
        "moonshot",
        completion({"content": "42."}, usage=plain_usage(cached_tokens=3)),
        _stream({"role": "assistant", "content": ""}, {"content": "42."}, usage=plain_usage(cached_tokens=3)),
        [{"type": "text", "text": "42."}],
        _usage(prompt_tokens_details={"cached_tokens": 3}),
    ),
    "ollama: whole tool calls": Quirk(
        "https://docs.ollama.com/api/openai-compatibility, https://github.com/ollama/ollama/blob/main/openai/openai.go",
        "ollama",
        completion(
            {
                "content": "",
                "reasoning": "So… think.",
                "tool_calls": [
                    {"id": "call_a", "type": "function", "function": {"name": "now", "arguments": "{}"}},
                    {"id": "call_b", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
                ],
            },
            "tool_calls",
            usage=plain_usage(),
        ),
        _stream(
            {"role": "assistant", "content": "", "reasoning": "So… think."},
            {
                "tool_calls": [
                    {"index": 0, "id": "call_a", "type": "function", "function": {"name": "now", "arguments": "{}"}}
                ]
            },
            {
                "tool_calls": [
                    {
                        "index": 1,
                        "id": "call_b",
                        "type": "function",
                        "function": {"name": "add", "arguments": '{"a":1}'},
                    }
                ]
            },
            finish="tool_calls",
            usage=plain_usage(),
        ),
        [
            {"type": "reasoning", "text": "So… think."},
            {"type": "tool_call", "id": "call_a", "name": "now", "arguments": "{}"},
            {"type": "tool_call", "id": "call_b", "name": "add", "arguments": '{"a":1}'},
        ],
        _usage(),
        reason="tool_calls",
    ),
    "ollama: calls as its own interface has them, without an index, its reason stop": Quirk(
        "https://docs.ollama.com/api/chat (arguments as an object, no index)",
        "ollama",
        completion(
            {
                "content": "",
                "reasoning": "So… think.",
                "tool_calls": [
                    {"id": "call_a", "type": "function", "function": {"name": "now", "arguments": ""}},
                    {"id": "call_b", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}},
                ],
            },
            usage=plain_usage(),
        ),
        _stream(
            {"role": "assistant", "content": "", "reasoning": "So… think."},
            {"tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "now", "arguments": ""}}]},
            {"tool_calls": [{"id": "call_b", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]},
            usage=plain_usage(),
        ),
        [
            {"type": "reasoning", "text": "So… think."},
            {"type": "tool_call", "id": "call_a", "name": "now", "arguments": "{}"},
            {"type": "tool_call", "id": "call_b", "name": "add", "arguments": '{"a":1}'},
        ],
        _usage(),
        reason="tool_calls",
        faithful=False,
    ),
    "vllm: all calls numbered 0, name repeated": Quirk(
        "https://docs.vllm.ai/en/stable/features/tool_calling.html",
        "vllm",
        completion(
            {
                "content": None,
                "tool_calls": [
                    {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                    {"id": "call_b", "type": "function", "function": {"name": "f", "arguments": '{"a": 2}'}},
                ],
            },
            "tool_calls",
            usage=plain_usage(),
        ),
        _stream(
            {"role": "assistant", "tool_calls": [call(0, "call_a", "f", '{"a"')]},
            {"tool_calls": [call(0, None, "f", ": 1}")]},
            {"tool_calls": [call(0, "call_b", "f", '{"a"')]},
            {"tool_calls": [call(0, None, None, ": 2}")]},
            finish="tool_calls",
            usage=plain_usage(),
        ),
        [
            {"type": "tool_call", "id": "call_a", "name": "f", "arguments": '{"a": 1}'},
            {"type": "tool_call", "id": "call_b", "name": "f", "arguments": '{"a": 2}'},
        ],
        _usage(),
        reason="tool_calls",
    ),
    "openrouter: an image in the answer": Quirk(
        "https://openrouter.ai/docs/features/multimodal/image-generation",
        "openrouter",
        completion(
            {
                "content": "Here.",
                "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
            },
            usage=plain_usage(),
        ),
        _stream(
            {"role": "assistant", "content": "Here."},
            {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]},
            usage=plain_usage(),
        ),
        [{"type": "text", "text": "Here."}, {"type": "image", "base64": "iVBORw0KGgo=", "mime": "image/png"}],
        _usage(),
    ),
    "openai: spoken answer": Quirk(
        "https://platform.openai.com/docs/guides/audio",
        "openai",
        completion(
            {
                "content": None,
                "audio": {"id": "audio_1", "data": "AAEC", "expires_at": 1729018505, "transcript": "Yes, golden"},
            },
            usage=plain_usage(completion_tokens_details={"audio_tokens": 4}),
        ),
        _stream(
            {"role": "assistant", "audio": {"id": "audio_1", "transcript": "Yes,"}},
            {"audio": {"id": "audio_1", "transcript": " golden"}},
            {"audio": {"id": "audio_1", "data": "AAEC"}},
            {"audio": {"id": "audio_1", "expires_at": 1729018505}},
            usage=plain_usage(completion_tokens_details={"audio_tokens": 4}),
        ),
        [
            {
                "type": "audio",
                "id": "audio_1",
                "transcript": "Yes, golden",
                "base64": "AAEC",
                "expires_at": 1729018505,
            }
        ],
        _usage(completion_tokens_details={"audio_tokens": 4}),
    ),
}
"""Vendors' own ways, which the OpenAI SDK reads only in part."""
