"""Reading a labelled corpus and a truth file (JSON Lines) from disk."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from encoders.errors import CorpusError
from encoders.features import Words
from recall.components import components
from recall.fields import need, optional, strings
from recall.normal import key
from recall.splits import Split, assign_splits, count_leaks
from recall.vocabulary import Vocabulary, resolve

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that was left out, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class TagSet:
    """A video's tags: indexes into the vocabulary, and how many more the vocabulary lacks."""

    labels: tuple[int, ...]
    outside: int = 0

    @property
    def pairs(self) -> int:
        """How many (video, tag) pairs this makes, those outside the vocabulary included."""
        return len(self.labels) + self.outside


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """One row of a corpus.

    ``sources``: what it is made of; ``component`` numbers the videos that hang together by them.
    """

    video_id: str
    uri: str
    words: Words
    uploader_id: str | None
    tags: TagSet
    split: Split
    sources: tuple[str, ...]
    component: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """Labelled videos and their vocabulary.

    ``folder`` is where relative URIs lead, and is to be allowed for reading. ``leaks`` counts
    components of sources that the file's own splits put into more than one split.
    """

    videos: tuple[LabelledVideo, ...]
    vocabulary: Vocabulary
    skipped: tuple[BadRow, ...]
    folder: Path
    leaks: int

    @property
    def largest(self) -> int:
        """How many videos the largest component of sources has."""
        return max(Counter(video.component for video in self.videos).values())

    def of(self, split: Split) -> tuple[LabelledVideo, ...]:
        """The videos of one split."""
        return tuple(video for video in self.videos if video.split is split)


@dataclass(frozen=True, slots=True)
class _Row:
    video_id: str
    uri: str
    words: Words
    uploader_id: str | None
    tags: tuple[str, ...]
    split: Split | None
    sources: tuple[str, ...]


def read_corpus(path: Path, vocabulary: Path | Vocabulary | None = None) -> Corpus:
    """Read a corpus; rows that can't be used are listed in ``Corpus.skipped``.

    Without a vocabulary, one is made of the training and validation videos' tags, the commonest
    first: a tag that only test videos have was never there to be learned, and counts as outside.

    Raises CorpusError where the file can't be read or has no usable row.
    """
    folder = path.resolve().parent
    rows: list[_Row] = []
    skipped: list[BadRow] = []
    seen: set[str] = set()
    for number, line in _lines(path):
        try:
            row = _row(_object(line), folder)
            if row.video_id in seen:
                raise ValueError(f"video_id {row.video_id!r} stands twice; the first one counts")
        except ValueError as error:
            skipped.append(BadRow(number, str(error)))
            continue
        seen.add(row.video_id)
        rows.append(row)
    if not rows:
        first = f"; line {skipped[0].line}: {skipped[0].reason}" if skipped else ""
        raise CorpusError(
            f"the corpus {path} has no usable row{first}; "
            "give JSON Lines with video_id, uri and tags"
        )
    component = components([row.sources for row in rows])
    splits = assign_splits(
        [row.split for row in rows], component, [row.sources or (row.video_id,) for row in rows]
    )
    if isinstance(vocabulary, Path):
        vocabulary = Vocabulary.read(vocabulary)
    if vocabulary is None:
        vocabulary = _vocabulary_of(rows, splits)
    videos = tuple(
        LabelledVideo(
            row.video_id,
            row.uri,
            row.words,
            row.uploader_id,
            TagSet(*resolve(vocabulary, row.tags)),
            split,
            row.sources,
            number,
        )
        for row, split, number in zip(rows, splits, component.tolist(), strict=True)
    )
    return Corpus(videos, vocabulary, tuple(skipped), folder, count_leaks(splits, component))


def read_truth(path: Path, corpus: Corpus) -> Mapping[str, TagSet]:
    """The complete tags of videos, by video id: ``{"video_id", "tags": […]}`` a line.

    Raises CorpusError where the file can't be read, or a line of it can't: figures against a truth
    with holes would mislead.
    """
    truth: dict[str, TagSet] = {}
    for number, line in _lines(path):
        try:
            row = _object(line)
            truth[need(row, "video_id")] = TagSet(*resolve(corpus.vocabulary, _tags(row)))
        except ValueError as error:
            raise CorpusError(
                f"line {number} of the truth {path} can't be used: {error}; correct it"
            ) from error
    return truth


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise CorpusError(f"can't read {path}: {error.strerror}; check the path") from error


def _object(line: bytes) -> Mapping[str, object]:
    try:
        row = json.loads(line.decode("utf-8"))
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except UnicodeEncodeError as error:
        raise ValueError("has half of a surrogate pair") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return row


def _row(row: Mapping[str, object], folder: Path) -> _Row:
    split = row.get("split")
    if split is not None and split not in tuple(Split):
        raise ValueError(f"split must be train, val or test, not {split!r}")
    return _Row(
        video_id=need(row, "video_id"),
        uri=_uri(need(row, "uri"), folder),
        words=Words(
            optional(row, "title") or "",
            optional(row, "description") or "",
            optional(row, "language") or None,
        ),
        uploader_id=optional(row, "uploader_id") or None,
        tags=_tags(row),
        split=None if split is None else Split(str(split)),
        sources=strings(row, "sources"),
    )


def _uri(uri: str, folder: Path) -> str:
    """A URI as it is; a path, made a ``file://`` URI under the corpus's folder."""
    if _SCHEME.match(uri):
        return uri
    if "\0" in uri:
        raise ValueError("uri has a null character")
    return (folder / uri).as_uri()


def _tags(row: Mapping[str, object]) -> tuple[str, ...]:
    if "tags" not in row:
        raise ValueError("tags is missing")
    return tuple(tag for tag in strings(row, "tags") if key(tag))


def _vocabulary_of(rows: list[_Row], splits: tuple[Split, ...]) -> Vocabulary:
    """The tags of all but the test videos, the commonest first, as they are most often written."""
    written: dict[str, Counter[str]] = {}
    for row, split in zip(rows, splits, strict=True):
        if split is not Split.TEST:
            for same, tag in {key(tag): tag.strip() for tag in reversed(row.tags)}.items():
                written.setdefault(same, Counter())[tag] += 1
    order = sorted(written, key=lambda same: (-written[same].total(), same))
    # Of two equally common spellings, the one that sorts first: the order of rows must not matter.
    return Vocabulary.from_names(
        min(written[k], key=lambda tag: (-written[k][tag], tag)) for k in order
    )
