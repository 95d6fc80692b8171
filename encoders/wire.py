"""What a decode child and its parent say to each other.

A child handles hostile bytes, so its parent trusts nothing that it says: no pickle, but a JSON
header of bounded length whose every value is checked, then the raw arrays.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from encoders.decode import Decoded
from encoders.errors import DecoderCrashed, MediaError, Refused, Unreadable
from encoders.features import Modality, State
from encoders.limits import FrameSpec, Limits, SoundSpec

READY = b"R"
REQUEST = struct.Struct(">d")  # seconds that the file may take; its descriptor comes beside
_LENGTH = struct.Struct(">I")
_MAX_HEADER = 16_384
_ERRORS: dict[str, type[MediaError]] = {
    each.reason: each for each in (Refused, Unreadable, DecoderCrashed)
}


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is started with."""

    limits: Limits
    frames: FrameSpec
    sound: SoundSpec

    def dumps(self) -> str:
        """As one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Job:
        """The opposite of ``dumps``."""
        parts = json.loads(text)
        return cls(
            Limits(**parts["limits"]), FrameSpec(**parts["frames"]), SoundSpec(**parts["sound"])
        )


def send_result(channel: socket.socket, result: Decoded) -> None:
    """From the child: a decoded video."""
    header = {
        "frames": 0 if result.frames is None else len(result.frames),
        "sound": 0 if result.sound is None else len(result.sound),
        "duration": result.duration,
        "states": result.states,
        "notes": result.notes,
    }
    _send_header(channel, header)
    for array in (result.frames, result.sound):
        if array is not None:
            channel.sendall(array.tobytes())


def send_error(channel: socket.socket, error: MediaError) -> None:
    """From the child: why there is no result."""
    _send_header(channel, {"error": error.reason, "text": str(error)[:500]})


def _send_header(channel: socket.socket, header: dict[str, Any]) -> None:
    text = json.dumps(header).encode()
    channel.sendall(_LENGTH.pack(len(text)) + text)


def receive_result(channel: socket.socket, job: Job, deadline: float) -> Decoded:
    """In the parent: what the child answers, or the error that it reports.

    Raises DecoderCrashed where the child has died, is late, or answers with nonsense.
    """
    (length,) = _LENGTH.unpack(_receive(channel, _LENGTH.size, deadline))
    if length > _MAX_HEADER:
        raise DecoderCrashed("the decoder answered with nonsense")
    try:
        header = json.loads(_receive(channel, length, deadline))
        if "error" in header:
            kind = _ERRORS.get(header["error"], DecoderCrashed)
            raise kind(_printable(header["text"]))
        frames, sound = int(header["frames"]), int(header["sound"])
        states = {each: State(header["states"][each]) for each in (Modality.VISUAL, Modality.AUDIO)}
        notes = {Modality(key): _printable(note) for key, note in header["notes"].items()}
        duration = float(header["duration"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise DecoderCrashed("the decoder answered with nonsense") from None
    if (
        not 0 <= frames <= job.frames.count
        or not 0 <= sound <= job.sound.max_seconds * job.sound.rate + 1
        or (states[Modality.VISUAL] is State.USED) != (frames > 0)
        or (states[Modality.AUDIO] is State.USED) != (sound > 0)
        or not 0 <= duration < float("inf")
    ):
        raise DecoderCrashed("the decoder answered with nonsense")
    size = job.frames.size
    pictures = _receive(channel, frames * size * size * 3, deadline)
    samples = np.frombuffer(_receive(channel, sound * 4, deadline), np.float32)
    if not (np.abs(samples) <= 1.0).all():  # nor is a NaN
        raise DecoderCrashed("the decoder answered with nonsense")
    return Decoded(
        frames=np.frombuffer(pictures, np.uint8).reshape(frames, size, size, 3) if frames else None,
        sound=samples if sound else None,
        duration=duration,
        states=states,
        notes=notes,
    )


def _receive(channel: socket.socket, size: int, deadline: float) -> bytearray:
    """``size`` bytes; the array owns them, so it may be written to."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        left = deadline - time.monotonic()
        if left <= 0:
            raise DecoderCrashed("the decoder was killed at its limit of time")
        channel.settimeout(left)
        try:
            count = channel.recv_into(view)
        except TimeoutError:
            continue
        except OSError:
            count = 0
        if not count:
            raise DecoderCrashed("the decoder died")
        view = view[count:]
    return data


def _printable(text: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(text))[:500]
