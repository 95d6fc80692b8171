"""The packaged encoders, opened once, and made-up media that need no decoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from encoders.access import Access
from encoders.encoder import Encoders
from encoders.extra_words import with_extra_words
from encoders.features import Media, Modality, State
from encoders.profile import Profile, load_profile

MakeMedia = Callable[..., Media]


@pytest.fixture(scope="session")
def profile() -> Profile:
    return load_profile("packaged")


@pytest.fixture(scope="session")
def encoders(profile: Profile) -> Encoders:
    return Encoders.open(profile)


@pytest.fixture
def media() -> MakeMedia:
    """``media(seed, frames=…, seconds=…)`` is noise; 0 of one: there is no such stream."""

    def make(seed: int = 0, *, frames: int = 2, seconds: float = 1.0) -> Media:
        random = np.random.default_rng(seed)
        pictures = random.integers(0, 256, (frames, 224, 224, 3), np.uint8) if frames else None
        sound = random.normal(0, 0.1, int(16000 * seconds)).astype(np.float32) if seconds else None
        states = {
            Modality.VISUAL: State.USED if frames else State.MISSING,
            Modality.AUDIO: State.USED if seconds else State.MISSING,
        }
        return Media(pictures, sound, 16000, seconds, states, f"{seed:064x}")

    return make


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return Access(frozenset({"file"}), (tmp_path,))


@pytest.fixture(scope="session")
def wordy(profile: Profile) -> Profile:
    return with_extra_words(profile)
