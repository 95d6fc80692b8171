"""Frames sampled evenly over a whole video, upright and of one size."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from encoders.container import packets, rewind, seconds, select, span
from encoders.deadline import Deadline
from encoders.features import U8
from encoders.limits import FrameSpec, Limits

MAX_DECODED = 1500
"""Frames decoded on the way to one target: a minute between key frames, at 25 a second."""
MAX_STRETCH = 8
"""A picture more than so many times longer than wide is squeezed before it is cropped."""

_GUESSED_INDEX = frozenset({"mpeg", "mpegts"})
"""Where any picture passes for a key frame, so that a seek may land too late to decode in time."""
_BACK = (0.0, 1.0, 4.0)
"""Seconds before the target that a seek aims at, until what it finds is early enough."""


def sample_frames(
    container: InputContainer,
    stream: VideoStream,
    spec: FrameSpec,
    limits: Limits,
    deadline: Deadline,
) -> tuple[list[U8], float]:
    """At most ``spec.count`` different frames, in the order of time, and the length in seconds.

    The length is cut into ``spec.count`` equal parts; of each comes the frame that is shown in its
    middle. Fewer come where there are fewer, or where the file is damaged. What would take too long
    to reach before ``deadline`` is taken from nearer key frames, still over the whole length.
    """
    context = stream.codec_context
    context.thread_count = 1
    context.options = {"max_pixels": str(limits.pixels)}
    select(container, stream)
    start, length = span(container, stream, deadline.share(0.5))
    walk = _Walk(container, stream, start, deadline)
    found: dict[float, U8] = {}
    for i in range(spec.count):
        if found and deadline.passed:
            break
        target = start + (i + 0.5) * length / spec.count
        shown = walk.shown_at(target, deadline.share(1 / (spec.count - i)))
        if shown is not None and shown[0] not in found:
            found[shown[0]] = _square(shown[1], stream, spec)
    if not found:
        first = walk.first()
        if first is not None:
            found[first[0]] = _square(first[1], stream, spec)
    return [found[time] for time in sorted(found)], length


class _Walk:
    """Goes forward through a video: by decoding where that is short, else by seeking."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, start: float, deadline: Deadline
    ) -> None:
        self._container = container
        self._stream = stream
        self._start = start
        self._deadline = deadline
        self._frames = self._decode()
        self._shown: tuple[float, VideoFrame] | None = None
        self._next: tuple[float, VideoFrame] | None = None
        self._fed = float("-inf")  # decoding time of the last packet that the decoder got
        self._reach = 1.0  # seconds ahead that are decoded rather than sought, without an index

    def shown_at(self, target: float, deadline: Deadline) -> tuple[float, VideoFrame] | None:
        """The frame on the screen at ``target`` seconds, with its own time; or an earlier one,
        where ``deadline`` passes on the way.
        """
        if self._should_seek(target):
            self._seek(target, deadline)
        for _ in range(MAX_DECODED):
            if self._next is None:
                self._next = next(self._frames, None)
            if self._next is None or (self._next[0] > target and self._shown is not None):
                break
            self._shown, self._next = self._next, None
            if self._shown[0] > target or deadline.passed:
                break
        return self._shown

    def first(self) -> tuple[float, VideoFrame] | None:
        """Whatever frame can be decoded first, from the very start."""
        self._seek(self._start, self._deadline)
        return self._next

    def _should_seek(self, target: float) -> bool:
        index, base = self._stream.index_entries, self._stream.time_base
        if len(index) > 1 and base and self._container.format.name not in _GUESSED_INDEX:
            entry = index.search_timestamp(int(target / base))
            key = seconds(index[entry].timestamp, base) if entry >= 0 else None
            return key is not None and key > max(self._fed, self._start)
        now = self._shown[0] if self._shown else self._start
        return target - now > self._reach

    def _seek(self, target: float, deadline: Deadline) -> None:
        before = self._fed
        for back in _BACK:
            self._frames.close()
            self._shown = self._next = None
            moved = rewind(self._container, self._stream, target - back)
            self._frames = self._decode()
            self._next = next(self._frames, None) if moved else None
            if (self._next and self._next[0] <= target) or deadline.passed:
                break
        if self._fed <= before:  # no key frame in between: it would have been nearer to decode on
            self._reach = 2 * (target - before)

    def _decode(self) -> Generator[tuple[float, VideoFrame]]:
        """Frames with their times; damaged packets are passed over."""
        rate = self._stream.average_rate or Fraction(25)
        time = 0.0
        for packet in packets(self._container, self._stream):
            fed = seconds(packet.dts if packet.dts is not None else packet.pts, packet.time_base)
            self._fed = self._fed if fed is None else fed
            try:
                frames = self._stream.decode(packet)
            except MemoryError:
                raise
            except av.FFmpegError:
                if self._deadline.passed:
                    return
                continue
            for frame in frames:
                known = seconds(frame.pts, frame.time_base)
                time = time + float(1 / rate) if known is None else known
                yield time, frame


def _square(frame: VideoFrame, stream: VideoStream, spec: FrameSpec) -> U8:
    """One frame as uint8 [size, size, 3], RGB, as ``spec.fit`` says."""
    swaps, mirrors, flips = _orientation(frame)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    aspect = min(max(aspect, Fraction(1, 4)), Fraction(4))
    shape = (frame.height, max(1, round(frame.width * aspect)))
    height, width = shape[::-1] if swaps else shape
    scaled = _scaled(height, width, spec)
    stored = scaled[::-1] if swaps else scaled
    small = frame.reformat(
        width=stored[1],
        height=stored[0],
        format="rgb24",
        interpolation=spec.filter.upper(),
        threads=1,
    )
    image = small.to_ndarray()
    if swaps:
        image = image.transpose(1, 0, 2)
    if mirrors:
        image = image[:, ::-1]
    if flips:
        image = image[::-1]
    square = np.zeros((spec.size, spec.size, 3), np.uint8)
    source = tuple(slice(max(0, (n - spec.size) // 2), None) for n in scaled)
    place = tuple(slice(max(0, (spec.size - n) // 2), None) for n in scaled)
    part = image[source][: spec.size, : spec.size]
    square[place][: part.shape[0], : part.shape[1]] = part
    return square


def _scaled(height: int, width: int, spec: FrameSpec) -> tuple[int, int]:
    if spec.fit == "stretch":
        return spec.size, spec.size
    side = max(height, width) if spec.fit == "pad" else min(height, width)
    scale, longest = spec.size / side, spec.size * MAX_STRETCH
    return min(max(1, round(height * scale)), longest), min(max(1, round(width * scale)), longest)


def _orientation(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """Whether to swap the axes, then mirror left and right, then flip top and bottom.

    From the display matrix (ISO 14496-12, 6.2.2), rounded to quarter turns.
    """
    matrix = cast(SideDataContainer, frame.side_data).get(SideData.DISPLAYMATRIX)
    if matrix is None or len(bytes(matrix)) < 36:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].astype(np.int64)
    if abs(b) > abs(a):
        return True, bool(c < 0), bool(b < 0)
    return False, bool(a < 0), bool(d < 0)
