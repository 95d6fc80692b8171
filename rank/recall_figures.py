"""How much of what is true the channels find: each alone, without each, and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.features import I64
from rank.progress import Progress
from recall.candidates import CHANNELS, Channel
from recall.dataset import Dataset
from recall.recaller import Recaller, most_candidates

I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

AT_ONCE = 64
DEPTHS = (20, 50, 100, 300)
CURVE = (1, 2, 5, 10, 20, 30, 50, 70, 100)


@dataclass(frozen=True, slots=True)
class RecallFigures:
    """Shares of the true pairs that are among the candidates.

    ``channels``: each channel's at most 100. ``overall``: the union, cut to 300 or 5 % of the
    vocabulary. ``without``: the union without one channel, cut alike. ``commonest``: the equally
    long list of the commonest tags. ``at``: the union cut to k; ``commonest_at``: as many of the
    commonest. ``curves``: each channel's best k.
    ``hits`` int64 [N]: true pairs among the overall candidates of each video.
    """

    channels: Mapping[Channel, float]
    overall: float
    candidates_per_video: float
    commonest: float
    at: Mapping[int, float]
    commonest_at: Mapping[int, float]
    without: Mapping[Channel, float]
    curves: Mapping[Channel, tuple[float, ...]]
    hits: I64


def measure(
    recaller: Recaller, videos: Dataset, truth: Sequence[I32], pairs: I64, progress: Progress
) -> RecallFigures:
    """Measure recall on videos whose true tags are ``truth``, ``pairs`` int64 [N] in number."""
    uploaders = videos.uploader_ids()
    cut = most_candidates(len(recaller.vocabulary))
    common = np.argsort(-recaller.channels.prior, kind="stable")
    channel_hits = np.zeros((len(CHANNELS), len(CURVE)))
    without = np.zeros(len(CHANNELS))
    at, common_at = np.zeros(len(DEPTHS)), np.zeros(len(DEPTHS))
    hits = np.zeros(len(videos), np.int64)
    kept = by_chance = 0
    for start in range(0, len(videos), AT_ONCE):
        end = min(start + AT_ONCE, len(videos))
        batch = [videos.features(row) for row in range(start, end)]
        ready = recaller.channels.batch(batch, uploaders[start:end])
        merged = recaller.merged(ready)
        order = np.lexsort((merged.pairs.tag, -merged.pairs.score, merged.pairs.video))
        starts = np.searchsorted(merged.pairs.video[order], np.arange(len(batch) + 1))
        for row in range(len(batch)):
            own = order[starts[row] : starts[row + 1]]
            right = np.isin(merged.pairs.tag[own], truth[start + row])
            scores = merged.scores[own]
            there = ~np.isnan(scores)
            hits[start + row] = right[:cut].sum()
            taken = min(cut, len(own))
            kept += taken
            by_chance += int(np.isin(common[:taken], truth[start + row]).sum())
            at += [right[:depth].sum() for depth in DEPTHS]
            expected = np.isin(common, truth[start + row])
            common_at += [expected[: min(depth, len(own))].sum() for depth in DEPTHS]
            for number in range(len(CHANNELS)):
                best = np.argsort(-np.nan_to_num(scores[:, number], nan=-1.0), kind="stable")
                found = np.cumsum((right & there[:, number])[best]).astype(np.int64)
                channel_hits[number] += _at(found, CURVE)
                others = np.delete(there, number, axis=1).any(axis=1)
                without[number] += right[others][:cut].sum()
        progress("recall", end, len(videos))
    total = max(1, int(pairs.sum()))
    return RecallFigures(
        channels=dict(zip(CHANNELS, (channel_hits[:, -1] / total).tolist(), strict=True)),
        overall=float(hits.sum()) / total,
        candidates_per_video=kept / max(1, len(videos)),
        commonest=by_chance / total,
        at=dict(zip(DEPTHS, (at / total).tolist(), strict=True)),
        commonest_at=dict(zip(DEPTHS, (common_at / total).tolist(), strict=True)),
        without=dict(zip(CHANNELS, (without / total).tolist(), strict=True)),
        curves={
            channel: tuple((row / total).tolist())
            for channel, row in zip(CHANNELS, channel_hits, strict=True)
        },
        hits=hits,
    )


def _at(found: I64, depths: Sequence[int]) -> list[int]:
    """A running count after so many steps."""
    return [int(found[min(depth, len(found)) - 1]) if len(found) else 0 for depth in depths]
