"""Thresholds of single tags: lower where validation found a tag better than its scores, or higher.

A tag's surplus is the log of how many of its likely candidates were labelled, over how many their
scores promised to be; both are weighed against DOUBT further ones, so that a tag that was hardly
seen keeps the common threshold. The surplus moves the threshold, in log odds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rank.calibration import logit, sigmoid

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

LIKELY = 0.1  # the least score of a candidate that counts
EVIDENCE = 1.0  # labels, found or promised, up to which a tag has no threshold of its own
DOUBT = 5.0


def surpluses(score: F64, labelled: Bools, tag: I32, frequency: float) -> dict[int, float]:
    """The surplus of each tag with enough evidence among candidates of validation videos, [n].

    ``frequency``: how many of the true tags, which scores are the chances of, are labelled.
    """
    likely = score >= LIKELY
    size = int(tag.max(initial=-1)) + 1
    found = np.bincount(tag[likely], labelled[likely], size)
    promised = np.bincount(tag[likely], frequency * score[likely], size)
    shown = np.flatnonzero(np.maximum(found, promised) > EVIDENCE)
    by = np.log((found[shown] + DOUBT) / (promised[shown] + DOUBT))
    return dict(zip(shown.tolist(), by.tolist(), strict=True))


def moved(score: F64, tag: I32, surplus: dict[int, float]) -> F64:
    """Scores with each tag's surplus added, in log odds: what one common threshold then cuts."""
    by_tag = np.array([surplus.get(each, 0.0) for each in tag.tolist()])
    return sigmoid(logit(score) + by_tag)


def thresholds(common: float, surplus: dict[int, float]) -> dict[int, float]:
    """From which unmoved score on a tag is published, where ``common`` cuts the moved ones."""
    at = float(logit(np.array(common)))
    return {tag: float(sigmoid(np.array(at - by))) for tag, by in surplus.items()}
