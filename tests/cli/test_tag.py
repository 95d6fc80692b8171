"""`reeltag tag` on real files, good and bad, with the bundle that the repository carries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from consumer.cli import main
from tests.synthetic import clip

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "deploy" / "starter"
SAMPLES = ROOT / "deploy" / "samples"


def tag(video: str | Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["tag", "--bundle", str(STARTER), str(video), *options])


def sample() -> dict[str, Any]:
    second = (
        (SAMPLES / "samples.jsonl").read_text().splitlines()[1]
    )  # its title names what it shows
    row: dict[str, Any] = json.loads(second)
    return row


@pytest.fixture(scope="module")
def explained() -> dict[str, Any]:
    row = sample()
    result = tag(SAMPLES / row["uri"], "--title", row["title"], "--json", "--explain")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_json_has_the_fields_of_a_tag_event(explained: dict[str, Any]) -> None:
    assert explained["outcome"] == "tagged"
    assert explained["modalities"]["visual"] == "used"
    assert set(explained["bundle"]) == {"version", "digest"}
    assert {"tag_id", "tag", "score", "channels"} <= set(explained["tags"][0])


def test_tags_come_best_first_each_with_a_channel(explained: dict[str, Any]) -> None:
    scores = [one["score"] for one in explained["tags"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert all(one["channels"] for one in explained["tags"])


def test_explain_names_channels_and_neighbours(explained: dict[str, Any]) -> None:
    evidence = [each for one in explained["tags"] for each in one["evidence"]]
    assert {each["channel"] for each in evidence} <= {
        "text",
        "visual",
        "audio",
        "classifier",
        "multimodal",
    }
    assert any(each["neighbours"] for each in evidence)


def test_people_get_a_table() -> None:
    row = sample()
    result = tag(SAMPLES / row["uri"], "--title", row["title"], "--explain")
    assert result.exit_code == 0
    assert "neighbours" in result.stdout
    assert "visual used" in result.stdout


def test_a_video_without_sound_or_words_is_tagged_by_its_picture(tmp_path: Path) -> None:
    result = tag(clip(tmp_path / "silent.mp4", tone_hz=None), "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["modalities"] == {"text": "missing", "visual": "used", "audio": "missing"}


@pytest.mark.parametrize(
    ("video", "says"),
    [
        ("not-there.mp4", "not-there.mp4"),
        ("http://example.com/a.mp4", "http"),
        ("https://127.0.0.1/a.mp4", "127.0.0.1"),
        ("https://169.254.169.254/latest/meta-data/", "169.254.169.254"),
    ],
)
def test_what_may_not_or_can_not_be_read_is_one_sentence(video: str, says: str) -> None:
    result = tag(video)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("reeltag: ")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_is_no_video_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video at all")
    result = tag(tmp_path / "notes.mp4")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_tagging_works_where_training_packages_are_absent() -> None:
    row = sample()
    script = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "onnx", "sklearn", "scipy"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
from consumer.cli import main
main(["tag", "--bundle", {str(STARTER)!r}, {str(SAMPLES / row["uri"])!r}, "--json"])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "tagged"
