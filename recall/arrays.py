"""Named arrays in one folder, an ``.npy`` file each, memory-mapped when read.

All processes of a machine that read the same folder share its pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError

Array = npt.NDArray[Any]

_BLOCK = 32


def write_arrays(folder: Path, arrays: Mapping[str, Array]) -> None:
    """Write each array as ``folder/NAME.npy``; float64 is never kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        kept = array.astype(np.float32) if array.dtype == np.float64 else array
        np.save(folder / f"{name}.npy", np.ascontiguousarray(kept), allow_pickle=False)


def read_arrays(folder: Path) -> dict[str, Array]:
    """Map every array of a folder; raises BundleError where one is damaged or there is none."""
    found: dict[str, Array] = {}
    for path in sorted(folder.glob("*.npy")):
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            found[path.stem] = np.asarray(mapped)  # the same pages, without memmap's slow slices
        except ValueError:
            found[path.stem] = _empty(path)
        except (OSError, EOFError) as error:
            raise BundleError(f"{path} can't be read ({error}); build the bundle again") from error
    if not found:
        raise BundleError(f"{folder} holds no arrays; build the bundle again")
    return found


def _empty(path: Path) -> Array:
    """An array without items can't be mapped; read it instead."""
    try:
        array: Array = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise BundleError(f"{path} can't be read ({error}); build the bundle again") from error
    return array


def texts_to_bytes(texts: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Pack texts (none with a line break) into bytes, one a line."""
    return np.frombuffer("\n".join(texts).encode(), dtype=np.uint8)


def bytes_to_texts(packed: Array, count: int) -> tuple[str, ...]:
    """Unpack what :func:`texts_to_bytes` packed."""
    return tuple(bytes(packed).decode().split("\n")) if count else ()


def narrow(numbers: npt.NDArray[np.int32], below: int) -> Array:
    """Numbers from 0 to ``below`` - 1 in the fewest bytes: 16 bits where those do."""
    return numbers.astype(np.uint16) if below <= 1 << 16 else numbers


def pack_rows(name: str, rows: npt.NDArray[np.float32], *, bits: int) -> dict[str, Array]:
    """Rows at 4 or 8 bits a number, for :func:`unpack_rows`.

    Every _BLOCK numbers have their own scale, itself a half-precision share of the row's. At 4 bits
    two numbers share a byte: those of the row's first half are the low bits.
    """
    most = 2 ** (bits - 1) - 1
    count, width = rows.shape
    wide = width + -width % (2 * _BLOCK)
    padded = np.pad(rows, ((0, 0), (0, wide - width)))
    blocks = padded.reshape(count, wide // _BLOCK, _BLOCK)
    greatest = np.abs(blocks).max(axis=2, initial=0.0)
    row_scale = np.maximum(greatest.max(axis=1, initial=0.0), 1e-30)[:, None]
    share = (greatest / row_scale).astype(np.float16)
    step = np.maximum(share.astype(np.float32) * row_scale / most, 1e-37)[:, :, None]
    numbers = np.clip(np.rint(blocks / step), -most, most).astype(np.int8).reshape(count, wide)
    if bits == 4:
        low, high = np.split(numbers.view(np.uint8) & 15, 2, axis=1)
        numbers = low | high << 4
    return {
        name: numbers,
        f"{name}_shares": share,
        f"{name}_scales": row_scale.astype(np.float32) / most,
        f"{name}_width": np.asarray([width]),
    }


def unpack_rows(name: str, arrays: Mapping[str, Array]) -> npt.NDArray[np.float32]:
    """The rows that :func:`pack_rows` packed; or, of older bundles, kept in half precision."""
    numbers = arrays[name]
    if numbers.dtype == np.float16:
        return numbers.astype(np.float32)
    if numbers.dtype == np.uint8:
        numbers = np.concatenate([numbers << 4, numbers & 0xF0], axis=1).view(np.int8) >> 4
    step = arrays[f"{name}_shares"].astype(np.float32) * arrays[f"{name}_scales"]
    blocks = numbers.reshape(*step.shape, _BLOCK) * step[:, :, None]
    width = int(arrays[f"{name}_width"][0])
    return np.ascontiguousarray(blocks.reshape(numbers.shape)[:, :width])
