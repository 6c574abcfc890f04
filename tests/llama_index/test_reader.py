from __future__ import annotations

import asyncio
import base64
import pickle
from pathlib import Path, PurePosixPath
from typing import Any

import anyio
import fsspec
import httpx
import pytest
from llama_index.core import SimpleDirectoryReader
from llama_index.core.schema import Document, MetadataMode, NodeRelationship

from infrai_core import InvalidRequest
from infrai_core.testing import Answer, Script, Scripted, envelope, failure
from llama_index_infrai import InfraiAudioReader


def said(*segments: tuple[float, float, str], **more: Any) -> Any:
    rows = [{"start": start, "end": end, "text": text} for start, end, text in segments]
    return envelope({"text": " ".join(row["text"] for row in rows), "segments": rows, "language": "en", **more})


TALK = said((0.5, 2, "good morning"), (2.5, 4, "welcome to the museum"), (9, 12.25, "the tour starts at ten"))


def reader(*answers: Answer, **options: Any) -> tuple[InfraiAudioReader, Script]:
    script = Script(answers)
    return InfraiAudioReader(api_key="ifr_secret_key", transport=script, **options), script


def read(audio: InfraiAudioReader, *args: Any, **options: Any) -> list[Document]:
    return audio.load_data(*args, **options)


def aread(audio: InfraiAudioReader, *args: Any, **options: Any) -> list[Document]:
    return asyncio.run(audio.aload_data(*args, **options))


both = pytest.mark.parametrize("load", [read, aread], ids=["sync", "async"])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp3"
    path.write_bytes(b"sound")
    return path


@both
def test_every_passage_is_a_document_that_says_when_it_was_said(load: Any, recording: Path) -> None:
    audio, script = reader(TALK, model="m", language="en")
    documents = load(audio, recording)
    assert [doc.text for doc in documents] == ["good morning", "welcome to the museum", "the tour starts at ten"]
    assert documents[2].metadata == {
        "file_path": str(recording),
        "file_name": "talk.mp3",
        "language": "en",
        "start_s": 9,
        "end_s": 12.25,
    }
    body = script.requests[0].body
    assert (base64.b64decode(body["audio"]["base64"]), body["language"], body["model"]) == (b"sound", "en", "m")


@both
def test_passages_are_linked_and_have_stable_ids(load: Any, recording: Path) -> None:
    audio, _ = reader(TALK, TALK)
    first, second, third = load(audio, recording)
    assert [doc.id_ for doc in load(audio, recording)] == [first.id_, second.id_, third.id_]
    assert third.id_ == f"{recording}#t=9,12.25"
    assert first.relationships[NodeRelationship.NEXT].node_id == second.id_
    assert second.relationships[NodeRelationship.PREVIOUS].node_id == first.id_
    assert NodeRelationship.PREVIOUS not in first.relationships
    assert NodeRelationship.NEXT not in third.relationships


def test_times_and_paths_are_told_to_a_model_but_not_embedded(recording: Path) -> None:
    audio, _ = reader(TALK)
    document = audio.load_data(recording)[0]
    assert document.get_content(MetadataMode.EMBED) == "file_name: talk.mp3\n\ngood morning"
    assert "start_s: 0.5" in document.get_content(MetadataMode.LLM)


@both
def test_an_address_is_handed_on_and_not_fetched(load: Any) -> None:
    audio, script = reader(TALK)
    document = load(audio, "https://nowhere.invalid/talk.mp3")[0]
    assert script.requests[0].body["audio"] == {"url": "https://nowhere.invalid/talk.mp3"}
    assert document.metadata["url"] == "https://nowhere.invalid/talk.mp3"
    assert document.id_ == "https://nowhere.invalid/talk.mp3#t=0.5,2"


@both
def test_bytes_have_no_name(load: Any) -> None:
    audio, script = reader(TALK)
    documents = load(audio, b"sound")
    assert base64.b64decode(script.requests[0].body["audio"]["base64"]) == b"sound"
    assert documents[0].metadata == {"language": "en", "start_s": 0.5, "end_s": 2}
    assert len({doc.id_ for doc in documents}) == 3


@both
@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://nowhere.invalid/talk.mp3"])
def test_another_kind_of_address_is_refused(load: Any, url: str) -> None:
    audio, script = reader()
    with pytest.raises(ValueError, match="http"):
        load(audio, url)
    assert script.requests == []


@both
def test_a_file_that_is_missing_is_an_error_before_any_call(load: Any, tmp_path: Path) -> None:
    audio, script = reader()
    with pytest.raises(FileNotFoundError):
        load(audio, tmp_path / "nothing.mp3")
    assert script.requests == []


@both
@pytest.mark.parametrize(
    ("passage_s", "texts"),
    [
        (3.5, ["good morning welcome to the museum", "the tour starts at ten"]),
        (3.4, ["good morning", "welcome to the museum", "the tour starts at ten"]),
        (60, ["good morning welcome to the museum the tour starts at ten"]),
    ],
)
def test_neighbours_are_joined_up_to_a_length(load: Any, passage_s: float, texts: list[str]) -> None:
    audio, _ = reader(TALK, passage_s=passage_s)
    documents = load(audio, b"sound")
    assert [doc.text for doc in documents] == texts
    assert (documents[0].metadata["start_s"], documents[-1].metadata["end_s"]) == (0.5, 12.25)


@both
@pytest.mark.parametrize("segments", [None, []])
def test_a_model_without_segments_gives_one_document_without_times(
    load: Any, recording: Path, segments: list[Any] | None
) -> None:
    audio, _ = reader(said(text="all of it", segments=segments))
    (document,) = load(audio, recording)
    assert (document.text, document.id_) == ("all of it", str(recording))
    assert "start_s" not in document.metadata


@both
def test_a_silent_recording_gives_no_document(load: Any) -> None:
    audio, _ = reader(said((0, 1, " ")), said())
    assert load(audio, [b"silence", b"more of it"]) == []


@both
def test_several_recordings_come_in_their_order(load: Any) -> None:
    # Whatever is transcribed first: what is answered is what was asked.
    def echo(sent: Any) -> Any:
        return said((0, 1, base64.b64decode(sent.body["audio"]["base64"]).decode()))

    audio, script = reader(*[echo] * 3, num_workers=2)
    assert [doc.text for doc in load(audio, [b"one", b"two", b"three"])] == ["one", "two", "three"]
    assert len(script.requests) == 3
    assert audio.ledger.total.calls == 3


def test_documents_of_a_recording_come_before_the_next_one_is_transcribed() -> None:
    audio, script = reader(said((0, 1, "one")), said((0, 1, "two")))
    documents = iter(audio.lazy_load_data([b"one", b"two"]))
    assert next(documents).text == "one"
    assert len(script.requests) == 1


class Crowd:
    """A transport that keeps requests waiting until ``together`` of them are there. The last one to come is answered;
    the others too, unless that answer is a failure: then they wait until they are cancelled."""

    def __init__(self, together: int, answer: Scripted) -> None:
        self.together = together
        self.answer = answer
        self.started = self.now = self.most = self.cancelled = 0
        self.free = anyio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.started += 1
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == self.together and self.answer.status == 200:
            self.free.set()
        try:
            if self.now < self.together:
                await self.free.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        return httpx.Response(self.answer.status, content=b"".join(self.answer.pieces))  # type: ignore[arg-type]


def test_no_more_than_num_workers_are_transcribed_at_a_time() -> None:
    async def run() -> Crowd:
        crowd = Crowd(3, TALK)
        audio = InfraiAudioReader(api_key="k", transport=crowd, num_workers=3)
        assert len(await audio.aload_data([b"sound"] * 9)) == 27
        return crowd

    crowd = asyncio.run(run())
    assert (crowd.most, crowd.started) == (3, 9)


def test_when_one_fails_the_others_are_cancelled() -> None:
    async def run() -> tuple[int, int]:
        crowd = Crowd(3, failure("INVALID_REQUEST"))
        audio = InfraiAudioReader(api_key="k", transport=crowd, num_workers=3)
        with pytest.raises(InvalidRequest):
            await audio.aload_data([b"sound"] * 9)
        return crowd.started, crowd.cancelled

    assert asyncio.run(run()) == (3, 2)


@both
def test_a_refused_recording_raises_what_the_call_raises(load: Any) -> None:
    audio, _ = reader(failure("INVALID_REQUEST"))
    with pytest.raises(InvalidRequest):
        load(audio, b"noise")


def test_it_reads_the_recordings_of_a_directory(recording: Path) -> None:
    audio, _ = reader(TALK)
    documents = SimpleDirectoryReader(
        recording.parent, file_extractor={".mp3": audio}, required_exts=[".mp3"]
    ).load_data()
    assert [doc.metadata["start_s"] for doc in documents] == [0.5, 2.5, 9]
    assert documents[0].metadata["file_type"] == "audio/mpeg"


def test_it_reads_from_another_file_system() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/talks/talk.mp3", b"sound")
    audio, script = reader(TALK)
    documents = audio.load_data(PurePosixPath("/talks/talk.mp3"), extra_info={"speaker": "Anna"}, fs=memory)
    assert base64.b64decode(script.requests[0].body["audio"]["base64"]) == b"sound"
    assert documents[0].metadata["speaker"] == "Anna"


def test_a_pickle_still_reads_and_no_dictionary_shows_the_key() -> None:
    audio, _ = reader(passage_s=5)
    again = pickle.loads(pickle.dumps(audio))
    assert (again.passage_s, again.is_remote) == (5, True)
    assert "ifr_secret_key" not in repr(audio) + str(audio.to_dict())
