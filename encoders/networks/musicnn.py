"""musicnn: a CNN with filters as tall as timbres and as long as rhythms (Pons & Serra 2019).

Parameters have TensorFlow's names and layout, so that the published checkpoint fills them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.networks.tensorflow import Norm


class Layer(nn.Module):
    """A kernel, heights and widths first, and a bias."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(shape) / 30)
        self.bias = nn.Parameter(torch.zeros(shape[-1]))

    def convolve(self, x: Tensor, before: int, after: int) -> Tensor:
        """ReLU of the convolution, with so many frames of zeros before and after."""
        x = F.pad(x, (0, 0, before, after))
        return F.relu(F.conv2d(x, self.kernel.permute(3, 2, 0, 1), self.bias))


class Musicnn(nn.Module):
    """Trained on MagnaTagATune's 50 tags of music: instruments, voices, styles.

    ``forward(log_mel [N, T, 96]) -> [N, 200]``: the layer before the tags, of unit length.
    """

    TIMBRES, RHYTHMS, MIDDLE, LAST = 204, 51, 64, 200
    HEIGHTS = (38, 67)  # bands that a timbre spans
    LENGTHS = (128, 64, 32)  # frames that a rhythm spans
    SPAN = 7  # frames, of all other filters

    def __init__(self) -> None:
        super().__init__()
        front = 2 * self.TIMBRES + 3 * self.RHYTHMS
        shapes = [
            *((self.SPAN, height, 1, self.TIMBRES) for height in self.HEIGHTS),
            *((length, 1, 1, self.RHYTHMS) for length in self.LENGTHS),
            (self.SPAN, front, 1, self.MIDDLE),
            *((self.SPAN, self.MIDDLE, 1, self.MIDDLE),) * 2,
        ]
        pooled = 2 * (front + 3 * self.MIDDLE)
        widths = [1, *(shape[-1] for shape in shapes), pooled, self.LAST]
        self._norms = [Norm(width, epsilon=1e-3, scaled=True) for width in widths]
        self._convolutions = [Layer(*shape) for shape in shapes]
        self.dense = Layer(pooled, self.LAST)
        for kind, layers in (
            ("batch_normalization", self._norms),
            ("conv2d", self._convolutions),
        ):
            for number, layer in enumerate(layers):
                self.add_module(f"{kind}_{number}" if number else kind, layer)

    def forward(self, log_mel: Tensor) -> Tensor:
        x = self._norms[0](log_mel[:, None])
        # Each filter's best place among the bands: [N, channels, T].
        told = [self._step(number, x, self.SPAN).amax(3) for number in (0, 1)]
        told += [self._step(2 + i, x, n).amax(3) for i, n in enumerate(self.LENGTHS)]
        front = torch.cat(told, 1).transpose(1, 2)
        middle = self._middle(5, front)
        deeper = self._middle(6, middle) + middle
        deepest = self._middle(7, deeper) + deeper
        all_of_it = torch.cat([front, middle, deeper, deepest], 2)
        pooled = torch.stack([all_of_it.amax(1), all_of_it.mean(1)], 2).flatten(1)
        last = F.relu(self._norms[9](pooled) @ self.dense.kernel + self.dense.bias)
        return F.normalize(self._norms[10](last))

    def _step(self, number: int, x: Tensor, length: int) -> Tensor:
        before = (length - 1) // 2
        layer = self._convolutions[number]
        normed: Tensor = self._norms[number + 1](layer.convolve(x, before, length - 1 - before))
        return normed

    def _middle(self, number: int, x: Tensor) -> Tensor:
        """[N, T, any] to [N, T, 64]."""
        return self._step(number, x[:, None], self.SPAN)[..., 0].transpose(1, 2)
