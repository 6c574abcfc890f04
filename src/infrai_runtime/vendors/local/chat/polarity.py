"""Yes or no, good or bad: what a text says about a thing, with its negations."""

from __future__ import annotations

from .concept import chinese_words, related
from .scene import Scene
from .table import words
from .word import stem

_NO = frozenset(
    words(
        """
    not no never without except exclude excluding non none neither nor n't don't doesn't didn't isn't
    aren't wasn't won't can't cannot off disable disabled deactivate false skip avoid lack lacks lacking
    unavailable free deny denies denied refuse refuses refused reject rejected 不 没 无 别 非 否 未 勿
    """
    )
)
_OFF = frozenset(map(stem, words("off disable deactivate close lower stop mute 关 关闭 关掉 停 禁用")))
_ON = frozenset(map(stem, words("on enable activate open start unmute 开 打开 开启 启用 启动")))
SWITCH = frozenset(map(stem, words("on enabled enable state power active status turn switch")))
_GOOD = frozenset(
    map(
        stem,
        words(
            """
    good great excellent love loved amazing wonderful fantastic happy pleased best perfect friendly
    delicious helpful fast enjoy enjoyed recommend delighted superb outstanding nice impressive
    comfortable beautiful satisfied brilliant charming tasty 好 喜欢 棒 满意 优秀 开心 推荐 完美 出色 好吃 不错 精彩
    """
        ),
    )
)
_BAD = frozenset(
    map(
        stem,
        words(
            """
    bad terrible awful hate hated worst horrible rude cold slow broken poor disappointed disappointing
    dirty sad angry useless waste boring annoying late crash crashes crashed faulty ugly unhappy noisy
    overpriced refund never stale 差 糟糕 失望 讨厌 坏 难吃 脏 生气 垃圾 无聊 差劲 慢 破损
    """
        ),
    )
)
_NEGATIVE_TURN = ("不好", "不喜欢", "不满意", "不推荐", "没意思")


def yes_or_no(scene: Scene, words: frozenset[str]) -> tuple[bool, float, int, int] | None:
    """(value, sureness, start, end) of a thing named by ``words``; None where the text does not speak of it."""
    if words & SWITCH:
        switched = _switched(scene)
        if switched:
            return switched
    best: tuple[bool, float, int, int] | None = None
    for at, token in enumerate(scene.tokens):
        base = stem(token.low)
        if base.startswith("un") and base[2:] in words:
            return False, 1.0, token.start, token.end
        fit = 1.0 if base in words else 0.7 if any(related(base, word) for word in words) else 0.0
        if fit and (best is None or fit > best[1]):
            best = (not _negated(scene, at), fit, token.start, token.end)
    return best or _chinese(scene, words)


def _chinese(scene: Scene, words: frozenset[str]) -> tuple[bool, float, int, int] | None:
    for word, start, end in chinese_words(scene.text):
        if any(related(word, other) for other in words):
            denied = any(letter in _NO for letter in scene.text[max(0, start - 3) : start])
            return not denied, 0.7, start, end
    return None


def _switched(scene: Scene) -> tuple[bool, float, int, int] | None:
    for token in scene.tokens:
        base = stem(token.low)
        if base in _OFF or base in _ON:
            return base in _ON, 0.9, token.start, token.end
    return None


def _negated(scene: Scene, at: int) -> bool:
    before = [token.low for token in scene.tokens[max(0, at - 4) : at]]
    after = [token.low for token in scene.tokens[at + 1 : at + 4]]
    for stop in (",", ".", ";", "but", "，", "。"):
        before = before[len(before) - before[::-1].index(stop) :] if stop in before else before
        after = after[: after.index(stop)] if stop in after else after
    return (
        any(_denies(word) for word in before)
        or any(_denies(word) and word != "free" for word in after)
        or after[:1] == ["free"]
    )


def _denies(word: str) -> bool:
    return (word in _NO and word != "free") or word.endswith(("n't", "n\u2019t"))


def mood(text: str) -> int:
    """Above zero where the words of ``text`` praise, below where they blame, zero where neither or both."""
    return sum(_moods(text))


def one_sided(text: str) -> bool:
    """Whether the words of ``text`` only praise or only blame."""
    moods = _moods(text)
    return bool(moods) and abs(sum(moods)) == sum(map(abs, moods))


def _moods(text: str) -> list[int]:
    scene = Scene(text)
    found = []
    for at, token in enumerate(scene.tokens):
        base = stem(token.low)
        worth = (base in _GOOD) - (base in _BAD)
        found.append(-worth if worth and _negated(scene, at) else worth)
    return [worth for worth in [*found, _chinese_mood(scene.text)] if worth]


def _chinese_mood(text: str) -> int:
    total = 0
    for turn in _NEGATIVE_TURN:
        total -= text.count(turn)
        text = text.replace(turn, "")
    words = [(word, 1) for word in _GOOD if not word.isascii() and len(word) > 1]
    words += [(word, -1) for word in _BAD if not word.isascii() and len(word) > 1]
    return total + sum(sign * text.count(word) for word, sign in words)
