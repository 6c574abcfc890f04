"""Verbs that requests begin with."""

from __future__ import annotations

from .table import words
from .word import stem

VERBS = frozenset(
    words(
        """
    add adjust archive arrange ask assign block book build buy calculate call cancel change check close
    compare compose compute connect convert copy count create cut deactivate delete deliver describe dim
    disable divide download draw drive eat email enable estimate exchange explain export extract fetch fill
    filter find fix forward generate get give go grab help hide identify import include increase inform
    invite join launch leave list listen locate lock log look lower make mark message move multiply mute
    name navigate need notify open order pause pay pick plan play plot post print pull put query raise
    read rebook record reduce refund register remind remove rename rent replace reply report request
    reschedule reserve reset resolve restart resume retrieve return roll round run save schedule search
    sell send set share ship show shut sign skip solve sort speak split start stop store submit subtract
    summarize swap switch take tell test text toggle track transfer translate try turn type unlock
    unmute update upload use visit wake walk warn water withdraw work write
    """
    )
)
VERB_STEMS = frozenset(map(stem, VERBS))
OPENERS = frozenset(
    words(
        """
    first second next finally then after before also during meanwhile however although while since
    because our your his her their its all both each every some many most several new total
    unlike like despite besides except between among against within sorry congratulations only even still
    maybe perhaps poor old young former yes no well so contact
    """
    )
)
