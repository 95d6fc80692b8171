"""Training the last stage: columns to scores, scores to probabilities, and where to cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from encoders.features import F32, I64
from rank import calibration, combining
from rank.columns import COLUMNS, columns
from rank.combine import Combiner
from rank.combining import CombinePlan, Examples
from rank.operating import Kind, Operating, OperatingPoint, Validation
from rank.threshold import TAGS_PER_VIDEO, for_tags_per_video
from recall.candidates import CandidateSet
from recall.dataset import Dataset
from recall.ragged import Ragged

F64 = npt.NDArray[np.float64]

MOST_ROWS = 600_000  # candidates that settle the last stage well enough
ENOUGH_RIGHT = 2_000  # labelled validation candidates below which training videos calibrate too
FEWEST_RIGHT = 60  # and below which they choose thresholds too


@dataclass(frozen=True, slots=True, eq=False)
class LastStage:
    """The combiner and what turns its logits into published tags."""

    combiner: Combiner
    operating: Operating
    validation: Validation


def examples_of(
    videos: Dataset, candidates: Sequence[CandidateSet], logits: Sequence[F32], rows: I64
) -> Examples:
    """The candidates of some videos as rows for the last stage."""
    tables = [columns(videos.features(r), candidates[r], logits[r]) for r in rows.tolist()]
    labelled = [np.isin(candidates[r].tags, videos.labels[r]) for r in rows.tolist()]
    return Examples(
        np.concatenate([np.zeros((0, len(COLUMNS)), np.float32), *tables]),
        np.concatenate([np.zeros(0, bool), *labelled]),
        np.concatenate([np.zeros(0, np.int32), *(candidates[r].tags for r in rows.tolist())]),
        np.repeat(rows, [len(table) for table in tables]),
    )


def both(first: Examples, second: Examples) -> Examples:
    """The candidates of ``first``, then those of ``second``."""
    return Examples(
        np.concatenate([first.rows, second.rows]),
        np.concatenate([first.labelled, second.labelled]),
        np.concatenate([first.tags, second.tags]),
        np.concatenate([first.video, second.video]),
    )


def sample(
    videos: Dataset, candidates: Sequence[CandidateSet], *, seed: int, most: int = MOST_ROWS
) -> I64:
    """As many videos, drawn at random, as give at most ``most`` candidates; in their order."""
    order = np.random.default_rng(seed).permutation(len(videos))
    sizes = np.cumsum([len(candidates[row].tags) for row in order.tolist()])
    kept = order[: max(1, int(np.searchsorted(sizes, most, side="right")))]
    return np.sort(kept).astype(np.int64)


def train_last(
    training: Examples,
    training_labels: Ragged[np.int32],
    training_components: I64,
    validation: Examples,
    videos: int,
    plan: CombinePlan,
    *,
    seed: int,
) -> LastStage:
    """Fit the combiner on training videos seen as strangers, the rest on validation videos.

    ``training_labels`` and ``training_components``: of each video number in ``training``, its tags
    and its component. ``videos``: how many validation videos there are. Where validation has too
    little to say, so do the training videos, by cross-fitted logits.
    """
    combiner = combining.fit(training, training_labels, training_components, plan, seed=seed)
    judged, count = validation, videos
    logits = combiner(validation.rows, validation.tags, validation.video)
    right = int(validation.labelled.sum())
    known, seen = validation.labelled, logits
    if right < ENOUGH_RIGHT:
        held = combining.cross_fit(
            training, training_labels, training_components, plan, folds=5, seed=seed
        )
        known, seen = np.concatenate([known, training.labelled]), np.concatenate([seen, held])
    if right < FEWEST_RIGHT:
        strangers = replace(training, video=training.video + videos)
        judged, logits = both(validation, strangers), seen
        count = videos + len(np.unique(training.video))
    plain = calibration.fit(seen, known)
    frequency = calibration.label_frequency(plain(seen), known)
    fitted = calibration.Calibration(plain.at, plain.gives, frequency)
    scores = fitted(logits)
    threshold = for_tags_per_video(scores, count)
    point = OperatingPoint(Kind.TAGS_PER_VIDEO, TAGS_PER_VIDEO, threshold)
    return LastStage(
        combiner,
        Operating(fitted, point),
        Validation(scores, judged.labelled, judged.tags, judged.video, count),
    )
