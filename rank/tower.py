"""The two towers: a video and a tag as vectors of one space; their cosine is the ranker's score.

Video tower: NeXtVLAD over frames, NeXtVLAD over audio, the small BERT over words, the sentence
embedding and the image-text bridge, joined by gates that learn how much each counts for each video.
Tag tower: a learned embedding of the tag plus a projection of its *name*; a tag that was never
trained has only the name's part, and still scores. Training only: serving runs ONNX.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rank.inputs import PARTS, Shape
from rank.nextvlad import NeXtVLAD
from rank.small_bert import SmallBert


@dataclass(frozen=True, slots=True)
class TowerSize:
    """Sizes of the towers; ``narrow_*`` are the widths that frames and blocks are projected to."""

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


class VideoTower(nn.Module):
    """Features of B videos (see ``rank.inputs.TowerInputs``) to unit vectors [B, D]."""

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
    ) -> Tensor:
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
    ) -> Tensor:
        """As ``forward``, from narrowed sequences and what the small BERT has read ([B, Dw])."""
        parts = [
            self.frames(frames, frames_mask),
            self.audio(audio, audio_mask),
            self.words(read),
            self.sentence(sentence),
            self.bridge(bridge),
        ]
        unit = [nn.functional.normalize(part, dim=-1, eps=1e-6) for part in parts]
        vector: Tensor = self.fusion(torch.stack(unit, dim=1), present)
        return vector


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
    """Both towers and the scale and bias that turn a cosine into a logit."""

    def __init__(self, video: VideoTower, tag: TagTower) -> None:
        super().__init__()
        self.video = video
        self.tag = tag
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    @property
    def scale(self) -> Tensor:
        """What a cosine is multiplied by, at most 100 (as CLIP bounds it)."""
        return self.log_scale.clamp(max=4.6).exp()

    def logits(self, videos: Tensor, tags: Tensor) -> Tensor:
        """Logits [B, N] of unit vectors, videos [B, D] and tags [N, D]."""
        return videos @ tags.T * self.scale + self.bias
