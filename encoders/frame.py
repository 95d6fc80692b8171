"""The frame encoder: pictures to one embedding a frame, and to one vector in the space of names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np

from encoders.features import F32, U8
from encoders.session import Session

BATCH = 8  # frames; more at once costs memory and wins no time


class BridgeFrom(Protocol):
    """From the frame network's outputs for one video to a unit vector in the space of names."""

    def __call__(self, frames: F32, logits: F32 | None) -> F32: ...


class FrameEncoder:
    """A frame network: (embeddings) or (embeddings, class logits) of uint8 frames."""

    def __init__(self, session: Session, bridge: BridgeFrom) -> None:
        self._session = session
        self._bridge = bridge

    def encode(self, videos: Sequence[U8]) -> list[tuple[F32, F32]]:
        """(embeddings [T, Dv], bridge [Db]) of each video's frames uint8 [T, H, W, 3]."""
        if not videos:
            return []
        embeddings, *logits = self._session.run_by(BATCH, np.concatenate(videos))
        ends = np.cumsum([len(video) for video in videos])
        encoded = []
        for video, end in zip(videos, ends, strict=True):
            span = slice(end - len(video), end)
            own = embeddings[span]
            encoded.append((own, self._bridge(own, logits[0][span] if logits else None)))
        return encoded


def joint_bridge(frames: F32, logits: F32 | None) -> F32:
    """The mean of unit frame embeddings, where names have a text tower in the same space."""
    return unit((frames / np.linalg.norm(frames, axis=1, keepdims=True)).mean(axis=0))


class ClassBridge:
    """ConSE (Norouzi et al. 2014): the ``top`` classes' names, weighted by their probabilities.

    ``classes``: a file of names, one a line; an empty line is a class that says nothing, as "Music"
    of what is heard. Names are embedded when they first come up.
    """

    def __init__(self, classes: Path, top: int, sentences: Callable[[Sequence[str]], F32]) -> None:
        self._names = classes.read_text(encoding="utf-8").splitlines()
        self._named = np.array([bool(name) for name in self._names])
        self._top = top
        self._sentences = sentences
        self._lock = Lock()
        self._known: dict[int, F32] = {}

    def __call__(self, frames: F32, logits: F32 | None) -> F32:
        """Of a video whose frames have these logits; their probabilities are averaged."""
        if logits is None:
            raise ValueError("the frame network gives no class logits")
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return self.of((odds / odds.sum(axis=1, keepdims=True)).mean(axis=0))

    def of(self, likely: F32) -> F32:
        """The vector of a video whose classes have these chances, float32 [classes]."""
        likely = likely * self._named
        best = np.argsort(-likely, kind="stable")[: self._top]
        return unit(likely[best] @ self._vectors([int(i) for i in best]))

    def _vectors(self, classes: Sequence[int]) -> F32:
        new = [i for i in classes if i not in self._known]
        if new:
            vectors = self._sentences([self._names[i] for i in new])
            with self._lock:
                self._known.update(zip(new, vectors, strict=True))
        return np.stack([self._known[i] for i in classes])


def unit(vector: F32) -> F32:
    """``vector`` at length one."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
