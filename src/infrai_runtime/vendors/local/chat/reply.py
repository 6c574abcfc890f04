"""The on-machine chat model: one pure function from messages to an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import arithmetic, quote, summary, voice
from .answer import Answer, Draft, finish, say
from .conversation import Conversation, prompt_text, read
from .form import structured
from .plan import looked_up, tool_calls
from .quote import Reading, reading, split
from .rank import Similarity
from .sentence import is_question
from .word import has_cjk, terms, words


@dataclass(frozen=True)
class Question:
    """What every way of answering is given."""

    conversation: Conversation
    reading: Reading
    similarity: Similarity | None
    thorough: bool

    @property
    def text(self) -> str:
        return self.reading.question


def reply(
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    parallel_tool_calls: bool = True,
    response_format: Mapping[str, Any] | None = None,
    max_tokens: int | None = None,
    stop: Sequence[str] = (),
    seed: int | None = None,
    similarity: Callable[[str, Sequence[str]], Sequence[float]] | None = None,
    thorough: bool = True,
) -> Answer:
    """Answers ``messages`` (wire messages with parts) from what they hold; the same input gives the same answer.

    ``similarity(query, texts)`` gives one cosine per text, from an embedding model where one is at hand.
    ``thorough=False`` is the fast variant: no comparison of word forms, one sentence. ``seed`` changes only the ids
    of tool calls. Raises ``Failure("INVALID_REQUEST")`` naming ``tools``, ``tool_choice`` or ``response_format``
    where one of them cannot be used.
    """
    conversation = read(messages)
    draft = tool_calls(conversation, tools or (), tool_choice, parallel=parallel_tool_calls, salt=str(seed or ""))
    if draft is None:
        draft = structured(conversation, response_format)
    if draft is None:
        question = Question(conversation, reading(conversation), similarity, thorough)
        draft = _spoken(question)
        if tools and draft.grounded is False:
            draft = looked_up(conversation, question.text, tools, tool_choice, str(seed or "")) or draft
    return finish(draft, prompt=prompt_text(messages), stop=stop, max_tokens=max_tokens)


def _spoken(question: Question) -> Draft:
    """The first way of answering in text that has something to say."""
    return next(draft for way in _WAYS if (draft := way(question)) is not None)


def _results(question: Question) -> Draft | None:
    return summary.told(question.conversation, question.similarity, question.thorough)


def _social(question: Question) -> Draft | None:
    key = voice.social(question.text)
    return say(voice.phrase(key, has_cjk(question.text))) if key else None


def _sum(question: Question) -> Draft | None:
    solved = arithmetic.solve(question.text) or arithmetic.solve(question.conversation.request)
    return say(solved, True) if solved else None


def _summary(question: Question) -> Draft | None:
    return summary.summarize(question.conversation) if summary.asked(question.conversation.request) else None


def _quoted(question: Question) -> Draft | None:
    return quote.answer(question.reading, similarity=question.similarity, thorough=question.thorough)


def _story(question: Question) -> Draft | None:
    return voice.story(question.conversation.request) if voice.asks_story(question.conversation.request) else None


def _noted(question: Question) -> Draft | None:
    """A statement of the user, to come back to later."""
    told = question.text
    if not told or not terms(told) or is_question(told) or not _SPEAKER & set(told.lower().split()):
        return None if not _told_in_chinese(told) else say(voice.phrase("noted", True))
    return say(voice.phrase("noted", has_cjk(told)))


_SPEAKER = words("i i'm my we our remember i've")


def _told_in_chinese(text: str) -> bool:
    return text.startswith(("我", "记住", "请记住")) and not is_question(text)


def _brought(question: Question) -> Draft | None:
    """What the media of the last message hold, where no sentence of theirs answers better."""
    told = [turn.text for turn in question.conversation.brought]
    return say("\n\n".join(told), True) if told else None


def _unseen(question: Question) -> Draft | None:
    if not question.conversation.undescribed:
        return None
    return say(voice.phrase("unseen", has_cjk(question.text)), False)


def _abstain(question: Question) -> Draft | None:
    """There was a text to answer from, and it does not answer."""
    asked = split(question.conversation.request)[1]
    given = [p for p in question.reading.passages if p.marked or p.source != "user" or p.text in asked]
    return quote.abstain(question.text) if quote.candidates(tuple(given)) else None


def _open(question: Question) -> Draft | None:
    return say(voice.open_answer(question.text), False)


_WAYS: tuple[Callable[[Question], Draft | None], ...] = (
    _results,
    _social,
    _sum,
    _summary,
    _story,
    _quoted,
    _brought,
    _noted,
    _unseen,
    _abstain,
    _open,
)
