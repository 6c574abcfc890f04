"""What an operator sees of a runtime: log, metrics, traces, readiness; and what nobody may see in them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrai_runtime import logs, readiness
from infrai_runtime.failure import Failure
from infrai_runtime.label import MOST, OTHER
from infrai_runtime.metrics import Histogram, Metrics
from infrai_runtime.store.memory import MemoryEphemeral
from infrai_runtime.store.sqlite import SqliteDurable
from infrai_runtime.trace import Trace
from infrai_runtime.vendors.configuration import Entry
from infrai_runtime.vendors.http import Pool
from infrai_runtime.vendors.openai_like import make
from infrai_runtime.wire import Native
from tests.serving import served_process

from .api import client
from .fake import USAGE, FakeChat, catalogue, fails, model, says

pytestmark = pytest.mark.anyio

ASKED = {"messages": "What do you know of Mrs Dalloway?"}
ROWS = catalogue(model("a", quality=90), model("b", quality=10))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def failing_over() -> list[FakeChat]:
    return [FakeChat("a", fails(Failure("RATE_LIMITED", "slower"))), FakeChat("b", says("Hel", "lo"))]


# -- the log -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> io.StringIO:
    held = io.StringIO()
    logs.configure("info", "json", held)
    return held


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk-proj-abcdef123456", "key ***"),
        ("Authorization: Bearer ifr_pk_proj_abc123456", "Authorization: ***"),
        ("GET https://x.example/a/b.png?X-Signature=abc&e=1 failed", "GET https://x.example/a/b.png?*** failed"),
        ("https://user:secret@x.example/a", "https://***@x.example/a"),
        ("no answer of postgresql://infrai:pa55@db:5432/x", "no answer of postgresql://***@db:5432/x"),
        ("no answer of rediss://:pa55@cache", "no answer of rediss://***@cache"),
        ("data:image/png;base64," + "A" * 200 + "==", "data:image/png;base64,<202 characters>"),
        ("an ordinary line of 3 words", "an ordinary line of 3 words"),
    ],
)
def test_a_log_line_has_no_secret(log: io.StringIO, text: str, shown: str) -> None:
    logging.getLogger("infrai_runtime").warning("%s", text, extra={"facts": {"url": [text]}})
    line = json.loads(log.getvalue())
    assert (line["event"], line["url"], line["level"]) == (shown, [shown], "warning")


def test_what_another_library_warns_of_is_a_line_without_secrets_too(log: io.StringIO) -> None:
    logging.getLogger("some.library").info("key sk-proj-abcdef123456")
    logging.getLogger("some.library").warning("key sk-proj-abcdef123456")
    [line] = map(json.loads, log.getvalue().splitlines())
    assert (line["logger"], line["event"]) == ("some.library", "key ***")


def test_a_traceback_has_no_secret(log: io.StringIO) -> None:
    try:
        raise ValueError("sk-proj-abcdef123456")
    except ValueError:
        logging.getLogger("infrai_runtime").exception("broke")
    line = json.loads(log.getvalue())
    assert "ValueError: ***" in line["error"]
    assert "sk-proj" not in log.getvalue()


async def test_a_call_is_one_line_with_its_facts_and_without_its_words(log: io.StringIO, tmp_path: Path) -> None:
    async with client(tmp_path, failing_over(), ROWS) as api:
        await api.post("/ai/chat", json=ASKED)
    [line] = map(json.loads, log.getvalue().splitlines())
    assert (line["logger"], line["outcome"], line["vendor"], line["model"]) == ("infrai_runtime.call", "ok", "b", "big")
    assert line["attempts"] == ["a/big: RATE_LIMITED", "b/big: ok"]
    assert (line["prompt_tokens"], line["completion_tokens"], line["capability"]) == (10, 5, "chat")
    assert "Dalloway" not in log.getvalue()
    assert "Hello" not in log.getvalue()


async def test_a_refused_call_is_a_line_too(log: io.StringIO, tmp_path: Path) -> None:
    async with client(tmp_path, failing_over(), ROWS, no_auth=False) as api:
        await api.post("/ai/chat", json=ASKED, headers={"Authorization": "Bearer ifr_pk_proj_made_up"})
    [line] = map(json.loads, log.getvalue().splitlines())
    assert (line["outcome"], line["capability"]) == ("UNAUTHORIZED", "chat")
    assert "made_up" not in log.getvalue()


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_text_of_others_makes_a_line_of_its_own(form: str) -> None:
    held = io.StringIO()
    logs.configure("info", form, held)
    facts = {"message": "no\r\n2026-11-27 ERROR forged"}
    logging.getLogger("infrai_runtime").warning("%s", "a\nb", extra={"facts": facts})
    assert len(held.getvalue().splitlines()) == 1


@pytest.mark.parametrize("blocking", [True, False])
def test_a_log_that_nobody_reads_holds_nobody_up_and_tells_what_was_lost(blocking: bool) -> None:
    most = logs.MOST_LINES
    reads, writes = os.pipe()
    os.set_blocking(writes, blocking)
    with open(reads, encoding="utf-8") as taken, open(writes, "w", encoding="utf-8") as to:
        logs.configure("info", "json", to)
        for number in range(2 * most):
            logging.getLogger("infrai_runtime").info("line %d, which is %s", number, "long " * 40)
        told = [json.loads(taken.readline())["event"]]
        while told[-1].startswith("line"):
            told.append(json.loads(taken.readline())["event"])
        logs.flush()
    *lines, last = told
    assert [line.partition(",")[0] for line in lines] == [f"line {number}" for number in range(len(lines))]
    assert most <= len(lines) < 2 * most
    assert last == f"{2 * most - len(lines)} lines of the log were lost: nobody took them"


def test_a_served_runtime_logs_json_lines(tmp_path: Path) -> None:
    with served_process(
        tmp_path / "home", "--no-auth", "--log-level", "info", environ={"INFRAI_VENDORS": "local"}
    ) as at:
        httpx.post(f"{at.base_url}/ai/chat", json={"messages": "hi"}, trust_env=False)
        at.stop()
    lines = [json.loads(line) for line in (tmp_path / "home.server.log").read_text().splitlines()]
    assert [line["outcome"] for line in lines if line["logger"] == "infrai_runtime.call"] == ["ok"]


# -- metrics -----------------------------------------------------------------------------------------------------------


async def test_prometheus_reads_the_metrics(tmp_path: Path) -> None:
    parser: Any = pytest.importorskip("prometheus_client.parser", reason="the library is a development tool")
    async with client(tmp_path, failing_over(), ROWS) as api:
        await api.post("/ai/chat", json=ASKED)
        await api.post("/ai/chat", json=ASKED | {"stream": True})
        await api.post("/chat/completions", json={"messages": 5})
        await asyncio.sleep(0)  # in one process nothing else lets the ended answers' tasks be forgotten
        answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in parser.text_string_to_metric_families(answer.text)}
    found = {
        (sample.name, *(v for k, v in sample.labels.items() if k != "le")): sample.value
        for family in families.values()
        for sample in family.samples
        if sample.labels.get("le", "+Inf") == "+Inf"
    }
    assert found["infrai_requests_total", "chat", "native", "b", "big", "ok"] == 2
    assert found["infrai_requests_total", "chat", "openai", "", "", "INVALID_REQUEST"] == 1
    assert found["infrai_attempts_total", "a", "big", "RATE_LIMITED"] == 1
    assert sum(n for (name, *labels), n in found.items() if name == "infrai_attempts_total" and labels[0] == "a") == 2
    assert found["infrai_tokens_total", "b", "big", "input"] == 20
    assert found["infrai_cost_usd_total", "b", "big"] == pytest.approx(0.00004)
    assert found["infrai_request_seconds_count", "chat"] == found["infrai_request_seconds_bucket", "chat"] == 3
    assert found["infrai_first_chunk_seconds_count", "chat"] == 1
    assert found["infrai_running",] == 0
    assert families["infrai_request_seconds"].type == "histogram"


def test_made_up_models_do_not_make_labels_without_end() -> None:
    metrics = Metrics(lambda: 0)
    for number in range(MOST + 3):
        trace = Trace("id", Native(), lambda: 0.0, 0.0)
        trace.capability, trace.vendor, trace.model = "chat", "b", f"made-up-{number}"
        metrics.ended(trace, None)
    counted = [line for line in metrics.text().splitlines() if line.startswith("infrai_requests_total")]
    assert len(counted) == MOST + 1
    assert [line.rpartition(" ")[2] for line in counted if f'model="{OTHER}"' in line] == ["3.0"]


async def test_the_metrics_are_there_while_the_store_is_not(tmp_path: Path) -> None:
    from infrai_runtime.batch.census import gauges

    store = SqliteDurable(tmp_path / "x.db")
    await store.close()
    assert await gauges(store, 0) == []


async def test_a_buckets_count_holds_all_that_was_quicker(tmp_path: Path) -> None:
    histogram = Histogram("seconds", "about", "kind")
    for seconds in (0.001, 0.005, 0.3, 500):
        histogram.add(seconds, 'a "b"\\\n')
    lines = list(histogram.lines())
    assert lines[0] == 'seconds_bucket{kind="a \\"b\\"\\\\\\n",le="0.005"} 2'
    assert [line.rpartition(" ")[2] for line in lines[-4:]] == ["3", "4", "500.306", "4"]


# -- traces ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched() -> Any:
    """``watched(content) -> (observer, spans, points)`` on providers of its own."""
    pytest.importorskip("opentelemetry.sdk", reason="telemetry is an optional extra")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from infrai_runtime.telemetry import Telemetry

    def make(content: bool = False, vendors: Any = None) -> Any:
        exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(exporter))
        observer = Telemetry(content, tracers, MeterProvider(metric_readers=[reader]), vendors)

        def points() -> dict[str, list[Any]]:
            data: Any = reader.get_metrics_data()
            found = data.resource_metrics[0].scope_metrics[0].metrics
            return {metric.name: list(metric.data.data_points) for metric in found}

        return observer, exporter.get_finished_spans, points

    return make


async def test_a_call_is_a_span_with_a_span_for_each_attempt(tmp_path: Path, watched: Any) -> None:
    observer, spans, points = watched()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with client(tmp_path, failing_over(), ROWS, observers=[observer]) as api:
        context = [("traceparent", parent), ("tracestate", "one=1"), ("tracestate", "two=2")]
        await api.post("/ai/chat", json=ASKED | {"max_tokens": 9}, headers=context)
    call, first, second = spans()
    assert (call.name, call.kind.name) == ("infrai chat", "SERVER")
    assert f"{call.context.trace_id:032x}" == parent.split("-")[1]
    assert [span.context.trace_state.to_header() for span in (call, first)] == ["one=1,two=2"] * 2
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.provider.name"] == "b"
    assert call.attributes["gen_ai.request.max_tokens"] == 9
    assert call.attributes["gen_ai.usage.input_tokens"] == 10
    assert call.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert [(s.name, s.kind.name, s.attributes.get("error.type")) for s in (first, second)] == [
        ("chat big", "CLIENT", "RATE_LIMITED"),
        ("chat big", "CLIENT", None),
    ]
    assert all(span.parent.span_id == call.context.span_id for span in (first, second))
    assert call.start_time <= first.start_time <= first.end_time <= second.start_time <= second.end_time
    found = points()
    assert {p.attributes["gen_ai.token.type"]: p.sum for p in found["gen_ai.client.token.usage"]} == {
        "input": 10,
        "output": 5,
    }
    assert sum(p.count for p in found["gen_ai.client.operation.duration"]) == 2


def attributes(found: Any) -> dict[str, Any]:
    return dict(found.attributes)


async def test_an_attempt_says_where_its_vendor_is(tmp_path: Path, watched: Any) -> None:
    # https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (server.address, server.port)
    away = make(Entry("a", "openai", "https://models.example/v1", "test"), Pool())
    observer, spans, points = watched(vendors={"a": away})
    async with client(tmp_path, failing_over(), ROWS, observers=[observer]) as api:
        await api.post("/ai/chat", json=ASKED)
    places = [(s.attributes.get("server.address"), s.attributes.get("server.port")) for s in spans()[1:]]
    assert places == [("models.example", 443), (None, None)]
    counted = {p.attributes.get("server.address") for p in points()["gen_ai.client.operation.duration"]}
    assert counted == {"models.example", None}


async def test_vendors_have_the_names_that_the_conventions_give_them(tmp_path: Path, watched: Any) -> None:
    from opentelemetry.semconv._incubating.attributes.gen_ai_attributes import GenAiProviderNameValues

    from infrai_runtime.telemetry import PROVIDERS

    known = {name.value for name in GenAiProviderNameValues} | {"moonshot_ai"}  # added in semantic-conventions-genai
    assert set(PROVIDERS.values()) <= known
    observer, spans, points = watched()
    vendors = [FakeChat("gemini", says("Hello"))]
    async with client(tmp_path, vendors, catalogue(model("gemini")), observers=[observer]) as api:
        await api.post("/ai/chat", json=ASKED)
    told = [*spans(), *(point for row in points().values() for point in row)]
    assert {attributes(one)["gen_ai.provider.name"] for one in told} == {"gcp.gemini"}


async def test_a_stream_tells_its_first_chunk_and_what_caches_and_thoughts_took(tmp_path: Path, watched: Any) -> None:
    observer, spans, points = watched()
    details = {"prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}}
    usage = USAGE | details | {"completion_tokens_details": {"reasoning_tokens": 2}}
    vendors = [FakeChat("b", says("Hel", "lo", usage=usage))]
    form = {"response_format": {"type": "json_object"}}
    async with client(tmp_path, vendors, ROWS, observers=[observer]) as api:
        await api.post("/ai/chat", json=ASKED | form | {"stream": True})
    facts = attributes(spans()[0])
    assert facts["gen_ai.request.stream"] is True
    assert facts["gen_ai.output.type"] == "json"
    assert facts["gen_ai.response.time_to_first_chunk"] > 0
    assert facts["gen_ai.usage.cache_read.input_tokens"] == 4
    assert facts["gen_ai.usage.cache_creation.input_tokens"] == 3
    assert facts["gen_ai.usage.reasoning.output_tokens"] == 2
    ends = {name: list(rows[0].explicit_bounds) for name, rows in points().items()}
    assert ends["gen_ai.client.token.usage"][:4] == [1, 4, 16, 64]
    for name in ("gen_ai.client.operation.duration", "gen_ai.client.operation.time_to_first_chunk"):
        assert ends[name][0] == 0.01
        assert ends[name][-1] == pytest.approx(81.92)


async def test_a_call_that_was_refused_unread_is_a_span_too(tmp_path: Path, watched: Any) -> None:
    observer, spans, _ = watched()
    async with client(tmp_path, failing_over(), ROWS, no_auth=False, observers=[observer]) as api:
        await api.post("/ai/chat", json=ASKED)
    [call] = spans()
    assert (call.name, attributes(call)["error.type"], call.status.is_ok) == ("infrai chat", "UNAUTHORIZED", False)


async def test_a_stream_that_breaks_off_is_a_span_with_its_error(tmp_path: Path, watched: Any) -> None:
    observer, spans, _ = watched()
    cut = FakeChat("b", fails(Failure("VENDOR_ERROR", "cut"), after=("Hel",)))
    async with client(tmp_path, [cut], ROWS, observers=[observer]) as api:
        await api.post("/ai/chat", json=ASKED | {"stream": True})
    assert [attributes(span).get("error.type") for span in spans()] == ["VENDOR_ERROR", "VENDOR_ERROR"]


@pytest.mark.parametrize("content", [False, True])
async def test_words_are_in_spans_only_where_the_operator_wants_them(
    tmp_path: Path, watched: Any, content: bool
) -> None:
    observer, spans, _ = watched(content)
    async with client(tmp_path, failing_over(), ROWS, observers=[observer]) as api:
        await api.post("/ai/chat", json=ASKED)
    words = json.dumps([dict(span.attributes) for span in spans()])
    assert ("Dalloway" in words) is content
    assert ("Hello" in words) is content


async def test_an_observer_that_breaks_does_not_break_the_call(tmp_path: Path, log: io.StringIO) -> None:
    class Broken:
        def ended(self, trace: Any, failure: Any) -> None:
            raise RuntimeError("no")

    async with client(tmp_path, failing_over(), ROWS, observers=[Broken()]) as api:
        assert (await api.post("/ai/chat", json=ASKED)).status_code == 200
    assert "Broken broke" in log.getvalue()


# -- readiness ---------------------------------------------------------------------------------------------------------


async def test_a_runtime_that_can_answer_is_ready(tmp_path: Path) -> None:
    async with client(tmp_path, failing_over(), ROWS, no_auth=False) as api:
        answer = await api.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert all(check["ok"] for check in answer.json()["checks"].values())


async def test_a_runtime_without_vendors_is_not_ready_and_says_so(tmp_path: Path) -> None:
    async with client(tmp_path, [], ROWS) as api:
        answer = await api.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert answer.json()["checks"]["vendors"] == {"ok": False, "error": "no vendor is configured"}


async def test_a_store_that_fails_is_named_without_its_words() -> None:
    class Down(SqliteDurable):
        async def ping(self) -> None:
            raise OSError("postgres://user:secret@db")

    store = Down(None)
    found = await readiness.checks(store, MemoryEphemeral(), ["a"])
    await store.close()
    assert found["store"] == {"ok": False, "error": "OSError"}
    assert found["cache"]["ok"]
    assert readiness.word_of(found) == "unavailable"


def test_a_runtime_whose_cache_is_down_still_takes_requests() -> None:
    assert readiness.word_of({"store": {"ok": True}, "cache": {"ok": False}}) == "degraded"
    assert readiness.word_of({"store": {"ok": True}, "cache": {"ok": True}}) == "ok"
