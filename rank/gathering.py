"""From a labelled corpus to packed features: read, encode (cached), report what can't be used."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from encoders.access import Access
from encoders.cache import Row, extract
from encoders.errors import CorpusError, MediaError
from encoders.features import Features, Modality, State
from encoders.limits import Limits
from encoders.profile import Profile
from rank.progress import Progress
from rank.stills import Stills, stills_of
from recall.corpus import Corpus, LabelledVideo
from recall.dataset import Dataset, pack
from recall.splits import SPLITS


@dataclass(frozen=True, slots=True)
class Unread:
    """A labelled video whose media could not be read, and why; its words may still be used."""

    video_id: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The features of a corpus's videos, and those that could not be read."""

    dataset: Dataset
    unread: tuple[Unread, ...]


@dataclass(frozen=True, slots=True)
class Gathering:
    """Where features come from and are kept.

    ``workers``: videos decoded and encoded at once. ``access`` None: files under the corpus's own
    folder, https and s3.
    """

    profile: Profile
    cache_dir: Path
    workers: int = 2
    access: Access | None = None
    limits: Limits | None = None
    weights_dir: Path | None = None

    def gather(
        self, corpus: Corpus, videos: Sequence[LabelledVideo], progress: Progress
    ) -> Gathered:
        """Features of labelled videos of one corpus, split after split: each is one run of rows.

        Raises CorpusError where not one of them can be read.
        """
        videos = sorted(videos, key=lambda video: SPLITS.index(video.split))
        access = self._access(corpus)
        rows = [Row(video.video_id, video.uri, video.words) for video in videos]
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress("features", done, len(rows))

        unread: list[Unread] = []
        results = extract(
            rows,
            self.profile,
            self.cache_dir,
            access=access,
            limits=self.limits,
            workers=self.workers,
            weights_dir=self.weights_dir,
            progress=advance,
        )

        def readable() -> Iterator[tuple[LabelledVideo, Features]]:
            for video, (_, result) in zip(videos, results, strict=True):
                if isinstance(result, MediaError):
                    unread.append(Unread(video.video_id, str(result)))
                else:
                    yield video, result

        found = readable()
        first = next(found, None)
        if first is None:
            reason = f"; the first: {unread[0].reason}" if unread else ""
            raise CorpusError(
                f"none of the {len(rows)} videos could be read{reason}; check the URIs, and that "
                "the files lie under the corpus's folder"
            )
        dataset = pack(chain([first], found))
        return Gathered(dataset, tuple(unread))

    def stills(self, corpus: Corpus, video_ids: Collection[str]) -> Stills:
        """Small pictures of some videos of a corpus."""
        videos = [video for video in corpus.videos if video.video_id in video_ids]
        return stills_of(videos, self._access(corpus), self.limits)

    def _access(self, corpus: Corpus) -> Access:
        return self.access or Access(
            schemes=frozenset({"file", "https", "s3"}), paths=(corpus.folder,)
        )


def without(features: Features, modality: Modality) -> Features:
    """The same video as if it lacked a modality; for ablations."""
    states = {**features.states, modality: State.MISSING}
    if modality is Modality.TEXT:
        return replace(features, states=states, sentence=None, tokens=None)
    if modality is Modality.VISUAL:
        return replace(features, states=states, frames=None, bridge=None)
    return replace(features, states=states, audio=None, sound_bridge=None)
