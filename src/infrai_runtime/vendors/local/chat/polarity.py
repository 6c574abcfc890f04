"""Yes or no, good or bad: what a text says about a thing, with its negations."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .concept import akin, related
from .scene import MARKERS, Scene, Token
from .slot import Slot
from .word import STOP, is_past, name_words, stem, stems, words

_NO = words("""
    not no never without except exclude excluding non none neither nor n't don't doesn't didn't isn't aren't wasn't
    won't can't cannot off disable disabled deactivate false skip avoid lack lacks lacking unavailable free deny
    denies denied refuse refuses refused reject rejected ignore
    ignoring omit omitting 不 没 无 别 非 否 未 勿
""")
_OFF = stems("off disable deactivate close lower stop mute 关 关闭 关掉 停 禁用")
_ON = stems("on enable activate open start unmute 开 打开 开启 启用 启动")
_SWITCH = stems("on enabled enable state power active status turn switch")
_WITHOUT = words("free no non not without")
_AUXILIARY = stems("""
    is has have should include including allow with need needs require required can use in do available free no non
    not without
""")


def said_of(slot: Slot, scene: Scene, command: bool) -> Iterator[tuple[bool, int]]:
    """(value, place) of what a text speaks out about the yes or no that a slot asks for, if it speaks with one voice.
    A statement says of just that thing that it is there or not; a command may also switch it."""
    asked = slot.words - _AUXILIARY
    found = [*_english(slot, scene, asked, command), *_chinese(scene, asked)] if asked else []
    if len({value for value, _ in found}) == 1:
        value, place = found[0]
        yield value != bool(_WITHOUT & set(name_words(slot.name))), place


def _english(slot: Slot, scene: Scene, asked: frozenset[str], command: bool) -> Iterator[tuple[bool, int]]:
    for at, token in enumerate(scene.tokens):
        base = stem(token.low)
        if asked & _SWITCH and base in _OFF | _ON:
            yield base in _ON, token.end
        elif command and base.startswith("un") and base[2:] in asked:
            yield False, token.end
        elif _is_whole(scene, at, asked) and (command or _is_told(slot.name, scene, token)):
            said = _PREDICATE.match(scene.text, token.end)
            if not said or said[1].lower() in _THERE or stem(said[1]) in asked:
                yield not negated(scene, at), token.end


def _is_whole(scene: Scene, at: int, asked: frozenset[str]) -> bool:
    """Whether a word is one of those asked for and all others stand beside it: a key is no spare key."""
    beside = {stem(token.low) for token in scene.tokens[max(0, at - 3) : at + 4]}
    others = all(any(akin(word, own) for word in beside) for own in asked - _SWITCH)
    return others and stem(scene.tokens[at].low) in asked


def _is_told(name: str, scene: Scene, token: Token) -> bool:
    """Whether a word, in the form of the name, is said to be, opens what is said, is said of something, or is had."""
    own = {word.removesuffix("s") for word in name_words(name)}
    if token.low.removesuffix("s") not in own or token.low in MARKERS or _NO_THING.match(scene.text, token.end):
        return False
    before = [word for word in scene.before(token.start, 4) if word not in _DETERMINERS][:1]
    if _PREDICATE.match(scene.text, token.end) or (before[:1] and before[0] in _HAVING):
        return True
    if before and before[0].isalpha():
        return is_past(token.low) or any(m.kind == "name" and m.end + 1 == token.start for m in scene.mentions)
    after = scene.after(token.end, 1)
    return not after or not after[0].isalpha() or after[0] in _GOES_ON


def _chinese(scene: Scene, asked: frozenset[str]) -> Iterator[tuple[bool, int]]:
    """What is had, allowed, wanted or denied by what stands beside it: 有电梯, 不带车位."""
    if not all(any(related(word, own) for word, _, _ in scene.chinese) for own in asked):
        return
    for word, start, end in scene.chinese:
        told = _HAD_CJK.search(scene.text, 0, start) or _IS_CJK.match(scene.text, end)
        if told and any(related(word, own) for own in asked) and not _QUESTION.match(scene.text, end):
            yield not (_DENIED_CJK.search(scene.text, 0, start) or _DENIES_CJK.match(scene.text, end)), end


_DENIED_CJK = re.compile(r"[不没无别非否未勿][^\s，。,.;；!?！？:：、]{0,2}\Z")
_DENIES_CJK = re.compile(r"[^\s，。,.;；!?！？:：、]{0,2}?(?:没|无|未|不(?![错限])|[:：]\s*[否无没不])")
_HAD_CJK = re.compile(r"[有没无不未别带含可能需要已是包供持许允开关启停][^\s，。,.;；!?！？:：、]{0,3}\Z")
_IS_CJK = re.compile(
    r"[^\s，。,.;；!?！？:：、]{0,2}?(?:有|在(?![\u3400-\u9fff])|没|无|不|未|可|能|已|是|齐|完|好了|[:：]\s*[是否有无])"
)
_DETERMINERS = words("a an the any own also free private very fully not yet been being")
_HAVING = words("""
    has have had having with without no not never is are was were be and or but include includes included including
    offers offer plus comes come there i we he she they who already just n't isn't aren't wasn't don't doesn't didn't
""")
_PREDICATE = re.compile(
    r"\s+(?:is|are|was|were|has been|have been|did|does|do|has|had|have|can|could|will)"
    r"(?:\s+(?:also|not|never)|n['\u2019]t)*\s+([a-z]+)",
    re.IGNORECASE,
)
_THERE = words("available included present provided there on enabled possible allowed confirmed offered yes")
_GOES_ON = _THERE | MARKERS | STOP
"""What may follow a thing that is only named: 'pool on the roof', and not 'pool closed until May'."""
_QUESTION = re.compile(r"[^.!;\n。！；]*[?？]")
_NO_THING = re.compile(rf"\s*[:=]\s*[$€£¥]?\d|{_QUESTION.pattern}")
"""What makes a word no thing that is there: its amount behind a label, a question."""


def negated(scene: Scene, at: int) -> bool:
    """Whether a token is denied by a word near it in the same part of the sentence."""
    before = [token.low for token in scene.tokens[max(0, at - 4) : at]]
    after = [token.low for token in scene.tokens[at + 1 : at + 4]]
    for stop in (",", ".", ";", "but", "，", "。"):
        before = before[len(before) - before[::-1].index(stop) :] if stop in before else before
        after = after[: after.index(stop)] if stop in after else after
    return any(map(_denies, before)) or any(map(_denies, after)) or after[:1] == ["free"]


def _denies(word: str) -> bool:
    return (word in _NO and word != "free") or word.endswith(("n't", "n\u2019t"))


# -- moods

_GOOD = stems("""
    good great excellent love amazing wonderful fantastic happy pleased best perfect friendly delicious helpful enjoy
    recommend delighted superb outstanding nice impressive comfortable beautiful satisfied
""")
_BAD = stems("""
    bad terrible awful hate worst horrible rude cold slow broken poor disappointed disappointing dirty sad angry
    useless waste boring annoying crash faulty ugly unhappy noisy overpriced
""")
_MOOD_CJK = re.compile(
    r"(?P<no>[不没])?(?:(?P<good>喜欢|满意|优秀|开心|推荐|完美|好吃)|差|糟糕|失望|讨厌|难吃|生气|无聊)"
)
_MOODS = dict.fromkeys(words("positive good happy 正面 积极"), True) | dict.fromkeys(
    words("negative bad unhappy 负面 消极"), False
)


def means(option: object, text: str) -> bool:
    """Whether an option is a mood and the words of a text are of that mood alone."""
    return {*_moods(Scene(text))} == {_MOODS.get(str(option).lower())}


def _moods(scene: Scene) -> Iterator[bool]:
    for at, token in enumerate(scene.tokens):
        base = stem(token.low)
        if base in _GOOD | _BAD:
            yield (base in _GOOD) != negated(scene, at)
    for found in _MOOD_CJK.finditer(scene.text):
        yield bool(found["good"]) != bool(found["no"])
