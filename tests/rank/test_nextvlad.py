"""NeXtVLAD against the paper's equations, written out in loops."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from rank.nextvlad import NeXtVLAD  # noqa: E402 - after the skip

pytestmark = pytest.mark.train


def by_the_paper(layer: NeXtVLAD, frames: npt.NDArray[np.float32]) -> np.ndarray:
    """One video's descriptor: v_jk = Σ_i Σ_g α_g(ẋ_i) α_gk(ẋ_i) (x̃^g_ij - c_kj), normalised."""
    weight = {name: value.detach().double().numpy() for name, value in layer.named_parameters()}
    groups, clusters, width = layer.groups, layer.clusters, layer.width
    descriptor = np.zeros((clusters, width))
    for x in frames.astype(np.float64):
        expanded = weight["expand.weight"] @ x + weight["expand.bias"]
        attention = weight["attend.weight"] @ expanded + weight["attend.bias"]
        assignment = weight["assign.weight"] @ expanded + weight["assign.bias"]
        for g in range(groups):
            alpha_g = 1 / (1 + np.exp(-attention[g]))
            scores = np.exp(assignment[g * clusters : (g + 1) * clusters])
            part = expanded[g * width : (g + 1) * width]
            for k in range(clusters):
                alpha_gk = scores[k] / scores.sum()
                for j in range(width):
                    centre = weight["centres"][k, j]
                    descriptor[k, j] += alpha_g * alpha_gk * (part[j] - centre)
    unit = descriptor / np.linalg.norm(descriptor, axis=1, keepdims=True)
    return np.asarray(unit.ravel(), np.float64)


@pytest.fixture(scope="module")
def layer() -> NeXtVLAD:
    torch.manual_seed(1)
    return NeXtVLAD(6, clusters=5, groups=3, expansion=2)


@settings(deadline=None, max_examples=25)
@given(length=st.integers(1, 6), padding=st.integers(0, 4), seed=st.integers(0, 1000))
def test_equals_the_papers_equations_whatever_the_padding(
    length: int, padding: int, seed: int
) -> None:
    torch.manual_seed(1)
    layer = NeXtVLAD(6, clusters=5, groups=3, expansion=2)
    random = np.random.default_rng(seed)
    frames = random.normal(size=(length + padding, 6)).astype(np.float32)
    mask = np.zeros(length + padding, np.float32)
    mask[:length] = 1
    with torch.no_grad():
        ours = layer(torch.from_numpy(frames[None]), torch.from_numpy(mask[None]))[0].numpy()
    np.testing.assert_allclose(ours, by_the_paper(layer, frames[:length]), atol=2e-5)


def test_the_order_of_frames_does_not_matter(layer: NeXtVLAD) -> None:
    frames = torch.randn(1, 4, 6)
    mask = torch.ones(1, 4)
    assert torch.allclose(layer(frames, mask), layer(frames.flip(1), mask), atol=1e-5)


def test_a_video_without_frames_gives_zeros(layer: NeXtVLAD) -> None:
    assert not layer(torch.randn(2, 4, 6), torch.zeros(2, 4)).any()


def test_every_cluster_has_unit_length(layer: NeXtVLAD) -> None:
    parts = layer(torch.randn(2, 4, 6), torch.ones(2, 4)).reshape(2, 5, layer.width)
    assert torch.allclose(parts.norm(dim=-1), torch.ones(2, 5), atol=1e-4)


def test_groups_must_split_the_expanded_dimensions() -> None:
    with pytest.raises(ValueError, match="do not split"):
        NeXtVLAD(5, clusters=2, groups=3)
