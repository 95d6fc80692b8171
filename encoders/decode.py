"""From the bytes of one video to frames and sound. Runs in a decode child; knows no network.

A container that can't be opened, or that gives neither picture nor sound, is Unreadable. Where one
of the two fails, the other is still used, and a note says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from av.container import InputContainer
from av.stream import Stream

from encoders.container import DECODERS, open_container, picture_stream, sound_stream
from encoders.errors import Refused, Unreadable
from encoders.features import F32, U8, Modality, State
from encoders.limits import FrameSpec, Limits, SoundSpec
from encoders.pictures import sample_frames
from encoders.sound import sample_sound

PICTURE_SHARE, SOUND_SHARE = 0.55, 0.85
"""By which share of its time a decode stops sampling and gives what it has."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Frames uint8 [T, size, size, 3] and sound float32 [n], as in ``Media``."""

    frames: U8 | None
    sound: F32 | None
    duration: float
    states: Mapping[Modality, State]
    notes: Mapping[Modality, str] = field(default_factory=dict)


def decode(
    file: IO[bytes], frames: FrameSpec, sound: SoundSpec, limits: Limits, budget: float
) -> Decoded:
    """Decode ``file`` within about ``budget`` seconds.

    Raises Unreadable, Refused (too many pixels, too long), and MemoryError at the memory limit.
    """
    begin = time.monotonic()

    def in_time(share: float) -> Callable[[], bool]:
        return lambda: time.monotonic() < begin + share * budget

    with open_container(file, limits) as container:
        pictures, p_state, p_note, p_length = _pictures(container, frames, limits, in_time)
        samples, s_state, s_note, s_length = _sound(container, sound, in_time)
    states = {Modality.VISUAL: p_state, Modality.AUDIO: s_state}
    notes = {Modality.VISUAL: p_note, Modality.AUDIO: s_note}
    if State.USED not in states.values():
        said = "; ".join(note for note in notes.values() if note)
        raise Unreadable(said or "the container holds neither picture nor sound")
    return Decoded(
        frames=pictures,
        sound=samples,
        duration=max(p_length, s_length),
        states=states,
        notes={modality: note for modality, note in notes.items() if note},
    )


def _pictures(
    container: InputContainer,
    spec: FrameSpec,
    limits: Limits,
    in_time: Callable[[float], Callable[[], bool]],
) -> tuple[U8 | None, State, str, float]:
    stream = picture_stream(container)
    if stream is None:
        return None, State.MISSING, "", 0.0
    refusal = _unknown(stream)
    if refusal:
        return None, State.FAILED, refusal, 0.0
    if stream.width * stream.height > limits.pixels:
        raise Refused(
            f"the picture has {stream.width} x {stream.height} pixels; the limit is {limits.pixels}"
        )
    found, length = sample_frames(container, stream, spec, limits, in_time(PICTURE_SHARE))
    if not found:
        return None, State.FAILED, "no picture could be decoded", length
    return np.stack(found), State.USED, "", length


def _sound(
    container: InputContainer, spec: SoundSpec, in_time: Callable[[float], Callable[[], bool]]
) -> tuple[F32 | None, State, str, float]:
    stream = sound_stream(container)
    if stream is None:
        return None, State.MISSING, "", 0.0
    refusal = _unknown(stream)
    if refusal:
        return None, State.FAILED, refusal, 0.0
    samples, length = sample_sound(container, stream, spec, in_time(SOUND_SHARE))
    if not len(samples):
        return None, State.FAILED, "no sound could be decoded", length
    return samples, State.USED, "", length


def _unknown(stream: Stream) -> str:
    """Why this stream is not even tried; empty where it is."""
    context = stream.codec_context
    if context is None or context.name not in DECODERS:
        return f"the {stream.type} codec is not one that is read here"
    return ""
