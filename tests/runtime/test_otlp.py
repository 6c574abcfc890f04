"""What a served runtime tells OpenTelemetry really arrives at a collector: OTLP over HTTP, decoded as its protobufs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_core import ConfigError, Infrai
from tests.serving import served_process

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="telemetry is an optional extra")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider

from infrai_runtime.telemetry import export_by_environment

WORDS = "What do you know of Mrs Dalloway?"
TRACE = "0af7651916cd43dd8448eb211c80319c"
KINDS: dict[str, Any] = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class Collector:
    """Takes what is exported. https://opentelemetry.io/docs/specs/otlp/#otlphttp: binary protobuf by POST."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}
        self.services: set[str] = set()
        self.raw = b""
        self.url = ""

    def take(self, path: str, mime: str, data: bytes) -> int:
        if path not in KINDS or mime != "application/x-protobuf":
            return 404
        self.raw += data
        message = KINDS[path].FromString(data)
        for row in getattr(message, "resource_spans", ()):
            self.services.add(values(row.resource)["service.name"])
            self.spans += [span for scope in row.scope_spans for span in scope.spans]
        for row in getattr(message, "resource_metrics", ()):
            self.metrics |= {metric.name: metric for scope in row.scope_metrics for metric in scope.metrics}
        return 200

    def named(self, name: str) -> Any:
        return next(span for span in self.spans if span.name == name)


def values(holder: Any) -> dict[str, Any]:
    """The attributes of a span, point or resource."""
    return {row.key: getattr(row.value, str(row.value.WhichOneof("value"))) for row in holder.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(collector.take(self.path, self.headers["content-type"], data))
            self.send_header("content-length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def exported(home: Path, telemetry: str) -> Collector:
    """What a collector has of one chat after the server has ended."""
    with collecting() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "INFRAI_VENDORS": "local"}
        with served_process(home, "--no-auth", "--telemetry", telemetry, environ=environ) as served:
            answer = httpx.post(
                f"{served.base_url}/ai/chat",
                json={"messages": WORDS, "max_tokens": 9, "session_id": "s-1"},
                headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
                trust_env=False,
            )
            assert answer.status_code == 200
            served.stop()
    return collector


def test_spans_and_metrics_arrive_with_the_gen_ai_names_and_without_words(tmp_path: Path) -> None:
    collector = exported(tmp_path / "home", "on")
    assert collector.services == {"infrai-runtime"}
    call, attempt = collector.named("infrai chat"), collector.named("chat infrai-offline")
    assert call.trace_id.hex() == attempt.trace_id.hex() == TRACE
    assert attempt.parent_span_id == call.span_id
    assert (call.kind, attempt.kind) == (call.SPAN_KIND_SERVER, call.SPAN_KIND_CLIENT)
    facts = values(call)
    assert facts["gen_ai.operation.name"] == "chat"
    assert facts["gen_ai.provider.name"] == "local"
    assert facts["gen_ai.response.model"] == "infrai-offline"
    assert facts["gen_ai.request.max_tokens"] == 9
    assert facts["gen_ai.conversation.id"] == "s-1"
    assert facts["gen_ai.usage.input_tokens"] > 0
    assert values(attempt)["gen_ai.provider.name"] == "local"
    tokens = collector.metrics["gen_ai.client.token.usage"]
    assert tokens.unit == "{token}"
    kinds = {values(point)["gen_ai.token.type"]: point.sum for point in tokens.histogram.data_points}
    assert kinds["input"] == facts["gen_ai.usage.input_tokens"]
    assert collector.metrics["gen_ai.client.operation.duration"].unit == "s"
    assert not [name for name in facts if name.endswith(".messages")]
    assert b"Dalloway" not in collector.raw


def test_words_are_exported_only_where_the_operator_wants_them(tmp_path: Path) -> None:
    facts = values(exported(tmp_path / "home", "content").named("infrai chat"))
    [asked] = json.loads(facts["gen_ai.input.messages"])
    assert asked["parts"] == [{"type": "text", "content": WORDS}]
    assert json.loads(facts["gen_ai.output.messages"])[0]["role"] == "assistant"


def test_a_collector_that_is_away_is_told_in_lines_of_the_log_and_holds_nothing_up(tmp_path: Path) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    environ |= {"INFRAI_VENDORS": "local", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
    log = tmp_path / "home.server.log"
    with served_process(tmp_path / "home", "--no-auth", "--telemetry", "on", environ=environ) as served:
        answer = httpx.post(f"{served.base_url}/ai/chat", json={"messages": WORDS}, trust_env=False)
        served.stop()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert answer.status_code == 200
    assert any(line["logger"].startswith("opentelemetry.") for line in lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ],
)
def test_what_the_exporter_cannot_do_is_refused_at_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"{name}='{value}'"):
        export_by_environment()


def test_a_call_inside_a_span_of_the_client_hangs_under_it(tmp_path: Path) -> None:
    tracer = TracerProvider().get_tracer("an application")
    with collecting() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "INFRAI_VENDORS": "local"}
        with (
            served_process(tmp_path / "home", "--no-auth", "--telemetry", "on", environ=environ) as served,
            Infrai(base_url=served.base_url, api_key="none") as client,
        ):
            with tracer.start_as_current_span("an agent") as agent:
                client.chat(WORDS)
                list(client.stream_chat(WORDS))
            client.embed(WORDS)
            served.stop()
    here = agent.get_span_context()
    calls = [span for span in collector.spans if span.name == "infrai chat"]
    assert [(call.trace_id.hex(), call.parent_span_id.hex()) for call in calls] == [
        (f"{here.trace_id:032x}", f"{here.span_id:016x}")
    ] * 2
    assert collector.named("infrai embed").parent_span_id == b""


def test_a_worker_exports_the_calls_of_its_batches(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with collecting() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "INFRAI_VENDORS": "local", "INFRAI_HOME": str(home)}
        with served_process(home, "--no-auth", "--batch-concurrency", "0", environ=environ) as served:
            command = [sys.executable, "-m", "infrai_cli", "worker", "--telemetry", "on"]
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environ})
            try:
                with Infrai(base_url=served.base_url, api_key="none") as client:
                    asked = [{"capability": "chat", "body": {"messages": "What is 2 + 2?"}}]
                    done = client.batch_wait(client.batch_submit(asked).batch_id)
            finally:
                worker.terminate()
                worker.communicate(timeout=60)
    assert done.state == "completed"
    assert values(collector.named("infrai chat"))["gen_ai.provider.name"] == "local"
