"""Light stages: no media, no models. For tests of delivery, whose subject is what surrounds them.

An upload's URI says how it fares: ``light:ok``, ``light:slow:0.5`` (seconds), ``light:degraded``,
``light:missing``, ``light:refused``, ``light:down:3`` (unavailable for three tries),
``light:crash`` (kills its decoder each time), ``light:kill`` (kills the whole worker each time),
``light:broken`` (a bug in the encoder).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from consumer.pipeline import Fetched, Stages
from encoders.encoder import Item
from encoders.errors import DecoderCrashed, NotFound, Refused, Unavailable
from encoders.features import Features, Media, Modality, State, Words
from recall.candidates import Channel


class LightReader:
    """Pretends to read what the URI says."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self.tries: Counter[str] = Counter()

    def read(self, uri: str, words: Words) -> Fetched:
        """Media, or the error that the URI asks for."""
        with self._lock:
            self.tries[uri] += 1
            tries = self.tries[uri]
        if self._seconds:
            time.sleep(self._seconds)
        _, kind, *rest = f"{uri}:".split(":")
        picture = State.USED
        if kind == "slow":
            time.sleep(float(rest[0]))
        elif kind == "degraded":
            picture = State.FAILED
        elif kind == "missing":
            raise NotFound("there is nothing there; check the URI")
        elif kind == "refused":
            raise Refused("the host is not allowed; see REELTAG_ALLOWED_HOSTS")
        elif kind == "down" and tries <= int(rest[0]):
            raise Unavailable("the server answered 503")
        elif kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif kind == "crash":
            raise DecoderCrashed("the decoder died")
        media = Media(
            frames=np.zeros((1, 2, 2, 3), np.uint8) if picture is State.USED else None,
            sound=None,
            rate=16000,
            duration=1.0,
            states={Modality.VISUAL: picture, Modality.AUDIO: State.MISSING},
            digest="0" * 64,
            notes={Modality.AUDIO: kind},
        )
        return Fetched(Item(words, media), uri)


class LightEncoder:
    """Features that only carry their states; raises ValueError for ``light:broken``."""

    def encode(self, videos: Sequence[Fetched]) -> list[Features]:
        """One a video."""
        features = []
        for video in videos:
            words, media = video.item.words, video.item.media
            if media is None or media.notes[Modality.AUDIO] == "broken":
                raise ValueError("a bug")
            text = State.USED if words.text else State.MISSING
            features.append(Features(words, {Modality.TEXT: text, **media.states}))
        return features


@dataclass(frozen=True, slots=True)
class LightTag:
    """A published tag."""

    tag_id: str
    tag: str
    score: float
    channels: tuple[Channel, ...] = (Channel.TEXT,)


@dataclass(frozen=True, slots=True)
class LightTagging:
    """The tags of one video."""

    tags: tuple[LightTag, ...]


@dataclass(slots=True)
class LightTagger:
    """Tags a video with the first word of its title."""

    version: str = "light"
    generation: int = 1
    digest: str = "sha256:light"
    seen: list[str] = field(default_factory=list)

    def tag(
        self, batch: Sequence[Features], uploader_ids: Sequence[str | None]
    ) -> list[LightTagging]:
        """One tagging a video."""
        words = [features.words.title.partition(" ")[0] for features in batch]
        return [LightTagging((LightTag(f"t-{word}", word, 0.9),)) for word in words]


def light_stages(seconds: float = 0.0, generation: int = 1) -> Stages:
    """Stages for a worker; each event takes at least ``seconds``."""
    return Stages(LightReader(seconds), LightEncoder(), LightTagger(generation=generation))
