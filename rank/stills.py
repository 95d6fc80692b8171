"""A few small pictures of a video, for pages that show examples."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

import av
import numpy as np
import numpy.typing as npt

from encoders.access import Access
from encoders.errors import MediaError
from encoders.limits import FrameSpec, Limits, SoundSpec
from encoders.sandbox import MediaReader
from recall.corpus import LabelledVideo

U8 = npt.NDArray[np.uint8]
Stills = Mapping[str, tuple[str, ...]]  # video id → its pictures as data URIs

ACROSS = 3
SIZE = 96  # pixels


def stills_of(
    videos: Iterable[LabelledVideo], access: Access, limits: Limits | None = None
) -> Stills:
    """Three pictures of each video that has any and can be read, evenly over its length."""
    found: dict[str, tuple[str, ...]] = {}
    spec = FrameSpec(ACROSS, SIZE, fit="pad")
    with MediaReader(limits or Limits(), spec, SoundSpec(16_000, 1.0, 1.0), children=1) as reader:
        for video in videos:
            try:
                frames = reader.read(video.uri, access).frames
            except MediaError:
                continue  # the page does without
            if frames is not None:
                found[video.video_id] = tuple(data_uri(frame) for frame in frames)
    return found


def data_uri(picture: U8) -> str:
    """A picture uint8 [H, W, 3] as a JPEG inside a URI."""
    encoder = av.CodecContext.create("mjpeg", "w")
    if not isinstance(encoder, av.VideoCodecContext):
        raise TypeError("mjpeg encodes pictures")
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.color_range = "yuv420p", 2  # full range, as JPEG has it
    encoder.options = {"qmin": "4", "qmax": "4"}
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    packets = [
        *encoder.encode(frame.reformat(format="yuv420p", dst_color_range=2)),
        *encoder.encode(None),
    ]
    inside = base64.b64encode(b"".join(bytes(packet) for packet in packets)).decode("ascii")
    return f"data:image/jpeg;base64,{inside}"
