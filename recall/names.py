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
    def _holding(self) -> dict[str, list[int]]:
        """For each word, the spellings that hold it."""
        found: dict[str, list[int]] = {}
        for number, (words, _) in enumerate(self._spellings):
            for word in set(words):
                found.setdefault(word, []).append(number)
        return found

    def _rarity(self, word: str) -> float:
        """How telling a word is: rarer among the names, heavier."""
        return float(np.log1p(len(self._spellings) / len(self._holding[word])))

    def shares(self, text: str) -> dict[int, float]:
        """By tag, the share of its best spelling's words in the text, rarer words weighing more.

        1 only where the whole spelling stands in the text in one piece; where all of its words are
        there but apart, 0.9. Shares below LEAST_SHARE are left out.
        """
        words = tokens(text)
        running = " " + " ".join(words) + " "
        matched: dict[int, float] = {}
        for word in dict.fromkeys(words):
            for number in self._holding.get(word, ()):
                matched[number] = matched.get(number, 0.0) + self._rarity(word)
        shares: dict[int, float] = {}
        for number, weight in matched.items():
            spelling, tag = self._spellings[number]
            if f" {' '.join(spelling)} " in running:
                share = 1.0
            else:
                share = 0.9 * weight / sum(self._rarity(word) for word in set(spelling))
            if share >= LEAST_SHARE:
                shares[tag] = max(shares.get(tag, 0.0), share)
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
