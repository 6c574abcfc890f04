"""The sentence model in numpy: its file format, its tokenizer, and its forward pass against a plain one."""

from __future__ import annotations

import json
import math
import os
import random
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from infrai_runtime.failure import Failure
from infrai_runtime.vendors.local.minilm import Model, folder, load
from infrai_runtime.vendors.local.minilm.bert import HEADS, build, gelu
from infrai_runtime.vendors.local.minilm.model import _TOKENS_AT_ONCE, _batches
from infrai_runtime.vendors.local.minilm.safetensors import read
from infrai_runtime.vendors.local.minilm.wordpiece import WordPiece, words

Tensors = Mapping[str, npt.NDArray[np.float32]]

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefg", "##b", "##c", "##bc", "cab", "##age", "!", "款", "退"]
HIDDEN, WIDE, LAYERS = HEADS * 2, 32, 2


def tiny() -> Tensors:
    """A BERT of two small layers with seeded weights."""
    numbers = np.random.default_rng(5)

    def make(*shape: int) -> npt.NDArray[np.float32]:
        return numbers.normal(0, 0.3, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": make(len(PIECES), HIDDEN),
        "embeddings.position_embeddings.weight": make(300, HIDDEN),
        "embeddings.token_type_embeddings.weight": make(2, HIDDEN),
    }
    shapes: dict[str, tuple[int, ...]] = {"attention.output.LayerNorm": (HIDDEN,), "output.LayerNorm": (HIDDEN,)}
    shapes |= {f"attention.self.{part}": (HIDDEN, HIDDEN) for part in ("query", "key", "value")}
    shapes |= {"attention.output.dense": (HIDDEN, HIDDEN), "intermediate.dense": (WIDE, HIDDEN)}
    shapes |= {"output.dense": (HIDDEN, WIDE)}
    named = {f"encoder.layer.{n}.{name}": shape for n in range(LAYERS) for name, shape in shapes.items()}
    for name, shape in {"embeddings.LayerNorm": (HIDDEN,), **named}.items():
        tensors[f"{name}.weight"] = make(*shape)
        tensors[f"{name}.bias"] = make(shape[0])
    return tensors


def write(path: Path, tensors: Tensors) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        packed = tensor.tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": tensor.shape,
            "data_offsets": [len(data), len(data) + len(packed)],
        }
        data += packed
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder(tmp_path).mkdir(parents=True)
    write(folder(tmp_path) / "model.safetensors", tiny())
    (folder(tmp_path) / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return tmp_path


def loaded(home: Path) -> Model:
    model = load(home)
    assert model is not None
    return model


# -- the forward pass, once more in plain Python, one token at a time -------------------------------

Row = list[float]


def plain(tensors: Tensors, ids: Sequence[int]) -> Row:
    t = {name: tensor.astype(float).tolist() for name, tensor in tensors.items()}
    kind = t["embeddings.token_type_embeddings.weight"][0]
    places = t["embeddings.position_embeddings.weight"]
    table = t["embeddings.word_embeddings.weight"]
    rows = [[a + b + c for a, b, c in zip(table[i], places[p], kind, strict=True)] for p, i in enumerate(ids)]
    rows = [plain_norm(t, "embeddings.LayerNorm", row) for row in rows]
    for n in range(LAYERS):
        rows = plain_layer(t, f"encoder.layer.{n}.", rows)
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return [value / math.hypot(*mean) for value in mean]


def plain_layer(t: Mapping[str, list[Row]], at: str, rows: list[Row]) -> list[Row]:
    joined = [plain_linear(t, f"{at}attention.output.dense", row) for row in plain_attention(t, at, rows)]
    rows = [plain_norm(t, f"{at}attention.output.LayerNorm", add(a, b)) for a, b in zip(rows, joined, strict=True)]
    wide = [[plain_gelu(x) for x in plain_linear(t, f"{at}intermediate.dense", row)] for row in rows]
    narrow = [plain_linear(t, f"{at}output.dense", row) for row in wide]
    return [plain_norm(t, f"{at}output.LayerNorm", add(a, b)) for a, b in zip(rows, narrow, strict=True)]


def plain_attention(t: Mapping[str, list[Row]], at: str, rows: list[Row]) -> list[Row]:
    q, k, v = (
        [plain_linear(t, f"{at}attention.self.{part}", row) for row in rows] for part in ("query", "key", "value")
    )
    taken: list[Row] = [[] for _ in rows]
    size = HIDDEN // HEADS
    for head in (slice(h * size, (h + 1) * size) for h in range(HEADS)):
        for i, query in enumerate(q):
            shares = [math.exp(dot(query[head], key[head]) / math.sqrt(size)) for key in k]
            values = zip(*(value[head] for value in v), strict=True)
            taken[i] += [dot(shares, list(column)) / sum(shares) for column in values]
    return taken


def plain_linear(t: Mapping[str, list[Row]], name: str, row: Row) -> Row:
    biases: Row = t[f"{name}.bias"]  # type: ignore[assignment]  # a bias is one row, a weight many
    return [dot(weights, row) + bias for weights, bias in zip(t[f"{name}.weight"], biases, strict=True)]


def plain_norm(t: Mapping[str, list[Row]], name: str, row: Row) -> Row:
    mean = sum(row) / len(row)
    spread = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row) + 1e-12)
    scale: Row = t[f"{name}.weight"]  # type: ignore[assignment]  # one row
    shift: Row = t[f"{name}.bias"]  # type: ignore[assignment]  # one row
    return [(x - mean) / spread * a + b for x, a, b in zip(row, scale, shift, strict=True)]


def plain_gelu(x: float) -> float:
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def add(a: Row, b: Row) -> Row:
    return [x + y for x, y in zip(a, b, strict=True)]


def test_the_forward_pass_equals_a_plain_one() -> None:
    tensors = tiny()
    for ids in ([2, 3], [2, 5, 3], [2, 4, 11, 6, 14, 15, 3]):
        (vector,) = build(tensors)([ids])
        assert np.allclose(vector, plain(tensors, ids), atol=2e-6)


def test_a_text_gets_the_same_vector_alone_and_among_longer_ones(home: Path) -> None:
    model = loaded(home)
    texts = ["a", "ab c! " * 40, "cabbage", "退款 a b", "g " * 300, "a"]
    together = model.embed(texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.allclose(model.embed([text])[0], vector, atol=1e-5)
        assert math.isclose(math.hypot(*vector), 1, rel_tol=1e-5)


def test_gelu_is_exact_enough_and_quiet_far_out() -> None:
    points = [*(n / 50 for n in range(-500, 501)), -1e4, 1e4, 0.0]
    got = gelu(np.array(points, dtype=np.float32))
    assert np.allclose(got, [plain_gelu(x) for x in points], atol=1e-6)


def test_a_text_counts_up_to_its_last_token_that_fits(home: Path) -> None:
    model = loaded(home)
    (row,) = model.tokens(["a " * 1000])
    assert (len(row), row[0], row[-1]) == (256, 2, 3)
    assert model.embed(["a " * 254 + "b"]) == model.embed(["a " * 254])


def test_batches_hold_every_text_once_within_the_bound() -> None:
    lengths = [random.Random(n).randint(2, 256) for n in range(500)]
    batches = list(_batches(lengths))
    assert sorted(index for batch in batches for index in batch) == list(range(500))
    assert all(len(batch) * max(lengths[i] for i in batch) <= _TOKENS_AT_ONCE for batch in batches)


def test_an_empty_text_is_refused_by_its_index(home: Path) -> None:
    with pytest.raises(Failure, match=r"input\[1\] is empty") as caught:
        loaded(home).embed(["a", "  "])
    assert caught.value.param == "input"
    assert loaded(home).embed([]) == []


# -- tokenizer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", ["hello", ",", "world", "!"]),
        ("naïve Ångström", ["naive", "angstrom"]),
        ("日本語のテスト", ["日", "本", "語", "のテスト"]),
        ("$5.00 a^b", ["$", "5", ".", "00", "a", "^", "b"]),
        ("ΟΔΟΣ", ["οδοσ"]),
        ("x\u200by\x00z\ufffd", ["xyz"]),
        ("a\tb\u3000c\nd", ["a", "b", "c", "d"]),
        ("[SEP]", ["[", "sep", "]"]),
        ("«ok» – “so”", ["«", "ok", "»", "–", "“", "so", "”"]),
        ("", []),
    ],
)
def test_words_are_cut_as_the_model_learned_them(text: str, expected: list[str]) -> None:
    assert list(words(text)) == expected


def test_a_word_becomes_the_longest_pieces_or_unknown() -> None:
    tokenizer = WordPiece(PIECES)

    def spelt(text: str) -> list[str]:
        return [PIECES[number] for number in tokenizer.encode(text, 256)][1:-1]

    assert spelt("abc cab cabbage abb!") == ["a", "##bc", "cab", "cab", "##b", "##age", "a", "##b", "##b", "!"]
    assert spelt("xyz ax") == ["[UNK]", "[UNK]"]
    assert spelt("退款a") == ["退", "款", "a"]
    assert spelt("a" + "b" * 99) == ["a", *["##b"] * 99]
    assert spelt("a" + "b" * 100) == ["[UNK]"]


# -- files --------------------------------------------------------------------------------------------


def test_tensors_come_back_as_they_were_written(tmp_path: Path) -> None:
    tensors = tiny()
    write(tmp_path / "x", tensors)
    got = read(tmp_path / "x")
    assert got.keys() == tensors.keys()
    assert all(np.array_equal(got[name], tensors[name]) for name in tensors)


def test_nothing_pulled_means_no_model(tmp_path: Path) -> None:
    assert load(tmp_path) is None


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x10",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 9) + b"{}",
        struct.pack("<Q", 2) + b"[}",
        struct.pack("<Q", 2) + b"{}",
    ],
)
def test_a_broken_weights_file_is_named_with_the_way_out(home: Path, broken: bytes) -> None:
    (folder(home) / "model.safetensors").write_bytes(broken)
    with pytest.raises(Failure, match="are broken") as caught:
        load(home)
    assert "infrai local pull minilm" in str(caught.value.hint)


def test_a_weights_file_that_was_cut_short_is_refused(home: Path) -> None:
    path = folder(home) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(Failure, match="reaches outside of its file"):
        load(home)


HOME = Path(os.environ.get("INFRAI_HOME", "~/.infrai")).expanduser()


@pytest.mark.skipif(load(HOME) is None, reason="the 91 MB of real weights are pulled by hand: infrai local pull minilm")
def test_the_real_weights_give_the_vectors_of_the_reference_implementation() -> None:
    """The first numbers that sentence-transformers prints for this sentence, and a paraphrase found by meaning."""
    model = loaded(HOME)
    (vector,) = model.embed(["This is an example sentence"])
    assert np.allclose(vector[:5], [0.0676569, 0.0634959, 0.0487131, 0.0793050, 0.0374480], atol=2e-6)
    question, same, other = np.array(
        model.embed(["I can't log in", "Account access problems", "The kettle is on the stove"])
    )
    assert question @ same > 0.3 > 0.1 > question @ other
