"""Corpora with labels hidden or tags unknown differ from the first in nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from rank.variants import Labels, hidden, moved, write_variant
from recall.corpus import Corpus, TagSet, read_corpus
from recall.splits import Split

pytestmark = pytest.mark.train

VIDEOS = 60


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Sixty videos with two to five of nine tags; neighbours in pairs share a source."""
    rows = [
        {
            "video_id": f"v{number}",
            "uri": f"v{number}.mp4",
            "title": f"video {number}",
            "uploader_id": f"u{number % 4}",
            "tags": [f"tag {tag}" for tag in range(number % 5, number % 5 + 2 + number % 4)],
            "sources": [f"pair-{number // 2}"],
        }
        for number in range(VIDEOS)
    ]
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_corpus(path)


def test_a_variant_keeps_videos_splits_components_and_uris(corpus: Corpus, tmp_path: Path) -> None:
    everything = range(len(corpus.vocabulary))
    path = write_variant(tmp_path / "same", corpus, lambda video: video.tags.labels, everything)
    again = read_corpus(path, path.parent / "vocabulary.jsonl")
    assert again.videos == corpus.videos


def test_unknown_tags_are_gone_from_vocabulary_and_labels(corpus: Corpus, tmp_path: Path) -> None:
    kept = [place for place in range(len(corpus.vocabulary)) if place != 2]
    path = write_variant(tmp_path / "less", corpus, lambda video: video.tags.labels, kept)
    again = read_corpus(path, path.parent / "vocabulary.jsonl")
    gone = corpus.vocabulary.tags[2].tag_id
    assert [tag.tag_id for tag in again.vocabulary.tags] == [
        tag.tag_id for tag in corpus.vocabulary.tags if tag.tag_id != gone
    ]
    place_of = {old: new for new, old in enumerate(kept)}
    for before, after in zip(corpus.videos, again.videos, strict=True):
        assert after.tags == TagSet(moved(before.tags, place_of).labels)


def test_a_truth_counts_what_a_smaller_vocabulary_lacks() -> None:
    assert moved(TagSet((0, 2, 5), outside=1), {0: 0, 5: 1}) == TagSet((0, 1), outside=2)


def test_hidden_labels_leave_test_videos_whole_and_each_video_one(corpus: Corpus) -> None:
    complete = {video.video_id: video.tags for video in corpus.videos}
    labels = hidden(corpus.videos, complete, 0.6, seed=0)
    for video in corpus.videos:
        left = set(labels(video))
        assert left
        assert left <= set(video.tags.labels)
        if video.split is Split.TEST:
            assert left == set(video.tags.labels)
    assert share_left(corpus, labels) == pytest.approx(0.4, abs=0.15)


def test_nothing_is_hidden_where_nothing_is_asked(corpus: Corpus) -> None:
    complete = {video.video_id: video.tags for video in corpus.videos}
    labels = hidden(corpus.videos, complete, 0.0, seed=0)
    assert all(labels(video) == video.tags.labels for video in corpus.videos)


def share_left(corpus: Corpus, labels: Labels) -> float:
    seen = [video for video in corpus.videos if video.split is not Split.TEST]
    left = sum(len(labels(video)) for video in seen)
    return left / sum(len(video.tags.labels) for video in seen)
