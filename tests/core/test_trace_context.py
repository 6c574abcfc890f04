"""A call made inside an OpenTelemetry span carries its place in the trace; any other call carries nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infrai_core.trace_context import traceparent


def test_a_process_without_opentelemetry_has_no_trace_and_imports_none() -> None:
    seen = "import sys, infrai_core.trace_context as t; print(t.traceparent(), 'opentelemetry' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["None", "False"]


def test_the_header_is_that_of_the_current_span() -> None:
    trace = pytest.importorskip("opentelemetry.sdk.trace", reason="OpenTelemetry is an optional extra")
    from opentelemetry import propagate

    with trace.TracerProvider().get_tracer("an application").start_as_current_span("an agent"):
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        assert traceparent() == carrier["traceparent"]
    assert traceparent() is None
