"""How much of a tag the ranker finds in a video, from the vectors of both.

The whole video's cosine with the tag counts, and so do its *moments*, the single frames and blocks
of sound, of which one is enough:

    scale · whole · tag + log(1 + Σ weight · exp(moment scale · moment · tag - least))

A moment less alike than ``least`` says next to nothing (multiple-instance learning with a smooth
maximum: Ramon & De Raedt 2000; a vector a step of the sequence, compared late: Khattab & Zaharia
2020, "ColBERT", arXiv 2004.12832). ``rank.tower`` learns the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from encoders.features import F32


class VideoVectors(NamedTuple):
    """Videos, float32: ``whole`` [..., D] and ``moments`` [..., M, D], unit vectors.

    ``weights`` [..., M]: what each moment counts, 1 for a whole scene's together; 0 for padding.
    """

    whole: F32
    moments: F32
    weights: F32


@dataclass(frozen=True, slots=True)
class Evidence:
    """The learned numbers; ``bias`` makes evidence a logit."""

    scale: float
    moment_scale: float
    least: float
    bias: float

    def __call__(self, videos: VideoVectors, tags: F32) -> F32:
        """float32 [..., n] of tags [..., n, D], without the bias."""
        whole = (tags @ videos.whole[..., None])[..., 0]
        alike = tags @ np.swapaxes(videos.moments, -1, -2)
        found = np.exp(self.moment_scale * alike - self.least) @ videos.weights[..., None]
        return np.asarray(self.scale * whole + np.log1p(found[..., 0]), np.float32)

    def logits(self, videos: VideoVectors, tags: F32) -> F32:
        """float32 [..., n] of tags [..., n, D]."""
        return self(videos, tags) + np.float32(self.bias)
