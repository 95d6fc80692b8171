"""What is seen or heard, in the space of names: the likeliest classes' names, weighted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from encoders.features import F32
from encoders.frame import ClassBridge

AXES = {"dog": 0, "cat": 1, "rain": 2}


def sentences(names: Sequence[str]) -> F32:
    """Each name an axis of its own; none for an empty one."""
    return np.stack([np.eye(4, dtype=np.float32)[AXES.get(name, 3)] for name in names])


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    path = tmp_path / "classes.txt"
    path.write_text("dog\n\ncat\nrain\n")
    return path


def test_the_likeliest_names_count_by_their_chances(classes: Path) -> None:
    found = ClassBridge(classes, 2, sentences).of(np.array([0.6, 0.0, 0.3, 0.1], np.float32))
    np.testing.assert_allclose(found, np.array([2, 1, 0, 0]) / np.sqrt(5), atol=1e-6)


def test_a_class_without_a_name_says_nothing(classes: Path) -> None:
    found = ClassBridge(classes, 2, sentences).of(np.array([0.2, 0.9, 0.1, 0.0], np.float32))
    np.testing.assert_allclose(found, np.array([2, 1, 0, 0]) / np.sqrt(5), atol=1e-6)


def test_pictures_chances_are_the_mean_of_their_frames(classes: Path) -> None:
    sure = np.array([[9.0, -9, -9, -9], [-9, -9, -9, 9.0]], np.float32)
    found = ClassBridge(classes, 2, sentences)(np.zeros((2, 8), np.float32), sure)
    np.testing.assert_allclose(found, np.array([1, 0, 1, 0]) / np.sqrt(2), atol=1e-6)
