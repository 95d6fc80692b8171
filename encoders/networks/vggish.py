"""VGGish over log-mel spectrograms."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


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
