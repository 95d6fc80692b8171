"""A killed training goes on after the last finished stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rank import candidate_file
from rank.stages import Stages
from recall.candidates import CHANNELS, HINTS, CandidateSet


def test_a_finished_stage_is_not_done_again(tmp_path: Path) -> None:
    done: list[str] = []

    def make(folder: Path) -> None:
        done.append(folder.name)
        (folder / "result").write_text("42")

    for _ in range(2):
        folder = Stages.of(tmp_path, "corpus", 0).folder("recall", make)
        assert (folder / "result").read_text() == "42"
    assert len(done) == 1
    Stages.of(tmp_path, "corpus", 1).folder("recall", make)
    assert len(done) == 2


def test_a_stage_that_another_run_finished_meanwhile_is_taken(tmp_path: Path) -> None:
    stages = Stages.of(tmp_path, "corpus")

    def early(folder: Path) -> None:
        (folder / "result").write_text("first")

    def late(folder: Path) -> None:
        (folder / "result").write_text("second")
        stages.folder("recall", early)

    assert (stages.folder("recall", late) / "result").read_text() == "first"
    assert [path.name for path in stages.root.iterdir()] == ["recall"]


def test_a_killed_stage_leaves_nothing_behind(tmp_path: Path) -> None:
    stages = Stages.of(tmp_path, "corpus")

    def killed(folder: Path) -> None:
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.folder("ranker", killed)
    assert list(stages.root.iterdir()) == []


def test_candidates_come_back_from_disk(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sets = [
        CandidateSet(
            np.arange(count, dtype=np.int32),
            random.random((count, len(CHANNELS))).astype(np.float32),
            random.random((count, len(HINTS))).astype(np.float32),
            {},
        )
        for count in (3, 0, 2)
    ]
    candidate_file.save(tmp_path / "sets.npz", sets)
    again = candidate_file.load(tmp_path / "sets.npz")
    assert [len(item.tags) for item in again] == [3, 0, 2]
    for one, other in zip(sets, again, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.hints, other.hints)
