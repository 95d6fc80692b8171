"""Training the last stage: columns to scores, scores to probabilities, and where to cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from encoders.features import F32, I64
from rank import calibration, combining
from rank.columns import COLUMNS, columns
from rank.combine import Combiner
from rank.combining import CombinePlan, Examples
from rank.implied import raised
from rank.operating import Kind, Operating, OperatingPoint, Validation
from rank.progress import Progress, quiet
from rank.threshold import TAGS_PER_VIDEO, for_tags_per_video
from recall.candidates import CandidateSet
from recall.dataset import Dataset
from recall.ragged import Ragged
from recall.strangers import groups_of

Bools = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]

MOST_ROWS = 1_000_000  # candidates of training videos that the last stage learns from
PLATEAU_RIGHT = 2_000  # labelled validation candidates that tell the label frequency alone,
ENOUGH_RIGHT = 300  # that calibrate alone,
FEWEST_RIGHT = 60  # and that choose thresholds alone: of fewer, training videos count, too
FOLDS = 4  # of the videos, for scores by a combiner that has not seen them


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Candidates of labelled videos.

    ``labels`` and ``groups`` (int64): of each video number in ``examples``, its tags and the group
    that it belongs to (:func:`recall.strangers.groups_of`): no source is in two groups.
    """

    examples: Examples
    labels: Ragged[np.int32]
    groups: I64


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


def known_of(
    videos: Dataset, candidates: Sequence[CandidateSet], logits: Sequence[F32], rows: I64
) -> Known:
    """The candidates of the videos at ``rows``, and what is known of all."""
    examples = examples_of(videos, candidates, logits, rows)
    return Known(examples, videos.labels, groups_of(videos.component, videos.sources, FOLDS))


def both(first: Known, second: Known) -> Known:
    """All videos of ``first``, then those of ``second``."""
    one, two = first.examples, second.examples
    return Known(
        Examples(
            np.concatenate([one.rows, two.rows]),
            np.concatenate([one.labelled, two.labelled]),
            np.concatenate([one.tags, two.tags]),
            np.concatenate([one.video, two.video + len(first.labels)]),
        ),
        first.labels.followed_by(second.labels),
        np.concatenate([first.groups, second.groups + first.groups.max(initial=-1) + 1]),
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
    training: Known,
    validation: Known,
    plan: CombinePlan,
    above: Ragged[np.int32],
    *,
    seed: int,
    progress: Progress = quiet,
) -> LastStage:
    """Fit the combiner on training and validation videos, and the rest on validation videos.

    All are seen as strangers: training videos by recall and ranker from folds without them,
    validation videos as they are served. These are fewer, but their material is new to everything,
    as an upload's is. Calibration and thresholds go by logits of combiners that have not seen the
    video; where validation has too little to say, by those of training videos, too. ``above``: to
    each tag, those that it implies, which counts unless the labels speak against it.
    """
    every = both(training, validation)
    examples, labels, groups = every.examples, every.labels, every.groups
    held = combining.cross_fit(
        examples, labels, groups, plan, folds=FOLDS, seed=seed, progress=progress
    )
    higher = raised(held, examples.tags, examples.video, above)
    implied = precision(higher, examples.labelled) >= precision(held, examples.labelled)
    held = higher if implied else held
    progress("last stage", 0, 1)
    combiner = combining.fit(examples, labels, groups, plan, seed=seed)
    judged, logits, count = examples, held, len(np.unique(examples.video))
    right = int(validation.examples.labelled.sum())
    own = np.arange(len(held)) >= len(training.examples.rows)
    if right >= FEWEST_RIGHT:
        judged, logits, count = validation.examples, held[own], len(validation.labels)
    plateau = own | (right < PLATEAU_RIGHT)
    frequency = calibration.label_frequency(held[plateau], examples.labelled[plateau])
    line = own | (right < ENOUGH_RIGHT)
    fitted = calibration.fit(held[line], examples.labelled[line], frequency=frequency)
    scores = fitted(logits)
    threshold = for_tags_per_video(scores, count)
    point = OperatingPoint(Kind.TAGS_PER_VIDEO, TAGS_PER_VIDEO, threshold)
    return LastStage(
        combiner,
        Operating(fitted, point, implied=implied),
        Validation(scores, judged.labelled, judged.tags, judged.video, count),
    )


def precision(logits: F64, labelled: Bools) -> float:
    """The average precision of all candidates in one list, 0 where none is labelled."""
    return float(average_precision_score(labelled, logits)) if labelled.any() else 0.0
