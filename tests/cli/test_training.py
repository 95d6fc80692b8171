"""What `reeltag train` says of a corpus before it says what was reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consumer.cli.training import tell_what_is_left_out
from rank.gathering import Gathered
from recall.corpus import Corpus, read_corpus
from recall.dataset import pack
from tests.recall.synthetic import World


def corpus_of(folder: Path, sources: list[list[str]]) -> Corpus:
    rows = [
        {"video_id": f"v{number}", "uri": "x.mp4", "tags": ["cat"], "sources": own}
        for number, own in enumerate(sources)
    ]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return read_corpus(folder / "corpus.jsonl")


def told(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> str:
    tell_what_is_left_out(corpus, Gathered(pack(World.of(60).videos(5)), ()))
    return capsys.readouterr().err


def test_videos_that_cannot_be_parted_are_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(corpus_of(tmp_path, [["jingle", f"clip {n}"] for n in range(60)]), capsys)
    assert "60 of 60 videos hang together by their sources" in said
    assert "which leaves 0 to test on" in said


def test_nothing_is_said_where_nothing_is_odd(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(corpus_of(tmp_path, [[f"clip {n}"] for n in range(60)]), capsys) == ""
