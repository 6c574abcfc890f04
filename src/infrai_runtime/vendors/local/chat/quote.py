"""What a conversation gives to read, and answers with sentences of it, word for word, with their sources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .answer import Draft, text_part
from .conversation import Conversation
from .rank import Scored, Similarity, score
from .sentence import Sentence, is_instruction, is_question, sentences
from .voice import not_found
from .word import has_cjk


@dataclass(frozen=True)
class Passage:
    """A stretch of text with its source: the number or label it carries, or where it stands in the conversation."""

    text: str
    source: int | str
    marked: bool = False


@dataclass(frozen=True)
class Reading:
    """The question, and the passages to answer it from, most important first."""

    question: str
    passages: tuple[Passage, ...]


_QUESTION = r"(?:user\s+)?(?:question|query|q|input|human)|用户问题|问题|提问|用户输入"
_CONTEXT = (
    r"(?:the\s+)?(?:retrieved\s+|given\s+|provided\s+|relevant\s+)?(?:context|documents?|passages?|sources?|text|articles?|information|background|excerpts?|facts?|notes?)"
    r"(?:\s+information)?(?:\s+is\s+below\.?)?|上下文|背景|资料|参考资料|文章|文本|材料|已知信息|原文"
)
_ANSWER = r"(?:helpful\s+|your\s+|final\s+)?(?:answer|response|a|assistant)|回答|答案|答"
_LABEL = re.compile(
    rf"^[ \t>#*]*(?:(?P<question>{_QUESTION})|(?P<context>{_CONTEXT})|(?P<answer>{_ANSWER}))[*]*[ \t]*[:：][*]*[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_FENCE = re.compile(r"^[ \t]*(?:-{3,}|={3,}|`{3,}\w*|\"{3}|'{3}|#{3,}|\*{3,}|</?[a-zA-Z_]+>)[ \t]*$", re.MULTILINE)
_MARK = re.compile(
    r"^[ \t]*(?:[\[【(](?P<bracket>[\w.\-]{1,24})[\]】)]"
    r"|(?:source|document|doc|passage|excerpt|chunk|文档|资料|来源|段落)\s*[#№]?\s*(?P<word>\d{1,4}|[A-Z])"
    r"|<(?:document|doc|source|passage)[^>\n]{0,80}?(?:id|index)\s*=\s*[\"']?(?P<tag>[\w.\-]{1,24})[\"']?[^>\n]{0,80}>)"
    r"[ \t]*[:：.\-]?[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)


def reading(conversation: Conversation) -> Reading:
    """The question of the last user message and every passage of the conversation that may answer it."""
    question, context = split(conversation.request)
    question = _bare(question)
    passages = [*_marked(context, "user")]
    passages += [
        p for result in conversation.results if not result.is_error for p in _marked(result.text, result.call_id)
    ]
    passages += _system(conversation.system)
    passages += [Passage(turn.text, turn.role) for turn in conversation.attached]
    passages += [p for turn in conversation.earlier if turn.role == "user" for p in _earlier(turn.text)]
    passages += [p for r in conversation.old_results if not r.is_error for p in _marked(r.text, r.call_id)]
    return Reading(question, tuple(passages))


_TASK = re.compile(
    r"^\W*(?:please\s+)?(?:"
    r"(?:answer|reply|respond|tell)\b[^:?\n]{0,160}:"
    r"|(?:based on|according to|using|given|from|considering)\b[^,:?\n]{0,60}?"
    r"\b(?:text|context|sources?|documents?|passages?|information|articles?|excerpts?|material|above|below)\b[^,:?\n]{0,40}[,:]"
    r"|(?:根据|按照|依据|请?回答)[^,，:：?？\n]{0,40}[,，:：])\s*",
    re.IGNORECASE,
)


def _bare(question: str) -> str:
    """The question without the words that only say where its answer is to come from."""
    return _TASK.sub("", question) or question


def _earlier(text: str) -> list[Passage]:
    question, context = split(text)
    told = [s.text for s in sentences(question) if not is_question(s.text)]
    return [Passage("\n".join(told), "user")] * bool(told) + _marked(context, "user")


def _system(text: str) -> list[Passage]:
    return _marked(_FENCE.sub("", "".join(part for _, part in _labelled(text)) or text), "system")


def split(text: str) -> tuple[str, str]:
    """``text`` as (question, context): by its labels, by its fences, else by its last or first question."""
    fields = list(_labelled(text))
    asked = [part for label, part in fields if label == "question" and part.strip()]
    if asked:
        question, rest = _first_paragraph(asked[-1])
        given = [_given(label, part) for label, part in fields]
        return question, _FENCE.sub("", "\n".join([*given, rest])).strip()
    return _unlabelled(text, dict(fields).get("context"))


def _given(label: str, part: str) -> str:
    """What a labelled field gives to read: behind the answer of an example only what is fenced or marked."""
    if label in ("context", "before"):
        return part
    found = _FENCE.search(part) or _MARK.search(part) if label == "answer" else None
    return part[found.start() :] if found else ""


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """The labelled fields of ``text``; what stands before the first label is called 'before'."""
    matches = list(_LABEL.finditer(text))
    yield "before", text[: matches[0].start()] if matches else text
    ends = [match.start() for match in matches[1:]] + [len(text)]
    for match, end in zip(matches, ends, strict=False):
        yield str(match.lastgroup), text[match.end() : end]


def _first_paragraph(text: str) -> tuple[str, str]:
    head, _, rest = text.strip().partition("\n\n")
    return head.strip(), rest.strip()


def _unlabelled(text: str, context: str | None) -> tuple[str, str]:
    bare = _FENCE.sub("\n", text)
    found = sentences(bare)
    if len(found) <= 1:
        return bare.strip(), ""
    at = _question_place(found)
    question = found[at]
    before, after = bare[: question.start], bare[question.end :]
    if at and len(after) < len(before) and not _MARK.search(after):
        return bare[question.start :].strip(), _LABEL.sub("", before).strip()
    return question.text, _LABEL.sub("", f"{before}\n{after}").strip()


def _question_place(found: list[Sentence]) -> int:
    """Which sentence asks: the last question, else the first sentence where it is a command, else the last."""
    asking = [i for i, sentence in enumerate(found) if sentence.text.rstrip("\"'”").endswith(("?", "？"))]
    if asking:
        edge = [i for i in asking if i in (0, len(found) - 1)]
        return (edge or asking)[-1]
    return 0 if found[0].text.endswith((":", "：")) or _COMMAND.match(found[0].text) else len(found) - 1


_COMMAND = re.compile(
    r"(?:please|can you|could you|summari[sz]e|extract|tell|list|explain|describe|find|identify|parse|translate|write"
    r"|from the|in the following|give|what|who|when|where|how|which|请|总结|概括|提取|摘要|列出|根据)",
    re.IGNORECASE,
)


def _marked(text: str, source: int | str) -> list[Passage]:
    """``text`` cut at its passage marks; whole where it has none."""
    matches = list(_MARK.finditer(text))
    if not matches:
        return [Passage(text, source)] if text.strip() else []
    head = text[: matches[0].start()].strip()
    ends = [match.start() for match in matches[1:]] + [len(text)]
    cut = [Passage(text[m.end() : end].strip(), _name(m), True) for m, end in zip(matches, ends, strict=True)]
    return [Passage(head, source)] * bool(head) + [passage for passage in cut if passage.text]


def _name(match: re.Match[str]) -> int | str:
    label = match.group("bracket") or match.group("word") or match.group("tag")
    return int(label) if label.isdigit() else label


def statements(passage: Passage) -> list[Sentence]:
    """The sentences of a passage that state something: no instructions to the assistant."""
    return [found for found in sentences(passage.text) if not is_instruction(found.text)]


_SUPPORT = 0.5
_SUPPORT_TOLD = 0.34
_CLOSE = 0.82
_TRIED = 3
"""How far down a sentence may stand that answers where those before it only speak of the same thing."""
_MOST_TEXT = 60_000
_MOST_SENTENCES = 600


@dataclass(frozen=True)
class Candidate:
    """One sentence that may answer, with the passage it stands in and its place there."""

    text: str
    passage: Passage
    order: int
    around: str


def candidates(passages: tuple[Passage, ...]) -> list[Candidate]:
    """Every stating sentence of the passages, up to a fixed amount of text."""
    found: list[Candidate] = []
    size = 0
    for passage in passages:
        before = ""
        lead = ""
        for sentence in statements(passage):
            lead = lead or sentence.text[:200]
            found.append(Candidate(sentence.text, passage, len(found), f"{lead} {before}"))
            before = sentence.text
            size += len(sentence.text)
            if size > _MOST_TEXT or len(found) >= _MOST_SENTENCES:
                return found
    return found


def answer(reading: Reading, *, similarity: Similarity | None, thorough: bool) -> Draft | None:
    """The supported answer; None where there is nothing to read or nothing is supported."""
    found = candidates(reading.passages)
    if not found:
        return None
    scored = score(
        reading.question, [c.text for c in found], [c.around for c in found], similarity=similarity, thorough=thorough
    )
    chosen = _chosen(found, scored, 3 if thorough else 1, _about_speaker(reading.question))
    return cited((one.passage, one.text) for one in chosen) if chosen else None


def abstain(question: str) -> Draft:
    """Says that the given text does not hold the answer."""
    return Draft([text_part(not_found(has_cjk(question)))], grounded=False)


def _about_speaker(question: str) -> bool:
    return bool({"i", "my", "me", "i'm"} & set(question.lower().replace("?", " ").split())) or "我" in question


def _chosen(found: list[Candidate], scored: list[Scored], most: int, about_speaker: bool) -> list[Candidate]:
    """The best sentences, in text order; less support is enough for what the user told about themselves."""
    order = sorted(range(len(found)), key=lambda i: (-scored[i].rank, i))
    best = order[0]
    told = about_speaker and found[best].passage.source == "user" and _about_speaker(found[best].text)
    least = _SUPPORT_TOLD if told else _SUPPORT
    fit = [i for i in order[:_TRIED] if scored[i].support >= least]
    keep = [i for i in fit[:most] if scored[i].rank >= _CLOSE * scored[fit[0]].rank]
    distinct = {found[i].text: i for i in reversed(keep)}
    return [found[i] for i in sorted(distinct.values())]


def cited(chosen: Iterable[tuple[Passage, str]], bullets: bool = False) -> Draft:
    """Sentences, each with the passage it stands in, as one text that cites them."""
    text = ""
    notes: list[dict[str, Any]] = []
    for passage, sentence in chosen:
        gap = "\n" if bullets else "" if has_cjk(sentence[:1]) and text[-1:] in "。！？" else " "
        text += (gap if text else "") + ("- " if bullets else "")
        end = len(text) + len(sentence)
        note = {"type": "citation", "start": len(text), "end": end, "source": passage.source, "quote": sentence}
        notes.append(note)
        text += sentence + (f" [{passage.source}]" if passage.marked else "")
    return Draft([text_part(text, notes)], grounded=True)
