"""An index finds what an exhaustive search finds, also after additions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from encoders.errors import BundleError
from recall.index import EXACT_UP_TO, VectorIndex
from recall.ragged import Ragged
from recall.views import Space, unit

F32 = npt.NDArray[np.float32]


def vectors(count: int, width: int = 24, seed: int = 0) -> F32:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(1, count // 50), width))
    rows = centres[random.integers(0, len(centres), count)] + random.normal(size=(count, width))
    return unit(rows)


def test_a_small_index_finds_the_true_neighbours() -> None:
    held = vectors(2000)
    index = VectorIndex.build(held, np.arange(2000) + 7)
    numbers, products = index.search(held[:50], 10)
    assert (numbers[:, 0] == np.arange(50) + 7).all()
    exact = np.sort(held[:50] @ held.T, axis=1)[:, ::-1][:, :10]
    assert np.abs(products - exact).max() < 0.02


def test_a_large_index_finds_nearly_all_of_them() -> None:
    held = vectors(EXACT_UP_TO + 1000, width=16)
    index = VectorIndex.build(held, np.arange(len(held)))
    queries = held[::500]
    numbers, _ = index.search(queries, 100)
    exact = np.argsort(-(queries @ held.T), axis=1)[:, :100]
    hits = [len(np.intersect1d(a, b)) for a, b in zip(exact, numbers, strict=True)]
    assert np.mean(hits) >= 95


def test_queries_unlike_the_vectors_find_nearly_all_of_the_greatest_products(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    spread = random.normal(size=(32, 32)) * np.linspace(3, 0.1, 32)
    count = EXACT_UP_TO + 1000
    held = np.asarray(
        random.normal(size=(count, 32)) * random.gamma(1, size=(count, 1)) + 2, np.float32
    )
    given, queries = (
        (random.normal(size=(n, 32)) @ spread.T).astype(np.float32) for n in (300, 40)
    )
    index = VectorIndex.build(held, np.arange(count), queries=given)
    index.save(tmp_path / "index")
    numbers, products = VectorIndex.load(tmp_path / "index").search(queries, 100)
    every = queries @ held.T
    exact = np.argsort(-every, axis=1)[:, :100]
    hits = [len(np.intersect1d(a, b)) for a, b in zip(exact, numbers, strict=True)]
    assert np.mean(hits) >= 95
    true = np.take_along_axis(every, numbers.astype(np.int64), axis=1)
    assert np.abs(products - true).max() < 0.02 * np.abs(true).max()


def test_at_four_bits_it_is_half_as_large_and_finds_nearly_the_same(tmp_path: Path) -> None:
    held, sizes, found = vectors(2000), {}, {}
    for bits in (4, 8):
        index = VectorIndex.build(held, np.arange(2000), bits=bits)
        index.save(tmp_path / str(bits))
        sizes[bits] = (tmp_path / str(bits) / "main.faiss").stat().st_size
        found[bits], _ = index.search(held[:50], 50)
    assert sizes[4] < 0.6 * sizes[8]
    same = [len(np.intersect1d(a, b)) for a, b in zip(found[4], found[8], strict=True)]
    assert np.mean(same) > 43


def test_where_there_are_too_few_the_rest_is_nobody() -> None:
    index = VectorIndex.build(vectors(3), np.arange(3))
    numbers, products = index.search(vectors(2, seed=1), 5)
    assert (numbers[:, 3:] == -1).all()
    assert np.isneginf(products[:, 3:]).all()
    empty = VectorIndex.build(vectors(3)[:0], np.arange(0))
    assert (empty.search(vectors(2), 4)[0] == -1).all()


def test_what_is_added_is_found_and_the_old_snapshot_stays() -> None:
    held, more = vectors(100), vectors(5, seed=3)
    index = VectorIndex.build(held, np.arange(100))
    wider = index.added(more, np.arange(100, 105))
    assert (wider.search(more, 1)[0][:, 0] == np.arange(100, 105)).all()
    assert (index.search(more, 100)[0] < 100).all()
    assert len(index) == 100
    assert len(wider) == 105


def test_what_is_banned_is_never_found_however_near() -> None:
    held = np.repeat(vectors(40), 5, axis=0)  # five equal vectors a group: the nearest are banned
    group = np.repeat(np.arange(40), 5).astype(np.int32)
    index = VectorIndex.build(held, np.arange(200))
    queries, own = held[::5], group[::5]
    banned = Ragged.of(
        [np.flatnonzero(group == number).astype(np.int32) for number in own], np.int32
    )
    numbers, products = index.search_without(queries, 4, banned)
    assert (numbers >= 0).all()
    assert (group[numbers] != own[:, None]).all()
    others = np.where(group[None] == own[:, None], -np.inf, queries @ held.T)
    assert np.abs(products - np.sort(others, axis=1)[:, ::-1][:, :4]).max() < 0.02


def test_an_index_is_read_back_unchanged(tmp_path: Path) -> None:
    index = VectorIndex.build(vectors(300), np.arange(300)).added(
        vectors(2, seed=2), np.asarray([300, 301])
    )
    index.save(tmp_path / "index")
    again = VectorIndex.load(tmp_path / "index")
    queries = vectors(10, seed=5)
    for mine, other in zip(index.search(queries, 20), again.search(queries, 20), strict=True):
        assert np.array_equal(mine, other)
    (tmp_path / "index" / "main.faiss").write_bytes(b"nonsense")
    with pytest.raises(BundleError, match="build the bundle again"):
        VectorIndex.load(tmp_path / "index")


def test_a_space_keeps_what_tells_videos_apart() -> None:
    random = np.random.default_rng(0)
    rows = (random.normal(size=(500, 6)) @ random.normal(size=(6, 30)) + 10).astype(np.float32)
    space = Space.fit(rows, 16, 1.0)
    assert space.width == 6
    placed = space.place(rows)
    assert np.abs(np.linalg.norm(placed, axis=1) - 1).max() < 1e-5
    assert abs(float((placed @ placed.T).mean())) < 0.05


def test_a_space_of_one_vector_is_the_vectors_own() -> None:
    assert np.allclose(Space.fit(vectors(1), 8, 0.5).place(vectors(3)), vectors(3), atol=1e-6)
