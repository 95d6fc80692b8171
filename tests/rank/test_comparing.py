"""A row says what a system reaches, and whether another one is ahead beyond the interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rank.bootstrap import Bootstrap
from rank.comparing import Row, compared
from rank.metrics import Scored
from rank.notebook import Notebook
from rank.stages import Stages

VIDEOS, TAGS = 60, 20


def ranked(noise: float, *, seed: int = 0) -> Scored:
    """Four of twenty tags are true of each video; the noisier, the worse they are found."""
    random = np.random.default_rng(seed)
    truth = [np.arange(row % 16, row % 16 + 4, dtype=np.int32) for row in range(VIDEOS)]
    tags = [np.arange(TAGS, dtype=np.int32)] * VIDEOS
    scores = [np.isin(tags[0], true) + noise * random.normal(size=TAGS) for true in truth]
    return Scored.of(tags, scores, truth, np.zeros(VIDEOS, np.int64))


@pytest.fixture(scope="module")
def bootstrap() -> Bootstrap:
    return Bootstrap(np.arange(VIDEOS))


def test_a_worse_system_is_behind_beyond_the_interval(bootstrap: Bootstrap) -> None:
    row = compared("noisy", [ranked(2.0)], [ranked(0.1)], bootstrap)
    assert row.beyond
    assert row.accuracy_behind.low > 0
    assert row.f1_behind.low > 0
    assert row.accuracy.holds(row.figures.accuracy_top)


def test_a_system_is_not_behind_itself(bootstrap: Bootstrap) -> None:
    same = ranked(0.5)
    row = compared("same", [same], [same], bootstrap)
    assert not row.beyond
    assert (row.accuracy_behind.low, row.accuracy_behind.high) == (0.0, 0.0)


def test_runs_are_averaged_and_their_spread_told(bootstrap: Bootstrap) -> None:
    runs = [ranked(0.6, seed=seed) for seed in range(3)]
    row = compared("three seeds", runs, runs, bootstrap)
    assert row.figures.accuracy_top == pytest.approx(np.mean(row.seeds))
    assert row.spread == pytest.approx(np.std(row.seeds, ddof=1))
    assert len(set(row.seeds)) > 1


def test_without_a_threshold_videos_get_three_and_a_bit(bootstrap: Bootstrap) -> None:
    row = compared("any", [ranked(0.5)], [ranked(0.5)], bootstrap)
    assert row.figures.tags_per_video == pytest.approx(3.12, abs=0.02)


def test_a_finding_is_made_once_and_read_back_the_same(
    bootstrap: Bootstrap, tmp_path: Path
) -> None:
    made = 0

    def make() -> list[Row]:
        nonlocal made
        made += 1
        return [compared("kept", [ranked(0.5)], [ranked(0.1)], bootstrap)]

    notebook = Notebook(Stages(tmp_path))
    first, again = (notebook.keep("rows", list[Row], make) for _ in range(2))
    assert first == again
    assert made == 1


def test_an_experiment_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    notebook = Notebook(Stages(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        notebook.keep("number", int, killed)
    assert notebook.keep("number", int, lambda: 3) == 3


def killed() -> int:
    raise KeyboardInterrupt
