"""The keyword index: what its vectors promise, and how well it finds paragraphs that share words with a question."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local import keyword
from infrai_runtime.vendors.local.keyword import MODELS, embed, grams, terms, weight

QUESTIONS = {
    "How do I request a refund for an order?": "Refunds: a customer may request a refund of any order within "
    "thirty days. Money goes back to the card that paid.",
    "When does the library open on Sundays?": "The city library opens at ten on weekdays and at noon on Sunday; "
    "it is closed on public holidays.",
    "reset a forgotten password": "If you forgot your password, choose reset on the login page and follow the link.",
    "battery life of the headphones": "The headphones play for thirty hours; a full battery charge takes two.",
    "Which planets have rings?": "Saturn is known for its rings, but Jupiter and Uranus are planets with rings, too.",
    "how to prune apple trees": "Apple trees are pruned in late winter. Cut dead branches first.",
    "maximum file size for uploads": "Uploading is limited: a single file may have a size of at most 25 megabytes.",
    "vaccination for travelling with dogs": "A dog that travels abroad needs a rabies vaccination and a passport.",
    "Who wrote the opera Carmen?": "Carmen is an opera in four acts by Georges Bizet, first performed in 1875.",
    "error when the database connection times out": "A database that does not answer makes the connection time out.",
    "如何申请退款？": "退款政策：顾客可以在三十天内申请退款，款项会退回原来的银行卡。",
    "图书馆周日几点开门？": "市图书馆工作日上午十点开门，周日中午开门，节假日闭馆。",
    "忘记密码怎么办": "如果忘记密码，请在登录页面选择重置，然后打开邮件里的链接。",
    "耳机的电池能用多久": "这款耳机可以连续播放三十小时，电池充满需要两小时。",
    "哪些行星有光环？": "土星以光环闻名，木星、天王星和海王星也是带有光环的行星。",
    "苹果树什么时候修剪": "苹果树应在冬末修剪，先剪掉枯枝，再让树冠透光。",
    "上传文件的大小限制": "单个文件的大小上限是二十五兆，超过限制的文件不能上传。",
    "带狗旅行需要打什么疫苗": "带狗出国旅行需要狂犬病疫苗、芯片和宠物护照。",
    "歌剧卡门是谁写的": "《卡门》是法国作曲家比才创作的四幕歌剧，一八七五年首演。",
    "数据库连接超时的错误": "数据库没有响应时连接会超时，客户端报告错误504。",
}
DISTRACTORS = (
    "The train to the coast leaves every hour and takes ninety minutes.",
    "Please read the instructions before you open the box and keep them for later.",
    "A file of old letters was found when the house was sold.",
    "The committee will meet again in spring to vote on the new budget.",
    "会议改到下周三下午三点，地点不变。",
    "请在下单前确认收货地址和联系电话。",
    "这座桥建于明代，全长一百二十米。",
    "面条煮九分钟，留一碗面汤。",
)


def nearness(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def recall(dimensions: int, at: int) -> float:
    """The share of the questions whose own paragraph is among the nearest ``at``; ties count against it."""
    paragraphs = embed([*QUESTIONS.values(), *DISTRACTORS], dimensions)
    found = 0
    for own, question in enumerate(embed(list(QUESTIONS), dimensions)):
        near = [nearness(question, paragraph) for paragraph in paragraphs]
        found += sum(value >= near[own] for value in near) <= at
    return found / len(QUESTIONS)


@pytest.mark.parametrize("dimensions", MODELS.values())
def test_a_question_finds_the_paragraph_that_shares_its_words(dimensions: int) -> None:
    assert recall(dimensions, at=3) == 1.0
    assert recall(dimensions, at=1) >= 0.95


def test_a_paraphrase_is_not_found_because_this_is_not_a_semantic_model() -> None:
    question, same, other = embed(
        ["I want my money back", "Customers are reimbursed on return", "Put the letters back into the box"]
    )
    assert nearness(question, same) < nearness(question, other)


@pytest.mark.parametrize("dimensions", [64, 256, 1000, 1024, 4096])
def test_every_vector_has_length_one(dimensions: int) -> None:
    for vector in embed(["a", "the of and", "数", "word " * 500, "!?", "🙂", "naïve Ünïcode", "123"], dimensions):
        assert len(vector) == dimensions
        assert math.isclose(math.hypot(*vector), 1.0, rel_tol=1e-12)


def test_numpy_gives_the_same_bits() -> None:
    texts = ["x " * 1500, "The quick brown fox, the lazy dog. " * 60, "重复的词重复的词" * 40, "!!! ??", "a"]
    together = embed(texts)
    assert together == [keyword._vector(keyword._fold(text), 1024) for text in texts]
    assert keyword._worth_numpy(texts)
    assert not keyword._worth_numpy(texts[-2:])


def test_another_process_gives_the_same_vector() -> None:
    code = (
        "import json; from infrai_runtime.vendors.local.keyword import embed;print(json.dumps(embed(['Refund 退款'])))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == embed(["Refund 退款"])


def test_known_vectors_stay_what_they_are() -> None:
    """Stored indexes outlive releases: a change of these numbers makes every one of them useless."""
    (vector,) = embed(["Refunds 退款"], 64)
    heavy = {cell: round(value, 6) for cell, value in enumerate(vector) if abs(value) > 0.2}
    assert heavy == {4: -0.233081, 17: 0.233081, 26: -0.564243, 37: 0.233081, 62: -0.564243}


@pytest.mark.parametrize(
    "form", ["refunds", "Refund", "REFUNDED", "refunding", "réfund", "ｒｅｆｕｎｄ", "refund.", "«refund»"]
)
def test_forms_of_a_word_are_one_term(form: str) -> None:
    assert terms(form) == ["refund"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("city", "cities"),
        ("stop", "stopped"),
        ("caching", "caches"),
        ("cache", "cached"),
        ("glass", "glasses"),
        ("try", "tries"),
        ("run", "running"),
    ],
)
def test_endings_do_not_separate_words(one: str, other: str) -> None:
    assert terms(one) == terms(other)


@pytest.mark.parametrize("word", ["bus", "this", "gas", "need", "sing", "1990s", "news"])
def test_short_words_keep_something_to_be_found_by(word: str) -> None:
    assert len(terms(word)[0]) >= 2


def test_chinese_is_cut_into_characters_and_pairs() -> None:
    assert terms("退款政策") == ["退", "款", "政", "策", "退款", "款政", "政策"]
    assert terms("用Python写") == ["用", "python", "写"]


def test_a_misspelt_word_is_nearer_than_another_word() -> None:
    right, misspelt, other = embed(["accommodation", "acommodation", "refrigerator"])
    assert nearness(right, misspelt) > 0.25 > 0.1 > nearness(right, other)


def test_stop_words_say_next_to_nothing() -> None:
    assert weight("the") < weight("refund") / 5
    assert weight("的") < weight("退款") / 5
    question, about, chatter = embed(["what is the refund", "refund", "what is the"])
    assert nearness(question, about) > 0.9 > 0.4 > nearness(question, chatter)


def test_letter_grams_know_the_ends_of_a_word() -> None:
    assert grams("cat") == ["<ca", "cat", "at>", "<cat", "cat>", "<cat>"]
    assert grams("退款") == ["退款"]


@pytest.mark.parametrize("dimensions", [63, 4097, 0, -1, True, 1024.0, "1024"])
def test_dimensions_out_of_range_are_refused_by_name(dimensions: int) -> None:
    with pytest.raises(Failure, match="from 64 to 4096, got") as caught:
        embed(["x"], dimensions)
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "dimensions")


@pytest.mark.parametrize("empty", ["", " \n\t", "\u3000"])
def test_an_empty_text_is_refused_by_its_index(empty: str) -> None:
    with pytest.raises(Failure, match=r"input\[1\] is empty") as caught:
        embed(["x", empty])
    assert (caught.value.code, caught.value.param) == ("INVALID_REQUEST", "input")


def test_no_texts_give_no_vectors() -> None:
    assert embed([]) == []


def test_odd_text_does_no_harm() -> None:
    odd = ["\ud800", "\x00", "a" * 100_000, "_" * 50, "\u0301", "ﷺ" * 30, "\u200b"]
    assert [len(vector) for vector in embed(odd)] == [1024] * len(odd)
