"""The three systems that are compared, run over the same videos.

classification    the classifier alone, over the whole vocabulary
full_ranking      the ranker over the whole vocabulary, without recall
recall_ranking    recall, then ranking: the product
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from encoders.features import Features
from rank.calibration import sigmoid
from rank.progress import Progress
from rank.ranker import Ranker
from rank.tagger import Tagger
from recall.candidates import Channel
from recall.dataset import Dataset
from recall.recaller import Recaller
from recall.vocabulary import Vocabulary

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

AT_ONCE = 64
KEPT = 100  # of a whole vocabulary's scores, the best are kept for the figures
TIMED = 64  # videos


class System(StrEnum):
    """The systems by their keys in the evaluation."""

    CLASSIFICATION = "classification"
    FULL_RANKING = "full_ranking"
    RECALL_RANKING = "recall_ranking"


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """One system's tags of each video (int32) and their scores (float64, 0 to 1)."""

    tags: list[I32]
    scores: list[F64]


Answer = Callable[[Sequence[Features], Sequence[str | None]], tuple[list[I32], list[F64]]]


def answer_of(tagger: Tagger, system: System) -> Answer:
    """How one system scores a batch."""
    if system is System.RECALL_RANKING:
        return lambda batch, uploaders: _tagged(tagger, batch, uploaders)
    return answer_alone(system, tagger.recaller, tagger.ranker)


def answer_alone(system: System, recaller: Recaller, ranker: Ranker) -> Answer:
    """How recall's classifier or the ranker scores a batch without the other."""
    if system is System.CLASSIFICATION:
        return lambda batch, uploaders: _classified(recaller, batch, uploaders)
    return lambda batch, _: _ranked(ranker, recaller.vocabulary, batch)


def run(tagger: Tagger, system: System, videos: Dataset, progress: Progress) -> Ranked:
    """One system over all videos of a dataset."""
    return answered(answer_of(tagger, system), videos, system.value, progress)


def answered(answer: Answer, videos: Dataset, name: str, progress: Progress) -> Ranked:
    """All videos of a dataset as ``answer`` scores them."""
    uploaders = videos.uploader_ids()
    tags: list[I32] = []
    scores: list[F64] = []
    for start in range(0, len(videos), AT_ONCE):
        end = min(start + AT_ONCE, len(videos))
        batch = [videos.features(row) for row in range(start, end)]
        found, scored = answer(batch, uploaders[start:end])
        tags += found
        scores += scored
        progress(name, end, len(videos))
    return Ranked(tags, scores)


def milliseconds_per_video(tagger: Tagger, system: System, videos: Dataset) -> float:
    """The best of three runs over the same (at most 64) videos, features at hand, one thread."""
    count = min(TIMED, len(videos))
    if not count:
        return 0.0
    batch = [videos.features(row) for row in range(count)]
    uploaders = videos.uploader_ids()[:count]
    answer = answer_of(tagger, system)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        answer(batch, uploaders)
        times.append(time.perf_counter() - start)
    return 1000 * min(times) / count


def _classified(
    recaller: Recaller, batch: Sequence[Features], uploaders: Sequence[str | None]
) -> tuple[list[I32], list[F64]]:
    ready = recaller.channels.batch(batch, uploaders)
    pairs = recaller.channel(ready, Channel.CLASSIFIER)
    order = np.argsort(pairs.video, kind="stable")
    starts = np.searchsorted(pairs.video[order], np.arange(len(batch) + 1))
    each = [order[start:end] for start, end in pairwise(starts)]
    scores = sigmoid(pairs.score.astype(np.float64))
    return [pairs.tag[rows] for rows in each], [scores[rows] for rows in each]


def _ranked(
    ranker: Ranker, vocabulary: Vocabulary, batch: Sequence[Features]
) -> tuple[list[I32], list[F64]]:
    redirects = vocabulary.redirects
    open_tags = np.flatnonzero(redirects == np.arange(len(redirects))).astype(np.int32)
    logits = ranker.all_logits(batch)[:, open_tags]
    kept = min(KEPT, len(open_tags))
    best = np.argpartition(-logits, kept - 1, axis=1)[:, :kept]
    scores = sigmoid(np.take_along_axis(logits, best, axis=1).astype(np.float64))
    return [open_tags[row] for row in best], list(scores)


def _tagged(
    tagger: Tagger, batch: Sequence[Features], uploaders: Sequence[str | None]
) -> tuple[list[I32], list[F64]]:
    found = tagger.recaller.candidates(batch, uploaders)
    scored = tagger.score(batch, found)
    return [item.tags for item in found], [scores for scores, _ in scored]
