"""A tag is at least as likely as what implies it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from rank.implied import raised
from recall.vocabulary import Tag, Vocabulary

F64 = npt.NDArray[np.float64]

ANIMALS = Vocabulary(
    (
        Tag("animal", "animal"),
        Tag("dog", "dog", parents=("animal",)),
        Tag("corgi", "corgi", parents=("dog",)),
        Tag("cat", "cat", parents=("animal",)),
        Tag("piano", "piano"),
    )
)


def logits_of(**given_: float) -> dict[str, float]:
    """One video's candidates after the rule."""
    tags = np.asarray([ANIMALS.require(name) for name in given_], np.int32)
    logits = np.asarray(list(given_.values()))
    video = np.zeros(len(tags), np.int64)
    return dict(zip(given_, raised(logits, tags, video, ANIMALS.above), strict=True))


def test_what_is_above_a_likely_tag_is_as_likely() -> None:
    found = logits_of(corgi=2.0, piano=0.5, animal=-1.0, cat=1.0, dog=-3.0)
    assert found == {"corgi": 2.0, "piano": 0.5, "animal": 2.0, "cat": 1.0, "dog": 2.0}


def test_it_reaches_past_a_tag_that_is_no_candidate() -> None:
    assert logits_of(animal=-1.0, corgi=2.0)["animal"] == 2.0


def test_a_tag_that_is_likelier_than_what_implies_it_stays_so() -> None:
    assert logits_of(animal=3.0, corgi=2.0) == {"animal": 3.0, "corgi": 2.0}


def test_a_tag_that_was_added_raises_its_parents() -> None:
    vocabulary = ANIMALS.add(Tag("dachshund", "dachshund", parents=("dog",)))
    tags = np.asarray([5, 0, 1], np.int32)
    found = raised(np.asarray([1.0, 0.0, -1.0]), tags, np.zeros(3, np.int64), vocabulary.above)
    np.testing.assert_array_equal(found, [1.0, 1.0, 1.0])


def test_a_merged_parent_hands_it_to_its_stand_in() -> None:
    vocabulary = ANIMALS.add(Tag("beast", "beast")).merge("animal", "beast")
    tags = np.asarray([2, 5], np.int32)
    found = raised(np.asarray([1.0, 0.0]), tags, np.zeros(2, np.int64), vocabulary.above)
    np.testing.assert_array_equal(found, [1.0, 1.0])


def test_tags_that_imply_each_other_are_equally_likely() -> None:
    circle = (Tag("a", "a", parents=("b",)), Tag("b", "b", parents=("a",)))
    tags = np.arange(2, dtype=np.int32)
    found = raised(np.asarray([1.0, 0.0]), tags, np.zeros(2, np.int64), Vocabulary(circle).above)
    np.testing.assert_array_equal(found, [1.0, 1.0])


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 4), st.floats(-5, 5)),
            unique_by=lambda each: each[0],
            max_size=5,
        ),
        max_size=4,
    )
)
def test_each_video_is_judged_alone_and_nothing_is_lowered(
    videos: list[list[tuple[int, float]]],
) -> None:
    def of(chosen: list[list[tuple[int, float]]]) -> F64:
        tags = np.asarray([tag for each in chosen for tag, _ in each], np.int32)
        logits = np.asarray([logit for each in chosen for _, logit in each])
        video = np.repeat(np.arange(len(chosen)), [len(each) for each in chosen])
        found = raised(logits, tags, video, ANIMALS.above)
        assert (found >= logits).all()
        for own in range(len(chosen)):
            at = dict(zip(tags[video == own].tolist(), found[video == own].tolist(), strict=True))
            for tag, logit in at.items():
                assert all(at[up] >= logit for up in ANIMALS.above[tag].tolist() if up in at)
        return found

    alone = [of([each]) for each in videos]
    np.testing.assert_array_equal(of(videos), np.concatenate([np.zeros(0), *alone]))
