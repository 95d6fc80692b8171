"""NeXtVLAD: a set of frame embeddings as one descriptor.

Lin, Xiao, Fan (2018), "NeXtVLAD: An Efficient Neural Network to Aggregate Frame-level Features for
Large-scale Video Classification", arXiv 1811.05014, section 3.2. With x of N dimensions expanded
by λ to ẋ = Wx + b of λN, and ẋ split into G groups x̃^g of λN/G:

    α_g(ẋ)  = σ(w_g · ẋ + b_g)                                    attention of a group
    α_gk(ẋ) = softmax over k of (w_gk · ẋ + b_gk)                  soft assignment to K clusters
    v_jk    = Σ_i Σ_g α_g(ẋ_i) α_gk(ẋ_i) (x̃^g_ij - c_kj)           the descriptor

then each cluster's vector is brought to unit length (intra-normalisation). What is not the
paper's: a mask takes missing and padded frames out of the sum. Training only: serving runs ONNX.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-6


class NeXtVLAD(nn.Module):
    """[B, T, N] and a mask [B, T] to [B, K·λN/G]; a video without frames gives zeros."""

    def __init__(self, width: int, *, clusters: int, groups: int, expansion: int = 2) -> None:
        super().__init__()
        expanded = width * expansion
        if expanded % groups:
            raise ValueError(f"{expanded} expanded dimensions do not split into {groups} groups")
        self.clusters = clusters
        self.groups = groups
        self.width = expanded // groups
        self.expand = nn.Linear(width, expanded)
        self.attend = nn.Linear(expanded, groups)
        self.assign = nn.Linear(expanded, groups * clusters)
        self.centres = nn.Parameter(torch.randn(clusters, self.width) * self.width**-0.5)

    @property
    def size(self) -> int:
        """Dimensions of the descriptor."""
        return self.clusters * self.width

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """The descriptors of B videos, float32 [B, K·λN/G]."""
        batch, length, _ = frames.shape
        expanded = self.expand(frames)
        attention = torch.sigmoid(self.attend(expanded)) * mask.unsqueeze(-1)
        assignment = self.assign(expanded).reshape(batch, length, self.groups, self.clusters)
        weights = torch.softmax(assignment, dim=-1) * attention.unsqueeze(-1)
        weights = weights.reshape(batch, length * self.groups, self.clusters)
        parts = expanded.reshape(batch, length * self.groups, self.width)
        drawn = torch.bmm(weights.transpose(1, 2), parts)
        residual = drawn - weights.sum(dim=1).unsqueeze(-1) * self.centres
        length_of = torch.sqrt((residual * residual).sum(dim=-1, keepdim=True) + EPSILON**2)
        descriptor: Tensor = (residual / length_of).reshape(batch, self.size)
        return descriptor
