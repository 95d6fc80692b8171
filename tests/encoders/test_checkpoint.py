"""Published checkpoints are read without torch, and nothing in them is run."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from encoders.checkpoint import read_checkpoint
from encoders.errors import ProfileError
from encoders.profile import Profile
from encoders.weights import default_weights_dir, locate


class Evil:
    """What a hostile pickle would do."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


def test_a_pickle_that_asks_for_anything_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(OrderedDict(weight=Evil()), 2))
    with pytest.raises(ProfileError, match=r"asks for __builtin__\.print"):
        read_checkpoint(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x02.", b"\x80\x02K\x01.", b"GIF89a" * 9, b"\0" * 64]
)
def test_anything_else_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=r"x\.pth"):
        read_checkpoint(path)


def test_arrays_are_views_of_the_file(profile: Profile) -> None:
    tensors = read_checkpoint(locate(profile, "sentence", default_weights_dir()))
    table = tensors["embeddings.word_embeddings.weight"]
    assert table.shape == (30522, 384)
    assert not table.flags.owndata
    assert not table.flags.writeable


@pytest.mark.train
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_torch_checkpoints_read_as_torch_reads_them(tmp_path: Path, legacy: bool) -> None:
    import torch

    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "plain": base,
        "turned": base.t(),
        "part": base[1:3, 2:],
        "half": torch.ones(3, dtype=torch.float16),
        "count": torch.tensor(7),
        "none": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(torch.randn(5)),
    }
    path = tmp_path / "weights.pth"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    tensors = read_checkpoint(path)
    assert set(tensors) == set(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(tensors[name], tensor.detach().numpy(), err_msg=name)
        assert tensors[name].shape == tuple(tensor.shape)


@pytest.mark.train
def test_safetensors_read_as_their_library_reads_them(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {"a": torch.randn(3, 4), "b": torch.arange(5), "c": torch.tensor(1.5)}
    save_file(state, tmp_path / "x.safetensors", metadata={"format": "pt"})
    tensors = read_checkpoint(tmp_path / "x.safetensors")
    for name, tensor in state.items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy())


@pytest.mark.train
def test_a_checkpoint_cut_off_is_refused(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "weights.pth"
    torch.save({"a": torch.randn(100)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ProfileError):
        read_checkpoint(path)
