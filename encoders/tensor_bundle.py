"""Read a TensorFlow checkpoint into numpy, without TensorFlow.

It is two files: an index, a sorted string table of LevelDB whose values are protocol buffers
(``BundleEntryProto``: where a tensor lies), and the tensors' bytes. Formats: LevelDB's
``table_format.md``; TensorFlow's ``tensor_bundle.proto``. Only what a checkpoint of one shard
needs is understood; arrays are views of the memory-mapped file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.checkpoint import Array, array_of
from encoders.errors import ProfileError

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
FLOAT = 1  # DT_FLOAT; counters of other kinds are left out
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"  # of every variable that Keras saves


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a tensor lies in the data file."""

    kind: int = 0
    shape: tuple[int, ...] = ()
    offset: int = 0
    size: int = 0


def read_tensor_bundle(index: Path, data: Path) -> dict[str, Array]:
    """Every float32 tensor by its path in the model, dots between its parts.

    Raises ProfileError where ``index`` is no index, or points outside ``data``.
    """
    try:
        content = np.memmap(data, np.uint8, "r")
        entries = dict(_entries(index.read_bytes()))
        return {
            name.removesuffix(SUFFIX).replace("/", "."): _tensor(content, entry)
            for name, entry in entries.items()
            if entry.kind == FLOAT
        }
    except (ValueError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise ProfileError(f"{index} is no checkpoint that can be read: {error}") from error


def _tensor(content: npt.NDArray[np.uint8], entry: _Entry) -> Array:
    if entry.offset + entry.size > len(content):
        raise ValueError("a tensor lies outside its file")
    raw = content[entry.offset : entry.offset + entry.size]
    return array_of(raw, np.dtype("<f4")).reshape(entry.shape)


def _entries(table: bytes) -> Iterator[tuple[str, _Entry]]:
    """Names and places, in the order of the table; the header, whose key is empty, left out."""
    footer = table[-FOOTER:]
    if len(footer) < FOOTER or struct.unpack("<Q", footer[-8:]) != (MAGIC,):
        raise ValueError("it is no table")
    at = 0
    for _ in range(2):  # the metaindex is not needed
        _, at = _varint(footer, at)
    for _, handle in _block(table, *_pair(footer[at:])):
        for key, value in _block(table, *_pair(handle)):
            if key:
                yield key.decode(), _entry(value)


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block; each key says how much it shares with the one before."""
    block, compression = table[offset : offset + size], table[offset + size]
    if compression:
        raise ValueError("its blocks are compressed")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length


def _entry(message: bytes) -> _Entry:
    kind = offset = size = 0
    shape: tuple[int, ...] = ()
    for field, value in _fields(message):
        if isinstance(value, bytes):
            if field == 2:
                shape = tuple(_dimensions(value))
        elif field == 1:
            kind = value
        elif field == 3 and value:
            raise ValueError("it has more than one shard")
        elif field == 4:
            offset = value
        elif field == 5:
            size = value
    return _Entry(kind, shape, offset, size)


def _dimensions(message: bytes) -> Iterator[int]:
    for field, dimension in _fields(message):
        if field == 2 and isinstance(dimension, bytes):
            sizes = [size for each, size in _fields(dimension) if each == 1]
            yield int(sizes[0]) if sizes else 0


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protocol buffer: numbers and bytes; fixed-width ones count as bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == 0:
            number, at = _varint(message, at)
            yield tag >> 3, number
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError("it is damaged")
        yield tag >> 3, message[at : at + length]
        at += length


def _pair(content: bytes) -> tuple[int, int]:
    """A block handle: offset and size."""
    offset, at = _varint(content, 0)
    size, _ = _varint(content, at)
    return offset, size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, seven bits a byte, and where it ends."""
    number = shift = 0
    while True:
        byte = content[at]
        number |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return number, at
        shift += 7
