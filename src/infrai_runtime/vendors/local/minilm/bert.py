"""The forward pass of a BERT encoder in numpy, from token ids to one vector of length 1 per text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

HEADS = 12
_EPSILON = 1e-12  # the model's own layer_norm_eps


@dataclass(frozen=True, slots=True)
class Linear:
    """``x @ weight + bias``; the weight is laid out for that product."""

    weight: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        product: Floats = x @ self.weight
        product += self.bias
        return product


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalisation."""

    weight: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        centred: Floats = x - x.mean(axis=-1, keepdims=True)
        spread = (centred * centred).mean(axis=-1, keepdims=True)
        centred *= self.weight / (spread + _EPSILON) ** 0.5
        centred += self.bias
        return centred


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer block: attention, then two linear maps with GELU between, each added to its input."""

    attend: Linear
    join: Linear
    join_norm: Norm
    widen: Linear
    narrow: Linear
    narrow_norm: Norm

    def __call__(self, x: Floats, hidden: Floats) -> Floats:
        x = self.join_norm(x + self.join(attention(self.attend(x), hidden)))
        return self.narrow_norm(x + self.narrow(gelu(self.widen(x))))


@dataclass(frozen=True, slots=True)
class Bert:
    """The encoder. ``words`` has one row per token id, ``places`` one per position."""

    words: Floats
    places: Floats
    norm: Norm
    layers: Sequence[Layer]

    def __call__(self, ids: Sequence[Sequence[int]]) -> Floats:
        """One row of length 1 per list of token ids: the mean of its tokens' vectors."""
        import numpy as np

        width = max(map(len, ids))
        padded = np.array([[*row, *[0] * (width - len(row))] for row in ids])
        present = np.arange(width) < np.array([[len(row)] for row in ids])
        hidden = np.where(present, 0.0, -1e9).astype(np.float32)[:, None, None, :]
        x = self.norm(self.words[padded] + self.places[:width])
        for layer in self.layers:
            x = layer(x, hidden)
        return _unit(np.einsum("btd,bt->bd", x, present.astype(np.float32)))


def build(tensors: Mapping[str, npt.NDArray[Any]]) -> Bert:
    """The encoder from the tensors of a BERT checkpoint. Raises KeyError with the name of a missing tensor."""
    kinds = tensors["embeddings.token_type_embeddings.weight"]
    return Bert(
        words=tensors["embeddings.word_embeddings.weight"],
        places=tensors["embeddings.position_embeddings.weight"] + kinds[0],
        norm=_norm(tensors, "embeddings.LayerNorm"),
        layers=[_layer(tensors, f"encoder.layer.{number}.") for number in range(_depth(tensors))],
    )


def _depth(tensors: Mapping[str, Any]) -> int:
    return len({name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")})


def _layer(tensors: Mapping[str, npt.NDArray[Any]], at: str) -> Layer:
    return Layer(
        attend=_linear(tensors, *(f"{at}attention.self.{part}" for part in ("query", "key", "value"))),
        join=_linear(tensors, f"{at}attention.output.dense"),
        join_norm=_norm(tensors, f"{at}attention.output.LayerNorm"),
        widen=_linear(tensors, f"{at}intermediate.dense"),
        narrow=_linear(tensors, f"{at}output.dense"),
        narrow_norm=_norm(tensors, f"{at}output.LayerNorm"),
    )


def _linear(tensors: Mapping[str, npt.NDArray[Any]], *names: str) -> Linear:
    """One map for several side by side: a single product is faster than three."""
    import numpy as np

    weight = np.concatenate([tensors[f"{name}.weight"] for name in names]).T
    return Linear(np.ascontiguousarray(weight), np.concatenate([tensors[f"{name}.bias"] for name in names]))


def _norm(tensors: Mapping[str, npt.NDArray[Any]], name: str) -> Norm:
    return Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def attention(mixed: Floats, hidden: Floats) -> Floats:
    """What each token takes from the others. ``mixed`` holds query, key and value; ``hidden`` masks padding."""
    batch, width, _ = mixed.shape
    query, key, value = mixed.reshape(batch, width, 3, HEADS, -1).transpose(2, 0, 3, 1, 4)
    scores: Floats = query @ key.swapaxes(-1, -2)
    scores /= math.sqrt(query.shape[-1])
    scores += hidden
    taken: Floats = softmax(scores) @ value
    return taken.swapaxes(1, 2).reshape(batch, width, -1)


def softmax(scores: Floats) -> Floats:
    """Along the last axis, in place."""
    import numpy as np

    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


# erf(z) = 1 - (a1 t + ... + a5 t^5) exp(-z^2) with t = 1 / (1 + p z): Abramowitz and Stegun 7.1.26, to 1.5e-7.
_P, _A = 0.3275911, (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_GELU_BLOCK = 65536  # floats that stay in the processor's cache between the steps


def gelu(x: Floats) -> Floats:
    """x times the normal distribution's share below x, in place, off by less than 1e-6. numpy has no erf."""
    flat = x.reshape(-1)
    for start in range(0, flat.size, _GELU_BLOCK):
        block = flat[start : start + _GELU_BLOCK]
        block *= _share_below(block)
    return x


def _share_below(x: Floats) -> Floats:
    import numpy as np

    z: Floats = np.abs(x)
    z *= math.sqrt(0.5)
    t: Floats = np.reciprocal(z * _P + 1)
    tail: Floats = t * _A[-1]
    for factor in _A[-2::-1]:
        tail += factor
        tail *= t
    z *= z
    tail *= np.exp(np.negative(z, out=z), out=z)
    below: Floats = 0.5 + np.copysign(0.5 - 0.5 * tail, x)
    return below


def _unit(rows: Floats) -> Floats:
    length = (rows * rows).sum(axis=-1, keepdims=True) ** 0.5
    unit: Floats = rows / length
    return unit
