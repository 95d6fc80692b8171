"""Recall: from a video's features to its few hundred candidate tags."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from encoders.features import Features
from recall.candidates import CHANNELS, HINTS, CandidateSet, Channel, Evidence, Neighbour
from recall.channels import Channels, silence
from recall.classifier import Classifier
from recall.merging import Merge
from recall.mixing import Mixer
from recall.names import NameMatcher
from recall.parts import Batch, lay_out
from recall.proposals import Proposals, align
from recall.ragged import Ragged
from recall.uploader import UploaderHistory
from recall.vocabulary import Tag, Vocabulary

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

A_CHANNEL = 100  # candidates of one channel, at most
_ALWAYS = 20  # candidates that even a small vocabulary may give
_SHOWN_NEIGHBOURS = 5
_AT_ONCE = 256
_AT_ONCE_LARGE = 32
_LARGE = 20_000
_DEAREST_FIRST = (
    Channel.CLASSIFIER,
    Channel.TEXT,
    Channel.MULTIMODAL,
    Channel.VISUAL,
    Channel.AUDIO,
)


def most_candidates(vocabulary_size: int) -> int:
    """The cut at which overall recall is measured: 5 % of the vocabulary, 300 at most."""
    return max(1, min(300, vocabulary_size * 5 // 100))


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """The candidates of a batch before the cut.

    ``pairs``: their score is the merged log odds. ``scores`` float32 [P, 5], ``hints`` [P, H].
    """

    pairs: Proposals
    scores: F32
    hints: F32


@dataclass(frozen=True, slots=True, eq=False)
class Recaller:
    """Five channels and the merge. Immutable: a change gives a new one, to be swapped in whole.

    ``mixers``: how each channel's columns become one score. ``merge``: how the channels' scores and
    the hints become one order. ``pool``: where channels are searched side by side; without one,
    one after another.
    """

    vocabulary: Vocabulary
    channels: Channels
    mixers: dict[Channel, Mixer]
    merge: Merge
    pool: Executor | None = None

    def candidates(
        self,
        batch: Sequence[Features],
        uploader_ids: Sequence[str | None],
        *,
        limit: int | None = None,
        without: Ragged[np.int32] | None = None,
    ) -> list[CandidateSet]:
        """The candidates of each video, best first.

        ``limit`` at most (default: :func:`most_candidates`, but never fewer than 20). ``without``:
        for each, the library's videos that it must not see, when it is one of them.
        """
        if limit is None:
            limit = max(_ALWAYS, most_candidates(len(self.vocabulary)))
        size = _AT_ONCE if len(self.vocabulary) <= _LARGE else _AT_ONCE_LARGE
        found: list[CandidateSet] = []
        for start in range(0, len(batch), size):
            part = slice(start, start + size)
            ready = self.channels.batch(
                batch[part],
                uploader_ids[part],
                None if without is None else without.take(np.arange(len(batch))[part]),
            )
            found += self._cut(self.merged(ready), batch[part], limit)
        return found

    def merged(self, batch: Batch) -> Merged:
        """The union of the channels, in the order of the videos and tags."""
        run = map if self.pool is None else self.pool.map
        each = run(partial(self.channel, batch), _DEAREST_FIRST)
        found = dict(zip(_DEAREST_FIRST, each, strict=True))
        proposed = [found[channel] for channel in CHANNELS]
        pairs, log_odds = align(proposed, len(self.vocabulary))
        hints = self.channels.hints(batch, pairs, self.mixers[Channel.CLASSIFIER])
        hint_table = np.stack([hints[hint] for hint in HINTS], axis=1)
        merged = self.merge(log_odds, hint_table)
        scores = (1 / (1 + np.exp(-log_odds))).astype(np.float32)
        return Merged(pairs.with_scores(merged), scores, hint_table)

    def channel(self, batch: Batch, channel: Channel) -> Proposals:
        """One channel's candidates, at most 100 a video, with their log odds."""
        pairs, scores, silent = lay_out(self.channels.columns(batch, channel), self.channels.prior)
        pairs = pairs.with_scores(self.mixers[channel](scores, silent))
        return pairs.redirected(self.vocabulary.redirects).strongest(A_CHANNEL)

    def _cut(self, merged: Merged, batch: Sequence[Features], limit: int) -> list[CandidateSet]:
        order = np.lexsort((merged.pairs.tag, -merged.pairs.score, merged.pairs.video))
        starts = np.searchsorted(merged.pairs.video[order], np.arange(len(batch) + 1))
        sets = []
        for row, features in enumerate(batch):
            kept = order[starts[row] : starts[row + 1]][:limit]
            reasons = {c: silence(features, c, self.channels.fused is not None) for c in CHANNELS}
            sets.append(
                CandidateSet(
                    merged.pairs.tag[kept],
                    merged.scores[kept],
                    merged.hints[kept],
                    {c: why for c, why in reasons.items() if why is not None},
                )
            )
        return sets

    def explain(
        self, features: Features, uploader_id: str | None, candidates: CandidateSet, place: int
    ) -> tuple[Evidence, ...]:
        """Why the candidate at ``place`` was proposed: each channel with its nearest neighbours."""
        batch = self.channels.batch([features], [uploader_id])
        tag = int(candidates.tags[place])
        library = self.channels.library
        alike = np.flatnonzero(self.vocabulary.stand_ins == tag)
        evidence = []
        for number, channel in enumerate(CHANNELS):
            score = float(candidates.scores[place, number])
            if np.isnan(score):
                continue
            near: dict[int, float] = {}
            for found, _ in self.channels.neighbours(batch, channel):
                for video, similarity in zip(
                    found.numbers.ravel().tolist(), found.similarity.ravel().tolist(), strict=True
                ):
                    if video >= 0 and np.isin(library.labels[video], alike).any():
                        near[video] = max(near.get(video, similarity), similarity)
            best = sorted(near, key=lambda video: (-near[video], video))[:_SHOWN_NEIGHBOURS]
            neighbours = tuple(Neighbour(library.video_ids[v], near[v]) for v in best)
            evidence.append(Evidence(channel, score, neighbours))
        return tuple(evidence)

    def video_embeddings(self, batch: Sequence[Features]) -> F32:
        """float32 [B, f], unit length: the fused embeddings; f is 0 where there is no network."""
        ready = self.channels.batch(batch, [None] * len(batch))
        if ready.fused is None:
            return np.zeros((len(batch), 0), dtype=np.float32)
        return ready.fused.fused

    def with_vocabulary(self, vocabulary: Vocabulary) -> Recaller:
        """With tags blocked, merged, or spelt otherwise; their number stays the same."""
        channels = replace(self.channels, matcher=NameMatcher(vocabulary))
        return replace(self, vocabulary=vocabulary, channels=channels)

    def with_tag(
        self,
        tag: Tag,
        meaning: F32,
        bridge: F32,
        examples: Sequence[tuple[str, Features]] = (),
    ) -> Recaller:
        """With one more tag, known by its name and perhaps example videos; nothing is retrained.

        ``meaning`` and ``bridge``: the name in the sentence encoder's space and in the bridge's.
        Raises CorpusError where the vocabulary has the tag already.
        """
        old = self.channels
        vocabulary = self.vocabulary.add(tag)
        width = len(vocabulary)
        classifier, words = old.classifier, old.word_classifier
        library = old.library.widened(width)
        channels = replace(
            old,
            library=library,
            prior=np.append(old.prior, _expected(old)).astype(np.float32),
            matcher=NameMatcher(vocabulary),
            meaning=old.meaning.added(meaning),
            bridge=old.bridge.added(bridge),
            history=UploaderHistory(library),
            classifier=classifier and Classifier(classifier.network, classifier.tags.added(bridge)),
            word_classifier=words and words.widened(width),
            linear=old.linear and old.linear.widened(width),
        )
        for video_id, features in examples:
            channels = channels.with_example(video_id, features, width - 1)
        return replace(self, vocabulary=vocabulary, channels=channels)


def _expected(channels: Channels) -> float:
    """The prior of a tag that nobody has used yet: a usual tag's.

    Who adds a tag means to use it; of a vocabulary's tags without a labelled video nobody did.
    """
    used = channels.prior[channels.library.counts() > 0]
    return float(np.median(used if len(used) else channels.prior)) if len(channels.prior) else 0.0
