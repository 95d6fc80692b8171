"""Tiny real media files, made with PyAV, for everybody's tests.

``clip(tmp_path / "a.mp4")`` is two seconds of red, then green, with a tone. The suffix chooses
container and codecs. The same arguments always give the same pictures and the same sound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (220, 20, 20),
    "green": (20, 180, 20),
    "blue": (20, 20, 220),
    "yellow": (220, 220, 20),
    "purple": (150, 20, 200),
    "grey": (128, 128, 128),
}
PATTERNS = ("ramp", "noise", "checks", "corner")
"""``ramp`` brightens from black to white over its scene; ``corner`` is black with the upper left
quarter white, to tell which way is up; ``noise`` is hard to compress; ``checks`` moves."""

# suffix: (container, video codec, pixel format, audio codec, its sample rate)
FORMATS: dict[str, tuple[str, str | None, str, str | None, int]] = {
    ".mp4": ("mp4", "libx264", "yuv420p", "aac", 44100),
    ".mov": ("mov", "libx264", "yuv420p", "aac", 44100),
    ".mkv": ("matroska", "libx264", "yuv420p", "libopus", 48000),
    ".webm": ("webm", "libvpx", "yuv420p", "libopus", 48000),
    ".ogv": ("ogg", "libvpx", "yuv420p", "libopus", 48000),
    ".avi": ("avi", "mpeg4", "yuv420p", "libmp3lame", 44100),
    ".mpg": ("mpeg", "mpeg1video", "yuv420p", "mp2", 44100),
    ".ts": ("mpegts", "mpeg2video", "yuv420p", "mp2", 44100),
    ".gif": ("gif", "gif", "rgb8", None, 0),
    ".wav": ("wav", None, "", "pcm_s16le", 44100),
    ".mp3": ("mp3", None, "", "libmp3lame", 44100),
    ".flac": ("flac", None, "", "flac", 44100),
    ".m4a": ("mp4", None, "", "aac", 44100),
    ".ogg": ("ogg", None, "", "libopus", 48000),
}
VIDEO_SUFFIXES = tuple(suffix for suffix, (_, codec, *_) in FORMATS.items() if codec)
SOUND_SUFFIXES = tuple(suffix for suffix, (_, codec, *_) in FORMATS.items() if not codec)


def clip(
    path: Path,
    *,
    seconds: float = 2.0,
    rate: int = 25,
    size: tuple[int, int] = (96, 64),
    scenes: Sequence[str] = ("red", "green"),
    tone_hz: float | None = 440.0,
    times: Sequence[float] | None = None,
    keyframe_every: int = 12,
    rotation: int = 0,
    video_codec: str | None = None,
    audio_codec: str | None = None,
) -> Path:
    """Write one clip to ``path`` and return it.

    ``size`` is (width, height). ``scenes`` (COLOURS or PATTERNS) share the time evenly; none at
    all gives sound only. ``tone_hz`` None gives no sound stream, 0 gives silence. ``times``
    (seconds) gives every frame its own time, for variable frame rates; otherwise there are
    ``seconds * rate`` frames. ``rotation``: degrees clockwise that a player of an mp4 or mov must
    turn the stored picture by.
    """
    container, default_video, pixels, default_audio, sound_rate = FORMATS[path.suffix]
    video_name, audio_name = video_codec or default_video, audio_codec or default_audio
    with av.open(str(path), "w", format=container) as output:
        video: VideoStream | None = None
        audio: AudioStream | None = None
        if video_name and scenes:
            video = cast(VideoStream, output.add_stream(video_name, rate=rate))
            video.width, video.height = size
            video.pix_fmt = "yuvj420p" if video_name == "mjpeg" else pixels
            video.gop_size = keyframe_every
            video.codec_context.thread_count = 1
            if times is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            if video_name == "libvpx":
                video.options = {"deadline": "realtime", "cpu-used": "8"}
            if video_name == "libx264":
                video.options = {"preset": "veryfast", "bf": "2"}
        if audio_name and tone_hz is not None:
            audio = cast(AudioStream, output.add_stream(audio_name, rate=sound_rate))
            audio.layout = "mono"
            audio.codec_context.thread_count = 1
        # Interleaved a tenth of a second at a time, so that seeking finds both side by side.
        pictures = _pictures(video, seconds, rate, size, scenes, times) if video else iter(())
        sounds = _sounds(seconds, sound_rate, tone_hz or 0.0) if audio else iter(())
        picture, sound = next(pictures, None), next(sounds, None)
        while picture is not None or sound is not None:
            if video and picture and (sound is None or picture[0] <= sound[0]):
                output.mux(video.encode(picture[1]))
                picture = next(pictures, None)
            elif audio and sound:
                output.mux(audio.encode(sound[1]))
                sound = next(sounds, None)
        for stream in (video, audio):
            if stream is not None:
                output.mux(stream.encode(None))
    if rotation:
        rotate_mp4(path, rotation)
    return path


def _pictures(
    stream: VideoStream,
    seconds: float,
    rate: int,
    size: tuple[int, int],
    scenes: Sequence[str],
    times: Sequence[float] | None,
) -> Iterator[tuple[float, av.VideoFrame]]:
    base = Fraction(1, 1000) if times is not None else Fraction(1, rate)
    when = times if times is not None else [i / rate for i in range(max(1, round(seconds * rate)))]
    for i, time in enumerate(when):
        place = min(time / max(seconds, 1e-9), 0.999999) * len(scenes)
        image = picture(scenes[int(place)], place % 1.0, size, seed=i)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        if stream.pix_fmt == "rgb8":
            frame = frame.reformat(format="rgb8")
        frame.pts = round(time / base)
        frame.time_base = base
        yield time, frame


def _sounds(seconds: float, rate: int, hz: float) -> Iterator[tuple[float, av.AudioFrame]]:
    wave = tone(seconds, rate, hz)
    step = 960 if rate == 48000 else 1152
    for start in range(0, len(wave), step):
        samples = np.round(wave[start : start + step] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        frame.pts = start
        frame.time_base = Fraction(1, rate)
        yield start / rate, frame


def picture(
    scene: str, progress: float = 0.0, size: tuple[int, int] = (96, 64), *, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """One RGB picture [height, width, 3] of a scene, ``progress`` in [0, 1) through it."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    if scene in COLOURS:
        image[:] = COLOURS[scene]
    elif scene == "ramp":
        image[:] = round(255 * progress)
    elif scene == "noise":
        image[:] = np.random.default_rng(seed).integers(0, 256, image.shape, np.uint8)
    elif scene == "checks":
        row, column = np.mgrid[0:height, 0:width]
        image[((row + round(progress * 64)) // 16 + column // 16) % 2 == 0] = 255
    elif scene == "corner":
        image[: height // 2, : width // 2] = 255
    else:
        raise ValueError(f"no such scene: {scene}; there are {', '.join([*COLOURS, *PATTERNS])}")
    return image


def tone(seconds: float, rate: int, hz: float) -> npt.NDArray[np.float32]:
    """A sine of half amplitude, mono, float32 [seconds * rate]; silence where ``hz`` is 0."""
    time = np.arange(round(seconds * rate), dtype=np.float64) / rate
    return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def still(path: Path, scene: str = "red", size: tuple[int, int] = (96, 64)) -> Path:
    """A video of one single frame, without sound."""
    return clip(path, seconds=0.04, rate=25, size=size, scenes=(scene,), tone_hz=None)


def truncated(path: Path, source: Path, share: float = 0.5) -> Path:
    """The first ``share`` of the bytes of ``source``."""
    content = source.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    return path


def rotate_mp4(path: Path, clockwise: int) -> None:
    """Write a display matrix into the first track header (ISO 14496-12, 8.3.2), in place."""
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise % 360]
    matrix = [cosine, sine, 0, -sine, cosine, 0, 0, 0, 1]
    one = [1 << 16, 1 << 16, 1 << 30] * 3
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4
    version = content[start]
    offset = start + (52 if version == 1 else 40)
    content[offset : offset + 36] = struct.pack(
        ">9i", *(a * b for a, b in zip(matrix, one, strict=True))
    )
    path.write_bytes(bytes(content))
