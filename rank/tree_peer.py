"""A well-kept extreme multi-label library as a peer: napkinXC's probabilistic label trees.

Jasinska-Kobus et al. 2020, arXiv 2009.11218. It sees what the others see: TF-IDF words and the
principal components of the embeddings side by side, each of about unit length. Part of the extra
``train`` where there is a wheel for the platform.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from encoders.features import F32

MODULE = "napkinxc.models"
KEPT = 100  # tags of a video that are asked for
COSTS = (64.0, 512.0)  # C of the trees' regressions


def installed() -> bool:
    """Whether napkinXC is there."""
    return find_spec(MODULE.partition(".")[0]) is not None


def tree_scores(
    known: csr_matrix, labels: csr_matrix, asked: csr_matrix, *, cost: float, seed: int
) -> F32:
    """Probabilities float32 [videos, V] of those ``asked`` about."""
    tree: Callable[..., Any] = import_module(MODULE).PLT
    rows = np.flatnonzero(np.diff(labels.indptr))
    lists = [labels.indices[labels.indptr[row] : labels.indptr[row + 1]].tolist() for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        model = tree(
            str(Path(folder) / "model"),
            liblinear_c=cost,
            weights_threshold=0.0,  # by default small weights are lost, and these are many
            seed=seed,
            threads=os.cpu_count() or 1,
            verbose=False,
        )
        model.fit(known[rows].astype(np.float32), lists)
        return _dense(model, asked, labels)


def _dense(model: Any, rows: csr_matrix, labels: csr_matrix) -> F32:
    scores = np.zeros((rows.shape[0], labels.shape[1]), np.float32)
    if not rows.shape[0]:
        return scores
    answers = model.predict_proba(rows.astype(np.float32), top_k=min(KEPT, labels.shape[1]))
    for row, answer in enumerate(answers):
        for tag, chance in answer:
            scores[row, int(tag)] = chance
    return scores
