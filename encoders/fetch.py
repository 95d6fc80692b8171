"""From a URI to an open local file, within limits and an allow-list."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO
from urllib.parse import SplitResult

from encoders.access import Access, S3Options, named, split
from encoders.addresses import Resolver, system_resolver
from encoders.errors import MediaError, NoRoom, Refused, Unavailable, Unreadable
from encoders.fetch_file import open_file
from encoders.fetch_http import HttpFetcher, claimed_size, etag
from encoders.limits import Limits

if TYPE_CHECKING:
    from encoders.fetch_s3 import S3Fetcher

__all__ = ["Access", "Fetched", "Fetcher", "Limits", "S3Options"]

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that lies still: ``file`` is open for reading at its start."""

    file: IO[bytes]
    size: int
    digest: str


class Fetcher:
    """Fetches one file at a time for each caller. Safe to share between threads.

    ``scratch`` is where remote files go, as files without a name: nothing is left behind, not
    even by a kill. It is chosen once, so that it is not another folder when this one is full.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        scratch: Path | None = None,
        resolver: Resolver = system_resolver,
    ) -> None:
        self._limits = limits
        self._scratch = scratch or scratch_folder()
        self._http = HttpFetcher(resolver)
        self._s3: dict[S3Options | None, S3Fetcher] = {}
        self._lock = threading.Lock()

    @contextmanager
    def open(self, uri: str, access: Access, deadline: float) -> Iterator[Fetched]:
        """The file at ``uri``; ``deadline`` on the monotonic clock.

        Raises Refused, NotFound, Unreadable (an empty file) or Unavailable, each naming the URI
        without its secrets.
        """
        with named(uri):
            parts = self._allowed(uri, access)
            file, size, digest = self._fetch(uri, parts, access, deadline)
        with file:
            yield Fetched(file, size, digest)

    def fingerprint(self, uri: str, access: Access) -> str | None:
        """What changes when the file at ``uri`` does: size and time, or its ETag.

        Much cheaper than fetching it. None where the server tells nothing. Raises as ``open``.
        """
        deadline = time.monotonic() + self._limits.wall_seconds
        with named(uri):
            parts = self._allowed(uri, access)
            if parts.scheme == "file":
                with open_file(parts, access) as file:
                    status = os.fstat(file.fileno())
                return f"{status.st_size} {status.st_mtime_ns}"
            if parts.scheme == "s3":
                return self._s3_fetcher(access).etag(parts, deadline)
            try:
                with self._http.response(uri, access, deadline, "HEAD") as response:
                    return etag(response)
            except Refused:
                # A signed URI may allow GET alone. Fetching refuses, where it has to.
                return None

    def _allowed(self, uri: str, access: Access) -> SplitResult:
        parts = split(uri)
        if parts.scheme not in access.schemes:
            raise Refused(f"the scheme {parts.scheme[:20]!r} is not among the allowed schemes")
        if parts.scheme not in ("file", "http", "https", "s3"):
            raise Refused(f"the scheme {parts.scheme[:20]!r} is unknown; use file, http(s) or s3")
        return parts

    def _fetch(
        self, uri: str, parts: SplitResult, access: Access, deadline: float
    ) -> tuple[IO[bytes], int, str]:
        if parts.scheme == "file":
            file = open_file(parts, access)
            try:
                return file, *self._digest(file, deadline)
            except MediaError:
                file.close()
                raise
        copy = Copy(self._limits.fetch_bytes, self._scratch)
        try:
            if parts.scheme == "s3":
                fetcher = self._s3_fetcher(access)
                fetcher.download(parts, self._limits.fetch_bytes, deadline, copy.write)
            else:
                with self._http.response(uri, access, deadline) as response:
                    copy.expect(claimed_size(response))
                    for chunk in response.iter_stream():
                        copy.write(chunk)
            return copy.finished()
        except MediaError:
            with suppress(OSError):  # closing tries once more to write what there was no room for
                copy.file.close()
            raise

    def _digest(self, file: BinaryIO, deadline: float) -> tuple[int, str]:
        size = os.fstat(file.fileno()).st_size
        _check_size(size, self._limits.fetch_bytes)
        digest, seen = hashlib.sha256(), 0
        while chunk := file.read(_CHUNK):
            seen += len(chunk)
            _check_size(seen, self._limits.fetch_bytes)
            if time.monotonic() > deadline:
                raise Unavailable("the file can't be read in time; raise the wall-clock limit")
            digest.update(chunk)
        file.seek(0)
        _not_empty(seen)
        return seen, digest.hexdigest()

    def _s3_fetcher(self, access: Access) -> S3Fetcher:
        # Imported when first needed: it takes as long to load as everything else together.
        from encoders.fetch_s3 import s3_fetcher

        with self._lock:
            if access.s3 not in self._s3:
                self._s3[access.s3] = s3_fetcher(access)
            return self._s3[access.s3]


def scratch_folder() -> Path:
    """Where temporary files go: as Python chooses, or ``TMPDIR`` where all are full by now."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Path(os.environ.get("TMPDIR", "/tmp"))


class Copy:
    """A remote file on its way to the scratch folder, counted and digested as it comes."""

    def __init__(self, limit: int, scratch: Path) -> None:
        self._limit = limit
        self._size = 0
        self._sha256 = hashlib.sha256()
        with _scratch_errors():
            # Closed by whoever gets it, or by Fetcher where the copy fails.
            self.file: IO[bytes] = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - as just said

    def expect(self, size: int) -> None:
        _check_size(size, self._limit)

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        _check_size(self._size, self._limit)
        self._sha256.update(chunk)
        with _scratch_errors():
            self.file.write(chunk)

    def finished(self) -> tuple[IO[bytes], int, str]:
        _not_empty(self._size)
        with _scratch_errors():
            self.file.seek(0)
        return self.file, self._size, self._sha256.hexdigest()


@contextmanager
def _scratch_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoRoom(
            f"the scratch folder can't be written ({os.strerror(error.errno or 0)}); make room"
        ) from None


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise Refused(f"the file is larger than the limit of {limit} bytes")


def _not_empty(size: int) -> None:
    if size == 0:
        raise Unreadable("the file is empty")
