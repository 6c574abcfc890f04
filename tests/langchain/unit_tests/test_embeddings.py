"""``InfraiEmbeddings`` on a scripted service."""

from __future__ import annotations

import asyncio
import base64
import copy
import pickle
import struct
import sys
import threading
from typing import Any

import pytest

from infrai_core.testing import Answer, Script, Scripted, Sent, envelope, failure
from langchain_infrai import InfraiEmbeddings
from langchain_infrai.errors import InfraiConfigError, InfraiProtocolError, InfraiRateLimited


def vectors(sent: Sent, *, model: str = "served", dimensions: int = 2, lose: int = 0) -> Scripted:
    """Vectors that tell the length of their text."""
    texts = sent.body["input"]
    rows = [[float(len(text))] * dimensions for text in texts][: len(texts) - lose]
    return envelope({"embeddings": rows, "model": model, "usage": {"prompt_tokens": 3}}, model=model, cost_usd=0.1)


def embeddings_on(*answers: Answer, repeat: bool = True, **fields: Any) -> tuple[InfraiEmbeddings, Script]:
    script = Script(answers or [vectors], repeat_last=repeat)
    return InfraiEmbeddings(api_key="key", max_retries=0, client_options={"transport": script}, **fields), script


def sizes(script: Script) -> list[int]:
    return [len(request.body["input"]) for request in script.requests]


TEXTS = ["a", "bb", "ccc", "dddd", "eeeee"]


def test_documents_keep_their_order_over_batches() -> None:
    made, script = embeddings_on(batch_size=2)
    assert [vector[0] for vector in made.embed_documents(TEXTS)] == [1, 2, 3, 4, 5]
    assert sizes(script) == [2, 2, 1]


async def test_documents_keep_their_order_over_requests_at_the_same_time() -> None:
    made, script = embeddings_on(batch_size=1)
    assert [vector[0] for vector in await made.aembed_documents(TEXTS)] == [1, 2, 3, 4, 5]
    assert sizes(script) == [1] * 5


def test_a_query_is_one_vector() -> None:
    made, _ = embeddings_on()
    assert made.embed_query("abc") == [3.0, 3.0]
    assert asyncio.run(made.aembed_query("abc")) == [3.0, 3.0]


def test_a_model_is_told_which_texts_are_queries_where_that_is_asked_for() -> None:
    told, script = embeddings_on(asymmetric=True)
    told.embed_query("a")
    told.embed_documents(["a"])
    asyncio.run(told.aembed_query("a"))
    asyncio.run(told.aembed_documents(["a"]))
    assert [request.body["input_type"] for request in script.requests] == ["query", "document"] * 2
    plain, script = embeddings_on()
    plain.embed_query("a")
    assert "input_type" not in script.requests[0].body


def test_nothing_is_sent_for_no_text() -> None:
    made, script = embeddings_on()
    assert made.embed_documents([]) == []
    assert asyncio.run(made.aembed_documents([])) == []
    assert script.requests == []


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        ("abc", "texts: came str"),
        (5, "texts: came int"),
        (["a", ""], "texts[1]: came ''"),
        (["a", 1], "texts[1]: came 1"),
    ],
)
def test_what_is_no_list_of_texts_is_named_before_anything_is_sent(texts: Any, named: str) -> None:
    made, script = embeddings_on(batch_size=1)
    for embed in (made.embed_documents, lambda texts: asyncio.run(made.aembed_documents(texts))):
        with pytest.raises(InfraiConfigError) as caught:
            embed(texts)
        assert caught.value.message.startswith(named)
    with pytest.raises(InfraiConfigError, match="text: came '', allowed is a text that is not empty"):
        made.embed_query("")
    assert script.requests == []


def test_texts_may_come_from_an_iterator() -> None:
    made, _ = embeddings_on()
    texts: Any = iter(["a", "bb"])
    assert made.embed_documents(texts) == [[1.0, 1.0], [2.0, 2.0]]


def test_a_batch_stays_within_its_tokens_and_a_long_text_goes_alone() -> None:
    made, script = embeddings_on(batch_tokens=10)
    made.embed_documents(["one two", "three four five", "word " * 40, "six"])
    assert sizes(script) == [2, 1, 1]


def test_the_first_answer_pins_the_model_of_the_later_requests() -> None:
    made, script = embeddings_on(batch_size=2)
    made.embed_documents(TEXTS)
    assert [request.body.get("model") for request in script.requests] == [None, "served", "served"]


async def test_asynchronous_requests_wait_for_the_first_to_pin_the_model() -> None:
    made, script = embeddings_on(batch_size=1)
    await made.aembed_documents(TEXTS)
    assert [request.body.get("model") for request in script.requests] == [None] + ["served"] * 4


def test_the_given_model_is_asked_for_as_it_was_given() -> None:
    made, script = embeddings_on(model="alias", dimensions=2)
    made.embed_query("a")
    made.embed_query("b")
    assert [(request.body["model"], request.body["dimensions"]) for request in script.requests] == [("alias", 2)] * 2


@pytest.mark.parametrize("change", [{"model": "other"}, {"dimensions": 3}])
def test_vectors_of_another_model_or_dimension_raise(change: dict[str, Any]) -> None:
    made, _ = embeddings_on(vectors, lambda sent: vectors(sent, **change))
    made.embed_query("a")
    with pytest.raises(InfraiProtocolError, match=r"changed from served \(2 dimensions\)"):
        made.embed_query("a")


def test_a_missing_vector_raises() -> None:
    made, _ = embeddings_on(lambda sent: vectors(sent, lose=1))
    with pytest.raises(InfraiProtocolError, match="2 texts were sent, 1 vectors came back"):
        made.embed_documents(["a", "b"])


async def test_the_error_of_one_request_among_many_is_raised_as_itself() -> None:
    made, _ = embeddings_on(vectors, failure("RATE_LIMITED"), batch_size=1)
    with pytest.raises(InfraiRateLimited):
        await made.aembed_documents(TEXTS)


class _Busy:
    """A transport that knows how many requests were under way at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._script = Script([vectors], repeat_last=True)

    def handle_request(self, request: Any) -> Any:
        return self._script.handle_request(request)

    async def handle_async_request(self, request: Any) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1
        return await self._script.handle_async_request(request)


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_requests_than_allowed_are_under_way(limit: int) -> None:
    busy = _Busy()
    made = InfraiEmbeddings(api_key="key", batch_size=1, max_concurrency=limit, client_options={"transport": busy})
    await made.aembed_documents(TEXTS * 2)
    assert busy.most == limit


def test_tokens_and_cost_are_in_the_ledger() -> None:
    made, _ = embeddings_on(batch_size=2)
    made.embed_documents(TEXTS)
    total = made.ledger.by("capability")["embed"]
    assert (total.calls, total.prompt_tokens, str(total.cost_usd)) == (3, 9, "0.3")


def test_copies_and_pickles_keep_the_pin() -> None:
    made, _ = embeddings_on()
    made.embed_query("a")
    plain = InfraiEmbeddings(api_key="key")
    plain._pin = made._pin
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(plain))):
        assert (other._pin.model, other._pin.dimensions) == ("served", 2)


def test_threads_share_one_pin() -> None:
    made, script = embeddings_on()
    threads = [threading.Thread(target=made.embed_query, args=("a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.embed_query("a")
    assert script.requests[-1].body["model"] == "served"


def packed(sent: Sent) -> Scripted:
    """The same vectors as base64 of float32."""
    rows = [base64.b64encode(struct.pack("<2f", len(text), 0.5)).decode() for text in sent.body["input"]]
    return envelope({"embeddings": rows, "model": "served"}, model="served")


@pytest.mark.parametrize("with_numpy", [True, False])
def test_vectors_travel_as_base64_and_are_lists_of_floats(with_numpy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if with_numpy:
        import numpy as np

        assert np.__name__ in sys.modules
    else:
        monkeypatch.delitem(sys.modules, "numpy", raising=False)
    made, script = embeddings_on(packed, batch_size=2)
    assert made.embed_documents(["a", "bb", "ccc"]) == [[1.0, 0.5], [2.0, 0.5], [3.0, 0.5]]
    assert [request.body["encoding_format"] for request in script.requests] == ["base64", "base64"]


def test_whole_numbers_of_a_service_are_floats_too() -> None:
    made, _ = embeddings_on(lambda sent: envelope({"embeddings": [[1, 0]], "model": "served"}))
    assert [type(number) for number in made.embed_query("a")] == [float, float]


@pytest.mark.parametrize("row", ["no base64!", ["x"], None])
def test_an_unreadable_vector_raises(row: Any) -> None:
    made, _ = embeddings_on(lambda sent: envelope({"embeddings": [row], "model": "served"}))
    with pytest.raises(InfraiProtocolError, match="neither numbers nor base64"):
        made.embed_query("a")


@pytest.mark.parametrize(
    "body",
    [
        {"embeddings": [[1.0], []]},
        {"embeddings": [[1.0], [1.0, 2.0]]},
        {"embeddings": [[], []]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}]},
        {"data": [{"index": 1, "embedding": [1.0]}, {"index": 2, "embedding": [2.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1}]},
        {},
    ],
)
def test_an_answer_whose_vectors_do_not_fit_the_texts_raises(body: dict[str, Any]) -> None:
    made, _ = embeddings_on(lambda sent: envelope({**body, "model": "served"}))
    with pytest.raises(InfraiProtocolError, match=r"embed"):
        made.embed_documents(["a", "b"])


def test_rows_stand_where_their_index_says() -> None:
    rows = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    made, _ = embeddings_on(lambda sent: envelope({"data": rows, "model": "served"}))
    assert made.embed_documents(["a", "b"]) == [[1.0], [2.0]]


def test_a_copy_with_another_model_is_pinned_anew() -> None:
    made, _ = embeddings_on(vectors, lambda sent: vectors(sent, model="other"))
    made.embed_query("a")
    assert made.model_copy(update={"batch_size": 2}).pinned_model == "served"
    other = made.model_copy(update={"model": "other"})
    assert other.embed_query("a") == [1.0, 1.0]
    assert (made.pinned_model, other.pinned_model) == ("served", "other")


def test_a_failure_in_the_middle_raises_and_the_texts_can_be_embedded_again() -> None:
    made, script = embeddings_on(vectors, failure("RATE_LIMITED"), vectors, batch_size=2)
    with pytest.raises(InfraiRateLimited):
        made.embed_documents(TEXTS)
    assert [vector[0] for vector in made.embed_documents(TEXTS)] == [1, 2, 3, 4, 5]
    assert sizes(script) == [2, 2, 2, 2, 1]


def test_the_bar_counts_texts(capfd: pytest.CaptureFixture[str]) -> None:
    made, _ = embeddings_on(batch_size=2, show_progress_bar=True)
    made.embed_documents(TEXTS)
    assert "5/5" in capfd.readouterr().err
    asyncio.run(made.aembed_documents(TEXTS))
    assert "5/5" in capfd.readouterr().err


def test_the_pinned_model_can_be_read_and_given_back() -> None:
    made, _ = embeddings_on()
    assert made.pinned_model is None
    made.embed_query("a")
    assert made.pinned_model == "served"


def test_the_names_that_langchain_people_know_work() -> None:
    made = InfraiEmbeddings(model_name="m", chunk_size=7, infrai_api_key="k", request_timeout=3)
    assert (made.model, made.batch_size, made.timeout) == ("m", 7, 3)
