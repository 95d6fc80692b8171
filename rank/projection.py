"""Principal components: wide frame and audio embeddings made narrow, as YouTube-8M's are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from encoders.features import F32


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """x ↦ (x - mean) · matrix. ``matrix`` float32 [D, d]; ``mean`` float32 [D]."""

    mean: F32
    matrix: F32

    def __call__(self, x: F32) -> F32:
        """Project the last axis."""
        return np.asarray((x - self.mean) @ self.matrix, np.float32)


def principal(x: F32, width: int) -> Projection:
    """The ``width`` directions in which the rows of ``x`` [n, D] vary most.

    Scaled by one factor, so that a projected row has about unit variance a dimension. Signs are
    fixed (each direction's largest entry is positive), so that equal data gives equal bytes. With
    no rows at all, the first ``width`` dimensions are kept.
    """
    size = x.shape[1]
    if len(x) < 2:
        return Projection(np.zeros(size, np.float32), np.eye(size, width, dtype=np.float32))
    mean = x.mean(0, dtype=np.float64)
    centred = x - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / len(x)
    values, vectors = np.linalg.eigh(covariance)
    kept = min(width, size)
    values, vectors = values[::-1][:kept], vectors[:, ::-1][:, :kept]
    largest = vectors[np.abs(vectors).argmax(0), np.arange(kept)]
    vectors = vectors * np.where(largest < 0, -1.0, 1.0)
    vectors /= np.sqrt(max(float(values.mean()), 1e-12))
    matrix = np.zeros((size, width), np.float32)
    matrix[:, :kept] = vectors
    return Projection(mean.astype(np.float32), matrix)
