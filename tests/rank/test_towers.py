"""The towers: learning, missing parts, new tags, and the same answers from ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rank.export import export  # noqa: E402 - after the skip
from rank.fitting import (  # noqa: E402
    FitPlan,
    Prepared,
    as_arrays,
    fit,
    new_towers,
    prepare,
    tag_vectors,
    video_vectors,
)
from rank.negatives import NegativePlan  # noqa: E402
from rank.ranker import Ranker  # noqa: E402
from rank.tower import (  # noqa: E402
    GatedFusion,
    Moments,
    TagTower,
    Towers,
    TowerSize,
    VideoTensors,
)
from tests.rank.worlds import SHAPE, World, bert_state, silent, world  # noqa: E402

pytestmark = pytest.mark.train

SIZE = TowerSize(
    vector=24, narrow_frame=16, narrow_audio=16, clusters=4, audio_clusters=4, groups=4
)
PLAN = FitPlan(epochs=10, bert_epochs=2, batch=32, negatives=NegativePlan(20, 0.25))
TRAINED_ON = 200


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def train(seed: int = 0) -> tuple[World, Prepared, Towers]:
    small = world(240, 30)
    prepared = prepare(small.features, SHAPE, SIZE, small.word_embeddings, seed=seed)
    torch.manual_seed(seed)
    towers = new_towers(prepared, SHAPE, SIZE, bert_state(), small.names)
    rows = np.arange(TRAINED_ON)
    fit(towers, prepared, small.labels, rows, PLAN, seed=seed, progress=quiet)
    return small, prepared, towers


@pytest.fixture(scope="module")
def trained() -> tuple[World, Prepared, Towers]:
    return train()


def precision_at_3(small: World, prepared: Prepared, towers: Towers) -> float:
    """Over the videos that were not trained on."""
    with torch.no_grad():
        scores = towers.logits(video_vectors(towers, prepared), tag_vectors(towers)).numpy()
    scores = scores[TRAINED_ON:]
    top = np.argsort(-scores, axis=1)[:, :3]
    return float(np.take_along_axis(small.labels.toarray()[TRAINED_ON:], top, axis=1).mean())


def test_training_finds_the_tags_of_new_videos(trained: tuple[World, Prepared, Towers]) -> None:
    small, prepared, _ = trained
    untrained = new_towers(prepared, SHAPE, SIZE, bert_state(), small.names)
    reached = precision_at_3(*trained)
    assert reached > 0.55
    assert reached > precision_at_3(small, prepared, untrained)


def test_the_same_seed_gives_the_same_bytes(
    trained: tuple[World, Prepared, Towers], tmp_path: Path
) -> None:
    export(train()[2], SHAPE, tmp_path / "first")
    export(train()[2], SHAPE, tmp_path / "again")
    for file in sorted((tmp_path / "first").iterdir()):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


def test_onnx_gives_what_torch_gives(
    trained: tuple[World, Prepared, Towers], tmp_path: Path
) -> None:
    small, prepared, towers = trained
    export(towers, SHAPE, tmp_path)
    ranker = Ranker.load(tmp_path, small.word_embeddings)
    expected = video_vectors(towers, prepared)
    given, counted = ranker.vectors(small.features), expected.weights.numpy() > 0
    np.testing.assert_allclose(given.whole, expected.whole.numpy(), atol=1e-4)
    np.testing.assert_allclose(given.weights, expected.weights.numpy(), atol=1e-4)
    moments = expected.moments.numpy()
    np.testing.assert_allclose(given.moments[counted], moments[counted], atol=1e-4)
    np.testing.assert_allclose(ranker.tags, tag_vectors(towers).numpy(), atol=1e-3)
    with torch.no_grad():
        logits = towers.logits(expected, tag_vectors(towers)).numpy()
    np.testing.assert_allclose(ranker.all_logits(small.features), logits, atol=2e-2)


def test_a_result_does_not_depend_on_its_batch_mates(
    trained: tuple[World, Prepared, Towers], tmp_path: Path
) -> None:
    small, _, towers = trained
    export(towers, SHAPE, tmp_path)
    ranker = Ranker.load(tmp_path, small.word_embeddings)
    batch = [silent(small.features[0]), *small.features[1:9]]
    together = ranker.vectors(batch)
    for row, features in enumerate(batch):
        for alone, beside in zip(ranker.vectors([features]), together, strict=True):
            np.testing.assert_allclose(alone[0], beside[row], atol=1e-5)


def test_a_video_without_words_and_sound_still_has_a_vector(
    trained: tuple[World, Prepared, Towers], tmp_path: Path
) -> None:
    small, _, towers = trained
    export(towers, SHAPE, tmp_path)
    ranker = Ranker.load(tmp_path, small.word_embeddings)
    vectors = ranker.vectors([silent(small.features[0])])
    assert np.linalg.norm(vectors.whole[0]) == pytest.approx(1, abs=1e-3)


def test_a_tag_that_was_never_trained_scores_from_its_name() -> None:
    names = torch.nn.functional.normalize(torch.randn(4, 12), dim=-1)
    tower = TagTower(names, 12, dropout=0.2).eval()
    vectors = tower.all()
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(4), atol=1e-5)
    with torch.no_grad():
        tower.learned.weight[0] = torch.randn(12)
    changed = tower.all()
    assert not torch.allclose(changed[0], vectors[0])
    assert torch.allclose(changed[1:], vectors[1:])


def test_a_moment_is_evidence_of_its_tag_and_none_of_the_others(
    trained: tuple[World, Prepared, Towers],
) -> None:
    _, prepared, towers = trained
    tags = tag_vectors(towers)
    videos = VideoTensors(*(part[:1] for part in video_vectors(towers, prepared)))
    seen = VideoTensors(
        videos.whole,
        torch.cat([videos.moments, tags[None, :1]], dim=1),
        torch.cat([videos.weights, torch.ones(1, 1)], dim=1),
    )
    with torch.no_grad():
        gain = (towers.logits(seen, tags) - towers.logits(videos, tags))[0]
    assert (gain >= 0).all()
    assert gain.argmax() == 0


def test_a_scene_counts_once_however_long_it_is_shown() -> None:
    moments = Moments(6, 4, dropout=0.0).eval()
    scenes = torch.randn(1, 2, 6)
    shown = torch.cat([scenes[:, :1].expand(-1, 3, -1), scenes[:, 1:]], dim=1)
    padded = torch.cat([shown, torch.zeros(1, 2, 6)], dim=1)
    with torch.no_grad():
        vectors, weights = moments(padded, torch.tensor([[1.0, 1, 1, 1, 0, 0]]))
        alone, _ = moments(scenes, torch.ones(1, 2))
    assert weights[0].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1, 0, 0])
    assert torch.allclose(vectors[0, [0, 3]], alone[0], atol=1e-5)


def test_padding_says_nothing(trained: tuple[World, Prepared, Towers]) -> None:
    _, prepared, towers = trained
    tags, videos = tag_vectors(towers), video_vectors(towers, prepared)
    anything = torch.randn(len(videos.moments), 3, videos.moments.shape[2])
    anything = torch.nn.functional.normalize(anything, dim=-1)
    padded = VideoTensors(
        videos.whole,
        torch.cat([videos.moments, anything], dim=1),
        torch.nn.functional.pad(videos.weights, (0, 3)),
    )
    with torch.no_grad():
        plain, wide = towers.logits(videos, tags), towers.logits(padded, tags)
    assert torch.allclose(plain, wide, atol=1e-4)


def test_numpy_reckons_the_evidence_as_torch_does(trained: tuple[World, Prepared, Towers]) -> None:
    _, prepared, towers = trained
    tags, videos = tag_vectors(towers), video_vectors(towers, prepared)
    with torch.no_grad():
        wanted = towers.logits(videos, tags).numpy()
    every = np.broadcast_to(tags.numpy(), (len(wanted), *tags.shape))
    np.testing.assert_allclose(
        towers.evidence().logits(as_arrays(videos), every), wanted, atol=1e-4
    )


def test_the_fusions_weights_ignore_what_is_missing() -> None:
    fusion = GatedFusion(8, 3, dropout=0.5, hidden_dropout=0.0).eval()
    parts, present = torch.randn(2, 3, 8), torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    weights = fusion.weights(parts * present.unsqueeze(-1), present)
    assert torch.allclose(weights.sum(dim=1), torch.ones(2), atol=1e-5)
    assert weights[0, 1] == 0
    assert weights[1].tolist() == pytest.approx([0, 1, 0])
    other = parts.clone()
    other[0, 1] += 100
    assert torch.allclose(fusion(parts, present), fusion(other, present))


def test_modality_dropout_never_drops_the_last_part() -> None:
    fusion = GatedFusion(8, 3, dropout=0.9, hidden_dropout=0.0).train()
    present = torch.tensor([[1.0, 0.0, 1.0]]).repeat(200, 1)
    dropped = fusion._dropped(present)
    assert (dropped.sum(dim=1) >= 1).all()
    assert not dropped[:, 1].any()
    assert dropped.sum() < present.sum()
