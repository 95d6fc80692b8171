"""Labels hidden: what the losses, and the whole product, lose when labels miss true tags.

Of the complete tags of the training and validation videos a share is hidden. Test tags stay whole:
they are the truth. The labels that an operator would have judged by are the same test tags with the
same share hidden; against them a good tagger looks worse than it is, and each comes with its
ceiling. Needs the extra ``train``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from rank.bootstrap import Bootstrap, Interval, middle
from rank.losses import LossName
from rank.metrics import Scored, ceiling
from rank.ranker_table import Arena, with_loss
from rank.systems import System
from rank.threshold import TAGS_PER_VIDEO
from rank.variants import Ground, Labels, hidden, retrained

I32 = npt.NDArray[np.int32]

HIDDEN = (0.0, 0.3, 0.6)
PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class Covered:
    """One training with a share of labels hidden, at exactly 3.12 tags a video.

    ``truth`` and ``labels``: accuracy against whole test tags, and against those with as many
    hidden; ``truth_ceiling`` and ``labels_ceiling``: what is possible; ``interval``: of ``truth``.
    """

    name: str
    hidden: float
    truth: float
    truth_ceiling: float
    labels: float
    labels_ceiling: float
    interval: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """The test videos' tags, whole and with each share hidden."""

    bootstrap: Bootstrap
    whole: tuple[I32, ...]
    outside: npt.NDArray[np.int64]

    def covered(self, name: str, share: float, scored: Scored) -> Covered:
        """Accuracy of one system's best 3.12·N pairs."""
        best = scored.top(round(TAGS_PER_VIDEO * scored.videos))
        seen = self.seen(share)
        right = scored.right[best]
        labelled = np.array(
            [
                tag in seen[video]
                for video, tag in zip(
                    scored.video[best].tolist(), scored.tag[best].tolist(), strict=True
                )
            ],
            bool,
        )
        draws = self.bootstrap.ratio(
            np.bincount(scored.video[best], right, minlength=scored.videos).astype(np.float64),
            np.bincount(scored.video[best], minlength=scored.videos).astype(np.float64),
        )
        pairs = np.array([len(tags) for tags in seen], np.int64)
        return Covered(
            name,
            share,
            float(right.mean()) if len(right) else 0.0,
            ceiling(scored.pairs),
            float(labelled.mean()) if len(labelled) else 0.0,
            ceiling(pairs),
            middle(draws),
        )

    def seen(self, share: float) -> list[frozenset[int]]:
        """The test tags left when a share is hidden, never a video's last."""
        random = np.random.default_rng(1)
        found = []
        for tags in self.whole:
            kept = tags[random.random(len(tags)) >= share]
            if len(tags) and not len(kept):
                kept = tags[[int(random.integers(len(tags)))]]
            found.append(frozenset(kept.tolist()))
        return found


def by_loss(arena: Arena, ground: Ground, judge: Judge, loss: LossName) -> list[Covered]:
    """One loss with 0, 30 and 60 % of the labels hidden: the ranker alone, without recall."""
    found = []
    for share in HIDDEN:
        seen = hidden(ground.corpus.videos, ground.complete, share, seed=0)
        labels = matrix(ground, seen, len(arena.parts.names))
        stage = f"{loss.value}, {share:.0%} hidden"
        scored = with_loss(arena, loss, labels, stage=stage, progress=ground.progress)
        found.append(judge.covered(loss.value, share, scored))
    return found


def of_product(ground: Ground, judge: Judge, share: float) -> Covered:
    """The whole product, recall and all, trained with a share of the labels hidden."""
    seen = hidden(ground.corpus.videos, ground.complete, share, seed=0)
    trained = retrained(ground, f"hidden-{share:g}", seen)
    return judge.covered(PRODUCT, share, trained.evaluation.scored[System.RECALL_RANKING])


def matrix(ground: Ground, labels: Labels, tags: int) -> csr_matrix:
    """CSR [N, V] of ones: labels of every video that could be read."""
    video_of = {video.video_id: video for video in ground.corpus.videos}
    rows = [sorted(set(labels(video_of[name]))) for name in ground.dataset.video_ids]
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    flat = np.array([tag for row in rows for tag in row], np.int64)
    found = csr_matrix((np.ones(len(flat), np.float32), (owner, flat)), shape=(len(rows), tags))
    found.sort_indices()
    return found
