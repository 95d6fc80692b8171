"""Read a published checkpoint (safetensors, or torch's two formats) into numpy, without torch.

Nothing of the file is executed: a torch checkpoint is raw arrays and a pickle, and the pickle may
name only the few classes below. Arrays are views of the memory-mapped file, so every process that
reads the same file shares its pages; only those that lie unaligned are copied.

Formats: safetensors (https://huggingface.co/docs/safetensors), torch's zip of 2020 and the
sequence of pickles before it (``torch.save``, ``_use_new_zipfile_serialization``).
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.errors import ProfileError

Array = npt.NDArray[np.generic]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STORAGES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "BoolStorage": np.dtype("?"),
}
SAFETENSORS: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "BOOL": np.dtype("?"),
}


def read_checkpoint(path: Path) -> dict[str, Array]:
    """Every tensor of a checkpoint by its name. Raises ProfileError for any other file."""
    try:
        content = np.memmap(path, np.uint8, "r")
        if bytes(content[:4]) == b"PK\x03\x04":
            return _read_zip(path, content)
        if bytes(content[:1]) == b"\x80":
            return _read_legacy(path, content)
        return parse_safetensors(content)
    except (ValueError, KeyError, TypeError, EOFError, struct.error, zipfile.BadZipFile) as error:
        raise ProfileError(f"{path} is no checkpoint that can be read: {error}") from error
    except pickle.UnpicklingError as error:
        raise ProfileError(f"{path} is refused: {error}") from error


def parse_safetensors(content: npt.NDArray[np.uint8]) -> dict[str, Array]:
    """The tensors of a safetensors file's bytes. Raises ValueError or KeyError for others."""
    (length,) = struct.unpack("<Q", bytes(content[:8]))
    header = json.loads(bytes(content[8 : 8 + length]))
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            raw = content[8 + length + start : 8 + length + end]
            tensors[name] = array_of(raw, SAFETENSORS[entry["dtype"]]).reshape(entry["shape"])
    return tensors


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor as the pickle tells it, before its storage has been found."""

    storage: str
    kind: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def inside(self, raw: npt.NDArray[np.uint8]) -> Array:
        storage = array_of(raw, self.kind)
        size = self.kind.itemsize
        count = 1 + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if self.offset < 0 or min(self.strides, default=0) < 0:
            raise ValueError("a tensor lies outside its storage")
        if 0 in self.shape:
            return np.empty(self.shape, self.kind)
        if self.offset + count > storage.size:
            raise ValueError("a tensor lies outside its storage")
        view = np.lib.stride_tricks.as_strided(
            storage[self.offset :], self.shape, [s * size for s in self.strides], writeable=False
        )
        return np.require(view, requirements=["C_CONTIGUOUS"])


def _read_zip(path: Path, content: npt.NDArray[np.uint8]) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
            raise ValueError("it is not little-endian")
        described = _tensors(_Unpickler(io.BytesIO(archive.read(entries["data.pkl"]))).load())
    storages = {}
    for key, info in entries.items():
        if key.startswith("data/"):
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its arrays are compressed")
            name, extra = struct.unpack_from("<HH", content.data, info.header_offset + 26)
            start = info.header_offset + 30 + name + extra
            storages[key.removeprefix("data/")] = content[start : start + info.file_size]
    return {name: tensor.inside(storages[tensor.storage]) for name, tensor in described.items()}


def _read_legacy(path: Path, content: npt.NDArray[np.uint8]) -> dict[str, Array]:
    with path.open("rb") as file:
        if _Unpickler(file).load() != LEGACY_MAGIC:
            raise ValueError("it is a pickle, but not one of torch's")
        _version, _system = _Unpickler(file).load(), _Unpickler(file).load()
        described = _tensors(_Unpickler(file).load())
        keys = _Unpickler(file).load()
        position = file.tell()
    kinds = {tensor.storage: tensor.kind for tensor in described.values()}
    storages = {}
    for key in keys:
        (count,) = struct.unpack("<q", bytes(content[position : position + 8]))
        end = position + 8 + count * kinds[key].itemsize
        storages[key] = content[position + 8 : end]
        position = end
    return {name: tensor.inside(storages[tensor.storage]) for name, tensor in described.items()}


def _tensors(loaded: object) -> dict[str, _Tensor]:
    """The state dict of a checkpoint, which may come with a note beside it, as a tuple."""
    state = loaded[0] if isinstance(loaded, tuple) and loaded else loaded
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping):
        raise ValueError("it holds no state dict")
    return {str(name): value for name, value in state.items() if isinstance(value, _Tensor)}


def array_of(raw: npt.NDArray[np.uint8], kind: np.dtype[Any]) -> Array:
    """Bytes of a file as numbers: a view, or a copy where they lie unaligned."""
    return np.require(raw.view(kind), requirements=["C_CONTIGUOUS", "ALIGNED"])


class _Unpickler(pickle.Unpickler):
    """A pickle reader that knows only what a state dict needs, and calls nothing else."""

    def find_class(self, module: str, name: str) -> object:
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        found = ALLOWED.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no weights need")
        return found

    def persistent_load(self, pid: object) -> tuple[str, np.dtype[Any]]:
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise pickle.UnpicklingError("it refers to something that is no storage")
        if not isinstance(pid[1], np.dtype) or (len(pid) > 5 and pid[5] is not None):
            raise pickle.UnpicklingError("it holds a storage of an unknown kind")
        return str(pid[2]), pid[1]


def _rebuild_tensor(
    storage: tuple[str, np.dtype[Any]],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_rest: object,
) -> _Tensor:
    return _Tensor(storage[0], storage[1], int(offset), tuple(shape), tuple(strides))


def _first(value: object, *_rest: object) -> object:
    return value


def _nothing(*_arguments: object) -> None:
    """Stands for what lies beside the weights: numpy scalars that count classes."""


class _Inert:
    """A numpy dtype in a pickle: taken, never used."""

    def __init__(self, *_arguments: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...


ALLOWED: Mapping[tuple[str, str], type | Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("numpy.core.multiarray", "scalar"): _nothing,
    ("numpy._core.multiarray", "scalar"): _nothing,
    ("numpy", "dtype"): _Inert,
    ("_codecs", "encode"): _nothing,
}
