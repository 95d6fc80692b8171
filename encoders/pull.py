"""Fetch a profile's weights by pinned revision and checksum, from a hub or a mirror.

A hub answers ``GET {hub}/{repository}/resolve/{revision}/{path}``, perhaps with a redirect; a
mirror is a URL or a directory with the same layout. What arrives lies in ``….part`` until its
sha256 is right; a download that was cut off goes on from there (RFC 9110, Range and If-Range).

A file whose sha256 nobody has published is fetched only with ``trust_first_use``; what came is
recorded, belongs to the profile's identity from then on, and must be the same ever after.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx
from tqdm import tqdm

from encoders.errors import ProfileError
from encoders.profile import (
    HubSource,
    PackageSource,
    Profile,
    WeightFile,
    default_weights_dir,
    recorded,
)
from encoders.weights import find, locate, pulled_path, remedy, sha256_of

HUB = "https://huggingface.co"
ATTEMPTS = 5


def pull_profile(
    profile: Profile,
    *,
    mirror: str | None = None,
    dest: Path | None = None,
    trust_first_use: bool = False,
    quiet: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> list[Path]:
    """Bring every file of ``profile`` (``profile.read_profile``) here, and prove it.

    ``dest``   the weights directory, by default ``default_weights_dir()``.
    ``quiet``  no progress bar. ``pause`` waits between attempts.

    Files that lie in installed packages are only checked. Raises ProfileError.
    """
    folder = dest or default_weights_dir()
    for file in profile.files.values():
        if file.sha256 is None and not trust_first_use:
            raise ProfileError(
                f"no sha256 is known for {file.source.path} of profile {profile.name}; "
                "add --trust-first-use to record that of what is fetched now"
            )
    return [
        _pull(profile, file, folder, mirror, quiet=quiet, pause=pause)
        for file in profile.files.values()
    ]


def verify_profile(profile: Profile, *, dest: Path | None = None) -> list[Path]:
    """The paths of all files of ``profile``, proved. Raises ProfileError at the first wrong one."""
    folder = dest or default_weights_dir()
    return [locate(profile, role, folder) for role in profile.files]


def _pull(
    profile: Profile,
    file: WeightFile,
    folder: Path,
    mirror: str | None,
    *,
    quiet: bool,
    pause: Callable[[float], None],
) -> Path:
    if isinstance(file.source, PackageSource):
        return locate(profile, file.role, folder)
    target = pulled_path(profile, file, folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with _alone(part) as output:
        if (
            file.sha256 is not None
            and find(profile, file, folder) == target
            and sha256_of(target) == file.sha256
        ):
            part.unlink(missing_ok=True)
            return target
        if mirror is not None and "://" not in mirror:
            _copy(_place(mirror, file.source), output)
        else:
            url = file.source.url if mirror is None else None
            url = url or _place(mirror or HUB, file.source)
            _download(url, output, part.with_name(part.name + ".etag"), file, quiet, pause)
        digest = sha256_of(part)
        if file.sha256 is not None and digest != file.sha256:
            part.unlink()
            raise ProfileError(
                f"{file.source.path} came with another sha256 than profile {profile.name} pins; "
                f"check the mirror, then {remedy(profile, file)}"
            )
        if file.sha256 is None:
            _record(profile, file.role, digest, folder)
        os.replace(part, target)
    return target


def _place(base: str, source: HubSource) -> str:
    return f"{base.rstrip('/')}/{source.repository}/resolve/{source.revision}/{source.path}"


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """The open part file, locked against other processes that pull it."""
    while True:
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever held the lock before may have moved this very file away.
            if part.exists() and os.fstat(file.fileno()).st_ino == part.stat().st_ino:
                yield file
                return


def _copy(source: str, output: BinaryIO) -> None:
    try:
        with Path(source).open("rb") as file:
            output.truncate(0)
            shutil.copyfileobj(file, output)
            output.flush()
    except FileNotFoundError:
        raise ProfileError(f"the mirror lacks {source}; copy it there") from None


def _download(
    url: str,
    output: BinaryIO,
    tag_file: Path,
    file: WeightFile,
    quiet: bool,
    pause: Callable[[float], None],
) -> None:
    """Append to ``output`` until it is whole, going on after each interruption."""
    for attempt in range(ATTEMPTS):
        try:
            _attempt(url, output, tag_file, file, quiet)
        except (httpx.TransportError, _AgainError) as error:
            reason = str(error) or type(error).__name__
            pause(2.0**attempt)
        else:
            tag_file.unlink(missing_ok=True)
            return
    raise ProfileError(f"{url} can't be fetched ({reason}); pull again to go on from where it is")


class _AgainError(Exception):
    """The server says to try again, or ended too early."""


def _attempt(url: str, output: BinaryIO, tag_file: Path, file: WeightFile, quiet: bool) -> None:
    have = output.seek(0, os.SEEK_END)
    tag = tag_file.read_text() if tag_file.is_file() else None
    headers = {"Accept-Encoding": "identity"}
    if have and tag:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    timeout = httpx.Timeout(30.0)
    with (
        httpx.Client(follow_redirects=True, timeout=timeout) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise ProfileError(f"{url} answers another range than was asked; use another mirror")
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            output.truncate(0)
            raise _AgainError("the part file was too long")
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise _AgainError(f"HTTP {response.status_code}")
        if not response.is_success:
            raise ProfileError(
                f"{url} answers HTTP {response.status_code}; check the mirror and the revision"
            )
        if not resumed:
            output.truncate(0)
            have = 0
        # Only a strong validator may be used with If-Range.
        fresh = response.headers.get("ETag", "")
        if fresh and not fresh.startswith("W/"):
            tag_file.write_text(fresh)
        else:
            tag_file.unlink(missing_ok=True)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else file.size
        with tqdm(
            desc=file.role, total=total, initial=have, unit="B", unit_scale=True, disable=quiet
        ) as bar:
            for chunk in response.iter_raw():  # as it comes: nothing that came is lost
                have += len(chunk)
                if file.size is not None and have > file.size:
                    output.truncate(0)
                    raise ProfileError(f"{url} is longer than it should be; check the mirror")
                output.write(chunk)
                bar.update(len(chunk))
        output.flush()
        if total is not None and have < total:
            raise _AgainError("the connection ended early")


def _record(profile: Profile, role: str, digest: str, folder: Path) -> None:
    path = recorded(profile.name, folder)
    known = json.loads(path.read_bytes()) if path.is_file() else {}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(known | {role: digest}, indent=2) + "\n")
    os.replace(fresh, path)
