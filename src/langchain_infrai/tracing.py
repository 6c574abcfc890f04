"""LangSmith traces that show what a call cost."""

from __future__ import annotations

from typing import Any

from langchain_core.tracers.langchain import LangChainTracer
from langchain_core.tracers.schemas import Run


class InfraiTracer(LangChainTracer):
    """LangChain's tracer, which also writes each answer's real cost where LangSmith sums it up.

    Without it a trace shows tokens, and LangSmith prices them by its own table, if it knows the model. Give it to a
    call, a chain or a model as a callback; it takes the place of the tracer that ``LANGSMITH_TRACING`` would add.
    The cost stands only in the trace: in ``usage_metadata`` of a message a fraction would break LangChain's own sums.
    """

    def _on_llm_end(self, run: Run) -> None:
        for generation in _only(run):
            _add_cost(generation.get("message", {}).get("kwargs", {}))
        super()._on_llm_end(run)


def _only(run: Run) -> list[dict[str, Any]]:
    """The answer of a run; none where there are several, which LangChain would add up."""
    rows = [generation for row in (run.outputs or {}).get("generations", ()) for generation in row]
    return rows if len(rows) == 1 else []


def _add_cost(message: dict[str, Any]) -> None:
    """The message is the trace's own copy."""
    cost = (message.get("response_metadata") or {}).get("cost_usd")
    usage = message.get("usage_metadata") or {}
    if cost is not None and "total_cost" not in usage:  # LangChain writes a 0 for an answer of its own cache
        # https://docs.langchain.com/langsmith/cost-tracking: total_cost in USD, beside the token counts.
        message["usage_metadata"] = {**usage, "total_cost": float(cost)}
