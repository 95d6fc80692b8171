"""A small world of labelled videos without any media: topics in words, pictures and sounds.

Every tag is a topic with a direction in each modality and a made-up name. A video has some tags;
each modality shows each of them or not, with noise. So every channel can do something, none all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.features import Features, Modality, State, Words
from recall.candidates import CandidateSet
from recall.corpus import LabelledVideo, TagSet
from recall.dataset import Dataset, pack
from recall.splits import Split
from recall.vocabulary import Tag, Vocabulary

F32 = npt.NDArray[np.float32]

_CONSONANTS, _VOWELS = "bdfgklmnprtvz", "aeiou"
_FILLERS = ("my", "new", "clip", "today", "best", "look", "fun", "part", "day", "again")


@dataclass(frozen=True)
class World:
    """Tags, their directions, and what embeds texts."""

    vocabulary: Vocabulary
    meanings: F32
    pictures: F32
    sounds: F32

    @classmethod
    def of(cls, tags: int, *, width: int = 48, seed: int = 0) -> World:
        """A world of so many tags; related ones (of one parent in eight) lie closer."""
        random = np.random.default_rng(seed)
        names: dict[str, None] = {}
        while len(names) < tags:
            letters = [
                random.choice(list(_CONSONANTS)) + random.choice(list(_VOWELS)) for _ in range(3)
            ]
            names["".join(letters)] = None
        vocabulary = Vocabulary(tuple(Tag(name, name) for name in names))

        def directions() -> F32:
            groups = random.normal(size=(tags // 8 + 1, width))
            rows = random.normal(size=(tags, width)) + 0.8 * groups[np.arange(tags) // 8]
            return _unit(rows)

        return cls(vocabulary, directions(), directions(), directions())

    def embed(self, texts: Sequence[str]) -> F32:
        """The sentence encoder: the sum of a text's known names, and a little of all else."""
        rows = np.zeros((len(texts), self.meanings.shape[1]))
        for row, text in enumerate(texts):
            for word in text.lower().split():
                index = self.vocabulary.index_of(word)
                seed = sum(ord(c) * 31**i for i, c in enumerate(word)) % 2**31
                noise = np.random.default_rng(seed).normal(size=self.meanings.shape[1]) * 0.05
                rows[row] += noise if index is None else self.meanings[index]
        return _unit(rows + 1e-6)

    def videos(
        self,
        count: int,
        *,
        seed: int = 1,
        hidden: float = 0.0,
        uploaders: int = 40,
        complete: bool = True,
    ) -> list[tuple[LabelledVideo, Features]]:
        """Labelled videos with features; ``hidden`` of the training labels are missing.

        Without ``complete``, one modality in five is missing. Two videos in a row share a source.
        """
        random = np.random.default_rng(seed)
        tags = len(self.vocabulary)
        popularity = 1 / np.arange(3, tags + 3) ** 0.7
        popularity /= popularity.sum()
        tastes = random.integers(0, tags, size=(uploaders, 4))
        made = []
        for number in range(count):
            uploader = int(random.integers(uploaders))
            drawn = random.choice(
                tags, size=int(random.integers(2, 5)), replace=False, p=popularity
            )
            chosen = sorted({*drawn.tolist(), int(random.choice(tastes[uploader]))})
            place = (number // 2) % 10
            split = Split.TRAIN if place < 7 else Split.VAL if place < 8 else Split.TEST
            kept = [t for t in chosen if split is Split.TEST or random.random() >= hidden]
            video = LabelledVideo(
                f"v{seed}-{number}",
                f"file:///v{number}.mp4",
                Words(),
                f"u{uploader}",
                TagSet(tuple(kept or chosen[:1])),
                split,
                (f"source-{number // 2}",),
                number // 2,
            )
            made.append((video, self.features(chosen, random, complete=complete)))
        return made

    def dataset(self, count: int, **how: object) -> Dataset:
        """As :meth:`videos`, packed."""
        return pack(self.videos(count, **how))  # type: ignore[arg-type]  # passed through as given

    def features(
        self, tags: Sequence[int], random: np.random.Generator, *, complete: bool = True
    ) -> Features:
        """What encoders would make of a video with these tags."""
        there = random.random(3) < (2.0 if complete else 0.8)
        there[int(random.integers(3))] = True
        said, seen, heard = (
            [t for t in tags if random.random() < share] or [tags[0]] for share in (0.6, 0.7, 0.4)
        )
        title = [self.vocabulary.tags[t].name for t in said if random.random() < 0.7]
        words = [*title, *random.choice(_FILLERS, size=3).tolist()]
        random.shuffle(words)
        frames = self.pictures[seen].sum(0) + random.normal(size=(4, self.pictures.shape[1])) * 0.15
        audio = self.sounds[heard].sum(0) + random.normal(size=(3, self.sounds.shape[1])) * 0.15
        bridge = _unit(
            self.meanings[seen].sum(0) + random.normal(size=self.meanings.shape[1]) * 0.2
        )
        (apart,) = random.spawn(1)
        sound_bridge = _unit(
            self.meanings[heard].sum(0) + apart.normal(size=self.meanings.shape[1]) * 0.2
        )
        states = [State.USED if t else State.MISSING for t in there]
        text = " ".join(words)
        return Features(
            words=Words(text if there[0] else ""),
            states=dict(zip(Modality, states, strict=True)),
            sentence=self.embed([text])[0] if there[0] else None,
            tokens=np.asarray([1, 2, 3]) if there[0] else None,
            frames=frames.astype(np.float32) if there[1] else None,
            bridge=bridge if there[1] else None,
            audio=audio.astype(np.float32) if there[2] else None,
            sound_bridge=sound_bridge if there[2] else None,
        )


def share_found(
    videos: Dataset, found: Sequence[CandidateSet], channel: int | None = None
) -> float:
    """The share of (video, tag) pairs among the candidates, or among those of one channel."""
    hits = 0
    for row, candidates in enumerate(found):
        tags = candidates.tags
        if channel is not None:
            tags = tags[~np.isnan(candidates.scores[:, channel])]
        hits += int(np.isin(videos.labels[row], tags).sum())
    return hits / len(videos.labels.values)


def only(features: Features, modality: Modality, why: State = State.MISSING) -> Features:
    """The same video with one modality left."""
    states = {m: s if m is modality else why for m, s in features.states.items()}
    return Features(
        words=features.words,
        states=states,
        sentence=features.sentence if modality is Modality.TEXT else None,
        tokens=features.tokens if modality is Modality.TEXT else None,
        frames=features.frames if modality is Modality.VISUAL else None,
        bridge=features.bridge if modality is Modality.VISUAL else None,
        audio=features.audio if modality is Modality.AUDIO else None,
        sound_bridge=features.sound_bridge if modality is Modality.AUDIO else None,
    )


def _unit(rows: npt.NDArray[np.floating]) -> F32:
    scaled: F32 = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return scaled
