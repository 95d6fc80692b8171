"""A corpus is read whole: what can't be used is listed, and nothing leaks between splits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import CorpusError
from recall.components import components
from recall.corpus import Corpus, read_corpus, read_truth
from recall.splits import Split, assign_splits, count_leaks
from recall.vocabulary import Tag, Vocabulary


def write(path: Path, *rows: object) -> Path:
    lines = (row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def row(video_id: str, *tags: str, **more: object) -> dict[str, object]:
    return {"video_id": video_id, "uri": f"clips/{video_id}.mp4", "tags": list(tags), **more}


def names(corpus: Corpus, video: int) -> set[str]:
    return {corpus.vocabulary.tags[i].name for i in corpus.videos[video].tags.labels}


def test_a_relative_uri_lies_under_the_corpus_folder_and_others_stay(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.jsonl",
        {"video_id": "a", "uri": "my clips/a b.mp4", "tags": ["x"]},
        {"video_id": "b", "uri": "s3://bucket/b.mp4", "tags": ["x"]},
        {"video_id": "c", "uri": "/data/c.mp4", "tags": ["x"]},
    )
    corpus = read_corpus(path)
    assert corpus.folder == tmp_path.resolve()
    assert [v.uri for v in corpus.videos] == [
        (tmp_path.resolve() / "my clips" / "a b.mp4").as_uri(),
        "s3://bucket/b.mp4",
        "file:///data/c.mp4",
    ]


def test_bad_rows_are_listed_with_their_line_and_reason(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.jsonl",
        row("good", "x"),
        b"{not json",
        b"\xff\xfe",
        [1, 2],
        {"video_id": "no-uri", "tags": ["x"]},
        {"video_id": "no-tags", "uri": "a.mp4"},
        row("tags-as-text") | {"tags": "x"},
        row("good", "y"),
        row("odd-split", "x", split="dev"),
        row("number", "x", title=3),
        b'{"video_id": "\\ud800", "uri": "a", "tags": []}',
        b"",
        row("also-good", "x", description=None, language=None),
    )
    corpus = read_corpus(path)
    assert [v.video_id for v in corpus.videos] == ["good", "also-good"]
    assert [(bad.line, bad.reason) for bad in corpus.skipped] == [
        (2, "not JSON"),
        (3, "not UTF-8"),
        (4, "not a JSON object"),
        (5, "uri is missing or empty"),
        (6, "tags is missing"),
        (7, "tags must be a list of texts"),
        (8, "video_id 'good' stands twice; the first one counts"),
        (9, "split must be train, val or test, not 'dev'"),
        (10, "title must be text"),
        (11, "has half of a surrogate pair"),
    ]


@pytest.mark.parametrize("content", [b"", b"nonsense\n"])
def test_a_corpus_without_a_usable_row_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.jsonl").write_bytes(content)
    with pytest.raises(CorpusError, match="no usable row"):
        read_corpus(tmp_path / "c.jsonl")
    with pytest.raises(CorpusError, match="check the path"):
        read_corpus(tmp_path / "nothing.jsonl")


def test_tags_that_differ_in_case_space_or_unicode_form_are_one(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.jsonl",
        row("a", "Hip Hop", "hip  hop", "#hip hop", split="train"),
        row("b", "Hip Hop", "ｃａｔ", "cat ", split="val"),
    )
    corpus = read_corpus(path)
    assert names(corpus, 0) == {"Hip Hop"}
    assert len(corpus.videos[1].tags.labels) == 2
    assert len(corpus.vocabulary) == 2


def test_tags_that_only_test_videos_have_are_outside_the_vocabulary(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.jsonl",
        row("a", "x", split="train"),
        row("b", "y", split="val"),
        row("c", "x", "z", "Z", split="test"),
    )
    corpus = read_corpus(path)
    assert {tag.name for tag in corpus.vocabulary.tags} == {"x", "y"}
    assert corpus.videos[2].tags.outside == 1
    assert corpus.videos[2].tags.pairs == 2


def test_tags_may_be_ids_names_or_aliases_of_a_given_vocabulary(tmp_path: Path) -> None:
    vocabulary = Vocabulary((Tag("t1", "dog", aliases=("hound",)), Tag("t2", "cat")))
    vocabulary.write(tmp_path / "v.jsonl")
    path = write(tmp_path / "c.jsonl", row("a", "t1", "Hound", "Cat", "bird"))
    corpus = read_corpus(path, tmp_path / "v.jsonl")
    assert names(corpus, 0) == {"dog", "cat"}
    assert corpus.videos[0].tags.outside == 1


def test_truth_is_resolved_in_the_corpus_vocabulary(tmp_path: Path) -> None:
    corpus = read_corpus(write(tmp_path / "c.jsonl", row("a", "x", "y", split="train")))
    truth = read_truth(
        write(tmp_path / "t.jsonl", {"video_id": "a", "tags": ["X", "y", "new"]}), corpus
    )
    assert truth["a"].pairs == 3
    assert len(truth["a"].labels) == 2
    with pytest.raises(CorpusError, match="line 1"):
        read_truth(write(tmp_path / "t.jsonl", {"video_id": "a"}), corpus)


def test_the_order_of_rows_changes_neither_splits_nor_vocabulary(tmp_path: Path) -> None:
    rows = [row(f"v{i}", f"t{i % 7}", sources=[f"s{i // 3}"]) for i in range(60)]
    one = read_corpus(write(tmp_path / "a.jsonl", *rows))
    two = read_corpus(write(tmp_path / "b.jsonl", *reversed(rows)))
    assert {v.video_id: v.split for v in one.videos} == {v.video_id: v.split for v in two.videos}
    assert one.vocabulary == two.vocabulary
    assert {v.split for v in one.videos} == set(Split)


SOURCES = st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=3), min_size=1, max_size=30)


@given(SOURCES)
def test_videos_that_share_a_source_are_in_one_component(sources: list[list[str]]) -> None:
    number = components(sources)
    for i, mine in enumerate(sources):
        for j, other in enumerate(sources):
            if set(mine) & set(other):
                assert number[i] == number[j]
    assert set(number.tolist()) == set(range(number.max() + 1))


@given(SOURCES)
def test_no_component_is_split(sources: list[list[str]]) -> None:
    component = components(sources)
    members = [names or [f"video {i}"] for i, names in enumerate(sources)]
    splits = assign_splits([None] * len(sources), component, members)
    assert count_leaks(splits, component) == 0


def test_splits_are_near_80_10_10_and_validation_is_never_empty() -> None:
    members = [[f"v{i}"] for i in range(5000)]
    component = components(members)
    splits = assign_splits([None] * 5000, component, members)
    shares = [splits.count(split) / 5000 for split in Split]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    few = assign_splits([Split.TRAIN, Split.TRAIN, Split.TEST], component[:3], members[:3])
    assert sorted(few) == [Split.TEST, Split.TRAIN, Split.VAL]


def test_what_is_more_than_all_else_is_for_training() -> None:
    """Wherever its hash would put it."""
    for name in "abcdefghij":
        sources = [[name]] * 60 + [[f"{name}{number}"] for number in range(40)]
        component = components(sources)
        splits = assign_splits([None] * 100, component, sources)
        assert set(splits[:60]) == {Split.TRAIN}
        assert Split.VAL in splits[60:]


def test_a_row_without_split_follows_the_one_it_shares_a_source_with() -> None:
    component = components([["a"], ["a"], ["b"], ["b"]])
    given_splits = [Split.TEST, None, Split.VAL, None]
    splits = assign_splits(given_splits, component, [["a"], ["a"], ["b"], ["b"]])
    assert splits == (Split.TEST, Split.TEST, Split.VAL, Split.VAL)
