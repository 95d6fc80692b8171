"""One small world, trained on once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings

from recall.dataset import Dataset
from recall.network_training import Recipe
from recall.training import TrainedRecall, train_recall
from tests.recall.synthetic import World

# A busy machine may take long over one example; the whole test has its own limit.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@dataclass(frozen=True)
class Trained:
    """The world, its videos, and recall trained on them."""

    world: World
    dataset: Dataset
    recall: TrainedRecall


@pytest.fixture(scope="session")
def trained() -> Trained:
    world = World.of(60)
    dataset = world.dataset(500, complete=False)
    recall = train_recall(
        dataset,
        world.vocabulary,
        sentences=world.embed,
        names=world.embed,
        folds=2,
        recipe=Recipe(epochs=5, batch=64),
    )
    return Trained(world, dataset, recall)
