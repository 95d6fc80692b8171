"""Nearest labelled videos (or tag names) by inner product of unit vectors, over FAISS.

An index is an immutable main part and a flat delta of what was added since. Adding makes a new
index that shares the main part, so a search never runs beside a change: swap the whole snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError
from recall.arrays import read_arrays, write_arrays
from recall.ragged import Ragged

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

NOBODY = -1
EXACT_UP_TO = 20_000
_TARGET_RECALL = 0.965
_QUERIES_TO_TUNE = 400
_WIDENED = 1.25
_NEAREST = 100
_FOLDED_TO = 256
_UNSEEN = 5.0
"""For how many queries, alike in all directions, those count that were not given."""
_MIXED = 4  # vectors of which queries are mixed, for tuning
_MOST_LOOKED_AT = 50  # times as many as are wanted
_MANY_LOOKED_AT = 10  # from which on finer codes cost less
_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class VectorIndex:
    """Vectors with a number each.

    ``main``   a FAISS index: exhaustive up to EXACT_UP_TO vectors, 8 or 4 bits a dimension; above
               at 8 bits in inverted lists (IVF) of which as many are searched as give the target
               recall, or for queries unlike the vectors as :func:`_folded` has it.
    ``rows``   int32 [M]: the numbers of the main part's vectors.
    ``delta``  float32 [E, D] and ``delta_rows`` int32 [E]: vectors added since.
    """

    main: Any
    rows: I32
    delta: F32
    delta_rows: I32

    @classmethod
    def build(
        cls,
        vectors: F32,
        rows: npt.NDArray[np.integer],
        *,
        bits: int = 8,
        seed: int = 0,
        queries: F32 | None = None,
    ) -> VectorIndex:
        """Index vectors float32 [M, D] under the numbers ``rows`` [M].

        Unit vectors, searched for with vectors like them; otherwise give some ``queries`` [n, D].
        """
        count, width = vectors.shape
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if count <= EXACT_UP_TO:
            main = faiss.index_factory(width, f"SQ{bits}", faiss.METRIC_INNER_PRODUCT)
            if count:
                main.train(vectors)
                main.add(vectors)
        elif queries is not None and len(queries):
            main = _folded(vectors, queries, seed)
        else:
            main = _lists(vectors, seed)
        return cls(
            main,
            np.asarray(rows, dtype=np.int32),
            np.zeros((0, width), dtype=np.float32),
            np.zeros(0, dtype=np.int32),
        )

    def __len__(self) -> int:
        return len(self.rows) + len(self.delta_rows)

    def added(self, vectors: F32, rows: npt.NDArray[np.integer]) -> VectorIndex:
        """A new index with more vectors; this one stays as it is."""
        return VectorIndex(
            self.main,
            self.rows,
            np.concatenate([self.delta, vectors.astype(np.float32)]),
            np.concatenate([self.delta_rows, np.asarray(rows, dtype=np.int32)]),
        )

    def search(self, queries: F32, k: int) -> tuple[I32, F32]:
        """The ``k`` nearest of each query, best first: numbers and inner products, both [B, k].

        Where there are fewer, the number is -1 and the product -inf.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        numbers = np.full((len(queries), k), NOBODY, dtype=np.int32)
        products = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if not len(queries):
            return numbers, products
        found = min(k, len(self.rows))
        if found:
            near, places = self.main.search(queries, found)
            numbers[:, :found] = np.where(places >= 0, self.rows[places], NOBODY)
            products[:, :found] = np.where(places >= 0, near, -np.inf)
        if len(self.delta_rows):
            extra = queries @ self.delta.T
            products = np.concatenate([products, extra], axis=1)
            numbers = np.concatenate(
                [numbers, np.broadcast_to(self.delta_rows, extra.shape)], axis=1
            )
            order = np.argsort(-products, axis=1, kind="stable")[:, :k]
            numbers = np.take_along_axis(numbers, order, axis=1)
            products = np.take_along_axis(products, order, axis=1)
        return numbers, products

    def search_without(self, queries: F32, k: int, banned: Ragged[np.int32]) -> tuple[I32, F32]:
        """As :meth:`search`, leaving out the numbers that are ``banned`` for a query.

        Searches wider until k others are found.
        """
        wide = min(2 * k, max(len(self), 1))
        while True:
            numbers, products = self.search(queries, wide)
            shut_out = np.zeros(numbers.shape, dtype=bool)
            for row, found in enumerate(numbers):
                shut_out[row] = np.isin(found, banned[row])
            products[shut_out] = -np.inf
            numbers[shut_out] = NOBODY
            enough = (numbers != NOBODY).sum(axis=1).min(initial=k) >= k
            if enough or wide >= len(self):
                break
            wide = min(4 * wide, len(self))
        order = np.argsort(-products, axis=1, kind="stable")[:, :k]
        numbers = np.take_along_axis(numbers, order, axis=1)
        products = np.take_along_axis(products, order, axis=1)
        if numbers.shape[1] < k:
            short = ((0, 0), (0, k - numbers.shape[1]))
            numbers = np.pad(numbers, short, constant_values=NOBODY)
            products = np.pad(products, short, constant_values=-np.inf)
        return numbers, products

    def save(self, folder: Path) -> None:
        """Write into a new folder."""
        write_arrays(
            folder, {"rows": self.rows, "delta": self.delta, "delta_rows": self.delta_rows}
        )
        faiss.write_index(self.main, str(folder / "main.faiss"))

    @classmethod
    def load(cls, folder: Path) -> VectorIndex:
        """Map what :meth:`save` wrote; raises BundleError where it is damaged."""
        arrays = read_arrays(folder)
        try:
            main = faiss.read_index(str(folder / "main.faiss"), faiss.IO_FLAG_MMAP_IFC)
            return cls(main, arrays["rows"], arrays["delta"], arrays["delta_rows"])
        except (RuntimeError, KeyError) as error:
            raise BundleError(
                f"the index in {folder} can't be read; build the bundle again"
            ) from error


def _lists(vectors: F32, seed: int) -> Any:
    """Inverted lists over packed vectors; as few are probed as reach the target recall@100."""
    count, width = vectors.shape
    lists = int(2 * np.sqrt(count))
    main: Any = faiss.index_factory(width, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    main.cp.seed = seed
    main.cp.niter = 5
    random = np.random.default_rng(seed)
    main.train(vectors[np.sort(random.permutation(count)[: 40 * lists])])
    main.add(vectors)
    main.nprobe = probes = 4
    drawn = random.permutation(count)[: _MIXED * _QUERIES_TO_TUNE].reshape(_MIXED, -1)
    # A stranger is not in the index, and may be like several vectors rather than like one.
    for queries in (vectors[drawn[0]], vectors[drawn].sum(axis=0)):
        exact = _nearest_of_all(queries, vectors)
        while probes < lists and _found(main, queries, exact) < _TARGET_RECALL:
            probes = min(lists, int(_WIDENED * probes))
            main.nprobe = probes
    return main


def _folded(vectors: F32, queries: F32, seed: int) -> Any:
    """An exhaustive search in few, coarse dimensions, and the best of it looked at in all.

    For vectors of any length, and queries from elsewhere: lists of near vectors tell little then of
    where the greatest products are. The dimensions are those in which the products with
    ``queries`` float32 [n, D] spread most: with C the queries' second moments, C = L Lᵀ, a vector x
    is folded to Uᵀ Lᵀ x and a query q to Uᵀ L⁻¹ q, where U are the leading eigenvectors of
    Lᵀ cov(x) L. Two dimensions share four bits (product quantisation, Jégou et al. 2011, scanned in
    registers, André et al. 2015); where so much would have to be looked at again that a finer scan
    costs less, each has four.
    """
    width = vectors.shape[1]
    rank = min(_FOLDED_TO, width - width % 2)
    moments = _moments(queries, np.zeros(width, dtype=np.float32))
    moments[np.diag_indices(width)] += _UNSEEN / len(queries) * np.trace(moments) / width
    half = np.linalg.cholesky(moments)
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, axes = np.linalg.eigh(half.T @ _moments(vectors, mean) @ half)
    axes = axes[:, ::-1][:, :rank]
    fold = (half @ axes).astype(np.float32)
    folded = np.concatenate([(some - mean) @ fold for some in _in_parts(vectors)])
    unfold = faiss.LinearTransform(width, rank, False)
    faiss.copy_array_to_vector(np.linalg.solve(half.T, axes).T.astype(np.float32).ravel(), unfold.A)
    unfold.is_trained = True
    whole = faiss.index_factory(width, "SQ8", faiss.METRIC_INNER_PRODUCT)
    whole.train(vectors)
    whole.add(vectors)
    some = queries[:: 1 + len(queries) // _QUERIES_TO_TUNE]
    exact = _nearest_of_all(some, vectors)

    def refined(dimensions_a_code: int) -> Any:
        codes = rank // dimensions_a_code
        coarse = faiss.IndexPQFastScan(rank, codes, 4, faiss.METRIC_INNER_PRODUCT)
        coarse.pq.cp.seed = seed
        coarse.train(folded)
        coarse.add(folded)
        main = faiss.IndexRefine(faiss.IndexPreTransform(unfold, coarse), whole)
        main.k_factor = 4.0
        while main.k_factor < _MOST_LOOKED_AT and _found(main, some, exact) < _TARGET_RECALL:
            main.k_factor *= _WIDENED
        return main

    main = refined(2)
    return main if main.k_factor < _MANY_LOOKED_AT else refined(1)


def _moments(rows: F32, mean: F32) -> npt.NDArray[np.float64]:
    """float64 [D, D]: second moments of the rows about ``mean``."""
    total = np.zeros((len(mean), len(mean)))
    for some in _in_parts(rows):
        centred = some - mean
        total += centred.T @ centred
    return total / max(len(rows), 1)


def _in_parts(rows: F32) -> Iterator[F32]:
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]


def _nearest_of_all(queries: F32, vectors: F32) -> I64:
    """int64 [n, 100]: the truly nearest, without a matrix of all products."""
    _, places = faiss.knn(queries, vectors, _NEAREST, metric=faiss.METRIC_INNER_PRODUCT)
    return np.asarray(places, dtype=np.int64)


def _found(main: Any, queries: F32, exact: I64) -> float:
    """The share of the truly nearest that the index finds."""
    places: I64 = main.search(queries, exact.shape[1])[1]
    hits = [len(np.intersect1d(a, b)) for a, b in zip(exact, places, strict=True)]
    return float(np.mean(hits) / int(exact.shape[1]))
