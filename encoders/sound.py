"""Mono sound at one rate: all of a short one, evenly spaced windows of a long one."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from encoders.container import packets, rewind, select, span
from encoders.deadline import Deadline
from encoders.features import F32
from encoders.limits import SoundSpec


def sample_sound(
    container: InputContainer, stream: AudioStream, spec: SoundSpec, deadline: Deadline
) -> tuple[F32, float]:
    """float32 [n] in [-1, 1] at ``spec.rate``, and the length of the whole in seconds.

    Empty where nothing could be decoded; cut short at ``deadline``.
    """
    stream.codec_context.thread_count = 1
    select(container, stream)
    start, length = span(container, stream, deadline)
    rewind(container, stream, start)
    if length <= spec.max_seconds:
        return _decode(container, stream, spec, start, spec.max_seconds, deadline), length
    count = max(1, int(spec.max_seconds // spec.window_seconds))
    windows = []
    for i in range(count):
        # Each window lies in the middle of its own equal part.
        begin = start + (i + 0.5) * length / count - spec.window_seconds / 2
        until = deadline.share(1 / (count - i))
        if rewind(container, stream, begin) and not until.passed:
            windows.append(_decode(container, stream, spec, begin, spec.window_seconds, until))
    return np.concatenate([np.zeros(0, np.float32), *windows]), length


def _decode(
    container: InputContainer,
    stream: AudioStream,
    spec: SoundSpec,
    begin: float,
    length: float,
    deadline: Deadline,
) -> F32:
    """The ``length`` seconds from ``begin``; the container stands at or before it."""
    wanted = round(length * spec.rate)
    blocks: list[F32] = []
    have, skip = 0, -1
    for time, block in _resampled(container, stream, spec.rate, deadline):
        if skip < 0:
            skip = max(0, round((begin - time) * spec.rate))
        kept = block[skip:]
        skip -= min(skip, len(block))
        blocks.append(kept)
        have += len(kept)
        if have >= wanted or deadline.passed:
            break
    sound = np.concatenate([np.zeros(0, np.float32), *blocks])[:wanted]
    clean: F32 = np.clip(np.nan_to_num(sound, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    return clean


def _resampled(
    container: InputContainer, stream: AudioStream, rate: int, deadline: Deadline
) -> Iterator[tuple[float, F32]]:
    """Blocks of mono sound, each with the time of the frame that it came from."""
    resampler = AudioResampler(format="flt", layout="mono", rate=rate)
    time = 0.0
    for frame in _frames(container, stream, deadline):
        time = time if frame.time is None else frame.time
        frame.pts = None  # gaps and leaps of damaged time stamps are not filled with silence
        try:
            parts = resampler.resample(frame)
        except MemoryError:
            raise
        except (av.FFmpegError, ValueError):
            # The sound changed its rate or channels on the way: go on with a fresh resampler.
            resampler = AudioResampler(format="flt", layout="mono", rate=rate)
            continue
        for part in parts:
            yield time, part.to_ndarray()[0].astype(np.float32, copy=False)
    for part in resampler.resample(None):
        yield time, part.to_ndarray()[0].astype(np.float32, copy=False)


def _frames(
    container: InputContainer, stream: AudioStream, deadline: Deadline
) -> Iterator[AudioFrame]:
    for packet in packets(container, stream):
        try:
            yield from stream.decode(packet)
        except MemoryError:
            raise
        except av.FFmpegError:
            if deadline.passed:
                return
