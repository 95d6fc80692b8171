"""The features and labels of many videos, packed into arrays for training and measuring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
import numpy.typing as npt

from encoders.errors import CorpusError
from encoders.features import F32, I64, Features, Modality, State, Words
from recall.corpus import LabelledVideo
from recall.large import Growing, gathered, large
from recall.ragged import Ragged, Value
from recall.splits import SPLITS, Split

I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

MODALITIES: tuple[Modality, ...] = tuple(Modality)
STATES: tuple[State, ...] = tuple(State)
NO_UPLOADER = -1


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """N videos. A row of an array is zero where the video lacks that modality: ask ``states``.

    ``sentence``   float32 [N, Ds]; ``bridge`` float32 [N, Db]; ``sound_bridge``
                   float32 [N, Ds], or no columns where the profile has none.
    ``frames``     ragged rows of [Dv], one list a video, in half precision, since most of what is
                   held is theirs; ``audio`` float32 [Da]; ``tokens`` int64 ids.
    ``states``     uint8 [N, 3]: places in STATES, one column a modality (MODALITIES).
    ``labels``     ragged int32: indexes into the vocabulary. ``outside`` int32 [N]: how many more
                   true tags the vocabulary lacks.
    ``uploader``   int32 [N]: place in ``uploaders``, or -1.
    ``sources``    ragged int32: numbers of what each video is made of. ``component`` int32 [N]: of
                   videos that hang together by their sources.
    ``split``      uint8 [N]: places in SPLITS.
    """

    video_ids: tuple[str, ...]
    words: tuple[Words, ...]
    uploaders: tuple[str, ...]
    sentence: F32
    bridge: F32
    sound_bridge: F32
    frames: Ragged[np.float16]
    audio: Ragged[np.float32]
    tokens: Ragged[np.int64]
    states: U8
    labels: Ragged[np.int32]
    outside: I32
    uploader: I32
    sources: Ragged[np.int32]
    component: I32
    split: U8

    def __len__(self) -> int:
        return len(self.video_ids)

    def used(self, modality: Modality) -> Mask:
        """bool [N]: which videos have this modality."""
        mask: Mask = self.states[:, MODALITIES.index(modality)] == STATES.index(State.USED)
        return mask

    def rows_of(self, *splits: Split) -> I64:
        """The row numbers of these splits."""
        numbers = [SPLITS.index(split) for split in splits]
        return np.flatnonzero(np.isin(self.split, numbers)).astype(np.int64)

    def take(self, rows: Sequence[int] | I64) -> Dataset:
        """The videos at ``rows``, in that order, and their uploaders alone.

        Where ``rows`` is a run, as a split's is, features are not copied.
        """
        at = np.asarray(rows, dtype=np.int64)
        seen = np.unique(self.uploader[at][self.uploader[at] != NO_UPLOADER])
        number_of = np.full(len(self.uploaders) + 1, NO_UPLOADER, dtype=np.int32)
        number_of[seen] = np.arange(len(seen), dtype=np.int32)  # NO_UPLOADER is the last place
        return Dataset(
            video_ids=tuple(self.video_ids[i] for i in at.tolist()),
            words=tuple(self.words[i] for i in at.tolist()),
            uploaders=tuple(self.uploaders[number] for number in seen.tolist()),
            sentence=gathered(self.sentence, at),
            bridge=gathered(self.bridge, at),
            sound_bridge=gathered(self.sound_bridge, at),
            frames=_taken(self.frames, at),
            audio=_taken(self.audio, at),
            tokens=self.tokens.take(at),
            states=self.states[at],
            labels=self.labels.take(at),
            outside=self.outside[at],
            uploader=number_of[self.uploader[at]],
            sources=self.sources.take(at),
            component=self.component[at],
            split=self.split[at],
        )

    def of(self, *splits: Split) -> Dataset:
        """The videos of these splits."""
        return self.take(self.rows_of(*splits))

    def uploader_ids(self) -> tuple[str | None, ...]:
        """Each video's uploader, or None."""
        return tuple(
            None if u == NO_UPLOADER else self.uploaders[u] for u in self.uploader.tolist()
        )

    def features(self, row: int) -> Features:
        """One video's features, as its encoders gave them but for the frames' rounding."""
        states = {m: STATES[int(s)] for m, s in zip(MODALITIES, self.states[row], strict=True)}
        text, visual, audio = (states[m] is State.USED for m in MODALITIES)
        return Features(
            words=self.words[row],
            states=states,
            sentence=self.sentence[row] if text else None,
            tokens=self.tokens[row] if text else None,
            frames=self.frames[row].astype(np.float32) if visual else None,
            bridge=self.bridge[row] if visual else None,
            audio=self.audio[row] if audio else None,
            sound_bridge=self.sound_bridge[row] if audio and self.sound_bridge.size else None,
        )

    def each(self) -> Iterator[Features]:
        """Every video's features in turn."""
        return (self.features(row) for row in range(len(self)))


def pack(videos: Iterable[tuple[LabelledVideo, Features]]) -> Dataset:
    """Pack labelled videos and their features; what a video lacks becomes zeros.

    They are taken one after another, and none is kept: what is large goes into files. Raises
    CorpusError where there is no video, or where two videos' arrays differ in width.
    """
    labelled: list[LabelledVideo] = []
    words: list[Words] = []
    states: list[list[int]] = []
    sentence, bridge, sound_bridge, audio = (_Lists(np.float32) for _ in range(4))
    frames, tokens = _Lists(np.float16), _Lists(np.int64)
    for video, features in videos:
        labelled.append(video)
        words.append(features.words)
        states.append([STATES.index(features.states[modality]) for modality in MODALITIES])
        try:
            sentence.add(None if features.sentence is None else features.sentence[None])
            bridge.add(None if features.bridge is None else features.bridge[None])
            heard = features.sound_bridge
            sound_bridge.add(None if heard is None else heard[None])
            frames.add(None if features.frames is None else features.frames.astype(np.float16))
            audio.add(features.audio)
            tokens.add(features.tokens)
        except ValueError as error:
            raise CorpusError(
                f"features of different profiles can't be mixed ({error}); clear the cache"
            ) from error
    if not labelled:
        raise CorpusError(
            "no video could be encoded; see the reasons listed for each, and check the URIs"
        )
    uploaders: dict[str, int] = {}
    uploader = [
        NO_UPLOADER
        if video.uploader_id is None
        else uploaders.setdefault(video.uploader_id, len(uploaders))
        for video in labelled
    ]
    return Dataset(
        video_ids=tuple(video.video_id for video in labelled),
        words=tuple(words),
        uploaders=tuple(uploaders),
        sentence=sentence.one_each(),
        bridge=bridge.one_each(),
        sound_bridge=sound_bridge.one_each(),
        frames=frames.packed(0),
        audio=audio.packed(0),
        tokens=tokens.packed(),
        states=np.asarray(states, dtype=np.uint8),
        labels=Ragged.of(
            [np.asarray(video.tags.labels, dtype=np.int32) for video in labelled], np.int32
        ),
        outside=np.asarray([video.tags.outside for video in labelled], dtype=np.int32),
        uploader=np.asarray(uploader, dtype=np.int32),
        sources=_numbered([video.sources for video in labelled]),
        component=np.asarray([video.component for video in labelled], dtype=np.int32),
        split=np.asarray([SPLITS.index(video.split) for video in labelled], dtype=np.uint8),
    )


def _numbered(names: Sequence[Sequence[str]]) -> Ragged[np.int32]:
    """Lists of names as lists of their numbers, each name once a list."""
    number: dict[str, int] = {}
    lists = [
        np.asarray(
            [number.setdefault(name, len(number)) for name in dict.fromkeys(each)], dtype=np.int32
        )
        for each in names
    ]
    return Ragged.of(lists, np.int32)


class _Lists(Generic[Value]):
    """A list of rows from each video, of the first row's width; None is an empty list."""

    def __init__(self, dtype: type[Value]) -> None:
        self._dtype = dtype
        self._lengths: list[int] = []
        self._values: Growing[Value] | None = None

    def add(self, rows: npt.NDArray[Value] | None) -> None:
        self._lengths.append(0 if rows is None else len(rows))
        if rows is not None:
            if self._values is None:
                self._values = Growing(rows.shape[1:], self._dtype)
            self._values.extend(rows)

    def packed(self, *no_row: int) -> Ragged[Value]:
        """``no_row``: a row's shape where no video has one."""
        none = np.zeros((0, *no_row), self._dtype)
        values = none if self._values is None else self._values.whole()
        starts = np.concatenate([[0], np.cumsum(self._lengths)]).astype(np.int64)
        return Ragged(values, starts)

    def one_each(self) -> npt.NDArray[Value]:
        """[N, D]: of lists of one row at most, zeros for an empty one."""
        lists = self.packed(0)
        out = large((len(lists), *lists.values.shape[1:]), self._dtype)
        out[lists.lengths == 0] = 0
        out[lists.lengths > 0] = lists.values
        return out


def _taken(lists: Ragged[Value], at: I64) -> Ragged[Value]:
    """The lists at ``at``, in that order."""
    places, _ = lists.positions(at)
    starts = np.zeros(len(at) + 1, dtype=np.int64)
    np.cumsum(lists.lengths[at], out=starts[1:])
    return Ragged(gathered(lists.values, places), starts)
