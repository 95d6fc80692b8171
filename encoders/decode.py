"""From the bytes of one video to frames and sound. Runs in a decode child; knows no network.

A container that can't be opened, or that gives neither picture nor sound, is Unreadable. Where one
of the two fails, the other is still used, and a note says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from av.container import InputContainer
from av.stream import Stream

from encoders.container import DECODERS, open_container, picture_stream, sound_stream
from encoders.deadline import Deadline
from encoders.errors import Refused, Unreadable
from encoders.features import F32, U8, Modality, State
from encoders.limits import FrameSpec, Limits, SoundSpec, WordSpec
from encoders.pictures import sample_frames
from encoders.sound import sample_sound

PICTURE_SHARE, SOUND_SHARE = 0.55, 0.6
"""Of the time left when it begins, what each may take; the rest is for handing over."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Frames uint8 [T, size, size, 3], sound float32 [n] and the others, as in ``Media``."""

    frames: U8 | None
    sound: F32 | None
    duration: float
    states: Mapping[Modality, State]
    notes: Mapping[Modality, str] = field(default_factory=dict)
    legible: U8 | None = None
    speech: F32 | None = None


def decode(
    file: IO[bytes],
    frames: FrameSpec,
    sound: SoundSpec,
    limits: Limits,
    budget: float,
    words: WordSpec | None = None,
) -> Decoded:
    """Decode ``file`` within about ``budget`` seconds; ``words`` adds what words are read from.

    Raises Unreadable, Refused (too many pixels, too long), and MemoryError at the memory limit.
    """
    deadline = Deadline.after(budget)
    with open_container(file, limits) as container:
        pictures, p_state, p_note, p_length = _pictures(
            container, frames, limits, deadline.share(PICTURE_SHARE)
        )
        samples, s_state, s_note, s_length = _sound(container, sound, deadline.share(SOUND_SHARE))
    states = {Modality.VISUAL: p_state, Modality.AUDIO: s_state}
    notes = {Modality.VISUAL: p_note, Modality.AUDIO: s_note}
    if State.USED not in states.values():
        said = "; ".join(note for note in notes.values() if note)
        raise Unreadable(said or "the container holds neither picture nor sound")
    legible, speech = (None, None) if words is None else _for_words(file, words, limits, deadline)
    return Decoded(
        frames=pictures,
        sound=samples,
        duration=max(p_length, s_length),
        states=states,
        notes={modality: note for modality, note in notes.items() if note},
        legible=legible,
        speech=speech,
    )


def _for_words(
    file: IO[bytes], words: WordSpec, limits: Limits, deadline: Deadline
) -> tuple[U8 | None, F32 | None]:
    """What words are read from, in a container of its own: an open decoder is not set up again."""
    file.seek(0)
    with open_container(file, limits) as container:
        legible, *_ = _pictures(container, words.legible, limits, deadline.share(PICTURE_SHARE))
        speech, *_ = _sound(container, words.speech, deadline.share(SOUND_SHARE))
    return legible, speech


def _pictures(
    container: InputContainer,
    spec: FrameSpec,
    limits: Limits,
    deadline: Deadline,
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
    found, length = sample_frames(container, stream, spec, limits, deadline)
    if not found:
        return None, State.FAILED, "no picture could be decoded", length
    return np.stack(found), State.USED, "", length


def _sound(
    container: InputContainer, spec: SoundSpec, deadline: Deadline
) -> tuple[F32 | None, State, str, float]:
    stream = sound_stream(container)
    if stream is None:
        return None, State.MISSING, "", 0.0
    refusal = _unknown(stream)
    if refusal:
        return None, State.FAILED, refusal, 0.0
    samples, length = sample_sound(container, stream, spec, deadline)
    if not len(samples):
        return None, State.FAILED, "no sound could be decoded", length
    return samples, State.USED, "", length


def _unknown(stream: Stream) -> str:
    """Why this stream is not even tried; empty where it is."""
    context = stream.codec_context
    if context is None or context.name not in DECODERS:
        return f"the {stream.type} codec is not one that is read here"
    return ""
