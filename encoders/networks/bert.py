"""BERT (Devlin et al. 2019) and Sentence-BERT (Reimers & Gurevych 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from encoders.networks.attention import SHUT, attention, unit


@dataclass(frozen=True, slots=True)
class BertShape:
    """The sizes of a BERT."""

    vocabulary: int
    dim: int
    layers: int
    heads: int
    inner: int
    positions: int = 512
    epsilon: float = 1e-12


class SelfAttention(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.dim, shape.dim)
        self.key = nn.Linear(shape.dim, shape.dim)
        self.value = nn.Linear(shape.dim, shape.dim)

    def forward(self, x: Tensor, shut: Tensor) -> Tensor:
        return attention(self.query(x), self.key(x), self.value(x), self.heads, shut)


class Residual(nn.Module):
    """A linear layer, the residual and the norm that follow it."""

    def __init__(self, inner: int, dim: int, epsilon: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, dim)
        self.LayerNorm = nn.LayerNorm(dim, eps=epsilon)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return cast(Tensor, self.LayerNorm(self.dense(x) + residual))


class Attention(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.self = SelfAttention(shape)
        self.output = Residual(shape.dim, shape.dim, shape.epsilon)

    def forward(self, x: Tensor, shut: Tensor) -> Tensor:
        return cast(Tensor, self.output(self.self(x, shut), x))


class Intermediate(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.dim, shape.inner)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.dense(x))


class Layer(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.intermediate = Intermediate(shape)
        self.output = Residual(shape.inner, shape.dim, shape.epsilon)

    def forward(self, x: Tensor, shut: Tensor) -> Tensor:
        x = self.attention(x, shut)
        return cast(Tensor, self.output(self.intermediate(x), x))


class Embeddings(nn.Module):
    """Places and the text's type, added to words that have been looked up already."""

    def __init__(self, shape: BertShape, *, words: bool) -> None:
        super().__init__()
        if words:
            self.word_embeddings = nn.Embedding(shape.vocabulary, shape.dim)
        self.position_embeddings = nn.Embedding(shape.positions, shape.dim)
        self.token_type_embeddings = nn.Embedding(2, shape.dim)
        self.LayerNorm = nn.LayerNorm(shape.dim, eps=shape.epsilon)

    def forward(self, words: Tensor) -> Tensor:
        x = words + self.token_type_embeddings.weight[0]
        x = x + self.position_embeddings.weight[: words.shape[1]]
        return cast(Tensor, self.LayerNorm(x))


class Stack(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        shut = (1 - mask.to(x.dtype))[:, None, None, :] * SHUT
        for layer in self.layer:
            x = layer(x, shut)
        return x


class BertLayers(nn.Module):
    """A BERT without its word table; parameters as ``small_bert.initial_layers`` names them.

    ``forward(words [B, L, D], mask [B, L]) -> [B, L, D]``, where ``words`` are rows of the table
    and ``mask`` is 1 for a token and 0 for padding.
    """

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape, words=False)
        self.encoder = Stack(shape)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        return cast(Tensor, self.encoder(self.embeddings(words), mask))


class SentenceBert(nn.Module):
    """The mean of a BERT's last layer, unit length.

    ``forward(ids int64 [B, L], mask int64 [B, L]) -> [B, D]``.
    """

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape, words=True)
        self.encoder = Stack(shape)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.encoder(self.embeddings(self.embeddings.word_embeddings(ids)), mask)
        weight = mask.to(x.dtype)[:, :, None]
        return unit((x * weight).sum(1) / weight.sum(1))
