"""A tag is found however people write it, and its index never changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import CorpusError
from recall.normal import key, tokens
from recall.vocabulary import Tag, Vocabulary

ANIMALS = Vocabulary(
    (
        Tag("animal", "Animal"),
        Tag("dog", "Dog", aliases=("hound", "犬"), parents=("animal",)),
        Tag("puppy", "Puppy", parents=("dog",)),
    )
)


@pytest.mark.parametrize("written", ["dog", "DOG", "  Dog ", "#dog", "Hound", "犬", "ｄｏｇ"])
def test_names_ids_and_aliases_find_the_tag(written: str) -> None:
    assert ANIMALS.index_of(written) == 1


def test_unknown_names_find_nothing() -> None:
    assert ANIMALS.index_of("cat") is None
    with pytest.raises(CorpusError, match="no tag 'cat'"):
        ANIMALS.require("cat")


def test_a_merged_tag_stands_for_another_and_keeps_its_index() -> None:
    merged = ANIMALS.merge("puppy", "dog")
    assert merged.index_of("Puppy") == 1
    assert merged.stand_ins.tolist() == [0, 1, 1]
    assert ("Puppy", 1) in merged.spellings
    with pytest.raises(CorpusError, match="same tag already"):
        merged.merge("puppy", "dog")


def test_a_blocked_tag_leads_nowhere_and_can_be_released() -> None:
    blocked = ANIMALS.merge("puppy", "dog").block("dog")
    assert blocked.redirects.tolist() == [0, -1, -1]
    assert blocked.block("dog", blocked=False).redirects.tolist() == [0, 1, 1]


def test_a_tag_is_added_at_the_end_and_only_once() -> None:
    more = ANIMALS.add(Tag("cat", "Cat"))
    assert more.index_of("cat") == 3
    with pytest.raises(CorpusError, match="already"):
        more.add(Tag("other", "hound"))


def test_references_to_tags_that_are_not_there_are_refused() -> None:
    with pytest.raises(CorpusError, match="refers to"):
        Vocabulary((Tag("dog", "Dog", parents=("animal",)),))
    with pytest.raises(CorpusError, match="stands twice"):
        Vocabulary((Tag("dog", "Dog"), Tag("dog", "Hound")))


@given(st.lists(st.text(max_size=12), max_size=20))
def test_ids_made_from_names_are_unique_and_find_their_tag(names: list[str]) -> None:
    vocabulary = Vocabulary.from_names(names)
    for index, tag in enumerate(vocabulary.tags):
        assert vocabulary.index_of(tag.name) == index
        assert vocabulary.index_of(tag.tag_id) == index
    assert len(vocabulary) == len({key(name) for name in names if key(name)})


def test_a_file_is_read_back_unchanged(tmp_path: Path) -> None:
    vocabulary = ANIMALS.merge("puppy", "dog").block("animal")
    vocabulary.write(tmp_path / "v.jsonl")
    assert Vocabulary.read(tmp_path / "v.jsonl") == vocabulary


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense", "line 1"),
        ("[]", "not a JSON object"),
        ("{}", "name is missing"),
        ('{"name": "a", "status": "gone"}', "active or blocked"),
        ('{"name": "a", "aliases": "b"}', "list of texts"),
    ],
)
def test_a_file_that_does_not_follow_the_format_is_refused(
    tmp_path: Path, line: str, reason: str
) -> None:
    (tmp_path / "v.jsonl").write_text(line)
    with pytest.raises(CorpusError, match=reason):
        Vocabulary.read(tmp_path / "v.jsonl")


def test_words_are_folded_so_that_plurals_and_case_meet() -> None:
    assert tokens("Two PUPPIES, three boxes; a dog's bones!") == [
        "two",
        "puppy",
        "three",
        "box",
        "a",
        "dog",
        "bone",
    ]
    assert tokens("猫と犬") == ["猫", "と", "犬"]


def test_repeated_tags_keep_their_parents_block_by_block() -> None:
    family = Vocabulary((Tag("dog", "dog"), Tag("corgi", "corgi", parents=("dog",))))
    many = family.repeated(5)
    assert [tag.name for tag in many.tags] == ["dog", "corgi", "dog1", "corgi1", "dog2"]
    assert [many.above[tag].tolist() for tag in range(5)] == [[], [0], [], [2], []]
    assert [len(Vocabulary(family.tags[::-1]).repeated(size)) for size in (1, 2, 3)] == [1, 2, 3]
