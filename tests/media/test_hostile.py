"""Files made to do harm are refused or survived, and never read for someone who shouldn't."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from encoders.errors import DecoderCrashed, MediaError, Refused, Unreadable
from encoders.features import State
from encoders.fetch import Access, Limits
from encoders.sandbox import MediaReader
from tests.media.conftest import FRAMES, SOUND, Read
from tests.media.hostile import (
    claiming_duration,
    external_reference,
    huge_picture,
    playlists,
)
from tests.synthetic import clip

KINDS = sorted(playlists(""))
FOLLOWED = {"hls": "a.m3u8", "concat": "a.ffconcat"}


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".txt"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_other_files_is_not_a_video(
    kind: str, suffix: str, tmp_path: Path, read: Read
) -> None:
    secret = clip(tmp_path / "secret.ts")
    for target in (str(secret), secret.name, secret.as_uri(), "http://127.0.0.1:1/a.ts"):
        path = tmp_path / f"list{suffix}"
        path.write_bytes(playlists(target)[kind])
        with pytest.raises(Unreadable):
            read(path)


@pytest.mark.parametrize("kind", sorted(FOLLOWED))
def test_these_lists_would_be_followed_without_our_care(kind: str, tmp_path: Path) -> None:
    clip(tmp_path / "secret.ts")
    path = tmp_path / FOLLOWED[kind]
    path.write_bytes(playlists("secret.ts")[kind])
    careless = {"safe": "0", "protocol_whitelist": "file"}
    with av.open(str(path), options=careless) as container:
        assert container.streams.video


def test_an_external_data_reference_is_not_followed(tmp_path: Path, read: Read) -> None:
    path = external_reference(tmp_path / "a.mov", tmp_path / "secret.mov")
    careless = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(str(path), options=careless) as container:
        assert len(list(container.decode(video=0))) == 50  # the secret, read by a careless reader
    with pytest.raises(Unreadable):
        read(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_claim_of_forty_hours_is_refused(suffix: str, tmp_path: Path, read: Read) -> None:
    with pytest.raises(Refused, match="claims to last"):
        read(claiming_duration(tmp_path / f"a{suffix}", 40 * 3600))


@pytest.mark.parametrize("suffix", [".gif", ".avi"])
def test_a_huge_picture_is_never_decoded(suffix: str, tmp_path: Path, read: Read) -> None:
    begin = time.monotonic()
    with pytest.raises(Unreadable, match="no picture"):
        read(huge_picture(tmp_path / f"a{suffix}", 30_000, 30_000))
    assert time.monotonic() - begin < 2


def test_a_picture_over_the_limit_is_refused(tmp_path: Path, access: Access) -> None:
    path = clip(tmp_path / "a.mp4", size=(640, 480))
    with (
        MediaReader(Limits(pixels=640 * 480 - 1), FRAMES, SOUND, children=1) as reader,
        pytest.raises(MediaError, match="640 x 480"),
    ):
        reader.read(path.as_uri(), access)


@pytest.fixture(scope="module")
def small_reader() -> Iterator[MediaReader]:
    """Three seconds and little memory for each video."""
    limits = Limits(wall_seconds=3, memory_bytes=256 * 1024 * 1024)
    with MediaReader(limits, FRAMES, SOUND, children=1) as reader:
        yield reader


def test_a_compression_bomb_gives_what_fits_in_its_time(
    endless: Path, access: Access, small_reader: MediaReader
) -> None:
    begin = time.monotonic()
    try:
        media = small_reader.read(endless.as_uri(), access)
    except DecoderCrashed:
        pass  # on a slow machine not even one frame fits
    else:
        assert State.USED in media.states.values()
    assert time.monotonic() - begin < 3 + 2


def test_a_video_that_needs_more_memory_than_allowed_fails_alone(
    tmp_path: Path, access: Access
) -> None:
    large = clip(tmp_path / "a.mkv", size=(3840, 2160), seconds=0.2, rate=10, tone_hz=None)
    small = clip(tmp_path / "small.mp4")
    limits = Limits(memory_bytes=8 * 1024 * 1024)
    with MediaReader(limits, FRAMES, SOUND, children=1) as reader:
        with pytest.raises(MediaError):
            reader.read(large.as_uri(), access)
        assert reader.read(small.as_uri(), access).frames is not None


def test_many_streams_are_refused_not_opened(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        for _ in range(200):
            output.add_stream("pcm_s16le", rate=8000).layout = "mono"
        output.start_encoding()
    with pytest.raises(Unreadable):
        read(path)
