"""Every container that an upload may come in, and every odd shape of a sound one."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from encoders.container import open_container, picture_stream
from encoders.deadline import Deadline
from encoders.errors import Unreadable
from encoders.features import U8, Modality, State
from encoders.fetch import Access, Limits
from encoders.limits import FrameSpec, SoundSpec
from encoders.pictures import sample_frames
from encoders.sandbox import MediaReader
from tests.media.conftest import FRAMES, SOUND, Read
from tests.synthetic import COLOURS, SOUND_SUFFIXES, VIDEO_SUFFIXES, clip, still, tone, truncated


def colour(frame: U8) -> str:
    """The name of the colour that ``frame`` comes nearest to, on average."""
    mean = frame.reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def pitch(sound: np.ndarray, rate: int) -> float:
    """The loudest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * rate / len(sound))


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_a_video_gives_frames_in_order_and_its_sound(
    suffix: str, tmp_path: Path, read: Read
) -> None:
    path = clip(tmp_path / f"a{suffix}", seconds=4, scenes=("red", "green", "blue", "yellow"))
    media = read(path)
    assert media.frames is not None
    assert media.frames.shape == (8, 64, 64, 3)
    assert media.frames.dtype == np.uint8
    seen = [colour(frame) for frame in media.frames]
    assert seen == ["red", "red", "green", "green", "blue", "blue", "yellow", "yellow"]
    assert media.duration == pytest.approx(4.0, abs=0.2)
    assert media.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    if suffix == ".gif":
        assert media.states == {Modality.VISUAL: State.USED, Modality.AUDIO: State.MISSING}
        assert media.sound is None
    else:
        assert media.states == {Modality.VISUAL: State.USED, Modality.AUDIO: State.USED}
        assert media.sound is not None
        assert len(media.sound) == pytest.approx(4.0 * 16000, rel=0.05)
        assert pitch(media.sound, media.rate) == pytest.approx(440, abs=5)


@pytest.mark.parametrize(
    ("name", "video_codec", "audio_codec"),
    [
        ("a.mp4", "libx265", None),
        ("a.mp4", "libsvtav1", None),
        ("a.mp4", "mpeg4", None),
        ("a.webm", "libvpx-vp9", None),
        ("a.webm", "libsvtav1", None),
        ("a.mpg", "mpeg2video", "ac3"),
        ("a.avi", "mjpeg", None),
        ("a.avi", "msmpeg4", None),
        ("a.mkv", "libx264", "flac"),
        ("a.mkv", "libx264", "pcm_f32le"),
        ("a.mkv", "libx264", "eac3"),
        ("a.mov", "libx264", "alac"),
    ],
)
def test_the_common_codecs_are_read(
    name: str, video_codec: str, audio_codec: str | None, tmp_path: Path, read: Read
) -> None:
    path = clip(tmp_path / name, video_codec=video_codec, audio_codec=audio_codec)
    media = read(path)
    assert media.frames is not None
    assert [colour(frame) for frame in media.frames] == ["red"] * 4 + ["green"] * 4
    assert media.sound is not None
    assert pitch(media.sound, media.rate) == pytest.approx(440, abs=5)


@pytest.mark.parametrize("suffix", SOUND_SUFFIXES)
def test_a_sound_alone_gives_only_sound(suffix: str, tmp_path: Path, read: Read) -> None:
    media = read(clip(tmp_path / f"a{suffix}", tone_hz=1000.0))
    assert media.states == {Modality.VISUAL: State.MISSING, Modality.AUDIO: State.USED}
    assert media.frames is None
    assert media.sound is not None
    assert media.sound.dtype == np.float32
    assert pitch(media.sound, media.rate) == pytest.approx(1000, abs=5)


def test_sound_keeps_its_shape_through_resampling(tmp_path: Path, read: Read) -> None:
    media = read(clip(tmp_path / "a.wav", seconds=1.0, tone_hz=440.0))
    assert media.sound is not None
    middle = slice(2000, 14000)
    np.testing.assert_allclose(media.sound[middle], tone(1.0, 16000, 440.0)[middle], atol=2e-3)


def test_a_video_without_sound_track_has_none(tmp_path: Path, read: Read) -> None:
    media = read(clip(tmp_path / "a.mp4", tone_hz=None))
    assert media.states[Modality.AUDIO] is State.MISSING
    assert media.sound is None


def test_a_silent_track_is_a_sound_of_zeros(tmp_path: Path, read: Read) -> None:
    media = read(clip(tmp_path / "a.mp4", tone_hz=0.0))
    assert media.states[Modality.AUDIO] is State.USED
    assert media.sound is not None
    assert float(np.abs(media.sound).max()) < 1e-3


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_one_frame_is_enough_and_comes_once(suffix: str, tmp_path: Path, read: Read) -> None:
    media = read(still(tmp_path / f"a{suffix}", "blue"))
    assert media.frames is not None
    assert [colour(frame) for frame in media.frames] == ["blue"]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize(
    ("clockwise", "white"),
    [(0, "upper left"), (90, "upper right"), (180, "lower right"), (270, "lower left")],
)
def test_a_rotated_video_comes_upright(
    suffix: str, clockwise: int, white: str, tmp_path: Path, read: Read
) -> None:
    path = clip(tmp_path / f"a{suffix}", scenes=("corner",), rotation=clockwise, size=(64, 64))
    frames = read(path).frames
    assert frames is not None
    quarters = {
        "upper left": frames[0, 4:28, 4:28],
        "upper right": frames[0, 4:28, 36:60],
        "lower left": frames[0, 36:60, 4:28],
        "lower right": frames[0, 36:60, 36:60],
    }
    assert max(quarters, key=lambda name: quarters[name].mean()) == white
    assert min(quarters[white].mean(), 255) > 200


def test_frames_are_spread_over_time_not_over_frames(tmp_path: Path, read: Read) -> None:
    """Variable rate: forty frames in the first half second, then one frame each half second."""
    times = [i / 80 for i in range(40)] + [0.5 + i / 2 for i in range(7)] + [3.99]
    frames = read(
        clip(tmp_path / "a.mp4", seconds=4, times=times, scenes=("red", "green", "blue", "yellow"))
    ).frames
    assert frames is not None
    seen = [colour(frame) for frame in frames]
    assert seen == ["red", "red", "green", "green", "blue", "blue", "yellow", "yellow"]


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv", ".mpg", ".ts", ".ogv", ".avi"])
@pytest.mark.parametrize("keyframe_every", [5, 40, 1000])
def test_each_frame_is_the_one_shown_in_the_middle_of_its_part(
    suffix: str, keyframe_every: int, tmp_path: Path, read: Read
) -> None:
    """A ramp's brightness tells the time, whether key frames are many or only one."""
    path = clip(
        tmp_path / f"a{suffix}",
        seconds=16,
        rate=25,
        scenes=("ramp",),
        keyframe_every=keyframe_every,
    )
    frames = read(path).frames
    assert frames is not None
    times = frames.mean(axis=(1, 2, 3)) / 255 * 16
    np.testing.assert_allclose(times, np.arange(8) * 2 + 1, atol=0.35)


def test_a_long_sound_is_heard_in_windows_over_the_whole(tmp_path: Path, read: Read) -> None:
    import wave

    path = tmp_path / "a.wav"
    second = (np.repeat(np.arange(60) / 100, 16000) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(second.tobytes())
    media = read(path)
    assert media.sound is not None
    assert len(media.sound) == 6 * 16000
    windows = media.sound.reshape(6, 16000).mean(axis=1) * 100  # the second that each began in
    np.testing.assert_allclose(windows, np.arange(6) * 10 + 4, atol=0.6)
    assert media.duration == pytest.approx(60.0)


def test_webm_without_a_length_is_counted_through(tmp_path: Path, read: Read) -> None:
    """What a browser records live: neither length nor index."""
    path = clip(tmp_path / "a.webm", seconds=4, scenes=("red", "green", "blue", "yellow"))
    live = without_ebml_duration(path.read_bytes())
    assert live != path.read_bytes()
    path.write_bytes(live)
    media = read(path)
    assert media.frames is not None
    assert [colour(frame) for frame in media.frames][::2] == ["red", "green", "blue", "yellow"]
    assert media.duration == pytest.approx(4.0, abs=0.2)


def without_ebml_duration(content: bytes) -> bytes:
    """Overwrite the element Duration (44 89) and Cues (1C 53 BB 6B) with Void (EC)."""
    at = content.index(b"\x44\x89\x88")
    content = content[:at] + b"\xec\x89" + content[at + 2 :]
    return content.replace(b"\x1c\x53\xbb\x6b", b"\xec\xec\xec\xec")


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("crop", ["white", "white", "white"]),
        ("pad", ["black", "white", "black"]),
        ("stretch", ["white", "white", "white"]),
    ],
)
def test_a_wide_picture_is_fitted_as_the_profile_says(
    fit: str, expected: list[str], tmp_path: Path, access: Access
) -> None:
    path = still(tmp_path / "a.mp4", "white", size=(128, 64))
    spec = FrameSpec(count=1, size=60, fit=fit)  # type: ignore[arg-type]  # a parameter is a str
    with MediaReader(Limits(), spec, SOUND, children=1) as reader:
        frames = reader.read(path.as_uri(), access).frames
    assert frames is not None
    assert [colour(frames[0, i : i + 10]) for i in (0, 25, 50)] == expected


@pytest.mark.parametrize("size", [(2000, 4), (4, 2000), (16, 16), (1280, 720)])
def test_any_shape_of_picture_comes_square(
    size: tuple[int, int], tmp_path: Path, read: Read
) -> None:
    frames = read(still(tmp_path / "a.mkv", "green", size=size)).frames
    assert frames is not None
    assert frames.shape == (1, 64, 64, 3)
    assert colour(frames[0]) == "green"


def test_an_empty_file_is_unreadable(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    with pytest.raises(Unreadable, match="empty"):
        read(path)


@pytest.mark.parametrize("content", [b"hello", b"<html>" * 1000, bytes(100_000), b"\xff" * 100_000])
def test_what_is_no_video_is_unreadable(content: bytes, tmp_path: Path, read: Read) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(Unreadable):
        read(path)


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mpg", ".ts", ".avi", ".gif", ".ogv"])
def test_a_truncated_video_gives_the_frames_that_are_left(
    suffix: str, tmp_path: Path, read: Read
) -> None:
    source = clip(tmp_path / f"whole{suffix}", seconds=4, scenes=("red", "green"))
    media = read(truncated(tmp_path / f"half{suffix}", source, 0.4))
    assert media.states[Modality.VISUAL] is State.USED
    assert media.frames is not None
    assert colour(media.frames[0]) == "red"


def test_an_mp4_with_its_index_first_gives_what_is_left(tmp_path: Path, read: Read) -> None:
    """As uploads that broke off are: the head promises four seconds, a third has come."""
    source = clip(tmp_path / "a.mp4", seconds=4, scenes=("red", "green"), keyframe_every=10)
    whole = index_first(tmp_path / "whole.mp4", source)
    media = read(truncated(tmp_path / "part.mp4", whole, 0.4))
    assert media.states[Modality.VISUAL] is State.USED
    assert media.frames is not None
    assert {colour(frame) for frame in media.frames} == {"red"}


def index_first(path: Path, source: Path) -> Path:
    """The streams of ``source`` unchanged, in an mp4 made for streaming."""
    with (
        av.open(str(source)) as given,
        av.open(str(path), "w", options={"movflags": "faststart"}) as made,
    ):
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    return path


def test_a_stream_that_starts_late_is_sampled_from_its_start(tmp_path: Path, read: Read) -> None:
    """Recordings of broadcasts begin at any time of day."""
    source = clip(tmp_path / "a.mp4", seconds=4, scenes=("red", "green", "blue", "yellow"))
    path = tmp_path / "a.ts"
    with (
        av.open(str(source)) as given,
        av.open(str(path), "w", options={"output_ts_offset": "70000"}) as made,
    ):
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    frames = read(path).frames
    assert frames is not None
    seen = [colour(frame) for frame in frames]
    assert seen == ["red", "red", "green", "green", "blue", "blue", "yellow", "yellow"]


def test_an_mp4_whose_index_is_cut_off_is_unreadable(tmp_path: Path, read: Read) -> None:
    path = truncated(tmp_path / "half.mp4", clip(tmp_path / "whole.mp4"), 0.5)
    with pytest.raises(Unreadable):
        read(path)


def test_a_dead_picture_leaves_the_sound(tmp_path: Path, read: Read) -> None:
    """The bytes of every picture are overwritten; the sound beside them is whole."""
    path = clip(tmp_path / "a.avi")
    content = bytearray(path.read_bytes())
    at = content.find(b"00dc")
    while 0 <= at < content.index(b"idx1"):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        content[at + 8 : at + 8 + size] = bytes(size)
        at = content.find(b"00dc", at + 8 + size)
    path.write_bytes(content)
    media = read(path)
    assert media.states == {Modality.VISUAL: State.FAILED, Modality.AUDIO: State.USED}
    assert media.frames is None
    assert media.notes == {Modality.VISUAL: "no picture could be decoded"}


def test_a_codec_that_is_not_read_here_fails_its_modality_only(tmp_path: Path, read: Read) -> None:
    media = read(clip(tmp_path / "a.avi", video_codec="utvideo"))
    assert media.states == {Modality.VISUAL: State.FAILED, Modality.AUDIO: State.USED}
    assert "codec" in media.notes[Modality.VISUAL]


def test_the_same_file_gives_the_same_arrays(tmp_path: Path, read: Read) -> None:
    path = clip(tmp_path / "a.mp4", scenes=("noise",))
    first, second = read(path), read(path)
    assert first.frames is not None
    assert first.sound is not None
    assert second.frames is not None
    assert second.sound is not None
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.sound, second.sound)


def test_specs_of_the_reader_are_those_of_the_arrays(tmp_path: Path, access: Access) -> None:
    path = clip(tmp_path / "a.mp4")
    with MediaReader(Limits(), FrameSpec(3, 32), SoundSpec(44100, 1.0, 0.5), children=1) as reader:
        media = reader.read(path.as_uri(), access)
    assert media.frames is not None
    assert media.frames.shape == (3, 32, 32, 3)
    assert media.sound is not None
    assert media.sound.shape == (44100,)
    assert media.rate == 44100
    assert FRAMES.count == 8


def test_where_time_is_short_key_frames_from_the_whole_video_are_taken(tmp_path: Path) -> None:
    """On a clock by which each frame takes a second, a minute is too short to decode them all."""
    path = clip(
        tmp_path / "a.mp4", seconds=8, scenes=("red", "green", "blue", "yellow"), keyframe_every=25
    )
    now = itertools.count()
    limits = Limits()
    with path.open("rb", buffering=0) as file, open_container(file, limits) as container:
        stream = picture_stream(container)
        assert stream is not None
        deadline = Deadline.after(60, clock=lambda: float(next(now)))
        frames, length = sample_frames(container, stream, FRAMES, limits, deadline)
    assert next(now) < 75  # of two hundred frames, and some more looks at the clock
    assert length == pytest.approx(8.0, abs=0.1)
    seen = [colour(frame) for frame in frames]
    assert seen == sorted(seen, key=["red", "green", "blue", "yellow"].index)
    assert set(seen) == {"red", "green", "blue", "yellow"}
