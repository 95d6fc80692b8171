"""The ranker at serving: videos to vectors by ONNX Runtime, candidates to logits by cosine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from encoders.errors import BundleError
from encoders.features import F32, Features
from rank.inputs import Shape, pack
from recall.candidates import CandidateSet

TOWER = "tower.onnx"
TAG_VECTORS = "tags.npy"
NAME_PROJECTION = "names.npy"
META = "ranker.json"
LARGEST_BATCH = 64
TAGS_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class Ranker:
    """Scores the candidates of many videos at once; safe to call from several threads.

    ``tags`` float16 [V, D]: unit vectors, memory-mapped. ``projection`` [Db, D]: a tag's name to a
    vector, for tags added later.
    """

    session: onnxruntime.InferenceSession
    shape: Shape
    tags: np.ndarray[tuple[int, ...], np.dtype[np.float16]]
    projection: F32
    scale: float
    bias: float
    word_embeddings: F32

    @classmethod
    def load(cls, folder: Path, word_embeddings: F32, *, threads: int = 1) -> Ranker:
        """Read a ranker; raises BundleError where a file is missing or not as expected."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin for the next run would take the cores that the last stage needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            meta = json.loads((folder / META).read_text())
            return cls(
                onnxruntime.InferenceSession(
                    folder / TOWER, options, providers=["CPUExecutionProvider"]
                ),
                Shape(**meta["shape"]),
                np.load(folder / TAG_VECTORS, mmap_mode="r"),
                np.load(folder / NAME_PROJECTION).astype(np.float32),
                float(meta["scale"]),
                float(meta["bias"]),
                word_embeddings,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the ranker in {folder} can't be read: {error}; train it again"
            ) from error

    def vectors(self, batch: Sequence[Features]) -> F32:
        """Unit vectors of videos, float32 [B, D]."""
        parts = [np.zeros((0, self.tags.shape[1]), np.float32)]
        for start in range(0, len(batch), LARGEST_BATCH):
            packed = pack(batch[start : start + LARGEST_BATCH], self.shape, self.word_embeddings)
            parts.append(self.session.run(None, packed.feed())[0])
        return np.concatenate(parts)

    def logits(self, batch: Sequence[Features], candidates: Sequence[CandidateSet]) -> list[F32]:
        """The logit of each candidate, one float32 [C] a video."""
        found: list[F32] = []
        for vector, item in zip(self.vectors(batch), candidates, strict=True):
            tags = self.tags[item.tags].astype(np.float32)
            found.append(tags @ vector * np.float32(self.scale) + np.float32(self.bias))
        return found

    def all_logits(self, batch: Sequence[Features]) -> F32:
        """The logits of the whole vocabulary, float32 [B, V]."""
        vectors = self.vectors(batch)
        found = np.empty((len(batch), len(self.tags)), np.float32)
        for start in range(0, len(self.tags), TAGS_AT_ONCE):
            part = slice(start, start + TAGS_AT_ONCE)
            found[:, part] = vectors @ self.tags[part].astype(np.float32).T
        return found * np.float32(self.scale) + np.float32(self.bias)

    def name_vectors(self, names: F32) -> F32:
        """Vectors of tags that were never trained, from their names' embeddings [n, Db]."""
        vectors = names @ self.projection
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: F32 = (vectors / np.maximum(length, 1e-6)).astype(np.float32)
        return unit
