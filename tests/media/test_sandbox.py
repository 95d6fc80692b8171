"""A decode child can be killed, replaced and starved; its parent goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from encoders.errors import DecoderCrashed, MediaError, NotFound, Unavailable
from encoders.features import Media, State
from encoders.fetch import Access, Limits
from encoders.sandbox import MediaReader
from tests.media.conftest import FRAMES, SOUND
from tests.synthetic import clip

Start = Callable[..., MediaReader]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts readers, and closes them after the test."""
    with contextlib.ExitStack() as stack:

        def start(children: int = 1, **limits: float) -> MediaReader:
            bounds = Limits(**limits)  # type: ignore[arg-type]  # int or float as the limit is
            return stack.enter_context(MediaReader(bounds, FRAMES, SOUND, children))

        yield start


@pytest.fixture
def good(tmp_path: Path) -> str:
    return clip(tmp_path / "good.mp4", seconds=1).as_uri()


def children(parent: int | None = None) -> list[int]:
    """The processes whose parent this one (or ``parent``) is, zombies too."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == (parent or os.getpid()):
                found.append(int(path.parent.name))
    return sorted(found)


def newest(before: list[int]) -> int:
    (pid,) = set(children()) - set(before)
    return pid


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def test_a_child_that_dies_at_work_is_replaced(
    start: Start, endless: Path, good: str, access: Access
) -> None:
    before = children()
    reader = start(wall_seconds=30)
    first = newest(before)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reader.read, endless.as_uri(), access)
        time.sleep(0.3)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(DecoderCrashed, match="died"):
            reading.result()
    assert reader.read(good, access).frames is not None
    assert newest(before) != first
    assert reader.crashes == 1


def test_a_child_that_dies_idle_costs_no_file(start: Start, good: str, access: Access) -> None:
    before = children()
    reader = start()
    first = newest(before)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_alive(first))
    assert reader.read(good, access).frames is not None
    assert reader.crashes == 0


def test_a_child_that_hangs_is_killed_in_time(start: Start, good: str, access: Access) -> None:
    """A stopped process stands for a decoder that never returns."""
    before = children()
    reader = start(wall_seconds=0.5)
    hung = newest(before)
    os.kill(hung, signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(DecoderCrashed, match="limit of time"):
        reader.read(good, access)
    assert time.monotonic() - begin < 2
    assert reader.crashes == 1
    assert newest(before) != hung


def test_a_child_is_replaced_after_its_files(start: Start, good: str, access: Access) -> None:
    before = children()
    reader = start(files_per_child=2)
    seen = []
    for _ in range(4):
        seen.append(newest(before))
        reader.read(good, access)
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert reader.crashes == 0


def test_two_hundred_files_leave_neither_descriptor_nor_zombie(
    start: Start, tmp_path: Path, access: Access, good: str
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"bad" * 1000)
    reader = start(children=2, files_per_child=50)
    for _ in range(2):
        reader.read(good, access)
    files, processes = len(os.listdir("/proc/self/fd")), len(children())
    uris = [good, bad.as_uri(), (tmp_path / "none.mp4").as_uri(), "gopher://x"] * 50
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda uri: outcome(reader, uri, access), uris))
    assert results == ["used", "unreadable", "not_found", "refused"] * 50
    assert len(os.listdir("/proc/self/fd")) == files
    assert len(children()) == processes


def outcome(reader: MediaReader, uri: str, access: Access) -> str:
    try:
        media = reader.read(uri, access)
    except MediaError as error:
        return error.reason
    return "used" if State.USED in media.states.values() else "nothing"


def test_closing_ends_every_child(start: Start, good: str, access: Access) -> None:
    before = children()
    reader = start(children=3)
    assert len(children()) == len(before) + 3
    reader.close()
    reader.close()
    assert children() == before
    with pytest.raises(Unavailable, match="closed"):
        reader.read(good, access)


def test_closing_waits_for_a_read_under_way(start: Start, endless: Path, access: Access) -> None:
    before = children()
    reader = start(wall_seconds=1)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(outcome, reader, endless.as_uri(), access)
        time.sleep(0.2)
        reader.close()
        assert children() == before
        assert reading.result() in ("used", "decoder_crashed")


def test_threads_share_the_children_and_get_their_own_videos(
    start: Start, tmp_path: Path, access: Access
) -> None:
    scenes = ["red", "green", "blue", "yellow", "purple", "white"]
    uris = [clip(tmp_path / f"{s}.mp4", seconds=0.5, scenes=(s,)).as_uri() for s in scenes]
    reader = start(children=2)
    with ThreadPoolExecutor(6) as pool:
        medias = list(pool.map(lambda uri: reader.read(uri, access), uris * 4))
    for i, media in enumerate(medias):
        assert media.frames is not None
        first = medias[i % len(scenes)].frames
        assert first is not None
        np.testing.assert_array_equal(media.frames, first)
    means = {
        tuple(media.frames[0].mean(axis=(0, 1)).round())
        for media in medias
        if media.frames is not None
    }
    assert len(means) == len(scenes)


def test_a_slow_video_does_not_make_the_others_late(
    start: Start, endless: Path, good: str, access: Access
) -> None:
    """A read's time runs from when it has a child."""
    reader = start(children=1, wall_seconds=1.5)
    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(outcome, reader, endless.as_uri(), access) for _ in range(2)]
        time.sleep(0.1)
        quick = pool.submit(outcome, reader, good, access)
        assert quick.result() == "used"
        assert {each.result() for each in slow} <= {"used", "decoder_crashed"}


def test_a_child_has_no_secrets_and_no_way_out(start: Start, good: str, access: Access) -> None:
    os.environ["REELTAG_TEST_SECRET"] = "SECRET"
    try:
        before = children()
        reader = start(memory_bytes=300 * 1024 * 1024)
        reader.read(good, access)
        pid = newest(before)
    finally:
        del os.environ["REELTAG_TEST_SECRET"]
    assert b"SECRET" not in Path(f"/proc/{pid}/environ").read_bytes()
    opened = sorted(os.listdir(f"/proc/{pid}/fd"), key=int)
    assert opened == ["0", "1", "2", "3"]
    assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in "012"} == {"/dev/null"}
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert limit(limits, "Max open files") == 5
    assert limit(limits, "Max file size") == 0
    assert limit(limits, "Max core file size") == 0
    assert limit(limits, "Max address space") < 1024 * 1024 * 1024


def limit(table: str, name: str) -> int:
    line = next(line for line in table.splitlines() if line.startswith(name))
    return int(line[len(name) :].split()[1])


PARENT = """
import sys, time
from encoders.fetch import Limits
from encoders.limits import FrameSpec, SoundSpec
from encoders.sandbox import MediaReader
reader = MediaReader(Limits(wall_seconds=2), FrameSpec(), SoundSpec(), children=2)
print("started", flush=True)
if len(sys.argv) > 1:
    from encoders.fetch import Access
    from pathlib import Path
    path = Path(sys.argv[1])
    reader.read(path.as_uri(), Access(frozenset({"file"}), (path.parent,)))
time.sleep(60)
"""


@pytest.mark.parametrize("busy", [False, True])
def test_children_die_with_a_parent_that_is_killed(busy: bool, endless: Path) -> None:
    arguments = [str(endless)] if busy else []
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *arguments], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        pids = children(parent.pid)
        assert len(pids) == 2
        assert all(is_alive(pid) for pid in pids)
        time.sleep(0.3)
        parent.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_the_parent_passes_what_it_promises(start: Start, good: str, access: Access) -> None:
    media = start().read(good, access)
    assert isinstance(media, Media)
    assert media.frames is not None
    assert media.frames.flags.writeable
    with pytest.raises(NotFound, match=r"good\.mp5"):
        start().read(good.replace("mp4", "mp5"), access)
