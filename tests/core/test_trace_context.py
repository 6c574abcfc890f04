"""A call made inside an OpenTelemetry span carries its place in the trace; any other call carries nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infrai_core.trace_context import trace_context


def test_a_process_without_opentelemetry_has_no_trace_and_imports_none() -> None:
    seen = "import sys, infrai_core.trace_context as t; print(t.trace_context(), 'opentelemetry' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["{}", "False"]


@pytest.mark.parametrize("state", [[], [("vendor", "1"), ("other", "x:y")]])
def test_the_headers_are_those_of_the_current_span(state: list[tuple[str, str]]) -> None:
    trace = pytest.importorskip("opentelemetry.sdk.trace", reason="OpenTelemetry is an optional extra")
    from opentelemetry import propagate
    from opentelemetry import trace as api

    caller = api.SpanContext(1, 2, is_remote=True, trace_state=api.TraceState(state))
    parent = api.set_span_in_context(api.NonRecordingSpan(caller))
    with trace.TracerProvider().get_tracer("an application").start_as_current_span("an agent", parent):
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        assert trace_context() == carrier
        assert ("tracestate" in carrier) is bool(state)
    assert trace_context() == {}
