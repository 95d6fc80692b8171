"""The features and labels of many videos, packed into arrays for training and measuring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import CorpusError
from encoders.features import F32, I64, Features, Modality, State, Words
from recall.corpus import LabelledVideo
from recall.large import gathered
from recall.ragged import Ragged
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

    ``sentence``   float32 [N, Ds]; ``bridge`` float32 [N, Db].
    ``frames``     ragged rows of [Dv], one list a video; ``audio`` of [Da]; ``tokens`` int64 ids.
    ``states``     uint8 [N, 3]: places in STATES, one column a modality (MODALITIES).
    ``labels``     ragged int32: indexes into the vocabulary. ``outside`` int32 [N]: how many more
                   true tags the vocabulary lacks.
    ``uploader``   int32 [N]: place in ``uploaders``, or -1. ``component`` int32 [N].
    ``split``      uint8 [N]: places in SPLITS.
    """

    video_ids: tuple[str, ...]
    words: tuple[Words, ...]
    uploaders: tuple[str, ...]
    sentence: F32
    bridge: F32
    frames: Ragged[np.float32]
    audio: Ragged[np.float32]
    tokens: Ragged[np.int64]
    states: U8
    labels: Ragged[np.int32]
    outside: I32
    uploader: I32
    component: I32
    split: U8

    def __len__(self) -> int:
        return len(self.video_ids)

    def used(self, modality: Modality) -> Mask:
        """bool [N]: which videos have this modality."""
        mask: Mask = self.states[:, MODALITIES.index(modality)] == STATES.index(State.USED)
        return mask

    def rows_of(self, split: Split) -> I64:
        """The row numbers of one split."""
        return np.flatnonzero(self.split == SPLITS.index(split)).astype(np.int64)

    def take(self, rows: Sequence[int] | I64) -> Dataset:
        """The videos at ``rows``, in that order, and their uploaders alone."""
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
            frames=_taken(self.frames, at),
            audio=_taken(self.audio, at),
            tokens=self.tokens.take(at),
            states=self.states[at],
            labels=self.labels.take(at),
            outside=self.outside[at],
            uploader=number_of[self.uploader[at]],
            component=self.component[at],
            split=self.split[at],
        )

    def of(self, split: Split) -> Dataset:
        """The videos of one split."""
        return self.take(self.rows_of(split))

    def uploader_ids(self) -> tuple[str | None, ...]:
        """Each video's uploader, or None."""
        return tuple(
            None if u == NO_UPLOADER else self.uploaders[u] for u in self.uploader.tolist()
        )

    def features(self, row: int) -> Features:
        """One video's features, as its encoders gave them."""
        states = {m: STATES[int(s)] for m, s in zip(MODALITIES, self.states[row], strict=True)}
        text, visual, audio = (states[m] is State.USED for m in MODALITIES)
        return Features(
            words=self.words[row],
            states=states,
            sentence=self.sentence[row] if text else None,
            tokens=self.tokens[row] if text else None,
            frames=self.frames[row] if visual else None,
            bridge=self.bridge[row] if visual else None,
            audio=self.audio[row] if audio else None,
        )

    def each(self) -> Iterator[Features]:
        """Every video's features in turn."""
        return (self.features(row) for row in range(len(self)))

    def save(self, path: Path) -> None:
        """Write one ``.npz`` that :meth:`load` reads."""
        texts = np.asarray(
            [[w.title, w.description, w.language or "", w.shown, w.spoken] for w in self.words],
            dtype=np.str_,
        )
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "video_ids": np.asarray(self.video_ids, dtype=np.str_),
            "uploaders": np.asarray(self.uploaders, dtype=np.str_),
            "words": texts.reshape(-1, 5),
        }
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Ragged):
                arrays[f"{item.name}.values"], arrays[f"{item.name}.starts"] = (
                    value.values,
                    value.starts,
                )
            elif isinstance(value, np.ndarray):
                arrays[item.name] = value
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Dataset:
        """Read what :meth:`save` wrote; raises CorpusError where the file is not of that kind."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = dict(stored)
            packed = {
                name.removesuffix(".starts"): Ragged(
                    found[name.replace(".starts", ".values")], starts
                )
                for name, starts in found.items()
                if name.endswith(".starts")
            }
            return cls(
                video_ids=tuple(found["video_ids"].tolist()),
                words=tuple(
                    Words(title, description, language or None, shown, spoken)
                    for title, description, language, shown, spoken in found["words"].tolist()
                ),
                uploaders=tuple(found["uploaders"].tolist()),
                sentence=found["sentence"],
                bridge=found["bridge"],
                frames=packed["frames"],
                audio=packed["audio"],
                tokens=packed["tokens"],
                states=found["states"],
                labels=packed["labels"],
                outside=found["outside"],
                uploader=found["uploader"],
                component=found["component"],
                split=found["split"],
            )
        except (OSError, ValueError, KeyError) as error:
            raise CorpusError(
                f"{path} holds no packed features ({error}); extract them again"
            ) from error


def pack(videos: Iterable[tuple[LabelledVideo, Features]]) -> Dataset:
    """Pack labelled videos and their features; what a video lacks becomes zeros.

    Raises CorpusError where there is no video, or where two videos' arrays differ in width.
    """
    pairs = list(videos)
    if not pairs:
        raise CorpusError(
            "no video could be encoded; see the reasons listed for each, and check the URIs"
        )
    uploaders: dict[str, int] = {}
    uploader = [
        NO_UPLOADER
        if v.uploader_id is None
        else uploaders.setdefault(v.uploader_id, len(uploaders))
        for v, _ in pairs
    ]
    try:
        return Dataset(
            video_ids=tuple(v.video_id for v, _ in pairs),
            words=tuple(f.words for _, f in pairs),
            uploaders=tuple(uploaders),
            sentence=_rows([f.sentence for _, f in pairs]),
            bridge=_rows([f.bridge for _, f in pairs]),
            frames=_ragged_rows([f.frames for _, f in pairs]),
            audio=_ragged_rows([f.audio for _, f in pairs]),
            tokens=Ragged.of([_ids(f.tokens) for _, f in pairs], np.int64),
            states=np.asarray(
                [[STATES.index(f.states[m]) for m in MODALITIES] for _, f in pairs], dtype=np.uint8
            ),
            labels=Ragged.of(
                [np.asarray(v.tags.labels, dtype=np.int32) for v, _ in pairs], np.int32
            ),
            outside=np.asarray([v.tags.outside for v, _ in pairs], dtype=np.int32),
            uploader=np.asarray(uploader, dtype=np.int32),
            component=np.asarray([v.component for v, _ in pairs], dtype=np.int32),
            split=np.asarray([SPLITS.index(v.split) for v, _ in pairs], dtype=np.uint8),
        )
    except ValueError as error:
        raise CorpusError(
            f"features of different profiles can't be mixed ({error}); clear the cache"
        ) from error


def _taken(lists: Ragged[np.float32], at: I64) -> Ragged[np.float32]:
    """The lists at ``at``, in that order."""
    places, _ = lists.positions(at)
    starts = np.zeros(len(at) + 1, dtype=np.int64)
    np.cumsum(lists.lengths[at], out=starts[1:])
    return Ragged(gathered(lists.values, places), starts)


def _rows(found: Sequence[F32 | None]) -> F32:
    width = next((row.shape[0] for row in found if row is not None), 0)
    packed = np.zeros((len(found), width), dtype=np.float32)
    for number, row in enumerate(found):
        if row is not None:
            packed[number] = row
    return packed


def _ragged_rows(found: Sequence[F32 | None]) -> Ragged[np.float32]:
    width = next((rows.shape[1] for rows in found if rows is not None), 0)
    none = np.zeros((0, width), dtype=np.float32)
    return Ragged.of([none if rows is None else rows for rows in found], np.float32, none)


def _ids(tokens: I64 | None) -> I64:
    return np.zeros(0, dtype=np.int64) if tokens is None else tokens
