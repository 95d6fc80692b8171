"""What one video may cost, and the shape that it comes back in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIB = 1024 * 1024
Fit = Literal["crop", "pad", "stretch"]
Filter = Literal["bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one video, all of them settings; what passes one is refused or killed.

    ``wall_seconds``      fetching and decoding together, waiting for a free child not counted.
    ``memory_bytes``      what a decode child may allocate beyond what it started with.
    ``fetch_bytes``       size of a file, whatever its server claims.
    ``pixels``            width times height of a picture.
    ``duration_seconds``  what a container may claim to last.
    ``files_per_child``   a decode child is replaced after so many files.
    """

    wall_seconds: float = 60.0
    memory_bytes: int = 1024 * MIB
    fetch_bytes: int = 512 * MIB
    pixels: int = 8192 * 4320
    duration_seconds: float = 4 * 3600.0
    files_per_child: int = 200


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """How a frame encoder wants a video: ``count`` square frames of ``size`` pixels.

    ``crop`` scales the shorter side to ``size`` and keeps the middle, ``pad`` scales the longer
    side and fills with black, ``stretch`` ignores the shape. ``filter`` is the scaler's.
    """

    count: int = 8
    size: int = 224
    fit: Fit = "crop"
    filter: Filter = "bicubic"


@dataclass(frozen=True, slots=True)
class SoundSpec:
    """How an audio encoder wants a sound: mono at ``rate`` Hz, at most ``max_seconds`` of it.

    A longer sound is heard in windows of ``window_seconds``, spread evenly over the whole; where
    that is a multiple of the encoder's block, no block mixes two windows.
    """

    rate: int = 44100
    max_seconds: float = 30.0
    window_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class WordSpec:
    """What reading the words of a video itself takes: larger frames, and sound for speech."""

    legible: FrameSpec
    speech: SoundSpec
