"""The linear model on words: in full, and over a large vocabulary by each tag's own terms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from recall.ragged import Ragged
from recall.words import SparseRows, WordClassifier

F64 = npt.NDArray[np.float64]

training = pytest.importorskip("recall.word_training", reason="needs the extra train")

TEXTS, TERMS, TAGS = 400, 60, 10


def world() -> tuple[SparseRows, Ragged[np.int32], F64, F64]:
    """Texts of six terms; a tag's videos are those with one of its two terms. And both dense."""
    random = np.random.default_rng(0)
    lists = [np.sort(random.choice(TERMS, 6, replace=False)).astype(np.int32) for _ in range(TEXTS)]
    rows = SparseRows(
        Ragged.of(lists, np.int32), np.full(6 * TEXTS, 1 / np.sqrt(6), dtype=np.float32)
    )
    dense = np.zeros((TEXTS, TERMS))
    truth = np.zeros((TEXTS, TAGS))
    for row, terms in enumerate(lists):
        dense[row, terms] = 1 / np.sqrt(6)
        truth[row, terms[terms < 2 * TAGS] // 2] = 1.0
    labels = Ragged.of([np.flatnonzero(row).astype(np.int32) for row in truth], np.int32)
    return rows, labels, dense, truth


def weights_of(model: WordClassifier) -> F64:
    """float64 [F, V]."""
    out = np.zeros((TERMS, TAGS))
    out[np.repeat(np.arange(TERMS), model.tags.lengths), model.tags.values] = model.weights
    return out


def solved(dense: F64, truth: F64, terms: npt.NDArray[np.int64]) -> F64:
    """Ridge regression over some terms, in closed form; negligible weights left out."""
    part = dense[:, terms]
    spread = part.T @ part + training.PENALTY * np.eye(len(terms))
    weights: F64 = np.linalg.solve(spread, part.T @ (truth - truth.mean(axis=0)))
    return np.where(np.abs(weights) < 0.01, 0.0, weights)


def test_in_full_it_is_the_least_squares_solution() -> None:
    rows, labels, dense, truth = world()
    model = training.train_words(rows, labels, TERMS, TAGS)
    assert np.abs(weights_of(model) - solved(dense, truth, np.arange(TERMS))).max() < 1e-2
    assert np.allclose(model.bias, truth.mean(axis=0))


def test_by_own_terms_it_is_the_solution_over_those() -> None:
    rows, labels, dense, truth = world()
    model = training.train_words(rows, labels, TERMS, TAGS, in_full_up_to=0)
    held = weights_of(model)
    assert ((held != 0).sum(axis=0) <= training.OWN_TERMS).all()
    for tag in range(TAGS):
        often = dense.T @ (truth[:, tag] - truth[:, tag].mean())
        there = truth[:, tag] @ dense > 0
        own = np.argsort(-np.where(there, often, -np.inf))[: training.OWN_TERMS]
        expected = np.zeros(TERMS)
        expected[own] = solved(dense, truth[:, [tag]], own)[:, 0]
        assert np.abs(held[:, tag] - expected).max() < 1e-4, tag
    assert set(np.argsort(-held[:, 3])[:2].tolist()) == {6, 7}


@pytest.mark.parametrize("texts", [0, 1, 3])
def test_hardly_any_texts_will_do(texts: int) -> None:
    rows, labels, _, _ = world()
    few = np.arange(texts)
    for limit in (0, training.IN_FULL_UP_TO):
        model = training.train_words(
            rows.take(few), labels.take(few), TERMS, TAGS, in_full_up_to=limit
        )
        assert np.isfinite(model.scores(rows)).all()


def test_a_large_vocabulary_takes_no_dense_table() -> None:
    rows, labels, _, _ = world()
    terms, tags = 150_000, 200_000  # a dense table of weights would be 120 GB
    model = training.train_words(rows, labels, terms, tags)
    small = training.train_words(rows, labels, TERMS, TAGS, in_full_up_to=0)
    assert np.array_equal(model.tags.values, small.tags.values)
    assert np.allclose(model.weights, small.weights, atol=1e-5)
