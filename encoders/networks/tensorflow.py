"""What networks trained in TensorFlow share: its padding, and its names for a batch norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Padded as TensorFlow's SAME does: the odd pixel at the lower right."""
    pads: list[int] = []
    for axis in (3, 2):
        size = int(x.shape[axis])
        wanted, step = kernel[axis - 2], stride[axis - 2]
        total = max((-(-size // step) - 1) * step + wanted - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x


class Norm(nn.Module):
    """A batch norm over the second axis, never trained here; not ``scaled``: without gamma."""

    def __init__(self, channels: int, *, epsilon: float, scaled: bool) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gamma = nn.Parameter(torch.ones(channels)) if scaled else None
        self.beta = nn.Parameter(torch.zeros(channels))
        self.moving_mean = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.moving_variance = nn.Parameter(torch.ones(channels), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.moving_mean, self.moving_variance, self.gamma, self.beta, eps=self.epsilon
        )
