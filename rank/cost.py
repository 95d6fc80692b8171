"""What ranking a whole large vocabulary costs beside ranking the candidates of recall."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from encoders.features import I64, Features
from rank.columns import columns
from rank.tagger import Tagger
from recall.candidates import CHANNELS, HINTS, CandidateSet

VOCABULARY = 300_000
CANDIDATES = 300
HUNDREDTH = 100
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class RankingCost:
    """Milliseconds a video, one at a time, features at hand, of a vocabulary of 300,000 tags.

    ``candidates``: the whole ranking of recall's 300 candidates. ``towers``: the towers alone over
    all tags, which is one product of matrices. ``everything``: that, and the last stage over all
    tags, 300 at a time; a hundredth of them is timed and multiplied.
    """

    candidates: float
    towers: float
    everything: float

    @property
    def times(self) -> float:
        """How many times dearer the whole ranking of all tags is."""
        return self.everything / self.candidates


def measure(tagger: Tagger, features: Features) -> RankingCost:
    """The best of five rounds each; tag vectors are the bundle's, repeated up to 300,000."""
    large = enlarged(tagger, VOCABULARY)
    wide = large.ranker
    random = np.random.default_rng(0)
    some = [
        candidates_of(np.sort(random.choice(VOCABULARY, CANDIDATES, replace=False)), random)
        for _ in range(VOCABULARY // CANDIDATES // HUNDREDTH)
    ]
    towers = _best(lambda: wide.all_logits([features]))
    last = _best(lambda: [_last(large, features, candidates) for candidates in some])
    return RankingCost(
        candidates=_best(lambda: large.score([features], some[:1])),
        towers=towers,
        everything=towers + last * HUNDREDTH,
    )


def enlarged(tagger: Tagger, tags: int) -> Tagger:
    """With its tags repeated up to ``tags``. It can score candidates, not find them."""
    known = np.asarray(tagger.ranker.tags)
    ranker = replace(tagger.ranker, tags=known[np.arange(tags) % len(known)])
    recaller = replace(tagger.recaller, vocabulary=tagger.vocabulary.repeated(tags))
    return replace(tagger, recaller=recaller, ranker=ranker)


def _last(tagger: Tagger, features: Features, candidates: CandidateSet) -> object:
    """The last stage alone, as if the ranker's logits were there already."""
    rows = columns(features, candidates, np.zeros(len(candidates.tags), np.float32))
    video = np.zeros(len(rows), np.int64)
    return tagger.calibrated(rows, candidates.tags, video)


def candidates_of(tags: I64, random: np.random.Generator) -> CandidateSet:
    """Candidates whose evidence is noise, to take the time of scoring them."""
    return CandidateSet(
        tags=tags.astype(np.int32),
        scores=random.uniform(0, 1, (len(tags), len(CHANNELS))).astype(np.float32),
        hints=random.uniform(0, 1, (len(tags), len(HINTS))).astype(np.float32),
        silent={},
    )


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)
