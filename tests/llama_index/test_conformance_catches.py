"""The conformance suites pass what is right and catch what is not: a correct model, models with one defect each, and
the mock that LlamaIndex ships."""

from __future__ import annotations

import pytest

from llama_index_infrai import testing

from . import reference, wired

pytest_plugins = ["pytester"]

HEAD = """
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index_infrai import Infrai
from llama_index_infrai.testing import EmbeddingTests, LLMTests, OpenAIWireTests
from tests.llama_index import reference, wired


class LLMUnderTest(LLMTests):
    llm_params = {"api_key": "key-of-the-reference"}
    refuses_unknown_arguments = True


class EmbeddingUnderTest(EmbeddingTests):
    embedding_params = {"api_key": "key-of-the-reference"}
    other_model_params = {"rotation": 5}
    refuses_unknown_arguments = True


class WireUnderTest(OpenAIWireTests):
    patience_s = 0.3

    def connection(self, url, key):
        return {"base_url": url, "api_key": key, "dialect": "openai"}

    def close(self, llm):
        llm.close()
"""


LOADED = (testing, reference, wired)
"""Loaded here once: each inner session forgets what it was the first to import."""


def suite(kind: str, subject: str, options: str = "") -> str:
    """A test class for one subject."""
    name = subject.rpartition(".")[2]
    field = "embedding_class" if kind == "Embedding" else "llm_class"
    return f"\n\nclass Test{name}({kind}UnderTest):\n    {field} = {subject}\n{options}"


def failed_tests(pytester: pytest.Pytester, text: str, *selected: str) -> tuple[int, set[str]]:
    """How many tests passed, and ``Class::test[parameters]`` of those that failed."""
    pytester.makepyfile(test_subjects=HEAD + text)
    nodes = [f"test_subjects.py::{name}" for name in selected] or ["test_subjects.py"]
    found = pytester.inline_run("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:anyio", "-q", *nodes)
    passed, _, failed = found.listoutcomes()
    return len(passed), {report.nodeid.partition("::")[2] for report in failed}


def test_a_correct_llm_and_embedding_model_pass(pytester: pytest.Pytester) -> None:
    text = suite("LLM", "reference.Reference") + suite("Embedding", "reference.ReferenceEmbedding")
    passed, failed = failed_tests(pytester, text)
    assert failed == set()
    assert passed > 150


LLM_DEFECTS = {
    "NoUsageInStreams": "test_usage_is_in_the_last_response[stream_chat]",
    "UsageUnderAnotherName": "test_the_token_counter_counts_each_call_once[chat]",
    "CompleteReportsTwice": "test_every_call_is_reported_exactly_once[complete]",
    "AsyncIsNotReported": "test_every_call_is_reported_exactly_once[achat]",
    "DeltasHoldEverything": "test_each_response_of_a_stream_holds_all_deltas_so_far[stream_chat]",
    "OneResponseObjectForAll": "test_responses_of_a_stream_do_not_change_afterwards[stream_chat]",
    "NoLegacyCalls": "test_a_call_stands_in_a_block_and_where_older_code_looks[chat_with_tools]",
    "OnlyLegacyCalls": "test_a_call_stands_in_a_block_and_where_older_code_looks[chat_with_tools]",
    "SecondCallIsLost": "test_two_calls_are_two_calls[chat_with_tools]",
    "ParallelCallsCannotBeForbidden": "test_one_call_is_kept_unless_several_are_allowed[chat_with_tools]",
    "PartialArgumentsRaise": "test_calls_can_be_read_on_every_chunk[stream_chat_with_tools]",
    "NoCallIsNeverAnError": "test_no_call_is_an_error_only_when_asked_for",
    "HistoryIsAppendedTo": "test_the_lists_of_the_caller_are_not_changed",
    "ToolIsNeverRequired": "test_a_required_tool_changes_the_request",
    "OptionsGetLost": "test_a_request_with_tools_has_history_message_and_options",
    "MessagesAreChanged": "test_the_messages_of_the_caller_are_not_changed[chat]",
    "OptionsAreChanged": "test_the_options_of_the_caller_are_not_changed[structured_predict]",
    "BlocksAreDropped": "test_a_block_is_taken_or_refused_by_name[ImageBlock-chat]",
    "DefaultContext": "test_the_metadata_say_what_prompts_may_hold",
    "OutputEatsTheContext": "test_the_metadata_say_what_prompts_may_hold",
    "KeyInDumps": "test_no_dump_shows_a_secret",
    "KeyInEvents": "test_no_event_shows_a_secret[chat]",
    "NoDeepCopy": "test_a_copy_answers_too[fresh-deepcopy]",
    "NoPickle": "test_a_copy_answers_too[fresh-pickle]",
    "FirstLoopOnly": "test_one_instance_serves_several_event_loops[achat]",
    "AnyArgumentIsTaken": "test_an_unknown_constructor_argument_is_refused",
}
EMBEDDING_DEFECTS = {
    "OrderIsLost": "test_vectors_come_in_the_order_of_the_texts[sync]",
    "AsyncDiffers": "test_batches_make_no_difference[async]",
    "CacheIsShared": "test_two_models_with_one_cache_keep_their_own_vectors[sync]",
    "CachedAsyncIsNotLimited": "test_the_rate_limiter_is_asked_once_per_batch[cached-async]",
    "ListIsChanged": "test_the_list_of_the_caller_is_not_changed[sync]",
    "EmbeddingKeyInDumps": "test_a_new_secret_does_not_spoil_the_cache_of_a_pipeline",
}
WIRE_DEFECTS = {
    "StreamStaysOpen": "test_leaving_a_stream_closes_its_connection[close-stream_chat]",
    "TriesTwice": "test_the_number_of_attempts_is_one_more_than_the_retries[chat]",
    "AsyncBlocks": "test_others_run_while_an_answer_is_awaited[achat]",
    "FieldsWin": "test_options_of_the_call_win[chat]",
    "CutIsAnEnd": "test_a_cut_stream_raises[stream_chat]",
    "RawErrors": "test_a_stream_without_its_end_raises[stream_chat]",
    "ThinkingIsLost": "test_thinking_is_kept_whole_and_shown_where_agents_look[stream_chat]",
    "FetchesAddresses": "test_an_address_is_handed_on_and_not_fetched[chat]",
}


@pytest.mark.parametrize(
    ("kind", "module", "defects"),
    [
        ("LLM", "reference", LLM_DEFECTS),
        ("Embedding", "reference", EMBEDDING_DEFECTS),
        ("Wire", "wired", WIRE_DEFECTS),
    ],
    ids=["llm", "embedding", "wire"],
)
def test_every_defect_is_caught(pytester: pytest.Pytester, kind: str, module: str, defects: dict[str, str]) -> None:
    text = "".join(suite(kind, f"{module}.{name}") for name in defects)
    expected = {f"Test{name}::{test}" for name, test in defects.items()}
    _, failed = failed_tests(pytester, text, *expected)
    assert failed == expected


def test_the_mock_that_llama_index_ships_is_found_wanting(pytester: pytest.Pytester) -> None:
    text = suite("LLM", "MockFunctionCallingLLM", "    llm_params = {}\n    returns_usage = False\n")
    _, failed = failed_tests(pytester, text)
    names = {name.partition("::")[2].partition("[")[0] for name in failed}
    assert {
        "test_every_call_is_reported_exactly_once",  # achat calls chat, both decorated
        "test_a_block_is_taken_or_refused_by_name",  # unknown content is passed over
        "test_a_request_with_tools_has_history_message_and_options",  # options are dropped
        "test_a_required_tool_changes_the_request",
        "test_no_call_is_an_error_only_when_asked_for",
        "test_the_metadata_say_what_prompts_may_hold",
    } <= names
    assert "test_an_answer_has_text_and_the_right_type" not in names


def test_a_test_cannot_be_dropped_unseen(pytester: pytest.Pytester) -> None:
    dropped = "    def test_usage_is_in_the_last_response(self): ...\n"
    marked = '    @pytest.mark.xfail(reason="not yet", run=False)\n' + dropped
    name = "test_no_test_is_replaced_without_a_reason"
    text = "\nimport pytest" + suite("LLM", "reference.Reference", dropped)
    text += suite("LLM", "reference.NoUsageInStreams", marked)
    passed, failed = failed_tests(pytester, text, f"TestReference::{name}", f"TestNoUsageInStreams::{name}")
    assert (passed, failed) == (1, {f"TestReference::{name}"})
