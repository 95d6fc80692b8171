"""Audio networks over log-mel spectrograms."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F


class SoundBlock(nn.Module):
    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(source, target, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(target, target, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(target)
        self.bn2 = nn.BatchNorm2d(target)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class SoundBlocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_block1 = SoundBlock(1, 64)
        self.conv_block2 = SoundBlock(64, 128)
        self.conv_block3 = SoundBlock(128, 256)
        self.conv_block4 = SoundBlock(256, 512)

    def forward(self, x: Tensor) -> Tensor:
        for block in (self.conv_block1, self.conv_block2, self.conv_block3):
            x = F.max_pool2d(block(x), 2)
        return cast(Tensor, self.conv_block4(x))


class SoundEffects(nn.Module):
    """The nine-layer CNN of aiSFX (Ma et al., ISMIR 2022; net of Kong et al. 2018).

    ``forward(mel [N, 100, 96]) -> [N, 512]``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding_net = SoundBlocks()

    def forward(self, mel: Tensor) -> Tensor:
        return cast(Tensor, self.embedding_net(mel[:, None])).mean(3).amax(2)


class Vggish(nn.Module):
    """VGGish (Hershey et al. 2017): ``forward(log_mel [N, 96, 64]) -> [N, 128]``, not whitened."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        source = 1
        for target in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0):
            if target:
                layers += [nn.Conv2d(source, target, 3, padding=1), nn.ReLU()]
                source = target
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 4 * 6, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, 128),
            nn.ReLU(),
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        x = self.features(log_mel[:, None])
        # The weights come from TensorFlow, which flattens channels last.
        return cast(Tensor, self.embeddings(x.permute(0, 2, 3, 1).flatten(1)))
