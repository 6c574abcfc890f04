"""Typed mentions in a text: dates, times, addresses of all kinds, money, numbers with units, names, quoted words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from .concept import chinese_words, concepts_of
from .measure import MONTHS, numbers, unit_after, unit_of
from .word import NUMBER_WORD, OPENERS, STOP, VERB_STEMS, stem, words

MOST_TEXT = 20_000
MOMENT = words("date day time datetime")


@dataclass(frozen=True)
class Mention:
    """A typed stretch of text. ``value`` is a str, or a Fraction for numbers; ``unit`` a unit word or currency."""

    kind: str
    text: str
    value: Any
    start: int
    end: int
    unit: str = ""

    @cached_property
    def measures(self) -> str:
        """What its unit is of: a length, a time; empty without a unit."""
        unit = unit_of(self.unit)
        return unit.kind if unit else ""


_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)day"
_M = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_TYPED: tuple[tuple[str, str], ...] = (
    (
        "quoted",
        r"\"[^\"\n]{1,400}\"|\u201c[^\u201d\n]{1,400}\u201d|\u300c[^\u300d\n]{1,400}\u300d|《[^》\n]{1,200}》"
        r"|(?<![\w])'[^'\n]{2,400}'(?![\w])|`[^`\n]{1,200}`",
    ),
    ("url", r"\b(?:https?|ftp)://[^\s<>\"'，。）)]+|\bwww\.[^\s<>\"'，。）)]+"),
    ("email", r"[A-Za-z\d_.+\-]{1,64}@[A-Za-z\d_\-]{1,63}(?:\.[A-Za-z\d_\-]{2,63}){1,5}"),
    ("ip", r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)"),
    ("version", r"(?<![\d.])v?\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d.]*\d)"),
    (
        "path",
        r"(?<![\w/])(?:~|\.{1,2})?/(?:[\w.\-]+/?)+|\b[A-Za-z]:\\[\w.\\\-]+|\b[\w\-]{1,80}\.(?:txt|pdf"
        r"|csv|json|xml|docx?|xlsx?|pptx?|md|py|js|ts|html?|png|jpe?g|gif|zip|log|ya?ml|mp[34]|wav)\b",
    ),
    ("datetime", r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+\-]\d{2}:?\d{2})?"),
    (
        "date",
        rf"\b\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}\b|\d{{4}}年\d{{1,2}}月\d{{1,2}}[日号]?|\d{{1,2}}月\d{{1,2}}[日号]"
        rf"|\b{_M}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}}\b)?|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_M}\b"
        rf"\.?(?:,?\s+\d{{4}}\b)?|\b\d{{1,2}}/\d{{1,2}}/\d{{2,4}}\b",
    ),
    (
        "day",
        rf"\b(?:(?:this|next|coming|last)\s+(?:{_DAY}|week(?:end)?|month|year)|(?:the\s+)?day after "
        rf"tomorrow|(?:{_DAY})|today|tonight|tomorrow|yesterday|{_M}\s+\d{{4}})\b|大后天|后天|明天|今天"
        rf"|昨天|前天|今晚|明晚|下?个?(?:周|星期)[一二三四五六日天末]|下周|本周|下个?月",
    ),
    (
        "time",
        r"\b\d{1,2}(?::\d{2})(?::\d{2})?\s*(?:[ap]\.?m\b\.?)?|\b\d{1,2}\s*[ap]\.?m\b\.?|\b(?:noon|midnight)\b"
        r"|\b(?:(?:(?:quarter|half) past|quarter to) \w+|\w+ o'clock)\b"
        r"(?:\s+(?:in the (?:morning|afternoon|evening)|at night)\b)?"
        r"|(?:早上|上午|中午|下午|晚上|凌晨)?[\d一二两三四五六七八九十]{"
        r"1,3}点(?:半|[\d一二三四五六七八九十]{1,3}分?)?",
    ),
    (
        "street",
        r"\b\d{1,5}[A-Za-z]?\s+(?:[A-Z][\w.'-]*\s+){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive"
        r"|Dr|Boulevard|Blvd|Way|Court|Ct|Place|Square|Terrace|Row|Close)\b\.?|[\u3400-\u9fff]{1,8}(?:路"
        r"|街|大道|巷)\d{1,5}号",
    ),
    (
        "zip",
        r"(?<=,\s)\d{5}(?:-\d{4})?\b(?!,)|(?<=,\s[A-Z]{2}\s)\d{5}(?:-\d{4})?\b|\b[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}\b",
    ),
    (
        "phone",
        r"(?<![\w.])(?:\+\d{1,3}[\s.\-]?)?\(?\d{2,4}\)?(?:[\s.\-]\(?\d{2,5}\)?){2,4}(?!\w)|(?<![\w.])\+?\d{10,14}(?"
        r"!\w)|\b\d{3}-\d{4}\b",
    ),
    (
        "code",
        r"(?<![\w-])(?!\d{4}-\d{4}\b)\d{1,6}-\d{3,8}(?![\w-])|(?<![\w])#?(?=[A-Za-z]*\d|[A-Z]+-)(?:[A-Z]{1,8}[-_]?\d[\w\-]{0,30}|[A-Z]{1,8}(?:-[A-Z0-9]{1,12}){1,4}"
        r"|\d{1,6}[A-Z]{1,4}[\w\-]*|(?=[\d-]{1,24}[A-Z])\d{1,8}(?:-[A-Z0-9]{1,12}){1,4})\b|#\d{1,12}\b",
    ),
    ("handle", r"(?<![\w./-])[a-z]{2,20}(?:[-_][a-z\d]{1,20}){0,4}[-_]\d{1,4}(?![\w./-])"),
    (
        "money",
        r"(?:US)?[$€£¥￥]\s?\d[\d,]*(?:\.\d+)?(?:\s?(?:[kKM]\b|million|billion|thousand))?|\b(?<![\d,.])\d[\d,]{0,3"
        r"0}(?:\.\d{1,12})?\s?(?:dollars?|euros?|pounds sterling|yuan|rmb|yen|usd|eur|gbp|jpy|cny|cad"
        r"|aud|chf|inr|rupees?|francs?|bucks)\b|(?<![\d.,])\d[\d,.]{0,30}\s?(?:万|亿)?(?:[元块][1-9][毛角]|块[1-9](?=钱|[^\w.,%]|[.,](?!\d)|$)|元|块钱?|美元"
        r"|欧元|日元|英镑|人民币)",
    ),
    (
        "percent",
        r"(?<![\d.])\d{1,30}(?:\.\d{1,30})?\s?(?:%|％|percent\b|per cent\b)|百分之[\d.零一二两三四五六七八九十百]+",
    ),
)


def _cased(kind: str) -> re.RegexFlag:
    return re.NOFLAG if kind in ("code", "street", "zip", "handle") else re.IGNORECASE


def _ascii(kind: str) -> re.RegexFlag:
    """Figures and codes end where Chinese begins, without a space."""
    return (
        re.ASCII
        if kind in ("code", "handle", "date", "datetime", "day", "time", "phone", "version", "ip")
        else re.NOFLAG
    )


_TYPED_PATTERN = tuple((kind, re.compile(pattern, _cased(kind) | _ascii(kind))) for kind, pattern in _TYPED)
_CAPITAL_WORD = (
    r"(?:(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Prof)\.(?=\s)|[A-Z][A-Za-z\d\u00c0-\u024f]*(?:[-'\u2019&.][A-Za-z\d\u00c0-\u024f]+)*)"
)
_CAPITAL = re.compile(
    rf"(?<![A-Za-z\d]){_CAPITAL_WORD}(?:[^\S\n]+(?:(?:de|da|del|van|von|der|la|le|of|of the|bin"
    rf"|al|&)\s+)?{_CAPITAL_WORD})*"
)
_TITLE = re.compile(r"^(?:Mr|Mrs|Ms|Dr|Prof|Professor|Sir|Madam|Miss)\.?\s+")
_SIGN = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "CNY", "￥": "CNY"}
_CURRENCIES = """
    USD: dollar dollars usd buck bucks 美元; EUR: euro euros eur 欧元; GBP: pound pounds gbp sterling 英镑;
    JPY: yen jpy 日元; CNY: yuan rmb cny renminbi 元 块 块钱 人民币; INR: rupee rupees inr 卢比;
    CHF: franc francs chf 瑞士法郎; CAD: cad 加元; AUD: aud 澳元; KRW: won krw 韩元; MXN: mxn peso pesos;
    SEK: sek krona; NOK: nok krone; BRL: brl real reais; RUB: rub ruble rubles 卢布; HKD: hkd 港币; SGD: sgd;
    THB: baht thb 泰铢; PLN: zloty pln; TRY: lira try; BTC: bitcoin btc 比特币; ETH: ethereum eth 以太坊
"""
CURRENCY = {name: row.split(":")[0].strip() for row in _CURRENCIES.split(";") for name in row.split(":")[1].split()}
LANGUAGE = words("""
    english french spanish german italian portuguese dutch russian chinese mandarin japanese korean arabic hindi
    turkish polish swedish norwegian danish finnish greek hebrew thai vietnamese indonesian czech hungarian romanian
    ukrainian latin 中文 英文 英语 法语 法文 德语 德文 日语 日文 韩语 韩文 西班牙语 俄语 意大利语 葡萄牙语
    阿拉伯语 泰语 越南语 汉语 普通话
""")
COLOUR = words("""
    red orange yellow green blue purple violet pink brown black white grey gray cyan magenta turquoise teal beige gold
    silver navy maroon crimson 红色 橙色 黄色 绿色 蓝色 紫色 粉色 棕色 黑色 白色 灰色 金色 银色 红 蓝 绿 黄 黑 白
""")
_NOT_NAME = (
    frozenset(MONTHS)
    | LANGUAGE
    | words("""
    monday tuesday wednesday thursday friday saturday sunday i i'm i'd i'll i've ok okay yes no hi hello hey dear
    thanks please today tomorrow mr mrs ms dr
""")
)


def mentions(text: str) -> list[Mention]:
    """The typed mentions of the first 20,000 characters, in order; the more specific kind wins where two overlap."""
    text = text[:MOST_TEXT]
    taken = bytearray(len(text))
    found = [m for kind, pattern in _TYPED_PATTERN for m in _typed(kind, pattern, text, taken)]
    found += _words(text, taken, "language", LANGUAGE) + _words(text, taken, "colour", COLOUR)
    found += _words(text, taken, "currency", frozenset(CURRENCY))
    found += [m for match in _PART_UNIT.finditer(text) if (m := _part_unit(text, match, taken))]
    found += [m for number in numbers(text) if (m := _number(text, number.value, number.start, number.end, taken))]
    found += _names(text, taken)
    return sorted(found, key=lambda mention: mention.start)


def _take(taken: bytearray, start: int, end: int) -> bool:
    """Claims a stretch; False where a part of it is claimed already."""
    if any(taken[start:end]):
        return False
    taken[start:end] = b"\1" * (end - start)
    return True


def _typed(kind: str, pattern: re.Pattern[str], text: str, taken: bytearray) -> list[Mention]:
    return [
        _VALUE.get(kind, _plain)(kind, m.group().rstrip(" ,"), m.start())
        for m in pattern.finditer(text)
        if _take(taken, m.start(), m.end()) and m.group().lower() != "may" and not _is_key(kind, text, m.end())
    ]


def _is_key(kind: str, text: str, end: int) -> bool:
    """A quoted word before a colon is the name of a value: '"city": "Graz"'."""
    return kind == "quoted" and text[end:].lstrip()[:1] == ":"


def _plain(kind: str, text: str, start: int) -> Mention:
    return Mention(kind, text, text, start, start + len(text))


def _unquoted(kind: str, text: str, start: int) -> Mention:
    return Mention(kind, text, text[1:-1].strip(), start, start + len(text))


def _without_dot(kind: str, text: str, start: int) -> Mention:
    return _plain(kind, text.rstrip(".,;!?)"), start)


def _code(kind: str, text: str, start: int) -> Mention:
    return Mention(kind, text, text.lstrip("#"), start, start + len(text))


def _money(kind: str, text: str, start: int) -> Mention:
    found = numbers(text)
    word = re.sub(r"[\d\s,.万亿]+", "", text).lower()
    code = next((code for sign, code in _SIGN.items() if sign in text), CURRENCY.get(word, ""))
    return Mention(kind, text, found[0].value if found else Fraction(0), start, start + len(text), code)


def _percent(kind: str, text: str, start: int) -> Mention:
    found = numbers(text.replace("百分之", ""))
    return Mention(kind, text, found[0].value if found else Fraction(0), start, start + len(text), "%")


_VALUE: dict[str, Callable[[str, str, int], Mention]] = {
    "quoted": _unquoted,
    "url": _without_dot,
    "money": _money,
    "percent": _percent,
    "code": _code,
}


def _words(text: str, taken: bytearray, kind: str, words: frozenset[str]) -> list[Mention]:
    found = []
    for match in re.finditer(r"[A-Za-z]+|[\u3400-\u9fff]+", text):
        word = match.group().lower()
        if word in words and _take(taken, match.start(), match.end()):
            found.append(_plain(kind, match.group(), match.start()))
        elif not word.isascii():
            found += _inside(match.group(), match.start(), taken, kind, words)
    return found


def _inside(run: str, start: int, taken: bytearray, kind: str, words: frozenset[str]) -> list[Mention]:
    places = [(at, word) for word in words if len(word) > 1 and not word.isascii() and (at := run.find(word)) >= 0]
    return [_plain(kind, w, start + at) for at, w in places if _take(taken, start + at, start + at + len(w))]


_PART_UNIT = re.compile(
    r"\b(half an?|an?|an? quarter of an|one and a half)\s+(hours?|minute)\b( and a half)?", re.IGNORECASE
)
_PARTS = {"half": Fraction(1, 2), "quarter": Fraction(1, 4), "one": Fraction(3, 2)}


def _part_unit(text: str, match: re.Match[str], taken: bytearray) -> Mention | None:
    """'half an hour', 'an hour and a half'."""
    if not _take(taken, match.start(), match.end()):
        return None
    words = match.group(1).lower().split()
    value = next((_PARTS[word] for word in words if word in _PARTS), Fraction(1)) + Fraction(bool(match.group(3)), 2)
    return Mention("number", match.group(), value, match.start(), match.end(), match.group(2).lower())


def _number(text: str, value: Fraction, start: int, end: int, taken: bytearray) -> Mention | None:
    written = text[start:end]
    if (
        any(taken[start:end])
        or _HYPHEN.search(text, 0, start)
        or (written.lower() == "one" and not unit_after(text, end))
        or _glued(text, start, end)
    ):
        return None
    taken[start:end] = b"\1" * (end - start)
    after = unit_after(text, end)
    return Mention("number", written, value, start, end, after[0].lower() if after else "")


_HYPHEN = re.compile(r"[A-Za-z][-_]\Z")
"""What makes a figure a part of a word: 'worker-7'."""


def _glued(text: str, start: int, end: int) -> bool:
    """A Chinese numeral that is part of a longer word."""
    return (
        not text[start].isdigit()
        and "\u3400" <= text[start] <= "\u9fff"
        and end - start == 1
        and text[start] in "一千万"
    )


def _names(text: str, taken: bytearray) -> list[Mention]:
    found = []
    for match in _CAPITAL.finditer(text):
        start, end = _trimmed(text, match.start(), match.end())
        if start < end and not any(taken[start:end]) and _is_name(text, start, end):
            name = _TITLE.sub("", text[start:end]).rstrip(".") or text[start:end]
            found.append(Mention("name", text[start:end], name, start, end))
            taken[start:end] = b"\1" * (end - start)
    return found + _cjk_names(text, taken)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Drops a leading common word that is only capital because the sentence starts, and a possessive at the end."""
    piece = text[start:end]
    first = piece.split()[0].rstrip(".,'\u2019")
    speaker = first.lower().startswith(("i'", "i\u2019"))
    if len(piece.split()) > 1 and (speaker or (_starts_sentence(text, start) and _common(first))):
        return _trimmed_end(text, end - len(piece[len(first) :].lstrip(" .")), end)
    return _trimmed_end(text, start, end)


def _trimmed_end(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    for ending in ("'s", "\u2019s", "."):
        if piece.endswith(ending):
            end -= len(ending)
            break
    return start, end


def _starts_sentence(text: str, at: int) -> bool:
    before = text[:at].rstrip(" \"'\u201c(")
    return not before or before[-1] in ".!?:;\n-*•" or text[at - 1 : at] == "\n"


def _common(word: str) -> bool:
    bare = word.lower()
    return (
        bare in STOP
        or bare in NUMBER_WORD
        or stem(bare) in VERB_STEMS
        or bare in OPENERS
        or bool(concepts_of(stem(bare)))
        or bare in _NOT_NAME
    )


_CONTRACTION = re.compile(r"['\u2019](?:d|ll|ve|re|m|t)$", re.IGNORECASE)


def _is_name(text: str, start: int, end: int) -> bool:
    words = text[start:end].split()
    if _CONTRACTION.search(words[0]):
        return False
    if text[end : end + 1] in (":", "：") or (words[0].lower().rstrip(".") in _NOT_NAME and len(words) == 1):
        return False
    if len(words) == 1 and _starts_sentence(text, start) and words[0].endswith(("ed", "ing")):
        return False
    return len(words) > 1 or not (_starts_sentence(text, start) and _common(words[0]))


_CJK_BREAK = re.compile(
    r"飞往|飞到|飞|乘坐?|坐|骑|走|发给?|打给?|送给?|寄给?|收|请问|请|帮我|帮|给我|一下|我想要?|我要|想要|需要|查询|查看|查|问|看看|告诉我?"
    r"|把|将|给|从|到|去|在|于|和|与|跟|及|以及|或|向|对|为|用|"
    r"由|转|的|了|着|过|是|有|叫做?|名叫|名字|吗|呢|吧|怎么样|怎样|如何|多少|什么|几|哪里?|这|那|个|位"
    r"|名|岁|做|很|非常|最|真|款|举办|举行|召开|成立|创立|现有|我们?|你们?|他们?|她|它|也|就|可以|现在|今年|住|来自|担任|工作|写|说|买|卖|订|"
    r"先生|女士|小姐|今年"
)
_CJK_RUN = re.compile(r"[\u3400-\u9fff]{2,}")


_CJK_JOB = re.compile(r"(?:师|员|家|长|经理|主管|教授|司机|护士|总监|医生|工人)$")


def _cjk_names(text: str, taken: bytearray) -> list[Mention]:
    """What is left of Chinese text without function words, thesaurus words and typed mentions."""
    left = list(text)
    for at, claimed in enumerate(taken):
        if claimed:
            left[at] = " "
    blank = _blanked("".join(left))
    runs = [m for m in _CJK_RUN.finditer(blank) if len(m.group()) <= 12]
    found = [(run := m.group().lstrip("人者"), m.end() - len(run)) for m in runs]
    return [_plain("job" if _CJK_JOB.search(run) else "name", run, start) for run, start in found if len(run) > 1]


def _blanked(text: str) -> str:
    for word, start, end in reversed(chinese_words(text)):
        if len(word) > 1:
            text = text[:start] + " " * len(word) + text[end:]
    return _CJK_BREAK.sub(lambda match: " " * len(match.group()), text)
