"""What the model says in its own words: about itself, and a template where it is asked for a story."""

from __future__ import annotations

import re

from .answer import Draft, say
from .measure import numbers
from .word import has_cjk, tokens, words

_ENGLISH = {
    "identity": (
        "I am the small offline model of the Infrai runtime. I am not a language model: I have no general knowledge. "
        "I can answer from text you give me and quote it, do arithmetic, call tools, fill a JSON schema from text, "
        "and make short extractive summaries."
    ),
    "greeting": (
        "Hello. I am the small offline model of the Infrai runtime, not a language model. Give me a text and ask about "
        "it, ask for a sum, or offer me tools."
    ),
    "thanks": "You are welcome.",
    "open": (
        "I am the small offline model of the Infrai runtime and have no general knowledge, so I cannot answer this. "
        "Add the text that holds the answer to your message, or configure a real vendor (for example "
        "by setting its API "
        "key) and ask again."
    ),
    "absent": (
        "The given text does not say this. I am the small offline model of the Infrai runtime: I only answer from the "
        "text that I am given."
    ),
    "noted": "Noted. You can ask me about this later in the conversation.",
    "unseen": (
        "I cannot see this attachment: nothing on this machine could read it. Install the local vision or voice extra, "
        "or configure a real vendor."
    ),
}
_CHINESE = {
    "identity": (
        "我是 Infrai 运行时自带的小型离线模型，不是语言模型，没有通用知识。我可以根据你提供的文本回答并引用原文、做"
        "算术、"
        "调用工具、按 JSON Schema 从文本中提取字段，以及做简短的摘录式摘要。"
    ),
    "greeting": "你好。我是 Infrai 运行时的小型离线模型，不是语言模型。请提供一段文本再提问，或让我做算术、调用工具。",
    "thanks": "不客气。",
    "open": (
        "我是 Infrai 运行时的小型离线模型，没有通用知识，无法回答这个问题。请把包含答案的文本放进消息里，"
        "或配置一个真实的供应商（例如设置它的 API 密钥）后再问。"
    ),
    "absent": "给出的文本没有提到这一点。我是 Infrai 运行时的小型离线模型，只根据所给文本回答。",
    "noted": "好的，已记下。之后可以在对话里问我。",
    "unseen": "我无法读取这个附件：本机没有能解析它的组件。请安装本地视觉或语音扩展，或配置一个真实的供应商。",
}


def phrase(key: str, chinese: bool) -> str:
    """One fixed text, in English or Chinese."""
    return (_CHINESE if chinese else _ENGLISH)[key]


def not_found(chinese: bool) -> str:
    """What is said where the given text does not hold the answer."""
    return phrase("absent", chinese)


def lacking(tool: str, paths: list[str], chinese: bool) -> str:
    """What is said instead of a call for which every required argument is missing."""
    named = ", ".join(paths)
    return f"要调用 {tool}，我还需要：{named}。" if chinese else f"To call {tool} I need: {named}."


_GREETING = words("hi hello hey greetings morning afternoon evening good howdy there everyone yo again")
_SELF = re.compile(
    r"\b(?:who|what) (?:exactly )?are you\b|\bwhat(?:'s| is) your name\b|\bintroduce yourself\b"
    r"|\bwho (?:made|built|created) you\b"
    r"|\bwhat (?:can|do) you do\b|\b(?:what|which) (?:\w+ )?(?:model|ai|llm) (?:are you|is this)\b"
    r"|\bwhat are your (?:abilities|capabilities)\b"
    r"|\bare you (?:an? )?(?:\w+ ){0,3}(?:ai|llm|human|robot|bot|model|gpt|chatgpt|claude|person)\b"
    r"|\btell me about yourself\b"
    r"|\bhow can you help\b|\bwhat kind of (?:model|assistant|ai)\b"
    r"|你是谁|你叫什么|你是什么|介绍一下?你?自己|你能做什么|你会做?什么|你可以做什么|你是.{0,8}(?:模型"
    r"|机器人|人类|吗)|自我介绍",
    re.IGNORECASE,
)
_GREETING_CJK = re.compile(r"^(?:你好|您好|嗨|哈喽|早上好|下午好|晚上好|大家好|在吗|早)[啊呀吗呢!！。,， ]*$")
_THANKS_CJK = re.compile(r"^(?:谢谢|多谢|感谢|再见|好的)(?:你|您|了)?[啊呀!！。 ]*$")


def social(text: str) -> str | None:
    """The key of the fixed text for small talk: identity, greeting or thanks; None for anything else."""
    words = tokens(text)
    if len(text) < 160 and _SELF.search(text):
        return "identity"
    if _GREETING_CJK.match(text.strip()) or (words and len(words) <= 5 and set(words) <= _GREETING):
        return "greeting"
    if _THANKS_CJK.match(text.strip()) or (words and len(words) <= 6 and {"thanks", "thank"} & set(words)):
        return "thanks"
    return None


def open_answer(text: str) -> str:
    """The honest answer to an open question without context."""
    return phrase("open", has_cjk(text))


_ASKED = re.compile(
    r"\b(?:write|tell|compose|create|make|give|generate|draft|invent)\b.{0,60}?\b(?P<kind>story|tale|poem|haiku|joke|limerick|"
    r"paragraph|essay|slogan|verse|description|post|tweet)\b(?P<rest>.*)"
    r"|(?:写|讲|编|来).{0,12}?(?P<kind_cjk>故事|诗|笑话|短文|作文|段落|文章|标语)",
    re.IGNORECASE | re.DOTALL,
)
_TOPIC = re.compile(r"\b(?:about|on|of|for|featuring|with|describing)\s+(?P<topic>[^.?!\n,;]{1,80})", re.IGNORECASE)
_TOPIC_CJK = re.compile(
    r"(?:关于|有关|以)(?P<topic>[^的为，。！？\n]{1,20})|(?:写|讲|编)[一个篇首段]*(?P<other>[^的，。！？\n]{1,12})的(?:故事|诗|笑话|短文)"
)
_LENGTH = re.compile(r"(\S+?)[\s-]?(?:words?|字)", re.IGNORECASE)

_OPENING = "Early one morning, {topic} came into view and the street went quiet."
_MIDDLE = (
    "At first there was only a small sign of change.",
    "An old neighbour stopped, looked twice, and smiled.",
    "Questions were asked, and few of them had answers.",
    "The rain came, and then the sun, and the day went on.",
    "Somebody fetched a lamp, and somebody else made tea.",
    "Step by step, the strange became familiar.",
    "A door was opened that had long been shut.",
    "Slowly, people began to gather and to listen.",
    "No map showed the way, so they made one.",
    "They waited and watched.",
    "Time passed.",
    "Quiet.",
)
_CLOSING = "In the end it was simple, and everybody went home content."
_STORY_CJK = (
    "一天清晨，{topic}出现在巷口，四周一下子安静了。邻居停下脚步，看了又看，笑了。大家提了许多问题，答案却很少。"
    "最后事情很简单，大家都高兴地回家了。\n\n（固定模板，并非语言模型所写。）"
)


def asks_story(text: str) -> bool:
    """Whether ``text`` asks for something to be made up."""
    return len(text) < 400 and bool(_ASKED.search(text))


def story(text: str) -> Draft:
    """A template text on the topic of ``text``, of about the asked length; the same text gives the same story."""
    if has_cjk(text):
        found = _TOPIC_CJK.search(text)
        return say(_STORY_CJK.format(topic=(found["topic"] or found["other"]) if found else "一件小事"), False)
    match = _LENGTH.search(text)
    named = numbers(match[1]) if match else []
    count = max(10, min(int(named[0].value), 120)) if named else 40
    asked = _ASKED.search(text)
    topic = _TOPIC.search((asked["rest"] if asked else "") or text)
    lines = [_OPENING.format(topic=topic["topic"].strip() if topic else "something small"), _CLOSING]
    for line in _MIDDLE:
        if len(" ".join([*lines, line]).split()) <= count:
            lines.insert(-1, line)
    return say(f"{' '.join(lines)}\n\n(A fixed template, not a language model's text.)", False)
