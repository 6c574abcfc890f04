"""The sentence model as one value: texts in, vectors out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from infrai_runtime.failure import Failure, missing_extra
from infrai_runtime.vendors.local.keyword import require_content
from infrai_runtime.vendors.local.minilm.bert import Bert, build
from infrai_runtime.vendors.local.minilm.safetensors import read
from infrai_runtime.vendors.local.minilm.wordpiece import WordPiece

MODEL_ID = "infrai-minilm-384"
DIMENSIONS = 384
MAX_TOKENS = 256

_TOKENS_AT_ONCE = 2048


def folder(home: Path) -> Path:
    """Where the weights are kept under the home of the runtime."""
    return home / "models" / "minilm"


def load(home: Path) -> Model | None:
    """The model whose weights were pulled into ``home``; None where they were not.

    Raises ``Failure`` NO_VENDOR_AVAILABLE without numpy and for files that are broken.
    """
    weights, vocabulary = folder(home) / "model.safetensors", folder(home) / "vocab.txt"
    if not (weights.is_file() and vocabulary.is_file()):
        return None
    if find_spec("numpy") is None:
        raise missing_extra("local", "numpy", f"The embedding model {MODEL_ID}")
    try:
        return Model(build(read(weights)), WordPiece.read(vocabulary))
    except (ValueError, KeyError) as error:
        raise Failure(
            "NO_VENDOR_AVAILABLE",
            f"the files of {MODEL_ID} are broken: {error}",
            hint=f"remove {folder(home)}, then: infrai local pull minilm",
        ) from error


class Model:
    """all-MiniLM-L6-v2: English sentences of like meaning get near vectors; other languages hardly.

    May be used from several threads at once.
    """

    id = MODEL_ID
    dimensions = DIMENSIONS

    def __init__(self, bert: Bert, tokenizer: WordPiece) -> None:
        self._bert = bert
        self._tokenizer = tokenizer

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of 384 floats and length 1 per text, in the order of ``texts``.

        A text counts up to its 256th token. Raises ``Failure`` INVALID_REQUEST (``param`` "input") for a text
        with nothing in it.
        """
        require_content(texts)
        ids = self.tokens(texts)
        vectors: list[list[float]] = [[] for _ in ids]
        for batch in _batches([len(row) for row in ids]):
            for index, row in zip(batch, self._bert([ids[index] for index in batch]).tolist(), strict=True):
                vectors[index] = row
        return vectors

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids that the model sees of each text, for counting what a call used."""
        return [self._tokenizer.encode(text, MAX_TOKENS) for text in texts]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indexes of texts of like length, so that little padding is computed, within a bound on memory."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > _TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
