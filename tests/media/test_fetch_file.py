"""file:// URIs: regular files under the allowed folders, and nothing else."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from encoders.errors import MediaError, NotFound, Refused, Unavailable, Unreadable
from encoders.fetch import Access, Fetcher, Limits

FETCHER = Fetcher(Limits(fetch_bytes=10_000))


def fetch(uri: str, access: Access) -> bytes:
    with FETCHER.open(uri, access, time.monotonic() + 5) as fetched:
        content = fetched.file.read()
    assert fetched.size == len(content)
    assert fetched.digest == hashlib.sha256(content).hexdigest()
    return content


@pytest.fixture
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("elsewhere") / "secret.mp4"
    path.write_bytes(b"secret")
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a b%c?d#e.mp4", "ü☃.mp4", "deep/er/a.mp4"])
def test_a_file_under_an_allowed_folder_is_read(name: str, tmp_path: Path, access: Access) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")
    assert fetch(path.as_uri(), access) == b"content"
    assert fetch(path.as_uri().replace("file://", "file://localhost"), access) == b"content"


def test_links_within_the_folder_are_followed(tmp_path: Path, access: Access) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.mp4").write_bytes(b"content")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link.mp4").symlink_to("folder/a.mp4")
    assert fetch((tmp_path / "link.mp4").as_uri(), access) == b"content"
    assert fetch((tmp_path / "folder" / "a.mp4").as_uri(), access) == b"content"


def test_the_allowed_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.mp4").write_bytes(b"content")
    (tmp_path / "alias").symlink_to("real")
    access = Access(frozenset({"file"}), (tmp_path / "alias",))
    assert fetch((tmp_path / "alias" / "a.mp4").as_uri(), access) == b"content"
    assert fetch((tmp_path / "real" / "a.mp4").as_uri(), access) == b"content"


def test_whatever_leads_outside_is_refused(tmp_path: Path, access: Access, secret: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(secret)
    (tmp_path / "folder").symlink_to(secret.parent)
    beside = Path(f"{tmp_path}-beside.mp4")
    beside.write_bytes(b"secret")
    for uri in (
        secret.as_uri(),
        (tmp_path / "link.mp4").as_uri(),
        (tmp_path / "folder" / "secret.mp4").as_uri(),
        f"file://{tmp_path}/../{secret.parent.name}/{secret.name}",
        f"file://{tmp_path}/%2e%2e/{secret.parent.name}/{secret.name}",
        f"file://{tmp_path}/..%2f{secret.parent.name}%2f{secret.name}",
        beside.as_uri(),
        "file:///etc/passwd",
        "file:///proc/self/environ",
        f"file://{tmp_path}",
    ):
        with pytest.raises(Refused):
            fetch(uri, access)


def test_outside_one_cannot_even_learn_what_exists(access: Access, secret: Path) -> None:
    texts = set()
    for path in (secret, secret.with_name("no such file")):
        with pytest.raises(Refused) as caught:
            fetch(path.as_uri(), access)
        texts.add(str(caught.value).partition(": ")[2])
    assert len(texts) == 1


def test_a_folder_that_turns_into_a_link_after_the_check_is_not_followed(
    tmp_path: Path, secret: Path
) -> None:
    """The check resolves links; then the folder is swapped; then the file is opened."""
    from encoders.fetch_file import _open_below

    (tmp_path / "folder").symlink_to(secret.parent)
    (tmp_path / "link.mp4").symlink_to(secret)
    with pytest.raises(OSError, match=r"."):
        _open_below(tmp_path, ("folder", secret.name))
    with pytest.raises(Refused):
        _open_below(tmp_path, ("link.mp4",))


def test_pipes_devices_folders_and_sockets_are_refused(tmp_path: Path, access: Access) -> None:
    import socket

    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.mp4"))
        for name in ("pipe.mp4", "folder.mp4", "zero.mp4", "socket.mp4"):
            with pytest.raises(Refused):
                fetch((tmp_path / name).as_uri(), access)
    with pytest.raises(Refused):
        fetch("file:///dev/zero", Access(frozenset({"file"}), (Path("/dev"),)))


def test_what_is_not_there_is_not_found(tmp_path: Path, access: Access) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("no.mp4", "no/such.mp4", "a/b", "dangling", "x" * 300):
        with pytest.raises(NotFound):
            fetch((tmp_path / name).as_uri(), access)


def test_a_circle_of_links_is_refused(tmp_path: Path, access: Access) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(MediaError):
        fetch((tmp_path / "a").as_uri(), access)


@pytest.mark.parametrize(
    "uri",
    ["file://host/a.mp4", "file:a.mp4", "file:///a.mp4?x=1", "file:///a%00.mp4", "file://",
     "file:///a b", "file://[::1", "gopher://x/", "a.mp4", "", "FTP://x/a", "file:///a\nb",
     "data:video/mp4;base64,AAAA", "concat:/a|/b", "subfile,,start,0,end,9,,:/a"],
)  # fmt: skip
def test_what_is_no_file_uri_is_refused(uri: str) -> None:
    with pytest.raises(Refused):
        fetch(uri, Access(frozenset({"file"}), (Path("/"),)))


def test_a_scheme_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(Refused, match="scheme"):
        fetch((tmp_path / "a").as_uri(), Access(frozenset({"https"}), (tmp_path,)))


def test_a_large_and_an_empty_file(tmp_path: Path, access: Access) -> None:
    (tmp_path / "large").write_bytes(bytes(10_001))
    (tmp_path / "empty").touch()
    with pytest.raises(Refused, match="larger"):
        fetch((tmp_path / "large").as_uri(), access)
    with pytest.raises(Unreadable, match="empty"):
        fetch((tmp_path / "empty").as_uri(), access)


def test_time_runs_out_while_reading(tmp_path: Path, access: Access) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with (
        pytest.raises(Unavailable),
        FETCHER.open((tmp_path / "a").as_uri(), access, time.monotonic() - 1),
    ):
        pass


def test_a_fingerprint_changes_with_the_file(tmp_path: Path, access: Access) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = FETCHER.fingerprint(path.as_uri(), access)
    assert first == FETCHER.fingerprint(path.as_uri(), access)
    os.utime(path, ns=(1, 1))
    second = FETCHER.fingerprint(path.as_uri(), access)
    path.write_bytes(b"three")
    os.utime(path, ns=(1, 1))
    assert len({first, second, FETCHER.fingerprint(path.as_uri(), access)}) == 3
    with pytest.raises(NotFound):
        FETCHER.fingerprint((tmp_path / "b").as_uri(), access)


def test_nothing_stays_open(tmp_path: Path, access: Access) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "large").write_bytes(bytes(10_001))
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a", "large", "pipe", "none", "a/b"):
        for _ in range(5):
            try:
                fetch((tmp_path / name).as_uri(), access)
            except MediaError:
                continue
    assert len(os.listdir("/proc/self/fd")) == before
