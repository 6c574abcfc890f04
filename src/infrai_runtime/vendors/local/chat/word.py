"""Words of English and Chinese text: tables, tokens, stems, and the terms that carry meaning."""

from __future__ import annotations

import re
from functools import lru_cache


def words(table: str) -> frozenset[str]:
    """The words of a table, which stand there with blanks between them."""
    return frozenset(table.split())


def in_order(table: str) -> list[str]:
    """The words of a table in their order."""
    return table.split()


_TOKEN = re.compile(
    r"(?P<cjk>[\u3400-\u9fff]+)|(?P<number>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)|(?P<word>[^\W\d_]+(?:['\u2019][^\W\d_]+)?)"
)
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[\u3400-\u9fff]+")

STOP = words("""
    a an the this that these those and or but nor so if then than as of in on at to for from by with without about
    into onto over under up down out off is are was were be been being am do does did done doing have has had having
    will would shall should can could may might must not no i you he she it we they me him her us them my your his its
    our their mine yours what which who whom whose when where why how there here s t re ve ll d m just also too very
    please tell give show say let get know any some such there's what's it's i'm don't doesn't didn't isn't can't
    according context answer question following many much
""")
CJK_STOP = words("""
    请问 请你 请 什么 怎么样 怎么 怎样 哪里 哪儿 哪个 哪些 哪 多少 多大 多久 多长 几点 几个 几
    为什么 是否 吗 呢 吧 啊 的 了 是 在 和
    与 及 有 我 你 他 她 它 们 这 那 一下 一个 告诉 帮 给
    把 被 从 到 也 都 就 会 能 可以 吗 谁 何时 如何 请把 根据
""")
_CJK_STOP = re.compile("|".join(sorted(map(re.escape, CJK_STOP), key=len, reverse=True)))

_IRREGULAR = dict(
    pair.split(":")
    for pair in in_order("""
    went:go gone:go bought:buy brought:bring sent:send paid:pay met:meet built:build wrote:write written:write
    made:make found:find founded:found born:birth children:child people:person men:man women:woman feet:foot
    teeth:tooth mice:mouse took:take taken:take gave:give given:give won:win sold:sell told:tell said:say
    began:begin begun:begin broke:break broken:break chose:choose chosen:choose drove:drive driven:drive ate:eat
    eaten:eat fell:fall fallen:fall flew:fly flown:fly grew:grow grown:grow kept:keep knew:know known:know
    led:lead left:leave lost:lose meant:mean ran:run rose:rise risen:rise saw:see seen:see sang:sing slept:sleep
    spoke:speak spoken:speak spent:spend stood:stand taught:teach thought:think wore:wear worn:wear held:hold
    heard:hear became:become came:come caught:catch felt:feel got:get drew:draw drawn:draw hid:hide hidden:hide
    swam:swim threw:throw thrown:throw woke:wake won't:not cannot:not cost:cost better:good best:good worse:bad
    worst:bad bigger:big larger:large lives:live living:live died:die dying:die death:die dead:die
    located:location oldest:old older:old tallest:tall highest:high longest:long
""")
)
_DOUBLE = words("bb dd gg mm nn pp rr tt")
NUMBER_WORD = {
    word: value
    for value, word in enumerate(
        in_order("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
""")
    )
} | {word: 10 * n for n, word in enumerate(in_order("twenty thirty forty fifty sixty seventy eighty ninety"), 2)}


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A crude common form of an English word: lower case, without plural, -ed, -ing, -ly and final e."""
    word = word.lower().replace("\u2019", "'")
    word = word.removesuffix("'s")
    if word in _IRREGULAR:
        word = _IRREGULAR[word]
    if not word.isascii() or len(word) < 4:
        return word
    return _bare(_singular(word))


def stems(table: str) -> frozenset[str]:
    """The stems of the words of a table."""
    return frozenset(map(stem, table.split()))


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _bare(word: str) -> str:
    for ending in ("ing", "ed", "ly"):
        base = word.removesuffix(ending)
        if base != word and len(base) >= 3 and any(letter in "aeiouy" for letter in base):
            word = base[:-1] if base[-2:] in _DOUBLE else base
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def is_past(verb: str) -> bool:
    """Whether a word is written in the past form of a verb: booked, went, had."""
    low = verb.lower()
    return (
        low in ("had", "was", "were", "did")
        or (low.endswith("ed") and not low.endswith("eed") and any(letter in "aeiouy" for letter in low[:-2]))
        or _IRREGULAR.get(low, low) in _PRESENT - {low}
    )


_PRESENT = frozenset(
    present for past, present in _IRREGULAR.items() if not past.endswith(("est", "er", "ing")) and "'" not in past
)


def tokens(text: str) -> list[str]:
    """Lower-case tokens in order: words, numbers without thousands commas, runs of Chinese characters."""
    return [match.group().lower().replace(",", "") for match in _TOKEN.finditer(text)]


def terms(text: str) -> list[str]:
    """The stems of ``text`` that carry meaning, in order: no function words; Chinese as pairs of characters."""
    found: list[str] = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "cjk":
            found += _pairs(match.group())
        else:
            found += _term(match.group().lower())
    return found


def _term(word: str) -> list[str]:
    word = word.replace("\u2019", "'")
    if word in STOP:
        return []
    if word in NUMBER_WORD:
        return [str(NUMBER_WORD[word])]
    return [stem(word.replace(",", ""))]


def _pairs(run: str) -> list[str]:
    found: list[str] = []
    for piece in _CJK_STOP.sub(" ", run).split():
        found += [piece[i : i + 2] for i in range(len(piece) - 1)] or [piece]
    return found


@lru_cache(maxsize=4_000)
def name_words(name: str) -> tuple[str, ...]:
    """The words of an identifier: ``getUserId`` and ``get_user_id`` both give get, user, id."""
    return tuple(part.lower() for part in _CAMEL.findall(name))


def has_cjk(text: str) -> bool:
    """Whether ``text`` is at least in part Chinese."""
    return any("\u3400" <= letter <= "\u9fff" for letter in text)


POLITE = words("""
    please can could would will you i we want need like d i'd i'll kindly hey hi let let's lets now also then and to
""")
"""What a request may begin with before it says what is wanted."""
VERBS = words("""
    add adjust archive arrange ask assign block book build buy calculate call cancel change check close compare
    compose compute connect convert copy count create cut deactivate delete deliver describe dim disable divide
    download draw drive eat email enable estimate exchange explain export extract fetch fill filter find fix forward
    generate get give go grab help hide identify import include increase inform invite join launch leave list listen
    locate lock log look lower make mark message move multiply mute name navigate need notify open order pause pay
    pick plan play plot post print pull put query raise read rebook record reduce refund register remind remove rename
    rent replace reply report request reschedule reserve reset resolve restart resume retrieve return roll round run
    save schedule search sell send set share ship show shut sign skip solve sort speak split start stop store submit
    subtract summarize swap switch take tell test text toggle track transfer translate try turn type unlock unmute
    update upload use visit wake walk warn water withdraw work write
""")
VERB_STEMS = frozenset(map(stem, VERBS))
OPENERS = words("""
    first second next finally then after before also during meanwhile however although while since because our your
    his her their its all both each every some many most several new total unlike like despite besides except between
    among against within sorry congratulations only even still maybe perhaps poor old young former yes no well so
    contact
""")
