"""The caller's place in a trace, for services that go on with it (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import sys


def trace_context() -> dict[str, str]:
    """The headers of the current OpenTelemetry span: ``traceparent``, and ``tracestate`` where there is one. None
    outside of a span, and in a process that does not use OpenTelemetry, which is never imported for this."""
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is None:
        return {}
    here = opentelemetry.get_current_span().get_span_context()
    if not here.is_valid:
        return {}
    parent = {"traceparent": f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"}
    state = here.trace_state.to_header()
    return parent | ({"tracestate": state} if state else {})
