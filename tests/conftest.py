"""No test sees a real vendor key of the machine it runs on, nor does any process that a test starts."""

from __future__ import annotations

import gc
import os
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from infrai_runtime.vendors.known import variables

from .loggers import as_they_were

for name in (*variables(), "INFRAI_VENDORS", "INFRAI_VENDORS_FILE"):
    os.environ.pop(name, None)

# How long an example takes says something of the machine, and nothing of the claim.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def own_loggers() -> Iterator[None]:
    """A command that a test runs in its own process sets up the log: for itself only."""
    with as_they_were():
        yield


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What is freed meanwhile is freed without the collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context whose authority this process trusts."""
    import trustme  # here: it takes its time, and few tests need it

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Counts, at the end, the tests that other projects wrote for packages like ours (property ``suite``)."""
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in terminalreporter.stats.get(outcome, ()):
            suite = dict(getattr(report, "user_properties", ())).get("suite")
            if suite is not None:
                counts.setdefault(suite, Counter())[outcome] += 1
    for suite, found in sorted(counts.items()):
        told = ", ".join(f"{count} {outcome}" for outcome, count in found.items())
        terminalreporter.write_line(f"{suite}: {told} of {found.total()} tests")
