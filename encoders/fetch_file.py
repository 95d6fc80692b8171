"""``file://`` URIs: regular files under the allowed folders, and nothing else."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote

from encoders.access import Access
from encoders.errors import NotFound, Refused, Unavailable

_REFUSED = frozenset({errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO})
_NOT_FOUND = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


def open_file(parts: SplitResult, access: Access) -> BinaryIO:
    """The file that a ``file://`` URI names, open for reading.

    Links are resolved first; then every folder is opened without following links, from the
    allowed folder downwards, so that what was checked is what is read. Raises Refused for
    anything outside the allowed folders and anything but a regular file, NotFound, Unavailable.
    """
    path = Path(os.path.realpath(_path(parts)))
    for allowed in access.paths:
        root = Path(os.path.realpath(allowed))
        if path != root and path.is_relative_to(root):
            try:
                return _open_below(root, path.relative_to(root).parts)
            except OSError as error:
                raise _translated(error) from None
    raise Refused("the file lies outside the allowed folders; add its folder to the allowed paths")


def _path(parts: SplitResult) -> str:
    if parts.netloc not in ("", "localhost"):
        raise Refused("a file URI may not name another host; write file:///folder/name")
    path = unquote(parts.path)
    if parts.query or parts.fragment or "\x00" in path or not path.startswith("/"):
        raise Refused("a file URI must hold one absolute path, with ? and # written %3F and %23")
    return path


def _open_below(root: Path, names: tuple[str, ...]) -> BinaryIO:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in names[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            inner = os.open(name, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Looked at before it is opened: opening a pipe or a device can already change it.
        _only_regular(os.stat(names[-1], dir_fd=folder, follow_symlinks=False))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(names[-1], flags, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        _only_regular(os.fstat(file))
    except Refused:
        os.close(file)
        raise
    return os.fdopen(file, "rb", buffering=0)


def _only_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Refused("the path is a link, pipe, device or folder; name a regular file")


def _translated(error: OSError) -> NotFound | Refused | Unavailable:
    if error.errno in _NOT_FOUND:
        return NotFound("there is no such file; check the path")
    if error.errno in _REFUSED:
        return Refused("the file may not be read; check its permissions")
    return Unavailable(f"the file can't be opened ({os.strerror(error.errno or 0)}); try again")
