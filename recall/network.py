"""The fusion network in torch: what :mod:`recall.classifier` runs as ONNX. Training only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recall.classifier import OUTPUTS, Fused, Inputs
from recall.onnx_export import traced
from recall.rounding import halved, round_large
from recall.views import MOST_SCENES

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths: the four inputs, the hidden vector, the name query, the fused embedding."""

    sentence: int
    scene: int
    bridge: int
    sound: int
    query: int
    hidden: int = 384
    inner: int = 256
    fused: int = 128


class View(nn.Module):
    """One modality into the hidden space: a linear map, and a small perceptron beside it."""

    def __init__(self, width: int, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, shape.hidden)
        self.inner = nn.Sequential(
            nn.Linear(width, shape.inner),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(shape.inner, shape.hidden),
        )
        self.scale = float(max(width, 1)) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        """[B, width] → [B, hidden]."""
        scaled = x * self.scale
        out: Tensor = self.linear(scaled) + self.inner(scaled)
        return out


class Fusion(nn.Module):
    """Weighs the modalities of each video and fuses them.

    Each modality has a gate, learned from its own view and from all of them together; a softmax
    over those that are used says how much each counts. So any non-empty subset will do, and a
    modality that is there but says little can be turned down.
    """

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        widths = (shape.sentence, shape.scene + shape.bridge, shape.sound)
        self.views = nn.ModuleList(View(width, shape, dropout) for width in widths)
        self.gates = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * shape.hidden, 64), nn.Tanh(), nn.Linear(64, 1))
            for _ in widths
        )
        last = nn.Linear(shape.inner, shape.hidden)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.mixed = nn.Sequential(
            nn.LayerNorm(shape.hidden),
            nn.Dropout(dropout),
            nn.Linear(shape.hidden, shape.inner),
            nn.GELU(),
            last,
        )
        self.to_query = nn.Linear(shape.hidden, shape.query)
        self.to_fused = nn.Linear(shape.hidden, shape.fused)

    def forward(
        self,
        sentence: Tensor,
        scenes: Tensor,
        bridge: Tensor,
        sound: Tensor,
        used: Tensor,
        shown: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """:class:`recall.classifier.Inputs` → hidden, query, fused, gates, as ``Fused`` has them.

        Each scene is fused with the words and the sound as if it were the whole picture. The fused
        embedding is that of the mean hidden vector.
        """
        most = scenes.shape[1]
        picture = torch.cat([scenes, bridge.unsqueeze(1).expand(-1, most, -1)], dim=2)
        seen = torch.stack(
            [
                self.views[0](sentence).unsqueeze(1).expand(-1, most, -1),
                self.views[1](picture),
                self.views[2](sound).unsqueeze(1).expand(-1, most, -1),
            ],
            dim=2,
        )
        count = used.sum(1)[:, None, None].clamp(min=1.0)
        context = (seen * used[:, None, :, None]).sum(2) / count
        wishes = torch.cat(
            [
                gate(torch.cat([seen[:, :, number], context], dim=2))
                for number, gate in enumerate(self.gates)
            ],
            dim=2,
        )
        gates = torch.softmax(wishes - 1e4 * (1.0 - used[:, None]), dim=2) * used[:, None]
        # Evenly gated modalities add up as in one linear model over all of them.
        together = (seen * (gates * count).unsqueeze(3)).sum(2)
        hidden = together + self.mixed(together)
        share = (shown / shown.sum(1, keepdim=True)).unsqueeze(2)
        fused = self.to_fused((hidden * share).sum(1))
        fused = fused / fused.norm(dim=1, keepdim=True).clamp(min=1e-6)
        return hidden, self.to_query(hidden), fused, (gates * share).sum(1)


class Ensemble(nn.Module):
    """Several networks as one: what they say of a tag is averaged.

    Their hidden vectors stand side by side, and so do a tag's embeddings, each divided by the
    number of networks: one inner product is the mean of theirs.
    """

    def __init__(self, members: Sequence[Fusion]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As :meth:`Fusion.forward`."""
        hidden, query, fused, gates = zip(*(each(*inputs) for each in self.members), strict=True)
        return (
            torch.cat(hidden, dim=2),
            torch.stack(query).mean(0),
            torch.cat(fused, dim=1) / len(self.members) ** 0.5,
            torch.stack(gates).mean(0),
        )


class TorchNetwork:
    """The module, called as the ONNX session is."""

    def __init__(self, module: Ensemble, shape: Shape) -> None:
        self._module = module.eval()
        self._shape = shape

    @property
    def model(self) -> bytes:
        """The network as an ONNX file."""
        return export(self._module, self._shape)

    def __call__(self, inputs: Inputs) -> Fused:
        """As :meth:`recall.classifier.Network.__call__`."""
        given = (torch.from_numpy(np.ascontiguousarray(part)) for part in inputs)
        with torch.no_grad():
            hidden, query, fused, gates = (out.numpy() for out in self._module(*given))
        return Fused(hidden, query, fused, gates, inputs.shown)


def export(network: Ensemble, shape: Shape) -> bytes:
    """The network as an ONNX file, its large weights rounded first; the batch size is free."""
    round_large(network)
    scenes = MOST_SCENES
    widths = ((shape.sentence,), (scenes, shape.scene), (shape.bridge,), (shape.sound,), (3,))
    given = zip(Inputs._fields, (*widths, (scenes,)), strict=True)
    example = {name: torch.ones(2, *width) for name, width in given}
    free = {name: {0: "batch"} for name in (*example, *OUTPUTS)}
    model = halved(traced(network, example, OUTPUTS, free))
    return bytes(model.SerializeToString(deterministic=True))
