"""The two towers: a video and a tag as vectors of one space; how alike they are is the score.

Video tower: NeXtVLAD over frames, NeXtVLAD over audio, the small BERT over words, the sentence
embedding and the image-text bridge, joined by gates that learn how much each counts for each video.
Beside this one vector, each frame and each block of sound has its own, since what is seen in one
scene only is lost in a vector of the whole (``rank.evidence``).
Tag tower: a learned embedding of the tag plus a projection of its *name*; a tag that was never
trained has only the name's part, and still scores. Training only: serving runs ONNX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rank.evidence import Evidence
from rank.inputs import PARTS, Shape
from rank.nextvlad import NeXtVLAD
from rank.small_bert import SmallBert

SAME_SCENE = 0.7
"""Cosine of two narrowed frames above which they show one scene: about as many as recall finds."""


@dataclass(frozen=True, slots=True)
class TowerSize:
    """Sizes of the towers; ``narrow_*`` are the widths that frames and blocks are projected to.

    ``moments``: whether single frames and blocks have vectors of their own.
    """

    vector: int = 256
    narrow_frame: int = 256
    narrow_audio: int = 128
    clusters: int = 32
    audio_clusters: int = 16
    groups: int = 8
    expansion: int = 2
    bert_layers: int = 2
    dropout: float = 0.3
    part_dropout: float = 0.15
    tag_dropout: float = 0.25
    moments: bool = True


class Described(nn.Module):
    """A NeXtVLAD descriptor brought to the towers' width: dropout, linear, norm, context gate.

    The gate is the paper's squeeze-and-excitation context gating; layer normalisation takes the
    place of its batch normalisation, since videos without the modality would spoil the statistics.
    """

    def __init__(self, vlad: NeXtVLAD, vector: int, dropout: float, reduction: int = 8) -> None:
        super().__init__()
        self.vlad = vlad
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Linear(vlad.size, vector)
        self.norm = nn.LayerNorm(vector)
        self.squeeze = nn.Linear(vector, vector // reduction)
        self.excite = nn.Linear(vector // reduction, vector)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        x = self.norm(self.linear(self.drop(self.vlad(sequence, mask))))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(x))))
        y: Tensor = x * gate
        return y


class GatedFusion(nn.Module):
    """Parts [B, M, D] and which are present [B, M] to one vector [B, D] of unit length.

    A softmax over the present parts says how much each counts for this video; a residual network
    mixes what they say. In training, each part is dropped at ``dropout``, never the last one.
    """

    def __init__(self, vector: int, parts: int, dropout: float, hidden_dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.gate = nn.Sequential(
            nn.Linear(vector * parts + parts, 64), nn.ReLU(), nn.Linear(64, parts)
        )
        self.mix = nn.Sequential(
            nn.Linear(vector, 2 * vector),
            nn.GELU(),
            nn.Dropout(hidden_dropout),
            nn.Linear(2 * vector, vector),
        )

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        if self.training:
            present = self._dropped(present)
        parts = parts * present.unsqueeze(-1)
        weights = self.weights(parts, present)
        fused = (parts * weights.unsqueeze(-1)).sum(dim=1)
        return nn.functional.normalize(fused + self.mix(fused), dim=-1, eps=1e-6)

    def weights(self, parts: Tensor, present: Tensor) -> Tensor:
        """How much each part counts, float32 [B, M]; sums to 1 where anything is present."""
        logits = self.gate(torch.cat([parts.flatten(1), present], dim=1))
        raw = torch.exp(logits.clamp(-10, 10)) * present
        shares: Tensor = raw / raw.sum(dim=1, keepdim=True).clamp(min=1e-6)
        return shares

    def _dropped(self, present: Tensor) -> Tensor:
        chance = torch.rand_like(present)
        kept = present * (chance >= self.dropout)
        last = present * (chance == (chance * present).amax(dim=1, keepdim=True))
        return torch.where(kept.sum(dim=1, keepdim=True) > 0, kept, last)


class VideoTensors(NamedTuple):
    """B videos: :class:`rank.evidence.VideoVectors` in torch."""

    whole: Tensor
    moments: Tensor
    weights: Tensor


class Moments(nn.Module):
    """Each step of a sequence [B, T, N] as a unit vector [B, T, D], and its weight [B, T].

    Steps that look alike are taken together first: each becomes their mean, and they share a weight
    of 1. So a scene counts once, however long it is shown.
    """

    def __init__(self, width: int, vector: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, vector)
        self.inner = nn.Sequential(
            nn.Linear(width, vector), nn.GELU(), nn.Dropout(dropout), nn.Linear(vector, vector)
        )

    def forward(self, sequence: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        unit = nn.functional.normalize(sequence, dim=-1, eps=1e-6)
        alike = (unit @ unit.transpose(1, 2) > SAME_SCENE).to(sequence.dtype) * mask.unsqueeze(1)
        together = alike.sum(2).clamp(min=1)
        mean = (alike @ sequence) / together.unsqueeze(2)
        vectors = self.linear(mean) + self.inner(mean)
        return nn.functional.normalize(vectors, dim=-1, eps=1e-6), mask / together


class VideoTower(nn.Module):
    """Features of B videos (see ``rank.inputs.TowerInputs``) to their vectors."""

    def __init__(self, shape: Shape, size: TowerSize, bert: SmallBert) -> None:
        super().__init__()
        self.narrow_frames = nn.Linear(shape.frame, size.narrow_frame)
        self.narrow_audio = nn.Linear(shape.audio, size.narrow_audio)
        self.frames = Described(
            NeXtVLAD(
                size.narrow_frame,
                clusters=size.clusters,
                groups=size.groups,
                expansion=size.expansion,
            ),
            size.vector,
            size.dropout,
        )
        self.audio = Described(
            NeXtVLAD(
                size.narrow_audio,
                clusters=size.audio_clusters,
                groups=size.groups,
                expansion=size.expansion,
            ),
            size.vector,
            size.dropout,
        )
        self.moments = size.moments
        self.frame_moments = Moments(size.narrow_frame, size.vector, size.dropout)
        self.audio_moments = Moments(size.narrow_audio, size.vector, size.dropout)
        self.bert = bert
        self.words = nn.Sequential(nn.Dropout(0.1), nn.Linear(bert.width, size.vector))
        self.sentence = nn.Linear(shape.sentence, size.vector)
        self.bridge = nn.Linear(shape.bridge, size.vector)
        self.fusion = GatedFusion(size.vector, len(PARTS), size.part_dropout, size.dropout)

    def forward(
        self,
        frames: Tensor,
        frames_mask: Tensor,
        audio: Tensor,
        audio_mask: Tensor,
        words: Tensor,
        words_mask: Tensor,
        sentence: Tensor,
        bridge: Tensor,
        present: Tensor,
    ) -> VideoTensors:
        return self.fuse(
            self.narrow_frames(frames),
            frames_mask,
            self.narrow_audio(audio),
            audio_mask,
            self.bert(words, words_mask),
            sentence,
            bridge,
            present,
        )

    def fuse(
        self,
        frames: Tensor,
        frames_mask: Tensor,
        audio: Tensor,
        audio_mask: Tensor,
        read: Tensor,
        sentence: Tensor,
        bridge: Tensor,
        present: Tensor,
    ) -> VideoTensors:
        """As ``forward``, from narrowed sequences and what the small BERT has read ([B, Dw])."""
        parts = [
            self.frames(frames, frames_mask),
            self.audio(audio, audio_mask),
            self.words(read),
            self.sentence(sentence),
            self.bridge(bridge),
        ]
        unit = [nn.functional.normalize(part, dim=-1, eps=1e-6) for part in parts]
        seen, of_frames = self.frame_moments(frames, frames_mask)
        heard, of_audio = self.audio_moments(audio, audio_mask)
        weights = torch.cat([of_frames, of_audio], dim=1)
        return VideoTensors(
            self.fusion(torch.stack(unit, dim=1), present),
            torch.cat([seen, heard], dim=1),
            weights if self.moments else torch.zeros_like(weights),
        )


class TagTower(nn.Module):
    """Tags to unit vectors [N, D]: a learned embedding plus a projection of the name's embedding.

    In training the learned part is dropped at ``dropout``, so that the name alone learns to score.
    """

    def __init__(self, names: Tensor, vector: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.register_buffer("names", names)
        self.names: Tensor
        self.learned = nn.Embedding(len(names), vector, sparse=True)
        nn.init.zeros_(self.learned.weight)
        self.project = nn.Linear(names.shape[1], vector, bias=False)

    def forward(self, tags: Tensor) -> Tensor:
        learned = self.learned(tags)
        if self.training:
            learned = learned * (torch.rand(len(tags), 1) >= self.dropout)
        vector: Tensor = nn.functional.normalize(
            self.project(self.names[tags]) + learned, dim=-1, eps=1e-6
        )
        return vector

    def all(self) -> Tensor:
        """Every tag's vector, [V, D]."""
        vectors: Tensor = self(torch.arange(len(self.names)))
        return vectors


class Towers(nn.Module):
    """Both towers, and the numbers of ``rank.evidence`` that turn likeness into a logit."""

    def __init__(self, video: VideoTower, tag: TagTower) -> None:
        super().__init__()
        self.video = video
        self.tag = tag
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.moment_log_scale = nn.Parameter(torch.tensor(2.5))
        self.least = nn.Parameter(torch.tensor(2.0))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    @property
    def scale(self) -> Tensor:
        """What the whole's cosine is multiplied by, at most 100 (as CLIP bounds it)."""
        return self.log_scale.clamp(max=4.6).exp()

    @property
    def moment_scale(self) -> Tensor:
        """What a moment's cosine is multiplied by; its exponential is at most e^55."""
        return self.moment_log_scale.clamp(max=4.0).exp()

    def evidence(self) -> Evidence:
        """The numbers as they are now."""
        numbers = (self.scale, self.moment_scale, self.least, self.bias)
        return Evidence(*(float(number.detach()) for number in numbers))

    def logits(self, videos: VideoTensors, tags: Tensor) -> Tensor:
        """Logits [B, N] of B videos and N tags [N, D]."""
        alike = torch.exp(self.moment_scale * (videos.moments @ tags.T) - self.least)
        found = torch.log1p((alike * videos.weights.unsqueeze(2)).sum(dim=1))
        return self.scale * (videos.whole @ tags.T) + found + self.bias
