"""The ranker at serving: videos to vectors by ONNX Runtime, candidates to logits by likeness."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from encoders.errors import BundleError
from encoders.features import F32, Features
from rank.evidence import Evidence, VideoVectors
from rank.inputs import Shape, pack
from recall.candidates import CandidateSet

F16 = npt.NDArray[np.float16]

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
    tags: F16
    projection: F32
    evidence: Evidence
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
                Evidence(**meta["evidence"]),
                word_embeddings,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the ranker in {folder} can't be read: {error}; train it again"
            ) from error

    def vectors(self, batch: Sequence[Features]) -> VideoVectors:
        """The vectors of videos."""
        width, most = self.tags.shape[1], self.shape.frames + self.shape.blocks
        shapes = ((0, width), (0, most, width), (0, most))
        found = [VideoVectors(*(np.zeros(shape, np.float32) for shape in shapes))]
        for start in range(0, len(batch), LARGEST_BATCH):
            packed = pack(batch[start : start + LARGEST_BATCH], self.shape, self.word_embeddings)
            made = self.session.run(list(VideoVectors._fields), packed.feed())
            found.append(VideoVectors(*made))
        return VideoVectors(*(np.concatenate(each) for each in zip(*found, strict=True)))

    def logits(self, batch: Sequence[Features], candidates: Sequence[CandidateSet]) -> list[F32]:
        """The logit of each candidate, one float32 [C] a video."""
        return [
            self._logits(VideoVectors(*video), self.tags[item.tags])
            for *video, item in zip(*self.vectors(batch), candidates, strict=True)
        ]

    def all_logits(self, batch: Sequence[Features]) -> F32:
        """The logits of the whole vocabulary, float32 [B, V]."""
        found = np.empty((len(batch), len(self.tags)), np.float32)
        for row, video in enumerate(zip(*self.vectors(batch), strict=True)):
            for start in range(0, len(self.tags), TAGS_AT_ONCE):
                part = slice(start, start + TAGS_AT_ONCE)
                found[row, part] = self._logits(VideoVectors(*video), self.tags[part])
        return found

    def _logits(self, video: VideoVectors, tags: F16) -> F32:
        """float32 [n] of one video and some tags [n, D]."""
        return self.evidence.logits(video, tags.astype(np.float32))

    def name_vectors(self, names: F32) -> F32:
        """Vectors of tags that were never trained, from their names' embeddings [n, Db]."""
        vectors = names @ self.projection
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: F32 = (vectors / np.maximum(length, 1e-6)).astype(np.float32)
        return unit
