"""Small made-up worlds: tags with a meaning, videos that show, sound and say some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from encoders.features import F32, Features, Modality, State, Words
from rank.inputs import Shape

SHAPE = Shape(frame=20, audio=16, word=24, sentence=12, bridge=12, frames=4, blocks=3, tokens=10)
WORDS = 64


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Videos, their labels (CSR [N, V]), and the embeddings of the tags' names [V, 12]."""

    features: tuple[Features, ...]
    labels: csr_matrix
    names: F32
    word_embeddings: F32


def world(videos: int = 80, tags: int = 30, *, seed: int = 0, tags_each: int = 3) -> World:
    """A world whose videos can be told by picture, sound and words, with some noise."""
    random = np.random.default_rng(seed)
    meaning = unit(random.normal(size=(tags, 12)))
    to_frame, to_audio = random.normal(size=(12, 20)), random.normal(size=(12, 16))
    word_embeddings = random.normal(size=(WORDS, 24)).astype(np.float32)
    features, rows, columns = [], [], []
    for video in range(videos):
        own = np.sort(random.choice(tags, tags_each, replace=False))
        rows += [video] * tags_each
        columns += own.tolist()
        shown = meaning[own][random.integers(0, tags_each, 3)]
        heard = meaning[own][random.integers(0, tags_each, 2)]
        features.append(
            Features(
                words=Words("a title"),
                states=dict.fromkeys(Modality, State.USED),
                sentence=unit(meaning[own].sum(0) + 0.1 * random.normal(size=12)),
                tokens=np.concatenate([[1], 3 + own % (WORDS - 4), [2]]).astype(np.int64),
                frames=(shown @ to_frame + 0.1 * random.normal(size=(3, 20))).astype(np.float32),
                bridge=unit(shown.mean(0) + 0.1 * random.normal(size=12)),
                audio=(heard @ to_audio + 0.1 * random.normal(size=(2, 16))).astype(np.float32),
            )
        )
    labels = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(videos, tags))
    labels.sort_indices()
    return World(tuple(features), labels, meaning, word_embeddings)


def silent(features: Features) -> Features:
    """The same video without its words and its sound."""
    states = {**features.states, Modality.TEXT: State.MISSING, Modality.AUDIO: State.FAILED}
    return Features(Words(), states, frames=features.frames, bridge=features.bridge)


def bert_state(width: int = 24, layers: int = 2, *, seed: int = 0) -> dict[str, F32]:
    """A published BERT's state dict, small and random."""
    random = np.random.default_rng(seed)

    def matrix(*shape: int) -> F32:
        return (0.05 * random.normal(size=shape)).astype(np.float32)

    state = {
        "embeddings.position_embeddings.weight": matrix(32, width),
        "embeddings.token_type_embeddings.weight": matrix(2, width),
        "embeddings.LayerNorm.weight": np.ones(width, np.float32),
        "embeddings.LayerNorm.bias": np.zeros(width, np.float32),
    }
    for layer in range(layers):
        prefix = f"encoder.layer.{layer}."
        for part, rows, columns in (
            ("attention.self.query", width, width),
            ("attention.self.key", width, width),
            ("attention.self.value", width, width),
            ("attention.output.dense", width, width),
            ("intermediate.dense", 4 * width, width),
            ("output.dense", width, 4 * width),
        ):
            state[f"{prefix}{part}.weight"] = matrix(rows, columns)
            state[f"{prefix}{part}.bias"] = matrix(rows)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            state[f"{prefix}{part}.weight"] = np.ones(width, np.float32)
            state[f"{prefix}{part}.bias"] = np.zeros(width, np.float32)
    return state


def unit(x: npt.NDArray[np.floating[Any]]) -> F32:
    """Rows of length one."""
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True), np.float32)
