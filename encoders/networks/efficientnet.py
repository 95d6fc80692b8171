"""EfficientNet-lite0 (Tan & Le 2019; the lite variant of 2020)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.networks.tensorflow import same


class SameConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(same(x, self.kernel_size, self.stride))


class InvertedBottleneck(nn.Module):
    """EfficientNet's block, without squeeze-and-excitation as in the lite variants."""

    def __init__(self, source: int, target: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = source * expand
        self.skip = stride == 1 and source == target
        if expand != 1:
            self._expand_conv = SameConv(source, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
        self.expand = expand != 1
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv = SameConv(inner, target, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(target, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = cast(Tensor, self._bn2(self._project_conv(y)))
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    """Trained on ImageNet's 1000 classes.

    ``forward(frames uint8 [N, 224, 224, 3]) -> (features [N, 2528], logits [N, 1000])``. Features
    are seven vectors of unit length, side by side: the last map's mean (1280), then mean and
    maximum of the maps of the last three stages (112, 192, 320). What the last map has forgotten of
    pictures that are no photographs, drawings say, earlier ones still know (Evci et al. 2022,
    Head2Toe).
    """

    STAGES = (  # repeats, kernel, first stride, expansion, channels
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    )
    TOLD = 3  # of the stages, so many last ones are part of the features

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList()
        self._ends: list[int] = []
        source = 32
        for repeats, kernel, stride, expand, target in self.STAGES:
            for i in range(repeats):
                self._blocks.append(
                    InvertedBottleneck(source, target, kernel, stride if i == 0 else 1, expand)
                )
                source = target
            self._ends.append(len(self._blocks) - 1)
        self._conv_head = SameConv(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        x = (frames.permute(0, 3, 1, 2).to(torch.float32) - 127.0) / 128.0
        x = F.relu6(self._bn0(self._conv_stem(x)))
        told: list[Tensor] = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in self._ends[-self.TOLD :]:
                told += [x.mean((2, 3)), x.amax((2, 3))]
        x = F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return torch.cat([F.normalize(part) for part in (x, *told)], 1), self._fc(x)
