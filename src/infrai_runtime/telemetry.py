"""OpenTelemetry spans and metrics of calls, with the GenAI names (extra ``otel``; imported only where switched on).

https://opentelemetry.io/docs/specs/semconv/gen-ai/ (status: development). A call is a SERVER span, each attempt at a
vendor a CLIENT span inside of it. Spans are made when the call has ended, with the times it had, so that a call costs
nothing while it runs. What was asked and answered is left out unless the operator says otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from infrai_core.errors import ConfigError
from infrai_runtime.catalogue import NANO
from infrai_runtime.failure import Failure
from infrai_runtime.trace import Trace

OPERATIONS = {"chat": "chat", "vision": "chat", "embed": "embeddings", "image": "generate_content"}
"""Capability -> ``gen_ai.operation.name``, where the conventions have one; the others keep their own name."""

_REQUEST = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "seed": "gen_ai.request.seed",
    "choices": "gen_ai.request.choice.count",
    "stop": "gen_ai.request.stop_sequences",
}
_USAGE = {"prompt_tokens": "gen_ai.usage.input_tokens", "completion_tokens": "gen_ai.usage.output_tokens"}

Facts = dict[str, Any]


class Telemetry:
    """An observer that tells OpenTelemetry, through the process's providers unless it is given others."""

    def __init__(
        self,
        content: bool = False,
        tracers: trace.TracerProvider | None = None,
        meters: metrics.MeterProvider | None = None,
    ) -> None:
        """``content``: whether spans hold messages and answers."""
        self._tracer: Tracer = trace.get_tracer("infrai_runtime", tracer_provider=tracers)
        self._content = content
        meter = metrics.get_meter("infrai_runtime", meter_provider=meters)
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}", "Tokens used.")
        self._seconds = meter.create_histogram("gen_ai.client.operation.duration", "s", "Time of an attempt.")
        self._first = meter.create_histogram("gen_ai.client.operation.time_to_first_chunk", "s", "Time to first chunk.")
        self._cost = meter.create_histogram("infrai.call.cost", "USD", "What an answered call cost.")

    def ended(self, call: Trace, failure: Failure | None) -> None:
        """Makes the spans of a call and counts it."""
        if call.ask is None:
            return
        ended_ns = time.time_ns()
        begun_ns = ended_ns - int(call.latency_ms() * 1e6)
        parent = propagate.extract({"traceparent": call.parent}) if call.parent else None
        span = self._tracer.start_span(
            f"infrai {call.ask.capability}", parent, SpanKind.SERVER, start_time=begun_ns, attributes=self._facts(call)
        )
        _end(span, failure.code if failure else None, ended_ns)
        inside = trace.set_span_in_context(span)
        rows = [row for row in call.rows if not row["outcome"].startswith("skipped:")]
        for row, after_s in zip(rows, call.starts, strict=False):
            self._attempt(call, row, begun_ns + int(after_s * 1e9), inside)
        self._count(call)

    def _facts(self, call: Trace) -> Facts:
        assert call.ask is not None
        facts = {
            "gen_ai.operation.name": _operation(call),
            "gen_ai.request.model": call.ask.model,
            "gen_ai.provider.name": call.vendor,
            "gen_ai.response.model": call.model,
            "gen_ai.response.id": call.request_id,
            "gen_ai.response.finish_reasons": [call.finish_reason] if call.finish_reason else None,
            "gen_ai.conversation.id": call.ask.session_id,
            "infrai.route": call.route,
            "infrai.cache_hit": call.cache_hit,
            "infrai.cost_usd": None if call.cost_nano is None else call.cost_nano / NANO,
            **{name: call.ask.body.get(field) for field, name in _REQUEST.items()},
            **{name: call.usage.get(field) for field, name in _USAGE.items()},
        }
        return {name: value for name, value in facts.items() if value is not None} | self._texts(call)

    def _texts(self, call: Trace) -> Facts:
        """What was asked and answered, where the operator wants to see it."""
        if not self._content or call.ask is None:
            return {}
        asked = [{"role": m["role"], "parts": _told(m["parts"])} for m in call.ask.body.get("messages", ())]
        answered = [{"role": "assistant", "parts": _told(call.parts), "finish_reason": call.finish_reason}]
        texts = {"gen_ai.input.messages": asked, "gen_ai.output.messages": answered if call.parts else None}
        return {name: orjson.dumps(value).decode() for name, value in texts.items() if value}

    def _attempt(self, call: Trace, row: Mapping[str, Any], start_ns: int, inside: Any) -> None:
        seconds = (row["latency_ms"] or 0) / 1000
        facts = {
            "gen_ai.operation.name": _operation(call),
            "gen_ai.provider.name": row["vendor"],
            "gen_ai.request.model": row["model"],
        }
        error = None if row["outcome"] == "ok" else row["outcome"]
        span = self._tracer.start_span(
            f"{_operation(call)} {row['model']}", inside, SpanKind.CLIENT, start_time=start_ns, attributes=facts
        )
        _end(span, error, start_ns + int(seconds * 1e9))
        self._seconds.record(seconds, facts | ({"error.type": error} if error else {}))

    def _count(self, call: Trace) -> None:
        if call.vendor is None or call.cache_hit:
            return
        facts = {
            "gen_ai.operation.name": _operation(call),
            "gen_ai.provider.name": call.vendor,
            "gen_ai.response.model": call.model or "",
        }
        for field, kind in (("prompt_tokens", "input"), ("completion_tokens", "output")):
            if (tokens := call.usage.get(field)) is not None:
                self._tokens.record(tokens, facts | {"gen_ai.token.type": kind})
        if (first := call.first_chunk_ms()) is not None:
            self._first.record(first / 1000, facts)
        if call.cost_nano is not None:
            self._cost.record(call.cost_nano / NANO, facts)


def _operation(call: Trace) -> str:
    assert call.ask is not None
    return OPERATIONS.get(call.ask.capability, call.ask.capability)


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


FLUSH_MS = 5000
"""How long the end of a server may wait for its collector."""


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
    resource = Resource.create({"service.name": "infrai-runtime"})  # OTEL_SERVICE_NAME wins
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracing)
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())]
    metering = MeterProvider(resource=resource, metric_readers=readers)
    metrics.set_meter_provider(metering)

    def flush() -> None:
        tracing.force_flush(FLUSH_MS)
        metering.force_flush(FLUSH_MS)

    return flush
