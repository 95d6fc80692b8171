"""The audio encoder: a sound to one embedding a block, spread evenly over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from encoders import mel
from encoders.features import F32
from encoders.profile import FrontEnd, SoundFrontEnd
from encoders.session import Session

BATCH = 8  # blocks
SILENCE = 1e-3  # of full scale, -60 dB: nothing in it can be recognised
LEVEL = 0.5  # -6 dB, the level that aisfx was trained at

SPECTROGRAMS: Mapping[FrontEnd, Callable[[F32], F32]] = {"aisfx": mel.aisfx, "vggish": mel.vggish}


class AudioEncoder:
    """An audio network over log-mel blocks."""

    def __init__(self, session: Session, front_end: SoundFrontEnd) -> None:
        self._session = session
        self._front_end = front_end
        self._spectrogram = SPECTROGRAMS[front_end.kind]

    def encode(self, sounds: Sequence[F32]) -> list[F32]:
        """[A, Da] of each sound float32 [n], at the profile's rate."""
        blocks = [self.blocks(sound) for sound in sounds]
        if not blocks:
            return []
        inputs = np.concatenate(blocks)
        embeddings = np.concatenate(
            [
                self._session.run(inputs[start : start + BATCH])[0]
                for start in range(0, len(inputs), BATCH)
            ]
        )
        return np.split(embeddings, np.cumsum([len(block) for block in blocks])[:-1])

    def blocks(self, sound: F32) -> F32:
        """Log-mel blocks [A, frames, bands]; a short sound is followed by silence.

        A video's loudness says more about its recording than about its subject, so for aisfx
        the sound's peak is set to one level; VGGish was trained without.
        """
        size = self._front_end.block
        count = min(self._front_end.blocks, max(1, round(len(sound) / size)))
        if self._front_end.kind == "aisfx":
            sound = sound * (LEVEL / np.abs(sound).max())
        if len(sound) < size:
            sound = np.pad(sound, (0, size - len(sound)))
        starts = np.linspace(0, len(sound) - size, count).round().astype(int)
        return np.stack([self._spectrogram(sound[start : start + size]) for start in starts])


def silent(sound: F32) -> bool:
    """Whether nothing of it rises above -60 dB."""
    return sound.size == 0 or float(np.abs(sound).max()) < SILENCE
