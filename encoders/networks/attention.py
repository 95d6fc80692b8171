"""What the transformers share."""

from __future__ import annotations

import torch
from torch import Tensor

SHUT = -1e4
"""Added to an attention score that must not count; finite, so that it never gives NaN."""


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, shut: Tensor | None) -> Tensor:
    """Multi-head attention (Vaswani et al. 2017) over [B, L, D]; ``shut`` joins the scores."""
    q, k, v = (x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(2, 3) * q.shape[3] ** -0.5
    if shut is not None:
        scores = scores + shut
    heard: Tensor = torch.softmax(scores, 3) @ v
    return heard.transpose(1, 2).flatten(2)


def unit(x: Tensor) -> Tensor:
    """Rows scaled to length one; a row of zeros stays so."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    scaled: Tensor = x / length.clamp_min(1e-12)
    return scaled
