"""Arrays too large for memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recall import large
from recall.large import Growing, gathered, laid_down


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 3), st.booleans())
def test_rows_come_back_as_they_were_added(counts: list[int], width: int, in_a_file: bool) -> None:
    random = np.random.default_rng(0)
    added = [random.random((count, width), np.float32) for count in counts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "IN_MEMORY_UP_TO", 16 if in_a_file else 2**20)
        patch.setattr(large, "AT_ONCE", 4)
        growing = Growing((width,), np.float32)
        for rows in added:
            growing.extend(rows)
        whole = growing.whole()
    assert np.array_equal(whole, np.concatenate([np.zeros((0, width), np.float32), *added]))


def test_rows_of_another_width_are_refused() -> None:
    growing = Growing((3,), np.float32)
    with pytest.raises(ValueError, match=r"a row of \(2,\) beside rows of \(3,\)"):
        growing.extend(np.zeros((1, 2), np.float32))


def test_what_is_laid_down_in_a_file_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).random((40, 4), np.float32)
    monkeypatch.setattr(large, "IN_MEMORY_UP_TO", 100)
    down = laid_down(rows)
    assert isinstance(down.base, np.memmap)
    assert np.array_equal(down, rows)


@given(st.lists(st.integers(0, 9), max_size=9), st.integers(0, 5), st.integers(0, 5))
def test_gathered_rows_are_those_asked_for(some: list[int], start: int, count: int) -> None:
    rows = np.random.default_rng(0).random((10, 3), np.float32)
    for at in (np.asarray(some, np.int64), np.arange(start, start + count)):
        assert np.array_equal(gathered(rows, at), rows[at])


def test_a_run_of_rows_is_not_copied() -> None:
    rows = np.zeros((10, 3), np.float32)
    assert np.shares_memory(gathered(rows, np.arange(2, 9)), rows)
