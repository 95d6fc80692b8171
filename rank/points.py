"""Operating points: what an editor may ask for, and what it gives on the test videos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from encoders.errors import SettingError
from rank.metrics import Scored, f1
from rank.operating import Kind, Validation, choose
from rank.threshold import TAGS_PER_VIDEO

ASKED: tuple[tuple[Kind, float], ...] = (
    (Kind.PRECISION, 0.7),
    (Kind.PRECISION, 0.8),
    (Kind.PRECISION, 0.9),
    (Kind.PRECISION, 0.95),
    (Kind.TAGS_PER_VIDEO, 2.0),
    (Kind.TAGS_PER_VIDEO, TAGS_PER_VIDEO),
    (Kind.TAGS_PER_VIDEO, 5.0),
)


@dataclass(frozen=True, slots=True)
class Reached:
    """One point chosen on validation, as it turns out on test; ``own``: tags with their own cut."""

    kind: Kind
    target: float
    per_tag: bool
    own: int
    accuracy: float
    tags_per_video: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A point that the validation videos can't promise."""

    kind: Kind
    target: float
    per_tag: bool


def reached(
    scored: Scored, validation: Validation, frequency: float
) -> list[Reached | Unsupported]:
    """Every point that is asked for, with one threshold for all tags and with one for each.

    ``frequency``: how many of the true tags validation has as labels.
    """
    found: list[Reached | Unsupported] = []
    for kind, target in ASKED:
        for per_tag in (False, True):
            try:
                point = choose(kind, target, validation, frequency, per_tag=per_tag)
            except SettingError:
                found.append(Unsupported(kind, target, per_tag))
                continue
            published = scored.score >= point.limits(scored.tag)
            right, many = int(scored.right[published].sum()), int(np.count_nonzero(published))
            accuracy, recall = right / max(1, many), right / max(1, int(scored.pairs.sum()))
            found.append(
                Reached(
                    kind,
                    target,
                    per_tag,
                    len(point.own),
                    accuracy,
                    many / max(1, scored.videos),
                    recall,
                    f1(accuracy, recall),
                )
            )
    return found
