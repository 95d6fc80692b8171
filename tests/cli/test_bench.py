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
