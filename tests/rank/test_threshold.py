"""From which score on a tag is published."""

from __future__ import annotations

import numpy as np

from rank import calibration, threshold


def test_the_threshold_gives_the_wanted_tags_per_video() -> None:
    scores = np.random.default_rng(5).random(20_000)
    found = threshold.for_tags_per_video(scores, 100)
    assert (scores >= found).sum() == 312


def test_a_target_precision_holds_on_new_videos_as_often_as_promised() -> None:
    """Over 200 worlds, the promise (precision ≥ 0.8 at risk 0.1) is broken in at most a tenth."""
    broken = kept = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        video = np.repeat(np.arange(300), 10)
        logits = random.normal(size=3000) * 2 + random.normal(size=300)[video]
        right = random.random(3000) < calibration.sigmoid(logits)
        found = threshold.for_precision(logits, right, video, 0.8)
        if found is not None:
            kept += 1
            fresh = random.normal(size=100_000) * 2 + random.normal(size=100_000)
            broken += calibration.sigmoid(fresh[fresh >= found]).mean() < 0.8
    assert kept > 100
    assert broken <= 0.1 * 200


def test_a_few_videos_with_many_sure_tags_do_not_keep_a_precision_from_being_promised() -> None:
    """They alone are above the strictest threshold, and show little; all videos show enough."""
    video = np.repeat(np.arange(160), 30)
    place = np.tile(np.arange(30), 160)
    many = (video < 10) & (place < 8)
    good = many | (place < 3)
    scores = np.where(many, 0.95, np.where(good, 0.9, 0.1)) - place / 1000 - video / 1e6
    right = good & (np.random.default_rng(0).random(4800) < 0.93)
    found = threshold.for_precision(scores, right, video, 0.8)
    assert found is not None
    assert right[scores >= found].mean() > 0.8
    assert (scores >= found).sum() >= 3 * 160
    few = video < 20
    assert threshold.for_precision(scores[few], right[few], video[few], 0.8) is None


def test_where_there_is_no_candidate_no_precision_is_promised() -> None:
    nothing = np.zeros(0)
    assert threshold.for_precision(nothing, nothing > 0, nothing.astype(np.int64), 0.5) is None
