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
            found[path.stem] = np.load(path, mmap_mode="r", allow_pickle=False)
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
