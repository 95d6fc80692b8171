"""Which split a labelled video belongs to, so that no source material is shared between splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]


class Split(StrEnum):
    """What a labelled video is used for."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


SPLITS: tuple[Split, ...] = tuple(Split)


def assign_splits(
    given: Sequence[Split | None], component: I32, members: Sequence[Sequence[str]]
) -> tuple[Split, ...]:
    """A split for every video.

    A given split stands. A video without one goes with its component: where another video of the
    component has a split, it takes that (test before validation before training, so that nothing
    leaks into the test), and otherwise a hash of the component's smallest member name (``members``:
    each video's sources, or its id) decides, 80/10/10. So the answer depends on the material only,
    not on the order of rows. A component of more than half of all videos is for training, since
    without it there would be little to learn from. Where nothing is for validation, one training
    component in nine (at least one, if there are two) becomes it.
    """
    name_of: dict[int, str] = {}
    known: dict[int, Split] = {}
    for video, number in enumerate(component.tolist()):
        smallest = min(members[video])
        name_of[number] = min(name_of.get(number, smallest), smallest)
        split = given[video]
        if split is not None and SPLITS.index(split) >= SPLITS.index(known.get(number, split)):
            known[number] = split
    most = len(component) / 2
    sizes = Counter(component.tolist())
    for number, name in name_of.items():
        if number not in known:
            place = 0.0 if sizes[number] > most else _place(name)
            known[number] = Split.TRAIN if place < 0.8 else Split.VAL if place < 0.9 else Split.TEST
    splits = [g or known[n] for g, n in zip(given, component.tolist(), strict=True)]
    if Split.VAL not in splits:
        training = {
            n for n, split in zip(component.tolist(), splits, strict=True) if split is Split.TRAIN
        }
        by_place = sorted(training, key=lambda n: (_place(name_of[n]), name_of[n]))
        share = max(len(by_place) // 9, int(len(by_place) > 1))
        moved = set(by_place[:share])
        splits = [
            Split.VAL if n in moved and split is Split.TRAIN else split
            for n, split in zip(component.tolist(), splits, strict=True)
        ]
    return tuple(splits)


def count_leaks(splits: Sequence[Split], component: I32) -> int:
    """How many components have videos in more than one split."""
    seen: dict[int, set[Split]] = {}
    for split, number in zip(splits, component.tolist(), strict=True):
        seen.setdefault(number, set()).add(split)
    return sum(len(found) > 1 for found in seen.values())


def _place(name: str) -> float:
    """A fixed place in [0, 1) for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
