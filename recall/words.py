"""Words compared as words: TF-IDF over single words and pairs, without any neural network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recall.arrays import (
    bytes_to_texts,
    narrow,
    pack_rows,
    read_arrays,
    texts_to_bytes,
    unpack_rows,
    write_arrays,
)
from recall.normal import tokens
from recall.proposals import greatest
from recall.ragged import Ragged

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

MOST_TERMS = 200_000
MOST_POSTINGS = 20_000
_PAIR_MIN_TEXTS = 2


def terms(text: str) -> list[str]:
    """The words of a text and the pairs of words that stand beside each other."""
    words = tokens(text)
    return words + [f"{a} {b}" for a, b in pairwise(words)]


@dataclass(frozen=True, slots=True, eq=False)
class SparseRows:
    """Sparse unit vectors: ``terms`` and ``weights`` hold each row's term numbers and weights."""

    terms: Ragged[np.int32]
    weights: F32

    def __len__(self) -> int:
        return len(self.terms)

    def take(self, numbers: I64) -> SparseRows:
        """The rows at ``numbers``, in that order."""
        at, _ = self.terms.positions(numbers)
        return SparseRows(self.terms.take(numbers), self.weights[at])


@dataclass(frozen=True)
class WordSpace:
    """The terms that count, and how much.

    ``idf`` float32 [F]: log((1 + N) / (1 + texts with the term)) + 1 (Salton & Buckley 1988, with
    the usual smoothing); a text's vector is (1 + log tf) · idf, scaled to unit length.
    """

    term_list: tuple[str, ...]
    idf: F32

    @classmethod
    def fit(cls, texts: Iterable[str]) -> WordSpace:
        """Of the texts' terms, every word and every pair seen in two texts or more."""
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            counts.update(set(terms(text)))
            total += 1
        kept = [t for t, n in counts.items() if " " not in t or n >= _PAIR_MIN_TEXTS]
        kept = sorted(kept, key=lambda t: (-counts[t], t))[:MOST_TERMS]
        seen = np.asarray([counts[t] for t in kept], dtype=np.float64)
        return cls(tuple(kept), (np.log((1 + total) / (1 + seen)) + 1).astype(np.float32))

    def __len__(self) -> int:
        return len(self.term_list)

    @cached_property
    def number_of(self) -> dict[str, int]:
        """Each term's number."""
        return {term: number for number, term in enumerate(self.term_list)}

    def rows(self, texts: Sequence[str]) -> SparseRows:
        """The texts as sparse unit vectors; a text without a known term has an empty row."""
        lists: list[I32] = []
        weights: list[F32] = []
        for text in texts:
            known = Counter(n for t in terms(text) if (n := self.number_of.get(t)) is not None)
            numbers = np.asarray(sorted(known), dtype=np.int32)
            times = np.asarray([known[n] for n in numbers.tolist()], dtype=np.float32)
            row = (1 + np.log(np.maximum(times, 1))) * self.idf[numbers]
            lists.append(numbers)
            weights.append(row / max(float(np.linalg.norm(row)), 1e-12))
        return SparseRows(
            Ragged.of(lists, np.int32),
            np.concatenate([np.zeros(0, dtype=np.float32), *weights]).astype(np.float32),
        )

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What :meth:`of_arrays` needs."""
        return {
            "terms": texts_to_bytes(self.term_list),
            "terms_count": np.asarray([len(self)]),
            "idf": self.idf,
        }

    @classmethod
    def of_arrays(cls, arrays: dict[str, npt.NDArray[np.generic]]) -> WordSpace:
        """The space that gave these :meth:`arrays`."""
        count = int(arrays["terms_count"].astype(np.int64)[0])
        return cls(bytes_to_texts(arrays["terms"], count), arrays["idf"].astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class WordIndex:
    """Which labelled videos hold which term: nearest texts by cosine over posting lists.

    ``numbers`` and ``weights``: term by term, the videos that have it and its weight in each; of
    more than MOST_POSTINGS, those in which it weighs most (champion lists: Manning, Raghavan &
    Schütze 2008, "Introduction to Information Retrieval", 7.1.3).
    """

    space: WordSpace
    numbers: Ragged[np.int32]
    weights: F32
    videos: int

    @classmethod
    def build(cls, space: WordSpace, rows: SparseRows, numbers: I32, videos: int) -> WordIndex:
        """Index ``rows`` under the videos' ``numbers`` (all below ``videos``)."""
        owner = np.repeat(numbers, rows.terms.lengths)
        order = _champions(rows, len(space))
        starts = np.zeros(len(space) + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows.terms.values[order], minlength=len(space)), out=starts[1:])
        postings = Ragged(owner[order].astype(np.int32), starts)
        return cls(space, postings, rows.weights[order], videos)

    def search(
        self, rows: SparseRows, k: int, banned: Ragged[np.int32] | None = None
    ) -> tuple[I32, F32]:
        """The ``k`` nearest of each row, best first: numbers and cosines [B, k]; -1, -inf for none.

        Leaves out the videos that are ``banned`` for a row.
        """
        numbers = np.full((len(rows), k), -1, dtype=np.int32)
        cosines = np.full((len(rows), k), -np.inf, dtype=np.float32)
        for row in range(len(rows)):
            products = _added_up(rows, row, self.numbers, self.weights, self.videos)
            if banned is not None:
                products[banned[row]] = 0.0
            near = greatest(products, min(k, self.videos))
            near = near[products[near] > 0]
            near = near[np.lexsort((near, -products[near]))]
            numbers[row, : len(near)] = near
            cosines[row, : len(near)] = products[near]
        return numbers, cosines

    def save(self, folder: Path) -> None:
        """Write into a new folder."""
        write_arrays(
            folder,
            {
                **self.space.arrays(),
                "numbers": narrow(self.numbers.values, self.videos),
                "starts": self.numbers.starts,
                **pack_rows("weights", self.weights[None], bits=8),
                "videos": np.asarray([self.videos]),
            },
        )

    @classmethod
    def load(cls, folder: Path) -> WordIndex:
        """Map what :meth:`save` wrote; raises BundleError."""
        arrays = read_arrays(folder)
        return cls(
            WordSpace.of_arrays(arrays),
            Ragged(arrays["numbers"].astype(np.int32, copy=False), arrays["starts"]),
            unpack_rows("weights", arrays).ravel(),
            int(arrays["videos"][0]),
        )


def _champions(rows: SparseRows, width: int) -> I64:
    """int64 [P]: where the terms of the rows stand, term by term; of each the heaviest only."""
    order = np.argsort(rows.terms.values, kind="stable")
    counts = np.bincount(rows.terms.values, minlength=width)
    ends = np.cumsum(counts)
    kept = np.ones(len(order), dtype=bool)
    for term in np.flatnonzero(counts > MOST_POSTINGS).tolist():
        part = slice(ends[term] - counts[term], ends[term])
        kept[part] = False
        kept[part.start + greatest(rows.weights[order[part]], MOST_POSTINGS)] = True
    return order[kept]


def _added_up(
    rows: SparseRows, row: int, lists: Ragged[np.int32], weights: F32, width: int
) -> npt.NDArray[np.float64]:
    """float64 [width]: the weights in the lists of one row's terms, each times the term's own."""
    first, last = rows.terms.starts[row : row + 2]
    if first == last:
        return np.zeros(width)
    parts = [slice(*lists.starts[term : term + 2]) for term in rows.terms.values[first:last]]
    scaled = [weights[p] * w for p, w in zip(parts, rows.weights[first:last], strict=True)]
    found = np.bincount(
        np.concatenate([lists.values[part] for part in parts]),
        weights=np.concatenate(scaled),
        minlength=width,
    )
    return np.asarray(found, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class WordClassifier:
    """A linear model a tag over the terms, kept sparse.

    ``tags`` and ``weights``: term by term, the tags that it speaks for or against, and how much.
    ``bias`` float32 [V].
    """

    tags: Ragged[np.int32]
    weights: F32
    bias: F32

    def scores(self, rows: SparseRows) -> F32:
        """float32 [B, V]."""
        out = np.empty((len(rows), len(self.bias)), dtype=np.float32)
        for row in range(len(rows)):
            out[row] = _added_up(rows, row, self.tags, self.weights, len(self.bias))
            out[row] += self.bias
        return out

    def widened(self, width: int) -> WordClassifier:
        """For a vocabulary that has grown: a new tag starts from the lowest bias."""
        more = np.full(width - len(self.bias), self.bias.min(initial=0.0), dtype=np.float32)
        return WordClassifier(self.tags, self.weights, np.concatenate([self.bias, more]))

    def save(self, folder: Path) -> None:
        """Write into a new folder."""
        write_arrays(
            folder,
            {
                "tags": narrow(self.tags.values, len(self.bias)),
                "starts": self.tags.starts,
                **pack_rows("weights", self.weights[None], bits=8),
                "bias": self.bias,
            },
        )

    @classmethod
    def load(cls, folder: Path) -> WordClassifier:
        """Map what :meth:`save` wrote; raises BundleError."""
        arrays = read_arrays(folder)
        return cls(
            Ragged(arrays["tags"].astype(np.int32, copy=False), arrays["starts"]),
            unpack_rows("weights", arrays).ravel(),
            arrays["bias"],
        )
