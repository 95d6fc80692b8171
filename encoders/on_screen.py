"""On-screen text: the lines that a frame shows, by PP-OCRv4 on ONNX Runtime.

Li et al., PP-OCRv3 (arXiv 2206.03001); v4 has the same two steps: where text is, what it says.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from encoders.extra_words import ON_SCREEN, missing, verified
from encoders.features import U8

LEAST_SIDE = 320
"""Pixels of the shorter side below which a frame is enlarged before lines are looked for."""
MOST_LINES = 16
"""Lines read in one frame, the tallest first: a frame full of letters must not cost a minute."""
SURE = 0.7
"""Mean probability of its letters below which a line is noise."""
CHANGED, SHARE = 32, 0.002
"""A frame counts as another when this share of its values differs by more than so much."""


class ScreenReader:
    """Reads lines of text in frames. Thread-safe: the engine's only state is a constant."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @classmethod
    def open(cls) -> Self:
        """Verify the networks and load them. Raises ProfileError."""
        where, letters = verified(ON_SCREEN)
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            raise missing() from error
        return cls(
            RapidOCR(
                det_model_path=str(where),
                rec_model_path=str(letters),
                intra_op_num_threads=1,
                inter_op_num_threads=1,
                det_limit_side_len=LEAST_SIDE,
                det_max_candidates=200,
            )
        )

    def lines(self, frame: U8) -> list[str]:
        """The lines of one frame uint8 [H, W, 3], RGB, from top to bottom."""
        image = np.ascontiguousarray(without_border(frame)[:, :, ::-1])  # the networks take BGR
        if not image.size:
            return []
        boxes, _ = self._engine.text_det(image)
        if boxes is None or not len(boxes):
            return []
        heights = np.linalg.norm(boxes[:, 0] - boxes[:, 3], axis=1)
        tallest = np.sort(np.argsort(-heights, kind="stable")[:MOST_LINES])
        ordered = self._engine.sorted_boxes(boxes[tallest])
        crops = self._engine.get_crop_img_list(image, ordered)
        read, _ = self._engine.text_rec(crops)
        return [text.strip() for text, score in read if float(score) >= SURE and text.strip()]


def without_border(frame: U8) -> U8:
    """A frame without the black rows and columns that padding put around it."""
    lit = frame.max(axis=2)
    rows, columns = np.flatnonzero(lit.max(axis=1)), np.flatnonzero(lit.max(axis=0))
    if not len(rows):
        return frame[:0, :0]
    return frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def differs(frame: U8, other: U8) -> bool:
    """Whether two frames may show different text."""
    apart = np.abs(frame.astype(np.int16) - other.astype(np.int16)) > CHANGED
    return float(apart.mean()) > SHARE
