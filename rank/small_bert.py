"""The small BERT's fine-tuned layers, on top of the profile's frozen word embeddings.

The weights start from ``encoders.small_bert.initial_layers`` and belong to the bundle. Training
only: serving runs ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from encoders.features import F32
from encoders.networks import BertLayers, BertShape


class SmallBert(nn.Module):
    """Word embeddings [B, L, Dw] and a mask [B, L] to the mean of the last layer, [B, D].

    A video without words gives zeros.
    """

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.width = shape.dim
        self.bert = BertLayers(shape)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        kept = mask.unsqueeze(-1)
        read: Tensor = self.bert(words, mask) * kept
        return read.sum(dim=1) / kept.sum(dim=1).clamp(min=1)

    @classmethod
    def from_published(
        cls, state: Mapping[str, F32], *, layers: int, tokens: int, heads: int = 12
    ) -> SmallBert:
        """Start from the first ``layers`` layers of a published BERT, for texts of ``tokens``."""
        inner, dim = state["encoder.layer.0.intermediate.dense.weight"].shape
        positions = "embeddings.position_embeddings.weight"
        state = {**state, positions: state[positions][:tokens]}
        tokens = len(state[positions])
        bert = cls(BertShape(0, dim, layers, heads, inner, positions=tokens))
        wanted = bert.bert.state_dict()
        bert.bert.load_state_dict({name: torch.tensor(state[name]) for name in wanted})
        return bert
