"""TensorFlow's checkpoints are read without TensorFlow."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import ProfileError
from encoders.profile import Profile
from encoders.tensor_bundle import read_tensor_bundle
from encoders.weights import default_weights_dir, locate, read_weights


@pytest.fixture(scope="module")
def files(profile: Profile) -> tuple[Path, Path]:
    """A published index and its data."""
    folder = default_weights_dir()
    return locate(profile, "music_index", folder), locate(profile, "music", folder)


def test_tensors_are_views_of_the_file_under_dotted_names(profile: Profile) -> None:
    tensors = read_weights(profile, "audio", default_weights_dir())
    kernel = tensors["layer-1.layer._func._yamnet.layer_with_weights-0.kernel"]
    assert kernel.shape == (3, 3, 1, 32)
    assert not kernel.flags.owndata
    assert not kernel.flags.writeable
    assert np.isfinite(kernel).all()


def test_every_float_of_the_data_is_read(files: tuple[Path, Path]) -> None:
    tensors = read_tensor_bundle(*files)
    assert sum(tensor.nbytes for tensor in tensors.values()) == files[1].stat().st_size
    assert tensors["conv2d.kernel"].shape == (7, 38, 1, 204)
    assert tensors["beta1_power"].shape == ()


@pytest.mark.parametrize("content", [b"", b"\0" * 47, b"\0" * 48, b"GIF89a" * 20])
def test_anything_else_is_no_index(
    tmp_path: Path, files: tuple[Path, Path], content: bytes
) -> None:
    index = tmp_path / "x.index"
    index.write_bytes(content)
    with pytest.raises(ProfileError, match=r"x\.index"):
        read_tensor_bundle(index, files[1])


def test_data_cut_off_is_refused(tmp_path: Path, files: tuple[Path, Path]) -> None:
    data = tmp_path / "x.data"
    data.write_bytes(files[1].read_bytes()[:-4])
    with pytest.raises(ProfileError, match="outside its file"):
        read_tensor_bundle(files[0], data)


@given(place=st.integers(0, 4000), byte=st.integers(0, 255))
def test_a_damaged_index_is_refused_or_read(
    files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    content = bytearray(files[0].read_bytes())
    content[place] = byte
    index = tmp_path_factory.getbasetemp() / "damaged.index"
    index.write_bytes(content)
    try:
        tensors = read_tensor_bundle(index, files[1])
    except ProfileError:
        return
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())


def test_compressed_blocks_are_refused(tmp_path: Path, files: tuple[Path, Path]) -> None:
    """A table of one empty block whose compression byte says snappy."""
    block = struct.pack("<II", 0, 1)
    handle = bytes([0, len(block)])
    footer = (handle * 2).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    index = tmp_path / "x.index"
    index.write_bytes(block + b"\1" + bytes(4) + footer)
    with pytest.raises(ProfileError, match="compressed"):
        read_tensor_bundle(index, files[1])
