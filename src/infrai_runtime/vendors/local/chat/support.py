"""Whether what was found in a text belongs to the field that it was given to."""

from __future__ import annotations

from collections.abc import Iterable

from .candidate import TIED, Candidate

_CLEAR = 0.1


def supported(chosen: Candidate, offers: Iterable[Candidate], taken: Iterable[Candidate]) -> bool:
    """Whether something ties ``chosen`` to its field, and no other of its ``offers`` as well.

    ``taken`` are the values of all fields: what stands in one of them is no other answer for this field.
    """
    if chosen.fit < TIED:
        return False
    rivals = [offer for offer in offers if offer.fit > chosen.fit - _CLEAR and offer.value != chosen.value]
    return all(any(rival.overlaps(other) for other in taken) for rival in rivals)
