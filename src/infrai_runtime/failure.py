"""The one exception of the runtime: a code of the wire's error table, with what the caller can do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Failure(Exception):
    """A request that cannot be answered.

    ``code`` is one of the wire's error codes (docs/protocol.md, section 8); it decides the HTTP status and
    whether a client may retry. ``param`` names the request field at fault. ``attempts`` are the rows of
    vendors that were tried. ``transient``: of a VENDOR_ERROR, whether the same vendor may answer a moment later.
    The message never holds a key or a vendor's raw body.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        attempts: Sequence[Mapping[str, Any]] = (),
        transient: bool = True,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.param = param
        self.retry_after_s = retry_after_s
        self.attempts = tuple(attempts)
        self.transient = transient

    def again(self) -> Failure:
        """The same failure, without where it was raised: for whoever keeps one, and to raise one that is kept. What is
        raised holds the frames that it has passed; kept in one of them, it would hold the whole call in a circle."""
        made = type(self).__new__(type(self), *self.args)
        made.__dict__.update(self.__dict__)
        return made

    @property
    def says_no(self) -> bool:
        """Whether it is a vendor's plain answer that it has no such thing, and no break of its service or of the way to
        it."""
        return self.code == "VENDOR_ERROR" and not self.transient


def missing_extra(extra: str, package: str, what: str) -> Failure:
    """The failure for an on-machine part whose packages are not installed; its hint is the command that helps."""
    return Failure(
        "NO_VENDOR_AVAILABLE",
        f"{what} needs the package {package!r}, which is not installed",
        hint=f'pip install "infrai-integrations[{extra}]"',
    )
