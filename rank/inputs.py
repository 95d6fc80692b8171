"""Features packed into the padded arrays that the video tower takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.features import F32, Features, Modality, State

PARTS: tuple[str, ...] = ("frames", "audio", "words", "sentence", "bridge")
"""What the tower fuses, in the order of its gates."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths of a profile's embeddings and the longest sequences that are looked at."""

    frame: int
    audio: int
    word: int
    sentence: int
    bridge: int
    frames: int
    blocks: int
    tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class TowerInputs:
    """B videos as the tower takes them. Masks are 1 for what is there, 0 for padding.

    ``frames`` float32 [B, T, Dv], ``audio`` [B, A, Da], ``words`` [B, L, Dw] (frozen word
    embeddings), each with its mask float32 [B, T | A | L]; ``sentence`` [B, Ds];
    ``bridge`` [B, Db]; ``present`` float32 [B, 5]: which of PARTS the video has.
    """

    frames: F32
    frames_mask: F32
    audio: F32
    audio_mask: F32
    words: F32
    words_mask: F32
    sentence: F32
    bridge: F32
    present: F32

    def feed(self) -> dict[str, F32]:
        """The arrays by name, as an ONNX Runtime session takes them."""
        return {name: getattr(self, name) for name in self.__slots__}


def pack(batch: Sequence[Features], shape: Shape, word_embeddings: F32) -> TowerInputs:
    """Pad the features of B videos; what a video hasn't got is zeros with mask 0.

    Sequences are cut to ``shape``'s longest. The token axis is as long as the longest text of the
    batch needs; padded tokens are masked, so that batch-mates don't change a video's vector.
    """
    texts = [_tokens(item, shape.tokens) for item in batch]
    length = max([1, *(len(text) for text in texts)])
    words = np.zeros((len(batch), length, shape.word), np.float32)
    words_mask = np.zeros((len(batch), length), np.float32)
    for row, text in enumerate(texts):
        words[row, : len(text)] = word_embeddings[text]
        words_mask[row, : len(text)] = 1
    frames, frames_mask = _sequences([item.frames for item in batch], shape.frames, shape.frame)
    audio, audio_mask = _sequences([item.audio for item in batch], shape.blocks, shape.audio)
    sentence = _rows([item.sentence for item in batch], shape.sentence)
    bridge = _rows([item.bridge for item in batch], shape.bridge)
    present = np.stack(
        [
            frames_mask.any(1),
            audio_mask.any(1),
            words_mask.any(1),
            np.array([item.sentence is not None for item in batch], bool),
            np.array([item.bridge is not None for item in batch], bool),
        ],
        axis=1,
    ).astype(np.float32)
    return TowerInputs(
        frames, frames_mask, audio, audio_mask, words, words_mask, sentence, bridge, present
    )


def spread(length: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` indexes spread evenly over ``length`` steps of time."""
    if length <= most:
        return np.arange(length)
    return np.linspace(0, length - 1, most).round().astype(np.int64)


def _tokens(item: Features, most: int) -> npt.NDArray[np.int64]:
    if item.tokens is None or item.states.get(Modality.TEXT) is not State.USED:
        return np.zeros(0, np.int64)
    return item.tokens[:most]


def _sequences(items: Sequence[F32 | None], most: int, width: int) -> tuple[F32, F32]:
    values = np.zeros((len(items), most, width), np.float32)
    mask = np.zeros((len(items), most), np.float32)
    for row, item in enumerate(items):
        if item is not None and len(item):
            kept = item[spread(len(item), most)]
            values[row, : len(kept)] = kept
            mask[row, : len(kept)] = 1
    return values, mask


def _rows(items: Sequence[F32 | None], width: int) -> F32:
    values = np.zeros((len(items), width), np.float32)
    for row, item in enumerate(items):
        if item is not None:
            values[row] = item
    return values
