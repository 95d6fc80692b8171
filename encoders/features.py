"""What the encoders know of a video. Nothing here is trained by us, so features outlive bundles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]


class Modality(StrEnum):
    """What a video is made of."""

    TEXT = "text"
    VISUAL = "visual"
    AUDIO = "audio"


class State(StrEnum):
    """How one modality of one video fared."""

    USED = "used"
    MISSING = "missing"  # the video has none
    FAILED = "failed"  # it could not be read
    UNSUPPORTED = "unsupported"  # a language that the profile doesn't declare


@dataclass(frozen=True, slots=True)
class Words:
    """The words of an upload: those that came with it, and those read from the video itself.

    ``shown`` (on the screen) and ``spoken`` are empty unless a profile asks for extra words.
    """

    title: str = ""
    description: str = ""
    language: str | None = None
    shown: str = ""
    spoken: str = ""

    @property
    def text(self) -> str:
        """All words as one text; empty where there are none."""
        parts = (self.title, self.description, self.shown, self.spoken)
        return ". ".join(part for part in map(str.strip, parts) if part)


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """A decoded video, small enough to pass between processes.

    ``frames``  uint8 [T, H, W, 3], RGB, sampled evenly over the whole video, upright; None if none.
    ``sound``   float32 [n], mono in [-1, 1], at ``rate`` Hz; None if none.
    ``duration``  seconds.
    ``states``  VISUAL and AUDIO: used, missing or failed. ``notes`` says why one failed.
    ``digest``  sha256 (hex) of the file's bytes.

    Only where a profile asks for extra words:

    ``legible``  uint8 [R, S, S, 3]: a few larger frames. ``speech``  float32 [n] for speech.
    ``shown``, ``spoken``  what was read from them. ``notes`` on TEXT says why some was not.
    """

    frames: U8 | None
    sound: F32 | None
    rate: int
    duration: float
    states: Mapping[Modality, State]
    digest: str
    notes: Mapping[Modality, str] = field(default_factory=dict)
    legible: U8 | None = None
    speech: F32 | None = None
    shown: str = ""
    spoken: str = ""

    @property
    def complete(self) -> bool:
        """Whether no extra words are lacking that another try may read."""
        return Modality.TEXT not in self.notes


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """One video as its profile's encoders see it. An array is None unless its modality is USED.

    ``sentence``  float32 [Ds], unit length: the sentence embedding of ``words.text``.
    ``tokens``    int64 [L]: the small BERT's token ids of ``words.text``, [CLS] … [SEP].
    ``frames``    float32 [T, Dv]: one embedding a frame, in the order of time.
    ``bridge``    float32 [Db], unit length: the picture in the space of tag *names*.
    ``audio``     float32 [A, Da]: one embedding a block of sound, in the order of time.
    ``sound_bridge`` float32 [Ds], unit length: the sound in the sentence encoder's space; None also
                  where the profile's audio network knows no classes.
    ``states``    one for each of TEXT, VISUAL, AUDIO.
    """

    words: Words
    states: Mapping[Modality, State]
    sentence: F32 | None = None
    tokens: I64 | None = None
    frames: F32 | None = None
    bridge: F32 | None = None
    audio: F32 | None = None
    sound_bridge: F32 | None = None
