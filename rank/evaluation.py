"""Evaluating a bundle on a corpus: the design's definitions, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from encoders.errors import CorpusError
from encoders.features import I64
from rank import recall_figures, systems
from rank.bootstrap import Bootstrap, Interval
from rank.metrics import (
    Figures,
    Scored,
    calibration_error,
    ceiling,
    figures,
    reliability,
)
from rank.progress import Progress
from rank.recall_figures import RecallFigures
from rank.systems import System
from rank.tagger import Tagger
from rank.threshold import TAGS_PER_VIDEO
from recall.corpus import TagSet
from recall.dataset import Dataset

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

HEAD_SHARE = 0.1  # the commonest tenth of the tags that training videos have
TAIL_SHARE = 0.5  # the rarest half, and those that none has


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is true of each video: tags (int32), and how many more the vocabulary lacks.

    ``against``: ``truth`` where a truth file was given, else ``labels``.
    """

    tags: tuple[I32, ...]
    outside: I64
    against: str

    @classmethod
    def of(cls, videos: Dataset, truth: Mapping[str, TagSet] | None) -> Truth:
        """The complete tags where a truth is given, else the corpus's labels.

        Raises CorpusError where the truth lacks a video: figures against holes would mislead.
        """
        if truth is None:
            labels = tuple(videos.labels[row] for row in range(len(videos)))
            return cls(labels, videos.outside.astype(np.int64), "labels")
        lacking = [video_id for video_id in videos.video_ids if video_id not in truth]
        if lacking:
            raise CorpusError(
                f"the truth lacks {len(lacking)} of {len(videos)} videos, the first is "
                f"{lacking[0]!r}; complete it, or measure without it"
            )
        sets = [truth[video_id] for video_id in videos.video_ids]
        return cls(
            tuple(np.asarray(item.labels, np.int32) for item in sets),
            np.array([item.outside for item in sets], np.int64),
            "truth",
        )

    @property
    def pairs(self) -> I64:
        """int64 [N]: true tags of each video, those outside the vocabulary included."""
        return np.array([len(tags) for tags in self.tags], np.int64) + self.outside


@dataclass(frozen=True, slots=True)
class Part:
    """What the product reaches on some of the pairs (by tag) or videos (by uploader)."""

    pairs: int
    accuracy: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All figures of one bundle on one split; ``scored`` and ``recall`` are kept for the report."""

    against: str
    vocabulary: int
    truth: Truth
    recall: RecallFigures
    scored: Mapping[System, Scored]
    thresholds: Mapping[System, float]
    systems: Mapping[System, Figures]
    intervals: Mapping[System, Mapping[str, Interval]]
    milliseconds: Mapping[System, float]
    by_frequency: Mapping[str, Part]
    by_uploader: Mapping[str, Part]
    calibration_error: float
    bins: F64

    def to_json(self) -> dict[str, object]:
        """The design's keys, in its order."""
        pairs = self.truth.pairs
        recall = self.recall
        return {
            "videos": len(pairs),
            "vocabulary": self.vocabulary,
            "against": self.against,
            "true_tags_per_video": float(pairs.mean()) if len(pairs) else 0.0,
            "out_of_vocabulary": float(self.truth.outside.sum()) / max(1, int(pairs.sum())),
            "ceiling": ceiling(pairs),
            "recall": {
                **{channel.value: share for channel, share in recall.channels.items()},
                "overall": recall.overall,
                "candidates_per_video": recall.candidates_per_video,
                "commonest_tags": recall.commonest,
                "at": {str(depth): share for depth, share in recall.at.items()},
                "commonest_at": {str(k): share for k, share in recall.commonest_at.items()},
                "without": {channel.value: share for channel, share in recall.without.items()},
            },
            "systems": {system.value: self._system(system) for system in self.systems},
            "by_frequency": {name: asdict(part) for name, part in self.by_frequency.items()},
            "by_uploader": {name: asdict(part) for name, part in self.by_uploader.items()},
            "calibration_error": self.calibration_error,
        }

    def _system(self, system: System) -> dict[str, object]:
        row: dict[str, object] = dict(asdict(self.systems[system]))
        for name, interval in self.intervals[system].items():
            row[f"{name}_interval"] = [interval.low, interval.high]
        row["milliseconds_per_video"] = self.milliseconds[system]
        return row


def evaluate(tagger: Tagger, videos: Dataset, truth: Truth, progress: Progress) -> Evaluation:
    """Run the three systems over ``videos`` and measure them against ``truth``."""
    bootstrap = Bootstrap(videos.component.astype(np.int64))
    scored: dict[System, Scored] = {}
    thresholds = {system: tagger.operating.standard.get(system, 0.5) for system in System}
    for system in System:
        ranked = systems.run(tagger, system, videos, progress)
        scored[system] = Scored.of(ranked.tags, ranked.scores, truth.tags, truth.outside)
    product, threshold = scored[System.RECALL_RANKING], thresholds[System.RECALL_RANKING]
    known = set(tagger.recaller.channels.library.uploaders)
    by_known = np.array([uploader in known for uploader in videos.uploader_ids()], bool)
    return Evaluation(
        against=truth.against,
        vocabulary=len(tagger.vocabulary),
        truth=truth,
        recall=recall_figures.measure(tagger.recaller, videos, truth.tags, truth.pairs, progress),
        scored=scored,
        thresholds=thresholds,
        systems={s: figures(scored[s], thresholds[s]) for s in System},
        intervals={s: intervals(scored[s], thresholds[s], bootstrap) for s in System},
        milliseconds={s: systems.milliseconds_per_video(tagger, s, videos) for s in System},
        by_frequency=by_frequency(
            product, threshold, truth.tags, tagger.recaller.channels.library.counts()
        ),
        by_uploader={
            "known": _of_videos(product, threshold, by_known),
            "new": _of_videos(product, threshold, ~by_known),
        },
        calibration_error=calibration_error(product, threshold),
        bins=reliability(product, threshold),
    )


def intervals(scored: Scored, threshold: float, bootstrap: Bootstrap) -> dict[str, Interval]:
    """95 % intervals of accuracy, recall and accuracy_top."""
    published = scored.score >= threshold
    best = scored.top(round(TAGS_PER_VIDEO * scored.videos))
    right, many = _counts(scored, published)
    right_top, many_top = _counts(scored, best)
    return {
        "accuracy": bootstrap.interval(right, many),
        "recall": bootstrap.interval(right, scored.pairs.astype(np.float64)),
        "f1": bootstrap.interval(2 * right, many + scored.pairs),
        "accuracy_top": bootstrap.interval(right_top, many_top),
    }


def frequency_groups(counts: I64) -> dict[str, Bools]:
    """bool [V] a group: the commonest tenth of the trained tags, the rarest half, the middle."""
    order = np.argsort(-counts, kind="stable")
    trained = int((counts > 0).sum())
    place = np.empty(len(counts), np.int64)
    place[order] = np.arange(len(counts))
    head = place < round(HEAD_SHARE * trained)
    tail = place >= trained - round(TAIL_SHARE * trained)
    return {"head": head, "middle": ~head & ~tail, "tail": tail}


def by_frequency(
    scored: Scored, threshold: float, truth: Sequence[I32], counts: I64
) -> dict[str, Part]:
    """The product's figures for tags that are common, rare or between in training."""
    true = np.concatenate([np.zeros(0, np.int32), *truth])
    published = scored.score >= threshold
    found = {}
    for name, group in frequency_groups(counts).items():
        kept = published & group[scored.tag]
        found[name] = _part(int(scored.right[kept].sum()), int(kept.sum()), int(group[true].sum()))
    return found


def _of_videos(scored: Scored, threshold: float, chosen: Bools) -> Part:
    kept = (scored.score >= threshold) & chosen[scored.video]
    return _part(int(scored.right[kept].sum()), int(kept.sum()), int(scored.pairs[chosen].sum()))


def _part(right: int, published: int, pairs: int) -> Part:
    accuracy, recall = right / max(1, published), right / max(1, pairs)
    return Part(pairs, accuracy, recall, 2 * right / max(1, published + pairs))


def _counts(scored: Scored, kept: Bools) -> tuple[F64, F64]:
    right = np.bincount(scored.video[kept], scored.right[kept], minlength=scored.videos)
    many = np.bincount(scored.video[kept], minlength=scored.videos)
    return right.astype(np.float64), many.astype(np.float64)
