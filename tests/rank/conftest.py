"""One small bundle, trained once from a folder of clips.

What needs torch is imported where it is used: tests beside these do without.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from encoders.encoder import Encoders
from encoders.features import Features
from encoders.profile import load_profile
from rank.gathering import Gathering
from rank.progress import quiet
from rank.tagger import Tagger

if TYPE_CHECKING:
    from rank.training import Trained


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.rank.small_training import write_corpus

    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def gathering(tmp_path_factory: pytest.TempPathFactory) -> Gathering:
    return Gathering(load_profile("packaged"), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def trained(
    corpus: Path, gathering: Gathering, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    from rank.training import train
    from tests.rank.small_training import SMALL

    out = tmp_path_factory.mktemp("out") / "bundle"
    return train(corpus, out, gathering=gathering, plan=SMALL, progress=quiet)


@pytest.fixture(scope="session")
def encoders(gathering: Gathering) -> Encoders:
    return Encoders.open(gathering.profile)


@pytest.fixture
def tagger(trained: Trained, encoders: Encoders) -> Tagger:
    return Tagger.load(trained.bundle.folder, encoders)


@pytest.fixture
def seen(trained: Trained) -> Features:
    """A red test clip's features."""
    dataset = trained.gathered.dataset
    return dataset.features(dataset.video_ids.index("red-7"))
