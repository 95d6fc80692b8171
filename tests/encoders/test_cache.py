"""A corpus is read and encoded once, whatever happens in between."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from encoders.access import Access
from encoders.cache import Row, extract, extract_with
from encoders.encoder import Encoders
from encoders.errors import MediaError, NotFound, Unreadable
from encoders.features import Features, Media, Modality, State, Words
from encoders.limits import Limits
from encoders.profile import Profile
from encoders.sandbox import MediaReader
from encoders.store import FeatureStore
from tests import synthetic


class CountingReader:
    """A real reader that counts what it is asked to read."""

    def __init__(self, reader: MediaReader) -> None:
        self._reader = reader
        self.reads: Counter[str] = Counter()

    def read(self, uri: str, access: Access) -> Media:
        self.reads[uri] += 1
        return self._reader.read(uri, access)

    def fingerprint(self, uri: str, access: Access) -> str | None:
        return self._reader.fingerprint(uri, access)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    synthetic.clip(folder / "a.mp4", seconds=1)
    synthetic.clip(folder / "b.webm", seconds=1, scenes=("checks",), tone_hz=None)
    synthetic.clip(folder / "c.wav", seconds=1)
    (folder / "copy.mp4").write_bytes((folder / "a.mp4").read_bytes())
    (folder / "bad.mp4").write_bytes(b"not a video at all" * 20)
    return folder


@pytest.fixture
def access(clips: Path) -> Access:
    return Access(frozenset({"file"}), (clips,))


@pytest.fixture
def reader(profile: Profile) -> Iterator[CountingReader]:
    with MediaReader(Limits(), profile.frame_spec, profile.sound_spec, 1) as real:
        yield CountingReader(real)


def rows_of(clips: Path, *names: str) -> list[Row]:
    return [Row(name, (clips / name).as_uri(), Words(f"video {name}")) for name in names]


def test_rows_come_back_in_order_and_errors_in_their_place(
    profile: Profile, clips: Path, access: Access, tmp_path: Path
) -> None:
    rows = rows_of(clips, "a.mp4", "bad.mp4", "b.webm", "gone.mp4", "c.wav")
    done: list[int] = []
    results = list(extract(rows, profile, tmp_path, access=access, workers=2, progress=done.append))
    assert [row for row, _ in results] == rows
    kinds = [type(result) for _, result in results]
    assert kinds == [Features, Unreadable, Features, NotFound, Features]
    assert sum(done) == len(rows)


def test_a_second_run_reads_nothing_and_finds_the_same(
    profile: Profile,
    encoders: Encoders,
    clips: Path,
    access: Access,
    reader: CountingReader,
    tmp_path: Path,
) -> None:
    store = FeatureStore.open(tmp_path, profile)
    rows = rows_of(clips, "a.mp4", "b.webm", "c.wav")
    first = list(extract_with(rows, encoders, store, reader, access=access))
    assert sum(reader.reads.values()) == 3
    second = list(extract_with(rows, encoders, store, reader, access=access))
    assert sum(reader.reads.values()) == 3
    for (_, one), (_, other) in zip(first, second, strict=True):
        assert isinstance(one, Features)
        assert isinstance(other, Features)
        assert one.states == other.states
        for name in ("sentence", "tokens", "frames", "bridge", "audio", "sound_bridge"):
            np.testing.assert_equal(getattr(one, name), getattr(other, name))


def test_a_run_that_was_stopped_goes_on(
    profile: Profile,
    encoders: Encoders,
    clips: Path,
    access: Access,
    reader: CountingReader,
    tmp_path: Path,
) -> None:
    store = FeatureStore.open(tmp_path, profile)
    rows = rows_of(clips, "a.mp4", "b.webm", "c.wav")
    stopped = extract_with(rows, encoders, store, reader, access=access, workers=1)
    next(stopped)
    stopped.close()
    list(extract_with(rows, encoders, store, reader, access=access))
    assert reader.reads[rows[0].uri] == 1


def test_a_changed_file_is_read_again(
    profile: Profile,
    encoders: Encoders,
    clips: Path,
    access: Access,
    reader: CountingReader,
    tmp_path: Path,
) -> None:
    store = FeatureStore.open(tmp_path, profile)
    path = synthetic.clip(clips / "changing.mp4", seconds=0.5)
    rows = rows_of(clips, "changing.mp4")
    list(extract_with(rows, encoders, store, reader, access=access))
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    list(extract_with(rows, encoders, store, reader, access=access))
    assert reader.reads[rows[0].uri] == 2


def test_a_new_title_costs_no_reading(
    profile: Profile,
    encoders: Encoders,
    clips: Path,
    access: Access,
    reader: CountingReader,
    tmp_path: Path,
) -> None:
    store = FeatureStore.open(tmp_path, profile)
    (row,) = rows_of(clips, "a.mp4")
    renamed = Row(row.video_id, row.uri, Words("something else"))
    ((_, one),) = extract_with([row], encoders, store, reader, access=access)
    ((_, other),) = extract_with([renamed], encoders, store, reader, access=access)
    assert reader.reads[row.uri] == 1
    assert isinstance(one, Features)
    assert isinstance(other, Features)
    np.testing.assert_equal(other.frames, one.frames)
    assert other.words.title == "something else"


def test_the_same_bytes_are_encoded_once(
    profile: Profile,
    encoders: Encoders,
    clips: Path,
    access: Access,
    reader: CountingReader,
    tmp_path: Path,
) -> None:
    store = FeatureStore.open(tmp_path, profile)
    rows = rows_of(clips, "a.mp4", "copy.mp4")
    list(extract_with(rows, encoders, store, reader, access=access, workers=1))
    assert len([p for p in (tmp_path / "media").rglob("*") if p.is_file()]) == 1


def test_nothing_is_kept_of_what_failed(
    profile: Profile,
    encoders: Encoders,
    clips: Path,
    access: Access,
    reader: CountingReader,
    tmp_path: Path,
) -> None:
    store = FeatureStore.open(tmp_path, profile)
    rows = rows_of(clips, "bad.mp4")
    for _ in range(2):
        ((_, result),) = extract_with(rows, encoders, store, reader, access=access)
        assert isinstance(result, MediaError)
    assert reader.reads[rows[0].uri] == 2
    assert not (tmp_path / "media").exists()


def test_states_follow_the_streams(
    profile: Profile, clips: Path, access: Access, tmp_path: Path
) -> None:
    rows = rows_of(clips, "b.webm", "c.wav")
    (_, silent), (_, blind) = extract(rows, profile, tmp_path, access=access, workers=1)
    assert isinstance(silent, Features)
    assert isinstance(blind, Features)
    assert silent.states[Modality.AUDIO] is State.MISSING
    assert silent.states[Modality.VISUAL] is State.USED
    assert blind.states[Modality.AUDIO] is State.USED
    assert blind.states[Modality.VISUAL] is State.MISSING
