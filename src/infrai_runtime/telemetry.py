"""OpenTelemetry spans and metrics of calls, with the GenAI names (extra ``otel``; imported only where switched on).

https://opentelemetry.io/docs/specs/semconv/gen-ai/ (status: development). A call is a SERVER span, each attempt at a
vendor a CLIENT span inside of it; what was used stands on the call alone, so that sums over a trace count it once.
Spans are made when the call has ended, with the times it had, so that a call costs nothing while it runs. What was
asked and answered is left out unless the operator says otherwise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from infrai_core.errors import ConfigError
from infrai_runtime.catalogue import NANO
from infrai_runtime.failure import Failure
from infrai_runtime.label import ModelLabels
from infrai_runtime.trace import Trace

OPERATIONS = {"chat": "chat", "vision": "chat", "embed": "embeddings", "image": "generate_content"}
"""Capability -> ``gen_ai.operation.name``, where the conventions have one; the others keep their own name."""

PROVIDERS = {
    "gemini": "gcp.gemini",
    "azure": "azure.ai.openai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "moonshot": "moonshot_ai",
}
"""Vendor -> ``gen_ai.provider.name``, where the conventions have another word for it than the vendor's name here."""

_OUTPUTS = {"image": "image", "tts": "speech"}
"""Capability -> ``gen_ai.output.type``."""
_REQUEST = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "seed": "gen_ai.request.seed",
    "choices": "gen_ai.request.choice.count",
    "stop": "gen_ai.request.stop_sequences",
}
_PASSED = {name: f"gen_ai.request.{name}" for name in ("frequency_penalty", "presence_penalty", "top_k")}
_USAGE = {"prompt_tokens": "gen_ai.usage.input_tokens", "completion_tokens": "gen_ai.usage.output_tokens"}
_DETAILS = {
    "prompt_tokens_details": {
        "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
        "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    },
    "completion_tokens_details": {"reasoning_tokens": "gen_ai.usage.reasoning.output_tokens"},
}

SECONDS = tuple(0.01 * 2**n for n in range(14))
TOKENS = tuple(4**n for n in range(14))
"""Ends of the buckets that https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/ asks for: those that an
SDK takes by itself are for milliseconds."""
COSTS = tuple(10.0**n for n in range(-6, 3))

Facts = dict[str, Any]


class Telemetry:
    """An observer that tells OpenTelemetry, through the process's providers unless it is given others."""

    def __init__(
        self,
        content: bool = False,
        tracers: trace.TracerProvider | None = None,
        meters: metrics.MeterProvider | None = None,
        vendors: Mapping[str, Any] | None = None,
    ) -> None:
        """``content``: whether spans hold messages and answers. ``vendors``: by name, for where they are."""
        self._vendors = vendors or {}
        self._tracer: Tracer = trace.get_tracer("infrai_runtime", tracer_provider=tracers)
        self._content = content
        self._labels = ModelLabels()
        meter = metrics.get_meter("infrai_runtime", meter_provider=meters)

        def histogram(name: str, unit: str, about: str, ends: Sequence[float]) -> metrics.Histogram:
            return meter.create_histogram(name, unit, about, explicit_bucket_boundaries_advisory=ends)

        self._tokens = histogram("gen_ai.client.token.usage", "{token}", "Tokens used.", TOKENS)
        self._seconds = histogram("gen_ai.client.operation.duration", "s", "Time of an attempt.", SECONDS)
        self._first = histogram("gen_ai.client.operation.time_to_first_chunk", "s", "Time to first chunk.", SECONDS)
        self._cost = histogram("infrai.call.cost", "USD", "What an answered call cost.", COSTS)

    def ended(self, call: Trace, failure: Failure | None) -> None:
        """Makes the spans of a call and counts it, also where it was refused before it was read."""
        if not call.capability:
            return
        ended_ns = time.time_ns()
        begun_ns = ended_ns - int((call.clock() - call.started) * 1e9)
        parent = propagate.extract(call.parent) if call.parent else None
        span = self._tracer.start_span(
            f"infrai {call.capability}", parent, SpanKind.SERVER, start_time=begun_ns, attributes=self._facts(call)
        )
        _end(span, failure.code if failure else None, ended_ns)
        inside = trace.set_span_in_context(span)
        starts_ns = [begun_ns + int(after_s * 1e9) for after_s in call.starts]
        for row, start_ns, latest_ns in zip(call.tried(), starts_ns, [*starts_ns[1:], ended_ns], strict=False):
            self._attempt(call, row, start_ns, latest_ns, inside)
        self._count(call)

    def _facts(self, call: Trace) -> Facts:
        first, reason = call.first_chunk_ms(), call.data.get("finish_reason")
        facts = {
            "gen_ai.operation.name": _operation(call),
            "gen_ai.provider.name": call.vendor and _provider(call.vendor),
            "gen_ai.response.model": call.model,
            "gen_ai.response.id": call.request_id,
            "gen_ai.response.finish_reasons": [reason] if reason else None,
            "gen_ai.response.time_to_first_chunk": None if first is None else first / 1000,
            "infrai.route": call.route,
            "infrai.cache_hit": call.cache_hit,
            "infrai.cost_usd": None if call.cost_nano is None else call.cost_nano / NANO,
            **_asked(call),
            **_used(call.usage),
        }
        return {name: value for name, value in facts.items() if value is not None} | self._texts(call)

    def _texts(self, call: Trace) -> Facts:
        """What was asked and answered, where the operator wants to see it."""
        ask, _ = call.reached()
        if not self._content or ask is None:
            return {}
        asked = [{"role": m["role"], "parts": _told(m["parts"])} for m in _messages(ask.body)]
        parts, reason = call.data.get("parts", ()), call.data.get("finish_reason")
        answered = [{"role": "assistant", "parts": _told(parts), "finish_reason": reason}]
        texts = {"gen_ai.input.messages": asked, "gen_ai.output.messages": answered if parts else None}
        return {name: orjson.dumps(value).decode() for name, value in texts.items() if value}

    def _attempt(self, call: Trace, row: Mapping[str, Any], start_ns: int, latest_ns: int, inside: Any) -> None:
        seconds = (row["latency_ms"] or 0) / 1000
        facts = {
            "gen_ai.operation.name": _operation(call),
            "gen_ai.provider.name": _provider(row["vendor"]),
            "gen_ai.request.model": row["model"],
            **self._server(row["vendor"]),
        }
        error = None if row["outcome"] == "ok" else row["outcome"]
        span = self._tracer.start_span(
            f"{_operation(call)} {row['model']}", inside, SpanKind.CLIENT, start_time=start_ns, attributes=facts
        )
        _end(span, error, min(start_ns + int(seconds * 1e9), latest_ns))
        counted = facts | {"gen_ai.request.model": self._labels.of(row["vendor"], row["model"])}
        self._seconds.record(seconds, counted | ({"error.type": error} if error else {}))

    def _server(self, vendor: str) -> Facts:
        """Where a vendor is; one on this machine, or behind a library of its own, says no address."""
        host, port = getattr(self._vendors.get(vendor), "address", ("", 0))
        return {"server.address": host, "server.port": port} if host else {}

    def _count(self, call: Trace) -> None:
        if call.vendor is None or call.cache_hit:
            return
        facts = {
            "gen_ai.operation.name": _operation(call),
            "gen_ai.provider.name": _provider(call.vendor),
            "gen_ai.response.model": self._labels.of(call.vendor, call.model or ""),
        }
        for field, kind in (("prompt_tokens", "input"), ("completion_tokens", "output")):
            if (tokens := call.usage.get(field)) is not None:
                self._tokens.record(tokens, facts | {"gen_ai.token.type": kind})
        if (first := call.first_chunk_ms()) is not None:
            self._first.record(first / 1000, facts)
        if call.cost_nano is not None:
            self._cost.record(call.cost_nano / NANO, facts)


def _operation(call: Trace) -> str:
    return OPERATIONS.get(call.capability, call.capability)


def _provider(vendor: str) -> str:
    return PROVIDERS.get(vendor, vendor)


def _asked(call: Trace) -> Facts:
    """What the request says."""
    ask, _ = call.reached()
    if ask is None:
        return {}
    body = ask.body
    passed = {name: value for name, value in body.get("passthrough", {}).items() if isinstance(value, int | float)}
    return {
        "gen_ai.request.model": ask.model,
        "gen_ai.request.stream": ask.stream or None,
        "gen_ai.request.encoding_formats": [ask.encoding_format] if ask.capability == "embed" else None,
        "gen_ai.embeddings.dimension.count": body.get("dimensions"),
        "gen_ai.output.type": _output(ask.capability, body),
        "gen_ai.conversation.id": ask.session_id,
        **{name: body.get(field) for field, name in _REQUEST.items()},
        **{name: passed.get(field) for field, name in _PASSED.items()},
    }


def _output(capability: str, body: Mapping[str, Any]) -> str | None:
    """The kind of answer that was asked for, where one was."""
    if "audio" in body.get("modalities", ()):
        return "speech"
    kind = body.get("response_format", {}).get("type", "") if capability == "chat" else ""
    return _OUTPUTS.get(capability) or ("json" if kind.startswith("json") else None)


def _used(usage: Mapping[str, Any]) -> Facts:
    details = (
        (name, (usage.get(part) or {}).get(field)) for part, names in _DETAILS.items() for field, name in names.items()
    )
    return {**{name: usage.get(field) for field, name in _USAGE.items()}, **dict(details)}


def _messages(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What a model was told; a prompt about pictures is a message too."""
    if "prompt" in body:
        return [{"role": "user", "parts": [{"type": "text", "text": body["prompt"]}]}]
    messages: Sequence[Mapping[str, Any]] = body.get("messages", ())
    return messages


def _end(span: Span, error: str | None, at_ns: int) -> None:
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR, error))
    span.end(at_ns)


def _told(parts: Sequence[Mapping[str, Any]]) -> list[Facts]:
    """Parts in the words of the conventions; of media only what kind it is."""
    return [_TOLD.get(part["type"], lambda p: {"type": p["type"]})(part) for part in parts]


_TOLD: dict[str, Any] = {
    "text": lambda part: {"type": "text", "content": part["text"]},
    "reasoning": lambda part: {"type": "reasoning", "content": part.get("text", "")},
    "tool_call": lambda part: {name: part[name] for name in ("type", "id", "name", "arguments") if name in part},
    "tool_result": lambda part: {
        "type": "tool_call_response",
        "id": part["tool_call_id"],
        "response": _told(part["parts"]),
    },
}


HTTP = "http/protobuf"
_PROTOCOLS = tuple(f"OTEL_EXPORTER_OTLP{signal}_PROTOCOL" for signal in ("", "_TRACES", "_METRICS"))
FLUSH_MS = 5000
"""How long the end of a server may wait for its collector."""


def _exported(variable: str) -> bool:
    """Whether a signal is exported. Raises ``ConfigError`` for another exporter than the one there is."""
    named = os.environ.get(variable) or "otlp"
    if named not in ("otlp", "none"):
        raise ConfigError(f"{variable}={named!r}: allowed are otlp and none")
    return named == "otlp"


def export_by_environment() -> Callable[[], None]:
    """Sends to the collector that the standard variables name (``OTEL_EXPORTER_OTLP_ENDPOINT`` and the like), for a
    process that has no providers of its own. What it returns sends what is left, for a process that ends by a signal.
    Raises ``ConfigError`` without the exporter's package."""
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            f'telemetry needs the package {error.name}: pip install "infrai-integrations[otel]"'
        ) from error
    for name in _PROTOCOLS:
        if (protocol := os.environ.get(name) or HTTP) != HTTP:
            raise ConfigError(f"{name}={protocol!r}: allowed is {HTTP}; a collector takes it on port 4318")
    resource = Resource.create({"service.name": "infrai-runtime"})  # OTEL_SERVICE_NAME wins
    tracing = TracerProvider(resource=resource)
    if _exported("OTEL_TRACES_EXPORTER"):
        tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracing)
    wanted = _exported("OTEL_METRICS_EXPORTER")
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if wanted else []
    metering = MeterProvider(resource=resource, metric_readers=readers)
    metrics.set_meter_provider(metering)

    def flush() -> None:
        tracing.force_flush(FLUSH_MS)
        metering.force_flush(FLUSH_MS)

    return flush
