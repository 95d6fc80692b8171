"""Fitting the few numbers that turn parts into channels and channels into one order.

All of them are fitted on training videos seen as strangers: by models from folds without them, and
with themselves and their source-mates left out of every search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recall.candidates import CHANNELS, HINTS, Channel
from recall.channels import Channels, untrained_mixers
from recall.dataset import Dataset
from recall.library import Library, carry_over
from recall.merging import RISING, Merge, mixer_columns, tree_columns, untrained_mixer
from recall.mixing import Mixer
from recall.parts import Batch, Carry, Neighbours, lay_out
from recall.proposals import Proposals, align
from recall.ragged import Ragged
from recall.recaller import A_CHANNEL
from recall.strangers import Strangers
from recall.tree_training import grow

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_VIDEOS_TO_FIT = 3000
_VIDEOS_TO_TUNE = 600
_NEIGHBOURS = (30, 60, 120, 200)
_TEMPERATURES = (0.02, 0.04, 0.07, 0.12, 0.2, 0.4)
_AT_ONCE = 256
_ENOUGH_FOR_TREES = 500  # true pairs


def tuned(
    channels: Channels,
    videos: Dataset,
    strangers: Strangers,
    rows: I64,
    seed: int,
    *,
    only: Channel | None = None,
) -> Channels:
    """With the number of neighbours and the temperature that rank true tags best, space by space.

    ``rows`` of ``videos``, or some of them, are queries; what shares source material with one is
    left out of its neighbours.
    """
    random = np.random.default_rng(seed)
    rows = rows[np.sort(random.permutation(len(rows))[:_VIDEOS_TO_TUNE])]
    wide = Carry(max(_NEIGHBOURS), 1.0)
    searching = replace(
        channels,
        sentence=replace(channels.sentence, carry=wide),
        picture=replace(channels.picture, carry=wide),
        sound=replace(channels.sound, carry=wide),
        words=replace(channels.words, carry=wide),
        fused=channels.fused and replace(channels.fused, carry=wide),
    )
    batch = _batch(searching, videos, strangers, rows)
    labels = videos.labels.take(rows)
    carries: dict[Channel, list[Carry]] = {
        channel: [
            _best_carry(channels.library, found, labels)
            for found, _ in searching.neighbours(batch, channel)
        ]
        for channel in ((only,) if only else (Channel.TEXT, Channel.VISUAL, Channel.AUDIO))
    }
    if only is Channel.MULTIMODAL:
        near = channels.fused
        return replace(channels, fused=near and replace(near, carry=carries[only][0]))
    sentence, words = carries[Channel.TEXT]
    return replace(
        channels,
        sentence=replace(channels.sentence, carry=sentence),
        words=replace(channels.words, carry=words),
        picture=replace(channels.picture, carry=carries[Channel.VISUAL][0]),
        sound=replace(channels.sound, carry=carries[Channel.AUDIO][0]),
    )


def _best_carry(library: Library, found: Neighbours, labels: Ragged[np.int32]) -> Carry:
    best, best_precision = Carry(), -1.0
    if not len(found.rows):
        return best
    lengths = labels.lengths
    true = np.repeat(np.arange(len(lengths)), lengths) * library.width + labels.values
    for neighbours in _NEIGHBOURS:
        for temperature in _TEMPERATURES:
            shares, _ = carry_over(
                library,
                found.numbers[:, :neighbours],
                found.similarity[:, :neighbours],
                temperature,
                found.rows,
            )
            precision = _average_precision(
                shares, np.isin(shares.keys(library.width), true), lengths
            )
            if precision > best_precision:
                best, best_precision = Carry(neighbours, temperature), precision
    return best


def _average_precision(pairs: Proposals, true: Mask, lengths: I64) -> float:
    """Mean over the videos with tags; a tag that was not proposed counts as never found."""
    ranks = pairs.ranks()[true]
    video = pairs.video[true]
    order = np.lexsort((ranks, video))
    counts = np.bincount(video, minlength=len(lengths))
    before = np.repeat(np.cumsum(counts) - counts, counts)
    hits = np.arange(len(order)) - before + 1
    sums = np.bincount(video[order], weights=hits / (ranks[order] + 1), minlength=len(lengths))
    tagged = lengths > 0
    return float((sums[tagged] / lengths[tagged]).mean()) if tagged.any() else 0.0


def fit_mixers(
    parts: Sequence[Channels], videos: Dataset, strangers: Strangers, seed: int
) -> tuple[dict[Channel, Mixer], Merge]:
    """The mixers of the five channels, and the merge; ``parts[i]`` has not seen fold ``i``."""
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(videos))[:_VIDEOS_TO_FIT])
    fold = strangers.fold
    mixers = untrained_mixers()
    batches = [
        (
            channels,
            # Without the scores by words: one number a tag is too much to keep.
            replace(_batch(channels, videos, strangers, rows), word_scores=None),
            _true_pairs(videos, rows, len(channels.prior)),
        )
        for number, channels in enumerate(parts)
        for rows in _in_chunks(chosen[fold[chosen] == number])
    ]
    proposed: dict[Channel, list[Proposals]] = {}
    for channel in CHANNELS:
        laid_out = [
            lay_out(
                channels.columns(
                    _with_words(channels, batch) if channel is Channel.CLASSIFIER else batch,
                    channel,
                ),
                channels.prior,
            )
            for channels, batch, _ in batches
        ]
        truth = [
            np.isin(pairs.keys(len(parts[0].prior)), true)
            for (pairs, _, _), (_, _, true) in zip(laid_out, batches, strict=True)
        ]
        mixers[channel] = Mixer.fit(
            np.concatenate([table for _, table, _ in laid_out]),
            np.concatenate([silent for _, _, silent in laid_out]),
            np.concatenate(truth),
            mixers[channel],
        )
        proposed[channel] = [
            pairs.with_scores(mixers[channel](table, silent)).strongest(A_CHANNEL)
            for pairs, table, silent in laid_out
        ]
    tables, hint_tables, truths = [], [], []
    for number, (channels, batch, true) in enumerate(batches):
        pairs, log_odds = align(
            [proposed[channel][number] for channel in CHANNELS], len(channels.prior)
        )
        hints = channels.hints(_with_words(channels, batch), pairs, mixers[Channel.CLASSIFIER])
        tables.append(log_odds)
        hint_tables.append(np.stack([hints[hint] for hint in HINTS], axis=1))
        truths.append(np.isin(pairs.keys(len(channels.prior)), true))
    log_odds, hint_table = np.concatenate(tables), np.concatenate(hint_tables)
    return mixers, fit_merge(log_odds, hint_table, np.concatenate(truths), seed)


def fit_merge(log_odds: F32, hints: F32, true: Mask, seed: int) -> Merge:
    """The merge, from pairs [P] of which ``true`` says what they are."""
    mixer = Mixer.fit(*mixer_columns(log_odds, hints), true, untrained_mixer())
    if true.sum() < _ENOUGH_FOR_TREES:
        return Merge(mixer)
    rows = tree_columns(log_odds, hints)
    trees = grow(rows, true, RISING, trees=100, depth=5, rate=0.1, leaf=30, seed=seed)
    return Merge(mixer, trees)


def _with_words(channels: Channels, batch: Batch) -> Batch:
    words = channels.word_classifier
    return batch if words is None else replace(batch, word_scores=words.scores(batch.word_rows))


def _in_chunks(rows: I64) -> list[I64]:
    return [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]


def _batch(channels: Channels, videos: Dataset, strangers: Strangers, rows: I64) -> Batch:
    uploaders = videos.uploader_ids()
    return channels.batch(
        [videos.features(row) for row in rows.tolist()],
        [uploaders[row] for row in rows.tolist()],
        strangers.mates(rows),
    )


def _true_pairs(videos: Dataset, rows: I64, width: int) -> I64:
    """The labelled pairs of a batch, as :meth:`Proposals.keys` numbers them, ascending."""
    labels = videos.labels.take(rows)
    return np.sort(np.repeat(np.arange(len(rows)), labels.lengths) * width + labels.values)
