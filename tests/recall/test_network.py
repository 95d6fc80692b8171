"""The fusion network: several of them are averaged."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from recall.classifier import Inputs, TagScorer  # noqa: E402 - after the skip
from recall.network import Ensemble, Fusion, Shape, TorchNetwork  # noqa: E402
from recall.network_training import Examples, Recipe, train_network  # noqa: E402
from recall.ragged import Ragged  # noqa: E402

F32 = npt.NDArray[np.float32]

pytestmark = pytest.mark.train

SHAPE = Shape(sentence=6, scene=5, bridge=4, sound=3, query=4, hidden=8, inner=8, fused=6)
TAGS = 9


def normal(random: np.random.Generator, *shape: int) -> F32:
    return random.normal(size=shape).astype(np.float32)


def inputs(random: np.random.Generator, videos: int, scenes: int) -> Inputs:
    shown = np.zeros((videos, 4), dtype=np.float32)
    shown[:, :scenes] = 1
    return Inputs(
        normal(random, videos, SHAPE.sentence),
        normal(random, videos, 4, SHAPE.scene) * shown[..., None],
        normal(random, videos, SHAPE.bridge),
        normal(random, videos, SHAPE.sound),
        np.ones((videos, 3), dtype=np.float32),
        shown,
    )


def test_networks_together_say_the_mean_of_what_each_says() -> None:
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    members = [Fusion(SHAPE, 0.0) for _ in range(3)]
    names, bias = normal(random, TAGS, SHAPE.query), normal(random, TAGS)
    embeddings = [normal(random, TAGS, SHAPE.hidden) for _ in members]
    given = inputs(random, 7, 1)
    alone = [
        TagScorer(own, bias, names, None).all(TorchNetwork(Ensemble([member]), SHAPE)(given))
        for member, own in zip(members, embeddings, strict=True)
    ]
    fused = TorchNetwork(Ensemble(members), SHAPE)(given)
    beside = np.concatenate(embeddings, axis=1) / np.float32(len(members))
    together = TagScorer(beside, bias, names, None).all(fused)
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(fused.fused, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(fused.gates.sum(axis=1), 1, atol=1e-5)


def test_a_tag_of_one_scene_is_learned_from_labels_of_whole_videos() -> None:
    """Two things in turn, whichever they are: a mean of both is like neither."""
    random = np.random.default_rng(0)
    things = np.eye(TAGS, 16, dtype=np.float32)
    pairs = np.stack([random.permutation(TAGS)[:2] for _ in range(600)])
    none = np.zeros((600, 1), dtype=np.float32)
    examples = Examples(
        sentence=none,
        scenes=Ragged(things[pairs.ravel()], 2 * np.arange(601)),
        bridge=none,
        sound=none,
        used=np.tile(np.array([[0, 1, 0]], dtype=np.float32), (600, 1)),
        labels=Ragged(np.sort(pairs, axis=1).ravel().astype(np.int32), 2 * np.arange(601)),
    )
    prior = np.full(TAGS, np.log(2 / TAGS), dtype=np.float32)
    names = np.zeros((TAGS, 1), dtype=np.float32)
    seen = np.arange(500)
    trained = train_network(examples, prior, names, rows=seen, seed=0, recipe=Recipe(members=1))
    rest = np.arange(500, 600)
    scores = trained.classifier.tags.all(trained.classifier.network(examples.inputs(rest)))
    best = np.sort(np.argsort(-scores, axis=1)[:, :2], axis=1)
    assert (best == np.sort(pairs[rest], axis=1)).mean() > 0.95
