"""Rendering a planned clip to a video file: moving pictures, a sound track, one container."""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from deploy.corpus.audio import RATE, sound_track
from deploy.corpus.model import Clip, Scene
from deploy.corpus.raster import raster_path

SIDE, FPS = 256, 8  # pixels, frames a second
_CANVAS = 320
_Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Studio:
    """What rendering needs to find: rasters, sound files and banks, and where clips go."""

    rasters: Path
    out: Path
    sounds: Mapping[str, tuple[str, int]]
    bank_library: Path


def _backdrop(scene: Scene, picture: Image.Image, side: int) -> Image.Image:
    first, second = scene.colours
    if scene.backdrop == "plain":
        return Image.new("RGB", (side, side), first)
    if scene.backdrop == "gradient":
        ends = Image.new("RGB", (1, 2))
        ends.putpixel((0, 0), first)
        ends.putpixel((0, 1), second)
        return ends.resize((side, side), Image.Resampling.BILINEAR)
    base = Image.new("RGBA", picture.size, (*first, 255))
    base.alpha_composite(picture)
    return (
        base.convert("RGB")
        .resize((5, 5), Image.Resampling.BOX)
        .resize((side, side), Image.Resampling.BICUBIC)
    )


def _frames(scene: Scene, picture: Image.Image, count: int) -> Iterator[_Frame]:
    dx, dy = math.cos(scene.angle), math.sin(scene.angle)
    if scene.movement == "drift":
        ground = _backdrop(scene, picture, SIDE)
        left, top = (SIDE - picture.width) / 2, (SIDE - picture.height) / 2
        for number in range(count):
            way = 2.0 * number / max(1, count - 1) - 1.0
            frame = ground.copy()
            frame.paste(picture, (round(left + 34 * way * dx), round(top + 34 * way * dy)), picture)
            yield np.asarray(frame)
        return
    canvas = _backdrop(scene, picture, _CANVAS)
    canvas.paste(
        picture, ((_CANVAS - picture.width) // 2, (_CANVAS - picture.height) // 2), picture
    )
    spare = _CANVAS - SIDE
    for number in range(count):
        way = number / max(1, count - 1)
        if scene.movement == "pan":
            x = round(spare / 2 * (1 + (2 * way - 1) * dx))
            y = round(spare / 2 * (1 + (2 * way - 1) * dy))
            yield np.asarray(canvas.crop((x, y, x + SIDE, y + SIDE)))
        else:
            inset = (spare + 20) * (way if dx > 0 else 1 - way) / 2
            box = (inset, inset, _CANVAS - inset, _CANVAS - inset)
            yield np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))


def _pictures(clip: Clip, studio: Studio) -> Iterator[_Frame]:
    for scene in clip.scenes:
        with Image.open(raster_path(studio.rasters, scene.source_id)) as image:
            picture = image.convert("RGBA")
        yield from _frames(scene, picture, max(2, round(scene.seconds * FPS)))


def _video_stream(container: av.container.OutputContainer, ending: str) -> av.VideoStream:
    if ending == "webm":
        options = {"deadline": "realtime", "cpu-used": "8", "b": "180k", "threads": "1"}
        stream = container.add_stream("libvpx", rate=FPS, options=options)
    else:
        options = {"preset": "ultrafast", "crf": "29", "threads": "1", "g": "24"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
    assert isinstance(stream, av.VideoStream)
    stream.width = stream.height = SIDE
    stream.pix_fmt = "yuv420p"
    stream.time_base = Fraction(1, FPS)
    return stream


def render(clip: Clip, studio: Studio) -> int:
    """Writes the clip's file unless it is there already; returns its size in bytes.

    A file appears whole or not at all, so that a killed build can go on.
    """
    target = studio.out / clip.uri
    if target.exists():
        return target.stat().st_size
    target.parent.mkdir(parents=True, exist_ok=True)
    ending = target.suffix[1:]
    partial = target.with_name(f".{clip.video_id}.{os.getpid()}{target.suffix}")
    frames = list(_pictures(clip, studio))
    wave = sound_track(clip.track, len(frames) / FPS, studio.sounds, studio.bank_library)
    with av.open(str(partial), "w") as container:
        video = _video_stream(container, ending)
        audio = None
        if wave is not None:
            stream = container.add_stream(
                "libopus" if ending == "webm" else "aac", rate=RATE, layout="mono"
            )
            assert isinstance(stream, av.AudioStream)
            stream.bit_rate = 40_000
            audio = stream
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and wave is not None:
            _write_sound(container, audio, wave)
    partial.rename(target)
    return target.stat().st_size


def _write_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, wave: npt.NDArray[np.float32]
) -> None:
    resampler = av.AudioResampler(
        format=stream.format, layout="mono", rate=RATE, frame_size=stream.frame_size or 960
    )
    step = RATE
    for start in range(0, len(wave), step):
        piece = np.ascontiguousarray(wave[start : start + step][None, :])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, start
        frame.time_base = Fraction(1, RATE)
        for ready in resampler.resample(frame):
            container.mux(stream.encode(ready))
    for ready in resampler.resample(None):
        container.mux(stream.encode(ready))
    container.mux(stream.encode(None))
