"""Bytes by key, in a directory or an object store. A key is a path of plain names."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from encoders.errors import StoreError


class Blobs(Protocol):
    """What a feature store keeps its records in; thread-safe, and safe between processes.

    Both methods raise StoreError where the store can't be reached or written.
    """

    def get(self, key: str) -> bytes | None:
        """The bytes of ``key``, whole, or None."""

    def put(self, key: str, content: bytes) -> None:
        """Keep ``content``: whoever reads ``key`` sees all of it or nothing."""


class DirectoryBlobs:
    """A file a key. A kill while writing leaves a file whose name starts with a dot, no more."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, key: str) -> bytes | None:
        with _translated(str(self._root)):
            try:
                return (self._root / key).read_bytes()
            except FileNotFoundError:
                return None

    def put(self, key: str, content: bytes) -> None:
        path = self._root / key
        with _translated(str(self._root)):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                os.replace(name, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)
                raise


class ObjectBlobs:
    """An object a key, under a URL that fsspec knows, such as ``s3://bucket/prefix``."""

    def __init__(self, url: str, **options: Any) -> None:
        # Slow to load, and needed for object stores only.
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # no types
        from fsspec.core import url_to_fs

        self._failures: tuple[type[Exception], ...] = (OSError, BotoCoreError)
        self._url = url
        self._files, self._root = url_to_fs(url, use_listings_cache=False, **options)

    def get(self, key: str) -> bytes | None:
        with _translated(self._url, self._failures):
            try:
                content: bytes = self._files.cat_file(f"{self._root}/{key}")
            except FileNotFoundError:
                return None
            return content

    def put(self, key: str, content: bytes) -> None:
        with _translated(self._url, self._failures):
            self._files.pipe_file(f"{self._root}/{key}", content)


def open_blobs(location: str | Path, **options: Any) -> Blobs:
    """A directory's path, or an object store's URL with fsspec's ``options`` for it."""
    if "://" in str(location) and not str(location).startswith("file://"):
        return ObjectBlobs(str(location), **options)
    return DirectoryBlobs(Path(str(location).removeprefix("file://")))


@contextmanager
def _translated(place: str, failures: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    try:
        yield
    except failures as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number) if number else type(error).__name__
        raise StoreError(f"the feature store {place} can't be used ({reason})") from error
