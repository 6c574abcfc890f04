"""The runtime in this process, for which the hosts of LangChain's samples are a server of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx
import pytest

from infrai_core.fetch import stand_in
from infrai_runtime.app import create_app
from infrai_runtime.embedded import async_transport, transport
from infrai_runtime.settings import Settings
from tests.media import HOSTS, played


class Both:
    """One transport for threads and event loops."""

    def __init__(self, app: Any) -> None:
        self._sync, self._async = transport(app), async_transport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._sync.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._async.handle_async_request(request)


class Service(NamedTuple):
    """Fields of a model on that runtime, and the environment in which LangChain's tests find their samples."""

    fields: dict[str, Any]
    environ: Mapping[str, str]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("runtime")
    with played(home) as (address, environ):
        app = create_app(Settings(home=home, embedded=True), fetcher=stand_in(dict.fromkeys(HOSTS, address)))
        options = {"base_url": "embedded", "client_options": {"transport": Both(app)}}
        yield Service(options, {**environ, "LANGCHAIN_TESTS_USER_AGENT": "infrai-integrations"})
