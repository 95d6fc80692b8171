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
from encoders.features import F32, U8, Modality, State
from encoders.limits import FrameSpec, Limits, SoundSpec, WordSpec

READY = b"R"
REQUEST = struct.Struct(">d")  # seconds that the file may take; its descriptor comes beside
_HEAD = struct.Struct(">I")
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
    words: WordSpec | None = None

    def dumps(self) -> str:
        """As one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Job:
        """The opposite of ``dumps``."""
        parts = json.loads(text)
        words = parts["words"]
        return cls(
            Limits(**parts["limits"]),
            FrameSpec(**parts["frames"]),
            SoundSpec(**parts["sound"]),
            words and WordSpec(FrameSpec(**words["legible"]), SoundSpec(**words["speech"])),
        )


def send_result(channel: socket.socket, result: Decoded) -> None:
    """From the child: a decoded video."""
    header = {
        "frames": _length(result.frames),
        "sound": _length(result.sound),
        "legible": _length(result.legible),
        "speech": _length(result.speech),
        "duration": result.duration,
        "states": result.states,
        "notes": result.notes,
    }
    _send_header(channel, header)
    for array in (result.frames, result.sound, result.legible, result.speech):
        if array is not None:
            channel.sendall(array.tobytes())


def send_error(channel: socket.socket, error: MediaError) -> None:
    """From the child: why there is no result."""
    _send_header(channel, {"error": error.reason, "text": str(error)[:500]})


def _length(array: U8 | F32 | None) -> int:
    return 0 if array is None else len(array)


def _send_header(channel: socket.socket, header: dict[str, Any]) -> None:
    text = json.dumps(header).encode()
    channel.sendall(_HEAD.pack(len(text)) + text)


def receive_result(channel: socket.socket, job: Job, deadline: float) -> Decoded:
    """In the parent: what the child answers, or the error that it reports.

    Raises DecoderCrashed where the child has died, is late, or answers with nonsense.
    """
    (length,) = _HEAD.unpack(_receive(channel, _HEAD.size, deadline))
    if length > _MAX_HEADER:
        raise DecoderCrashed("the decoder answered with nonsense")
    try:
        header = json.loads(_receive(channel, length, deadline))
        if "error" in header:
            kind = _ERRORS.get(header["error"], DecoderCrashed)
            raise kind(_printable(header["text"]))
        frames, sound = int(header["frames"]), int(header["sound"])
        legible, speech = int(header.get("legible", 0)), int(header.get("speech", 0))
        states = {each: State(header["states"][each]) for each in (Modality.VISUAL, Modality.AUDIO)}
        notes = {Modality(key): _printable(note) for key, note in header["notes"].items()}
        duration = float(header["duration"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise DecoderCrashed("the decoder answered with nonsense") from None
    words = job.words
    large = words.legible.size if words else 0
    if (
        not 0 <= frames <= job.frames.count
        or not 0 <= sound <= _samples(job.sound)
        or not 0 <= legible <= (words.legible.count if words else 0)
        or not 0 <= speech <= (_samples(words.speech) if words else 0)
        or (states[Modality.VISUAL] is State.USED) != (frames > 0)
        or (states[Modality.AUDIO] is State.USED) != (sound > 0)
        or not 0 <= duration < float("inf")
    ):
        raise DecoderCrashed("the decoder answered with nonsense")
    return Decoded(
        frames=_receive_pictures(channel, frames, job.frames.size, deadline),
        sound=_receive_samples(channel, sound, deadline),
        duration=duration,
        states=states,
        notes=notes,
        legible=_receive_pictures(channel, legible, large, deadline),
        speech=_receive_samples(channel, speech, deadline),
    )


def _samples(spec: SoundSpec) -> float:
    return spec.max_seconds * spec.rate + 1


def _receive_pictures(channel: socket.socket, count: int, size: int, deadline: float) -> U8 | None:
    data = _receive(channel, count * size * size * 3, deadline)
    return np.frombuffer(data, np.uint8).reshape(count, size, size, 3) if count else None


def _receive_samples(channel: socket.socket, count: int, deadline: float) -> F32 | None:
    samples = np.frombuffer(_receive(channel, count * 4, deadline), np.float32)
    if not (np.abs(samples) <= 1.0).all():  # nor is a NaN
        raise DecoderCrashed("the decoder answered with nonsense")
    return samples if count else None


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
