"""The whole command on a small corpus: every table is measured, written, and kept when killed."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("torch")

from rank.fitting import FitPlan
from rank.measured import Tables
from rank.negatives import NegativePlan
from rank.ranker_training import RankerPlan
from rank.tables import PAGE, TABLES, write_tables
from rank.tower import TowerSize
from rank.training import Plan
from tests.synthetic import clip

pytestmark = [pytest.mark.train, pytest.mark.slow]

KINDS = {
    "red": ("a red wall", "red", ["red thing", "calm"]),
    "blue": ("the blue sea", "blue", ["blue thing", "calm"]),
    "noise": ("static on the screen", "noise", ["noise", "wild"]),
    "checks": ("chess boards everywhere", "checks", ["pattern", "wild"]),
}
QUICK = RankerPlan(
    TowerSize(vector=32, narrow_frame=16, narrow_audio=16, clusters=4, audio_clusters=4),
    FitPlan(epochs=1, bert_epochs=1, fewest_steps=8, negatives=NegativePlan(5, 0.2)),
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 clips of four kinds, a quarter of them for the test; training lacks every third tag."""
    folder = tmp_path_factory.mktemp("corpus")
    rows, truth = [], []
    for number in range(12):
        for place, (kind, (title, scene, tags)) in enumerate(KINDS.items()):
            name = f"{kind}-{number}"
            clip(
                folder / f"{name}.mp4",
                seconds=0.5,
                scenes=(scene,),
                tone_hz=200.0 + 300 * place + number,
                size=(64, 64),
            )
            split = "test" if number % 4 == 3 else "val" if number % 4 == 2 else "train"
            seen = tags if split == "test" or (number + place) % 3 else tags[:1]
            rows.append(
                {
                    "video_id": name,
                    "uri": f"{name}.mp4",
                    "title": title,
                    "uploader_id": f"u{number % 5}",
                    "tags": seen,
                    "split": split,
                }
            )
            truth.append({"video_id": name, "tags": tags})
    for file, lines in (("corpus.jsonl", rows), ("truth.jsonl", truth)):
        (folder / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def written(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables]:
    out = tmp_path_factory.mktemp("tables")
    return out, run(corpus, out)


def run(corpus: Path, out: Path) -> Tables:
    return write_tables(
        corpus / "corpus.jsonl",
        out,
        truth=corpus / "truth.jsonl",
        seeds=2,
        cache_dir=corpus / "cache",
        workers=1,
        plan=Plan(ranker=QUICK, threads=1),
        short=QUICK,
    )


def test_every_key_of_the_design_is_written(written: tuple[Path, Tables]) -> None:
    figures = json.loads((written[0] / TABLES).read_text())
    assert set(figures["ranking"]) == {"negatives_10", "negatives_400", "negatives_400_hard"}
    assert set(figures["seeds"]) == {"0", "1"}
    assert figures["systems"]["recall_ranking"]["accuracy"] == pytest.approx(
        sum(row["systems"]["recall_ranking"]["accuracy"] for row in figures["seeds"].values()) / 2
    )
    assert {"commonest", "neighbours", "embeddings", "words", "mean", "zero_shot"} <= set(
        figures["peers"]
    )
    assert [(row["name"], row["hidden"]) for row in figures["labels_hidden"][:3]] == [
        ("product", 0.0),
        ("product", 0.3),
        ("product", 0.6),
    ]


def test_the_page_stands_alone_and_shows_frames(written: tuple[Path, Tables]) -> None:
    page = Page((written[0] / PAGE).read_text())
    assert page.headings >= 9
    assert page.frames > 0
    assert page.without_words == []
    assert page.elsewhere == []


def test_a_second_run_finds_everything_done(
    corpus: Path, written: tuple[Path, Tables], tmp_path: Path
) -> None:
    stages: list[str] = []
    again = write_tables(
        corpus / "corpus.jsonl",
        tmp_path,
        truth=corpus / "truth.jsonl",
        seeds=2,
        cache_dir=corpus / "cache",
        workers=1,
        plan=Plan(ranker=QUICK, threads=1),
        short=QUICK,
        progress=lambda stage, _done, _total: stages.append(stage),
    )
    assert again.negatives == written[1].negatives
    assert again.products == written[1].products
    assert not [stage for stage in stages if "ranker" in stage or "negatives" in stage]


class Page(HTMLParser):
    """What a page holds: headings, frames, pictures without words, and things fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings = self.frames = 0
        self.without_words: list[str] = []
        self.elsewhere: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.headings += tag in ("h1", "h2")
        self.frames += tag == "img"
        if (tag == "img" and not found.get("alt")) or (
            tag == "svg" and not found.get("aria-label")
        ):
            self.without_words.append(tag)
        source = found.get("src")
        if tag in ("script", "link") or (source and not source.startswith("data:")):
            self.elsewhere.append(tag)
