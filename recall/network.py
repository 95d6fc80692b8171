"""The fusion network in torch: what :mod:`recall.classifier` runs as ONNX. Training only."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recall.classifier import INPUTS, OUTPUTS, Fused
from recall.notes import without_notes
from recall.rounding import halved, round_large

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths: the three inputs, the hidden vector, the name query, the fused embedding."""

    sentence: int
    picture: int
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
        widths = (shape.sentence, shape.picture, shape.sound)
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
        self, sentence: Tensor, picture: Tensor, sound: Tensor, used: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs [B, …] and ``used`` [B, 3] → hidden, query, fused (unit length), gates [B, 3]."""
        inputs = (sentence, picture, sound)
        seen = torch.stack([view(x) for view, x in zip(self.views, inputs, strict=True)], dim=1)
        mask = used.unsqueeze(2)
        count = used.sum(1, keepdim=True).clamp(min=1.0)
        context = (seen * mask).sum(1) / count
        wishes = torch.cat(
            [
                gate(torch.cat([seen[:, number], context], dim=1))
                for number, gate in enumerate(self.gates)
            ],
            dim=1,
        )
        gates = torch.softmax(wishes - 1e4 * (1.0 - used), dim=1) * used
        # Evenly gated modalities add up as in one linear model over all of them.
        together = (seen * (gates * count).unsqueeze(2)).sum(1)
        hidden = together + self.mixed(together)
        fused = self.to_fused(hidden)
        fused = fused / fused.norm(dim=1, keepdim=True).clamp(min=1e-6)
        return hidden, self.to_query(hidden), fused, gates


class TorchNetwork:
    """The module, called as the ONNX session is."""

    def __init__(self, module: Fusion, shape: Shape) -> None:
        self._module = module.eval()
        self._shape = shape

    @property
    def model(self) -> bytes:
        """The network as an ONNX file."""
        return export(self._module, self._shape)

    def __call__(self, sentence: F32, picture: F32, sound: F32, used: F32) -> Fused:
        """As :meth:`recall.classifier.Network.__call__`."""
        given = (
            torch.from_numpy(np.ascontiguousarray(x)) for x in (sentence, picture, sound, used)
        )
        with torch.no_grad():
            return Fused(*(out.numpy() for out in self._module(*given)))


def export(network: Fusion, shape: Shape) -> bytes:
    """The network as an ONNX file, its large weights rounded first; the batch size is free."""
    network.eval()
    round_large(network)
    widths = (shape.sentence, shape.picture, shape.sound, 3)
    examples = tuple(torch.ones(2, width) for width in widths)
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        # The exporter warns about its own future; nothing there is ours to change.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            examples,
            dynamo=True,
            verbose=False,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=tuple({0: batch} for _ in widths),
        )
    if program is None:
        raise RuntimeError("torch gave no ONNX program")
    model = halved(without_notes(program.model_proto))
    return bytes(model.SerializeToString(deterministic=True))
