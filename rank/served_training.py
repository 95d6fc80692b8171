"""Training recall and ranker as they serve, from validation videos, too; and judging these.

What serves has learned from every labelled video that may be learned from, so none is left to say
what its scores mean on new ones. The next best say it: models that have learned from all but a half
of the validation split judge that half. Those that had learned from no validation video would be
less sure of new videos than what serves, and thresholds found with them would let too many tags
through.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encoders.encoder import Encoders
from encoders.features import F32, I64
from rank import candidate_file, systems
from rank.bundle import RANKER, RECALL
from rank.export import export
from rank.progress import Progress, shares
from rank.ranker import Ranker
from rank.ranker_training import RankerParts, RankerPlan, train_towers
from rank.systems import System
from rank.threshold import for_tags_per_video
from recall.candidates import CandidateSet
from recall.dataset import Dataset
from recall.recaller import Recaller
from recall.splits import Split
from recall.storage import load_recaller, save_recaller
from recall.strangers import BETWEEN, Strangers
from recall.training import train_again

HALVES = 2
LITTLE = 0.05  # of both splits; so small a validation split changes no model much
EPOCHS = "epochs.npy"  # beside chosen recall: after how many the network had learned enough
OTHERS = (System.CLASSIFICATION, System.FULL_RANKING)


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """How models that serve, or nearly, are trained.

    ``recall`` and ``ranker``: the folders of chosen models, which have learned from the training
    split alone. ``ranked``: the towers learn from so many videos, drawn at random.
    """

    dataset: Dataset
    recall: Path
    ranker: Path
    encoders: Encoders
    plan: RankerPlan
    ranked: int
    seed: int
    progress: Progress

    def train(self, folder: Path) -> None:
        """Train what serves into ``folder``; keep what its like say of validation videos."""
        self._teach(self.dataset.rows_of(Split.TRAIN, Split.VAL), folder, "as it serves")
        judge(self.dataset.of(Split.VAL), self.judges(folder), folder, self.progress)

    def judges(self, folder: Path) -> Iterator[Judge]:
        """Models, and the places in the validation split of the videos that are new to them."""
        learned = self.dataset.rows_of(Split.TRAIN, Split.VAL)
        validation, videos = self.dataset.rows_of(Split.VAL), self.dataset.of(Split.VAL)
        strangers = Strangers.of(videos.component, videos.sources, HALVES, self.seed)
        halves = strangers.folds if len(validation) > LITTLE * len(learned) else 0
        rest = np.flatnonzero(strangers.fold == BETWEEN) if halves else np.arange(len(videos))
        if len(rest):
            yield self._loaded(self.recall, self.ranker, rest)
        for number in range(halves):
            near = np.setdiff1d(np.arange(len(videos)), strangers.taught(number))
            rows = np.setdiff1d(learned, validation[near])
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                self._teach(rows, Path(scratch), f"to judge half {number + 1} of validation")
                yield self._loaded(Path(scratch), Path(scratch), strangers.held(number))

    def _teach(self, rows: I64, folder: Path, name: str) -> None:
        """Train recall and the towers on the videos at ``rows``."""
        videos = self.dataset.take(rows)
        recaller = train_again(
            load_recaller(self.recall / RECALL),
            videos,
            int(np.load(self.recall / EPOCHS)),
            seed=self.seed,
            report=shares(f"recall {name}", self.progress),
        )
        save_recaller(recaller, folder / RECALL)
        parts = RankerParts.of(self.encoders, recaller.channels.bridge.vectors)
        drawn = np.random.default_rng(self.seed).permutation(len(videos))[: self.ranked]
        towers = train_towers(
            videos.take(np.sort(drawn)),
            parts,
            self.plan,
            f"ranker {name}",
            seed=self.seed,
            progress=self.progress,
        )
        export(towers, parts.shape, folder / RANKER)

    def _loaded(self, recall: Path, ranker: Path, rows: I64) -> Judge:
        towers = Ranker.load(ranker / RANKER, self.encoders.word_embeddings)
        return Judge(load_recaller(recall / RECALL), towers, rows)


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Models, and the rows of the videos that they may judge."""

    recaller: Recaller
    ranker: Ranker
    rows: I64


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Of each validation video its candidates and their logits.

    ``standard``: by system other than the product, from which score on it gives 3.12 tags a video.
    """

    candidates: list[CandidateSet]
    logits: list[F32]
    standard: dict[System, float]

    @classmethod
    def load(cls, folder: Path) -> Judged:
        """Read what :func:`judge` wrote."""
        candidates = candidate_file.load(folder / "val.npz")
        logits = candidate_file.load_logits(folder / "val-logits.npy", candidates)
        standard = json.loads((folder / "standard.json").read_text())
        return cls(candidates, logits, {System(name): at for name, at in standard.items()})


def judge(videos: Dataset, judges: Iterator[Judge], folder: Path, progress: Progress) -> None:
    """Have all of ``videos`` judged, each by one of ``judges``."""
    candidates: dict[int, CandidateSet] = {}
    logits: dict[int, F32] = {}
    scores = {system: [np.zeros(0)] for system in OTHERS}
    for each in judges:
        part = videos.take(each.rows)
        features = list(part.each())
        found = each.recaller.candidates(features, part.uploader_ids())
        candidates.update(zip(each.rows.tolist(), found, strict=True))
        logits.update(zip(each.rows.tolist(), each.ranker.logits(features, found), strict=True))
        for system in OTHERS:
            answer = systems.answer_alone(system, each.recaller, each.ranker)
            scores[system] += systems.answered(answer, part, system.value, progress).scores
    every = range(len(videos))
    candidate_file.save(folder / "val.npz", [candidates[row] for row in every])
    candidate_file.save_logits(folder / "val-logits.npy", [logits[row] for row in every])
    standard = {
        system.value: for_tags_per_video(np.concatenate(of), len(videos))
        for system, of in scores.items()
    }
    (folder / "standard.json").write_text(json.dumps(standard) + "\n")
