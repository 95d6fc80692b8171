"""Nearest texts by their words."""

from __future__ import annotations

import numpy as np
import pytest

from recall.words import MOST_POSTINGS, WordIndex, WordSpace


def test_of_a_word_that_very_many_texts_have_the_shortest_are_remembered() -> None:
    count = MOST_POSTINGS + 1_000
    texts = [f"cat number{n}" if n % 50 else "cat" for n in range(count)]
    space = WordSpace.fit(texts)
    index = WordIndex.build(space, space.rows(texts), np.arange(count, dtype=np.int32), count)
    assert index.numbers.lengths.max() == MOST_POSTINGS
    assert index.numbers.lengths.sum() == len(index.weights)
    found, cosines = index.search(space.rows(["cat", "number7"]), 30)
    assert (found[0] % 50 == 0).all()
    assert cosines[0] == pytest.approx(1, abs=1e-5)
    assert found[1, 0] == 7
    assert (found[1, 1:] == -1).all()
