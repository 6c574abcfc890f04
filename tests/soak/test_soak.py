"""The soak, short. ``make soak`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from .soak import soak


@pytest.mark.parametrize("keyed", [False, True])
def test_every_call_ends_once_and_the_books_balance_under_faults_and_kills(tmp_path: Path, keyed: bool) -> None:
    result = soak(tmp_path, seconds=4.0, callers=8, seed=7, keyed=keyed, say=lambda text: None)
    assert not result.wrong, result.lines()
    assert result.kills >= 1
    assert result.ends["answer"] > 0
    assert 0 < result.settled_nano <= result.account_nano <= result.settled_nano + result.open_nano


@pytest.mark.parametrize("shared", [False, True], ids=["sqlite", "postgres"])
def test_without_open_ends_the_books_are_the_account_to_the_nano_dollar(tmp_path: Path, shared: bool) -> None:
    result = soak(tmp_path, seconds=2.0, callers=8, seed=7, calm=True, shared=shared, say=lambda text: None)
    assert not result.wrong, result.lines()
    assert (result.kills, result.open_nano) == (0, 0)
    assert result.settled_nano == result.account_nano > 0
