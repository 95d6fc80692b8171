"""The audio encoder: a sound to one embedding a block, and to one vector in the space of names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from encoders import mel
from encoders.features import F32
from encoders.frame import ClassBridge
from encoders.profile import FrontEnd, SoundFrontEnd
from encoders.session import Session

BATCH = 8  # patches
SILENCE = 1e-3  # of full scale, -60 dB: nothing in it can be recognised

SPECTROGRAMS: Mapping[FrontEnd, Callable[[F32], F32]] = {
    "musicnn": mel.musicnn,
    "vggish": mel.vggish,
    "yamnet": mel.yamnet,
}


@dataclass(frozen=True, slots=True, eq=False)
class Ear:
    """One audio network, and the spectrogram that it was trained on."""

    session: Session
    kind: FrontEnd

    def patches(self, blocks: F32) -> F32:
        """Log-mel patches [A, P, frames, bands] of blocks of samples [A, n]."""
        return np.stack([SPECTROGRAMS[self.kind](block) for block in blocks])

    def hear(self, blocks: F32) -> list[F32]:
        """Each of the network's outputs [A, ·], the mean over a block's patches."""
        patches = self.patches(blocks)
        count = patches.shape[1]
        outputs = self.session.run_by(BATCH, patches.reshape(-1, *patches.shape[2:]))
        return [output.reshape(len(blocks), count, -1).mean(axis=1) for output in outputs]


class AudioEncoder:
    """One or more audio networks over the same blocks; their embeddings lie side by side.

    ``bridge``: for a first network that gives chances of classes, too.
    """

    def __init__(
        self, ears: Sequence[Ear], front_end: SoundFrontEnd, bridge: ClassBridge | None
    ) -> None:
        self._ears = ears
        self._front_end = front_end
        self._bridge = bridge

    def encode(self, sounds: Sequence[F32]) -> list[tuple[F32, F32 | None]]:
        """(embeddings [A, Da], bridge [Ds] or None) of each sound float32 [n] at the profile's
        rate.
        """
        if not sounds:
            return []
        blocks = [self.blocks(sound) for sound in sounds]
        heard = [ear.hear(np.concatenate(blocks)) for ear in self._ears]
        embeddings = np.concatenate([outputs[0] for outputs in heard], axis=1)
        cuts = np.cumsum([len(own) for own in blocks])[:-1]
        parts = np.split(embeddings, cuts)
        if self._bridge is None:
            return [(part, None) for part in parts]
        chances = np.split(heard[0][1], cuts)
        bridges = [self._bridge.of(own.mean(axis=0)) for own in chances]
        return list(zip(parts, bridges, strict=True))

    def blocks(self, sound: F32) -> F32:
        """Blocks [A, samples], spread evenly; a sound that is shorter than one is repeated.

        Where the profile has a level, the sound's peak is set to it: a video's loudness says more
        about its recording than about its subject.
        """
        size, level = self._front_end.block, self._front_end.level
        if level is not None:
            sound = sound * (level / np.abs(sound).max())
        count = min(self._front_end.blocks, max(1, round(len(sound) / size)))
        if len(sound) < size:
            sound = np.resize(sound, size)
        starts = np.linspace(0, len(sound) - size, count).round().astype(int)
        return np.stack([sound[start : start + size] for start in starts])


def silent(sound: F32) -> bool:
    """Whether nothing of it rises above -60 dB."""
    return sound.size == 0 or float(np.abs(sound).max()) < SILENCE
