"""Opening an untrusted container so that it can reach nothing but its own bytes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import IO, NoReturn, TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from encoders.deadline import Deadline
from encoders.errors import Refused, Unreadable
from encoders.limits import Limits

# No playlist, concatenation, image sequence or session description is among them: those name
# other files. FFmpeg matches each name against the demuxer's list of names.
DEMUXERS = (
    "mov,matroska,webm,ogg,mpeg,mpegvideo,mpegts,avi,flv,gif,wav,w64,flac,mp3,aac,m4v,h264,hevc"
)
_PICTURE = (
    "h264 hevc av1 libdav1d vp8 vp9 mpeg1video mpeg2video mpeg4 msmpeg4 msmpeg4v2 theora gif mjpeg "
    "h263 flv vp6f prores"
)
_SOUND = (
    "aac mp3 mp3float mp2 mp2float mp1 mp1float opus libopus vorbis flac alac ac3 eac3 amrnb amrwb "
    "libopencore_amrnb libopencore_amrwb pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le "
    "pcm_s32be pcm_f32le pcm_f32be pcm_f64le pcm_f64be pcm_u8 pcm_s8 pcm_mulaw pcm_alaw pcm_dvd "
    "pcm_bluray adpcm_ima_wav adpcm_ms"
)
DECODERS = frozenset([*_PICTURE.split(), *_SOUND.split()])
MAX_STREAMS = 64
SCANNED_PACKETS = 200_000
"""How many packets are looked at (not decoded) to learn how long a file without a length is."""

AnyStream = TypeVar("AnyStream", VideoStream, AudioStream)


def open_container(file: IO[bytes], limits: Limits) -> InputContainer:
    """The container in ``file``, read through that open file alone.

    Raises Unreadable where it is none of DEMUXERS, Refused where it claims to last too long.
    """
    try:
        container = av.open(
            file,
            "r",
            options={
                "format_whitelist": DEMUXERS,
                "codec_whitelist": ",".join(sorted(DECODERS)),
                "protocol_whitelist": "",
                "enable_drefs": "0",
                "max_streams": str(MAX_STREAMS),
                "max_pixels": str(limits.pixels),
                "threads": "1",
            },
            metadata_errors="replace",
            io_open=_refuse_to_open,
        )
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError, OSError):
        raise Unreadable("this is not a video in a format that is read here") from None
    claimed = (container.duration or 0) / 1_000_000
    if claimed > limits.duration_seconds:
        container.close()
        raise Refused(
            f"the video claims to last {claimed:.0f} s; "
            f"the limit is {limits.duration_seconds:.0f} s"
        )
    return container


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise Refused("the container names another file or address, which is never opened")


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The moving picture, not the cover of an album; None where there is none."""
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    return _preferred(streams)


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The sound track that a player would choose, None where there is none."""
    return _preferred(list(container.streams.audio))


def _preferred(streams: list[AnyStream]) -> AnyStream | None:
    defaults = [stream for stream in streams if stream.disposition & Disposition.default]
    return next(iter(defaults or streams), None)


def select(container: InputContainer, chosen: Stream) -> None:
    """Have the demuxer skip every stream but ``chosen``."""
    for stream in container.streams:
        stream.discard = Discard.default if stream is chosen else Discard.all


def seconds(value: int | None, base: Fraction | None) -> float | None:
    """A time stamp in seconds, None where there is none."""
    return None if value is None or base is None else float(value * base)


def span(container: InputContainer, stream: Stream, deadline: Deadline) -> tuple[float, float]:
    """When ``stream`` starts and how long it lasts, in seconds.

    Taken from the container, unless the stream is clearly shorter; where neither says, the packets
    are counted through until ``deadline``, without decoding any.
    """
    start = seconds(stream.start_time, stream.time_base)
    own = seconds(stream.duration, stream.time_base)
    length = own
    if container.duration is not None:
        end = (container.duration + (container.start_time or 0)) / 1_000_000
        whole = end - (start or 0.0)
        # A muxer that doesn't know the last frame's length leaves the stream's a little short, and
        # in MPEG what stands there is the last packet's; so only a clear difference is believed.
        if own is None or own > whole / 2 or container.format.name in ("mpeg", "mpegts"):
            length = whole
    if start is not None and length is not None and length > 0:
        return start, length
    first, last = None, None
    for count, packet in enumerate(packets(container, stream)):
        time = seconds(packet.pts if packet.pts is not None else packet.dts, packet.time_base)
        if time is not None:
            end = time + (seconds(packet.duration, packet.time_base) or 0.0)
            first = time if first is None else min(first, time)
            last = end if last is None else max(last, end)
        if count >= SCANNED_PACKETS or deadline.passed:
            break
    rewind(container, stream, first or 0.0)
    return first or 0.0, max((last or 0.0) - (first or 0.0), 0.0)


def packets(container: InputContainer, stream: Stream) -> Iterator[Packet[Stream]]:
    """The packets of ``stream`` from here on, until the end or the first damage."""
    try:
        yield from container.demux(stream)
    except MemoryError:
        raise
    except (av.FFmpegError, OSError):
        return


def rewind(container: InputContainer, stream: Stream, time: float) -> bool:
    """Seek to the last key frame at or before ``time`` (seconds); False where that fails."""
    base = stream.time_base
    try:
        if base:
            container.seek(round(time / base), stream=stream)
        else:
            container.seek(round(time * 1_000_000))
    except MemoryError:
        raise
    except (av.FFmpegError, OSError, OverflowError):
        return False
    return True
