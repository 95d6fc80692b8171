"""Uploaders: a few hundred people who mostly post about what they like."""

import random
from collections.abc import Sequence

from deploy.corpus.model import Split

KNOWN, NEW = 420, 90
_NEW_SHARE = 0.25  # of the test clips come from people who have not posted before


class Uploaders:
    """Draws uploaders for topics; activity has a long tail, everyone posts off topic at times."""

    def __init__(self, topics: Sequence[str], seed: int) -> None:
        self._chance = random.Random(f"{seed}/uploaders")
        self._known = [self._person(topics, f"u{number:04d}") for number in range(KNOWN)]
        self._new = [self._person(topics, f"u{number:04d}") for number in range(KNOWN, KNOWN + NEW)]

    def _person(self, topics: Sequence[str], name: str) -> tuple[str, float, frozenset[str]]:
        liked = frozenset(
            self._chance.sample(topics, min(len(topics), self._chance.choice((1, 2, 3, 4, 6))))
        )
        return name, self._chance.paretovariate(1.1), liked

    def one(self, topic: str, split: Split) -> str:
        """Someone who would post about `topic`; in the test split, sometimes someone new."""
        people = (
            self._new if split == "test" and self._chance.random() < _NEW_SHARE else self._known
        )
        weights = [
            min(activity, 40.0) * (1.0 if topic in liked else 0.03) for _, activity, liked in people
        ]
        return self._chance.choices(people, weights)[0][0]
