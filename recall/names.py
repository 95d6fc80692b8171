"""Tags by their names: those that stand in a video's words, and names as vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from recall.normal import tokens
from recall.proposals import Proposals
from recall.ragged import Ragged
from recall.views import unit
from recall.vocabulary import Vocabulary

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

Embed = Callable[[Sequence[str]], F32]
LEAST_SHARE = 0.5
_CHUNK = 1024


@dataclass(frozen=True)
class NameMatcher:
    """Finds tags whose name or alias stands in a text, wholly or for the greater part."""

    vocabulary: Vocabulary

    @cached_property
    def _spellings(self) -> tuple[tuple[tuple[str, ...], int], ...]:
        split = ((tuple(tokens(text)), tag) for text, tag in self.vocabulary.spellings)
        return tuple((words, tag) for words, tag in split if words)

    @cached_property
    def _number_of(self) -> dict[str, int]:
        """A number for each word of the spellings."""
        words = dict.fromkeys(word for spelling, _ in self._spellings for word in spelling)
        return {word: number for number, word in enumerate(words)}

    @cached_property
    def _holding(self) -> Ragged[np.int32]:
        """For each word, the spellings that hold it."""
        number_of = self._number_of
        held = [np.asarray([*{number_of[w] for w in words}]) for words, _ in self._spellings]
        return Ragged.of(held, np.int32).transposed(len(number_of))

    @cached_property
    def _rarity(self) -> F64:
        """float64 [W]: how telling each word is; rarer among the names, heavier."""
        return np.log1p(len(self._spellings) / self._holding.lengths)

    @cached_property
    def _whole(self) -> F64:
        """float64 [S]: the rarities of each spelling's words, added up."""
        spelling = self._holding.values
        rarity = np.repeat(self._rarity, self._holding.lengths)
        found = np.bincount(spelling, weights=rarity, minlength=len(self._spellings))
        return np.asarray(found, np.float64)

    def shares(self, text: str) -> dict[int, float]:
        """By tag, the share of its best spelling's words in the text, rarer words weighing more.

        1 only where the whole spelling stands in the text in one piece; where all of its words are
        there but apart, 0.9. Shares below LEAST_SHARE are left out.
        """
        words = tokens(text)
        known = [n for w in dict.fromkeys(words) if (n := self._number_of.get(w)) is not None]
        numbers = np.asarray(known, dtype=np.int64)
        at, owner = self._holding.positions(numbers)
        spellings, place = np.unique(self._holding.values[at], return_inverse=True)
        matched = np.bincount(place, weights=self._rarity[numbers][owner])
        share = 0.9 * matched / self._whole[spellings]
        enough = share >= LEAST_SHARE
        running = " " + " ".join(words) + " "
        shares: dict[int, float] = {}
        for number, part in zip(spellings[enough].tolist(), share[enough].tolist(), strict=True):
            spelling, tag = self._spellings[number]
            whole = f" {' '.join(spelling)} " in running
            shares[tag] = max(shares.get(tag, 0.0), 1.0 if whole else part)
        return shares

    def proposals(self, texts: Sequence[str], rows: I64) -> Proposals:
        """The shares of several texts; ``rows`` int64 [B] are the videos."""
        found = [sorted(self.shares(text).items()) for text in texts]
        pairs = [pair for shares in found for pair in shares]
        return Proposals(
            np.repeat(rows, [len(shares) for shares in found]),
            np.asarray([tag for tag, _ in pairs], dtype=np.int32),
            np.asarray([share for _, share in pairs], dtype=np.float32),
        )


def name_vectors(vocabulary: Vocabulary, embed: Embed) -> F32:
    """float32 [V, D], unit length: each tag's name, aliases and description in one vector.

    The name counts twice as much as the mean of the rest.
    """
    names = _embedded([tag.name for tag in vocabulary.tags], embed)
    others = [
        [*tag.aliases, *([tag.description] if tag.description else [])] for tag in vocabulary.tags
    ]
    texts = Ragged.of([np.zeros(len(more), dtype=np.int32) for more in others], np.int32)
    if not len(texts.values):
        return names
    rest = _embedded([text for more in others for text in more], embed)
    means = Ragged(rest, texts.starts).means()
    return unit(2 * names + means)


def _embedded(texts: Sequence[str], embed: Embed) -> F32:
    """Embed in chunks; the shape of an empty list is that of one text's."""
    if not texts:
        return embed([""])[:0]
    chunks = [embed(texts[i : i + _CHUNK]) for i in range(0, len(texts), _CHUNK)]
    return np.concatenate(chunks).astype(np.float32)
