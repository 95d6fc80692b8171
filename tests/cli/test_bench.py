"""What `reeltag bench worker` measures: the sample clips, through a worker of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from consumer.cli import main

BUNDLE = Path("deploy/starter")


@pytest.mark.slow
@pytest.mark.parametrize("mode", [[], ["--replay"]], ids=["fresh", "replay"])
def test_the_worker_is_measured_beside_the_same_work_without_kafka(
    mode: list[str], tmp_path: Path
) -> None:
    figures = tmp_path / "figures.json"
    arguments = ["--bundle", str(BUNDLE), "--uploads", "6", "--json", str(figures), *mode]
    done = CliRunner().invoke(main, ["bench", "worker", *arguments])
    assert done.exit_code == 0, done.output
    found = json.loads(figures.read_text())
    [row] = found["rows"]
    assert found["videos_per_second"] == pytest.approx(1000 / row["milliseconds"])
    assert found["alone_videos_per_second"] == pytest.approx(1000 / row["raw_milliseconds"])
    assert ("replay" in row["work"]) == bool(mode)


@pytest.mark.slow
def test_training_is_measured_stage_by_stage(tmp_path: Path) -> None:
    pytest.importorskip("recall.training", reason="needs the extra train")
    figures = tmp_path / "figures.json"
    size = ["--videos", "1000", "--tags", "3000"]
    arguments = ["--bundle", str(BUNDLE), *size, "--json", str(figures)]
    done = CliRunner().invoke(main, ["bench", "training", *arguments])
    assert done.exit_code == 0, done.output
    found = json.loads(figures.read_text())
    assert list(found) == [
        "the videos themselves",
        "indexes",
        "network",
        "neighbours",
        "words",
        "linear",
        "mixers",
    ]
    assert all(stage["seconds"] > 0 and stage["bytes"] > 2**27 for stage in found.values())
