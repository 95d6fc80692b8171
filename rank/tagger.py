"""The tagger: features in, scored and attributed tags out. Recall and rank, joined by a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.encoder import Encoders
from encoders.errors import BundleError
from encoders.features import F32, Features
from rank.bundle import Bundle, open_bundle
from rank.columns import columns
from rank.combine import Combiner
from rank.implied import raised
from rank.operating import Operating
from rank.ranker import Ranker
from recall.candidates import CHANNELS, HINTS, CandidateSet, Channel, Evidence
from recall.recaller import Recaller
from recall.storage import load_recaller
from recall.vocabulary import Vocabulary

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScoredTag:
    """One published tag. ``channels``: who proposed it; ``evidence``: why, when asked for.

    ``parts``: by name, the ranker's logit, the hints that were known, and a tag that implies it
    and gave it its score, when asked for.
    """

    tag_id: str
    tag: str
    score: float
    channels: tuple[Channel, ...]
    evidence: tuple[Evidence, ...] = ()
    parts: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Tagging:
    """A video's published tags, best first, and all candidates with their scores (float64 [C])."""

    tags: tuple[ScoredTag, ...]
    candidates: CandidateSet
    scores: F64
    logits: F32


@dataclass(frozen=True, slots=True, eq=False)
class Tagger:
    """A loaded bundle. Immutable and safe to call from several threads."""

    bundle: Bundle
    recaller: Recaller
    ranker: Ranker
    combiner: Combiner
    operating: Operating

    @classmethod
    def load(
        cls,
        folder: Path,
        encoders: Encoders,
        *,
        threads: int = 1,
        pool: Executor | None = None,
    ) -> Tagger:
        """Verify and load a bundle; ``pool``: where channels are searched side by side.

        Raises BundleError where it is damaged, or was trained on another profile's features.
        """
        bundle = open_bundle(folder)
        if bundle.manifest.profile_digest != encoders.profile.digest:
            raise BundleError(
                f"the bundle in {folder} was trained with profile {bundle.manifest.profile} "
                f"({bundle.manifest.profile_digest[:12]}), not with {encoders.profile.name} "
                f"({encoders.profile.digest[:12]}); use that profile, or train again"
            )
        return cls(
            bundle,
            replace(load_recaller(bundle.recall, threads), pool=pool),
            Ranker.load(bundle.ranker, encoders.word_embeddings, threads=threads),
            Combiner.load(bundle.last),
            Operating.load(bundle.last),
        )

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.bundle.manifest.version

    @property
    def generation(self) -> int:
        """The bundle's generation; it grows with each bundle."""
        return self.bundle.manifest.generation

    @property
    def digest(self) -> str:
        """sha256 (hex) of all that was trained."""
        return self.bundle.manifest.digest

    @property
    def profile(self) -> str:
        """The name of the profile whose features it takes."""
        return self.bundle.manifest.profile

    @property
    def vocabulary(self) -> Vocabulary:
        """The tags that may be published."""
        return self.recaller.vocabulary

    def tag(
        self,
        batch: Sequence[Features],
        uploader_ids: Sequence[str | None],
        *,
        explain: bool = False,
    ) -> list[Tagging]:
        """Tag B videos; one's result does not depend on the others'."""
        found = self.recaller.candidates(batch, uploader_ids)
        scored = self.score(batch, found)
        return [
            Tagging(
                self._published(features, uploader, candidates, scores, logits, explain=explain),
                candidates,
                scores,
                logits,
            )
            for features, uploader, candidates, (scores, logits) in zip(
                batch, uploader_ids, found, scored, strict=True
            )
        ]

    def score(
        self, batch: Sequence[Features], found: Sequence[CandidateSet]
    ) -> list[tuple[F64, F32]]:
        """Of each video's candidates: calibrated scores, and the ranker's logits."""
        logits = self.ranker.logits(batch, found)
        rows = [columns(*each) for each in zip(batch, found, logits, strict=True)]
        counts = np.cumsum([0, *(len(each) for each in rows)])
        if not counts[-1]:
            return [(np.zeros(0), each) for each in logits]
        tags = np.concatenate([each.tags for each in found])
        video = np.repeat(np.arange(len(batch)), np.diff(counts))
        scores = self.calibrated(np.concatenate(rows), tags, video)
        return [
            (scores[start:end], each)
            for start, end, each in zip(counts, counts[1:], logits, strict=False)
        ]

    def calibrated(self, rows: F32, tags: I32, video: I64) -> F64:
        """Calibrated scores float64 [n] of candidates, by rows of ``rank.columns``."""
        logits = self.combiner(rows, tags, video)
        if self.operating.implied:
            logits = raised(logits, tags, video, self.vocabulary.above)
        return self.operating.calibration(logits)

    def _published(
        self,
        features: Features,
        uploader: str | None,
        candidates: CandidateSet,
        scores: F64,
        logits: F32,
        *,
        explain: bool,
    ) -> tuple[ScoredTag, ...]:
        order = np.argsort(-scores, kind="stable")
        limits = self.operating.point.limits(candidates.tags)
        order = order[scores[order] >= limits[order]]
        tags = []
        for place in order.tolist():
            tag = self.vocabulary.tags[int(candidates.tags[place])]
            known = ~np.isnan(candidates.scores[place])
            evidence: tuple[Evidence, ...] = ()
            parts: tuple[tuple[str, float], ...] = ()
            if explain:
                evidence = self.recaller.explain(features, uploader, candidates, place)
                below = self._below(candidates, scores, place)
                parts = (*_parts(candidates, logits, place), *below)
            tags.append(
                ScoredTag(
                    tag.tag_id,
                    tag.name,
                    float(scores[place]),
                    tuple(c for c, there in zip(CHANNELS, known, strict=True) if there),
                    evidence,
                    parts,
                )
            )
        return tuple(tags)

    def _below(
        self, candidates: CandidateSet, scores: F64, place: int
    ) -> tuple[tuple[str, float], ...]:
        """The candidate that implies the one at ``place`` and gave it its score, if one did."""
        if not self.operating.implied:
            return ()
        above, tags = self.vocabulary.above, candidates.tags
        return tuple(
            (f"implied by {self.vocabulary.tags[int(tags[other])].name}", float(scores[other]))
            for other in np.flatnonzero(scores == scores[place]).tolist()
            if other != place and tags[place] in above[int(tags[other])]
        )[:1]


def _parts(candidates: CandidateSet, logits: F32, place: int) -> tuple[tuple[str, float], ...]:
    hints = zip(HINTS, candidates.hints[place].tolist(), strict=True)
    known = tuple((hint.value, value) for hint, value in hints if not np.isnan(value))
    return (("ranker", float(logits[place])), *known)
