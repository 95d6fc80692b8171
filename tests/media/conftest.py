"""What the tests of media share: one reader, and leave to read this test's folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from encoders.features import Media
from encoders.fetch import Access, Limits
from encoders.limits import FrameSpec, SoundSpec
from encoders.sandbox import MediaReader
from tests.media.hostile import bomb

FRAMES = FrameSpec(count=8, size=64)
SOUND = SoundSpec(rate=16000, max_seconds=6.0, window_seconds=1.0)

Read = Callable[[Path], Media]


@pytest.fixture(scope="session")
def reader() -> Iterator[MediaReader]:
    """Two decode children with the limits of a small machine."""
    limits = Limits(wall_seconds=20, memory_bytes=512 * 1024 * 1024, pixels=4096 * 4096)
    with MediaReader(limits, FRAMES, SOUND, children=2) as reader:
        yield reader


@pytest.fixture
def access(tmp_path: Path) -> Access:
    """Only files of this test."""
    return Access(schemes=frozenset({"file"}), paths=(tmp_path,))


@pytest.fixture
def read(reader: MediaReader, access: Access) -> Read:
    """Read one file of this test."""
    return lambda path: reader.read(path.as_uri(), access)


@pytest.fixture(scope="session")
def one_bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty gigabytes of pixels in 8 MB: each frame of 5,000 x 5,000 takes a tenth of a second."""
    return bomb(tmp_path_factory.mktemp("bomb") / "bomb.gif", 5000, 400)


@pytest.fixture
def endless(one_bomb: Path, tmp_path: Path) -> Path:
    """The bomb, where this test may read it: it takes far longer than any limit of time."""
    return Path(shutil.copy(one_bomb, tmp_path))
