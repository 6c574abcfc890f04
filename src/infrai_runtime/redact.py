"""Takes secrets out of text that others will read: a vendor's error message, a log line.

Vendors quote keys back (``Incorrect API key provided: sk-ab***yz``), so this looks for what a key looks like, not
only for the keys that are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"
SHORTEST = 6
"""A shorter key is left in place: taking it out would tear words apart."""
_KEY = re.compile(
    r"""(?x)
    \b(?:sk|pk|gsk|xai|pplx|fw|tgp|key|ifr|csk|nvapi|hf|r8)[-_][\w.*•…-]{6,}   # OpenAI, Groq, xAI, Perplexity, ...
    | \bAIza[\w*-]{8,}                                                      # Google
    | (?i:\bbearer\s+)[\w.~+/=*-]{6,}
    | (?i:(?<=api-key[:=])|(?<=api_key[:=])|(?<=[?&]key=))\s*[\w.~+/*-]{6,}
    """
)

_QUERY = re.compile(r"(\bhttps?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*")
_USER = re.compile(r"(\b[a-z][a-z0-9+.]{1,20}://)[^\s/@\"'<>]+@", re.IGNORECASE)
"""Also of databases' addresses."""


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with every given secret, everything that looks like an API key, and the query and the user part of every
    URL (signed links are secrets) replaced by ``***``."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            text = text.replace(secret, HIDDEN)
    text = _USER.sub(rf"\1{HIDDEN}@", _QUERY.sub(rf"\1?{HIDDEN}", text))
    return _KEY.sub(HIDDEN, text)
