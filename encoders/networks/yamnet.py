"""YAMNet: MobileNet v1 over log-mel patches, trained on AudioSet (Plakal & Ellis 2019).

Parameters have TensorFlow's names, places and layout, so that the published checkpoint fills them.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.networks.tensorflow import Norm, same


class Convolution(nn.Module):
    def __init__(self, size: int, source: int, target: int, stride: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.rand(size, size, source, target) / (source * size))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        size = self.kernel.shape[0]
        kernel = self.kernel.permute(3, 2, 0, 1)
        return F.conv2d(same(x, (size, size), (self.stride,) * 2), kernel, stride=self.stride)


class Depthwise(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise_kernel = nn.Parameter(torch.rand(3, 3, channels, 1) / 9)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.depthwise_kernel.permute(2, 3, 0, 1)
        x = same(x, (3, 3), (self.stride,) * 2)
        return F.conv2d(x, kernel, stride=self.stride, groups=len(kernel))


class Rectified(Norm):
    """A batch norm without scale, and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, epsilon=1e-4, scaled=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


class Classes(nn.Module):
    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.rand(source, target))
        self.bias = nn.Parameter(torch.zeros(target))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.kernel + self.bias


class Yamnet(nn.Module):
    """Trained on the 521 classes of sound in AudioSet.

    ``forward(log_mel [N, 96, 64]) -> (embedding [N, 1024], chances [N, 521])``, the embedding of
    unit length; several classes may be sure at once.
    """

    BLOCKS = (  # stride, channels
        (1, 64),
        (2, 128),
        (1, 128),
        (2, 256),
        (1, 256),
        (2, 512),
        *((1, 512),) * 5,
        (2, 1024),
        (1, 1024),
    )
    PATH = ("layer-1", "layer", "_func", "_yamnet")  # where the published model keeps its layers

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [Convolution(3, 1, 32, 2), Rectified(32)]
        source = 32
        for stride, target in self.BLOCKS:
            layers += [Depthwise(source, stride), Rectified(source)]
            layers += [Convolution(1, source, target, 1), Rectified(target)]
            source = target
        layers.append(Classes(source, 521))
        body = nn.Module()
        for number, layer in enumerate(layers):
            body.add_module(f"layer_with_weights-{number}", layer)
        for name in reversed(self.PATH):
            outer = nn.Module()
            outer.add_module(name, body)
            body = outer
        self.add_module(self.PATH[0], getattr(body, self.PATH[0]))
        self._layers = layers

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        x = log_mel[:, None]
        for layer in self._layers[:-1]:
            x = layer(x)
        embedding = x.mean((2, 3))
        return F.normalize(embedding), torch.sigmoid(cast(Tensor, self._layers[-1](embedding)))
