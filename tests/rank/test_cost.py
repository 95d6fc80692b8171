"""Scoring at a larger size than the bundle's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from encoders.features import Features
from rank.cost import enlarged
from rank.tagger import Tagger

pytestmark = pytest.mark.train


def test_a_repeated_tag_scores_as_the_one_it_repeats(tagger: Tagger, seen: Features) -> None:
    base = len(tagger.vocabulary)
    large = enlarged(tagger, 3 * base - 1)
    (own,) = tagger.recaller.candidates([seen], [None])
    moved = replace(own, tags=own.tags + np.int32(base))
    ((_, first),) = large.score([seen], [own])
    ((scores, second),) = large.score([seen], [moved])
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert len(scores) == len(own.tags)
