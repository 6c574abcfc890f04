"""Jobs that read and write data sets of an account, as Fireworks has them
(https://docs.fireworks.ai/guides/batch-inference). Their pages do not show a row of the results: it has the completion
itself in ``response``, without a status."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import cached_property
from typing import Any

import orjson

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.base import Call, Request, Result
from infrai_runtime.vendors.documented import documented
from infrai_runtime.vendors.http import MAX_REPLY_BYTES, Http, segment
from infrai_runtime.vendors.openai_like.batch import MARK, Batches, batch_file
from infrai_runtime.vendors.openai_like.media import fetched


class DatasetBatches(Batches):
    """Runs many chats as one job of an account."""

    async def submit(self, requests: Sequence[Request], call: Call) -> str:
        """Uploads the requests as a data set and starts the job, whose name comes from the call's key."""
        rows = await self.lines(requests, call)
        account, name = await self._account(call), _job_name(call) or f"{MARK}-{uuid.uuid4().hex}"
        about = {"datasetId": name, "dataset": {"userUploaded": {}, "exampleCount": str(len(rows))}}
        await self._beside.post(f"/{account}/datasets", about, call)
        await self._beside.post_form(f"/{account}/datasets/{name}:upload", [], [batch_file(rows)], call)
        dataset = f"{account}/datasets/{name}"
        await self.until(lambda: self._beside.get(f"/{dataset}", call), _is_uploading, call)
        job = await self._beside.post(
            f"/{account}{self.row.batches}?batchInferenceJobId={name}",
            self.words.start(dataset, self.model(call), {}),
            call,
        )
        with documented(self.http):
            return str(job[self.words.id])

    async def find(self, call: Call) -> str | None:
        """The job whose name comes from the call's key."""
        name = _job_name(call)
        if name is None:
            return None
        job = f"{await self._account(call)}{self.row.batches}/{name}"
        try:
            await self.job(job, call)
        except Failure as failure:
            if failure.says_no:
                return None
            raise
        return job

    async def results(self, job: str, call: Call) -> AsyncGenerator[Result, None]:
        """The rows of the files in the job's data set, which are behind links of minutes."""
        batch = await self.job(job, call)
        with documented(self.http):
            dataset = _path(batch["outputDatasetId"])
        found = await self._beside.get(f"{dataset}:getDownloadEndpoint", call)
        for link in (found.get("filenameToSignedUrls") or {}).values():
            file = await fetched(self.http, str(link), call, "file of results", {}, MAX_REPLY_BYTES)
            for line in file.data.splitlines():
                with documented(self.http):
                    row = orjson.loads(line) if line.strip() else None
                for result in self.result(row, "custom_id"):
                    yield result

    async def cancel(self, job: str, call: Call) -> None:
        """Deletes the job, which is the only way to stop it; what it has done by then is lost."""
        await self._beside.delete(_path(job), call)

    @cached_property
    def _beside(self) -> Http:
        """The way to the interface of accounts, which stands beside that of inference."""
        return self.http.beside(f"{self.http.endpoint.base_url.removesuffix('/inference/v1').removesuffix('/v1')}/v1")

    async def _account(self, call: Call) -> str:
        """The account that is configured, or the only one that the key is for
        (https://docs.fireworks.ai/api-reference/list-accounts)."""
        if self.account:
            return f"accounts/{segment(self.account)}"
        listed = await self._beside.get("/accounts", call)
        with documented(self.http):
            names = [str(row["name"]) for row in listed["accounts"]]
        if len(names) != 1:
            why = f"{self.name}: this key is for {len(names)} accounts"
            raise Failure("INVALID_REQUEST", f"{why}; say which: account in vendors.toml, or FIREWORKS_ACCOUNT_ID")
        return _path(names[0]).removeprefix("/")

    async def job(self, job: str, call: Call) -> Mapping[str, Any]:
        """A job as the vendor tells it."""
        return await self._beside.get(_path(job), call)

    def _read_row(self, place: int, row: Mapping[str, Any]) -> Result:
        response = row.get("response")
        if isinstance(response, Mapping) and "choices" in response:
            return Result(place, self.read(response))
        return Result(place, failure=self.http.failure(200, row))


def _is_uploading(dataset: Mapping[str, Any]) -> bool:
    return dataset.get("state") == "UPLOADING"


def _job_name(call: Call) -> str | None:
    """Small letters, digits and dashes, which is what names of the account's things may have."""
    key = call.idempotency_key()
    return f"{MARK}-{re.sub('[^a-z0-9]', '-', key.lower())}" if key else None


def _path(name: Any) -> str:
    """The path of a thing of an account, by its name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Failure("INVALID_REQUEST", f"{str(name)[:80]!r} is no name of a job, such as accounts/me/jobs/1")
    return f"/{name}"


_NAME = re.compile(r"accounts/[\w.-]{1,200}(/[A-Za-z]{1,40}/[\w.-]{1,200})?", re.ASCII)
