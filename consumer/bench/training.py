"""What training recall takes at a platform's size: seconds and memory, stage by stage.

Videos are drawn from the bundle's own labelled videos: features that lead back to their vectors,
their labels moved to a block of the vocabulary by Zipf's law, their words and one more of a long
tail. Needs the extra ``train``.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from time import perf_counter, sleep
from types import TracebackType
from zlib import crc32

import numpy as np
import numpy.typing as npt

from consumer.bench.enlarged import Size
from consumer.bench.videos import rows_by_video, way_back
from encoders.features import State, Words
from rank.bundle import open_bundle
from recall.channels import Channels
from recall.dataset import STATES, Dataset
from recall.index import VectorIndex
from recall.large import gathered, large, parts
from recall.names import Embed
from recall.network_training import Recipe
from recall.ragged import Ragged, Rounded
from recall.recaller import Recaller
from recall.splits import SPLITS, Split
from recall.storage import load_recaller
from recall.training import train_again, train_recall
from recall.views import Space, unit

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Random = np.random.Generator

FRAMES = 8
_VALIDATION = 20  # one video in so many
_UPLOADS = 20  # videos of one uploader
_RARE_WORDS = 150_000
_NOISE = 0.5
_EVERY_SECONDS = 0.02
_USED, _MISSING = STATES.index(State.USED), STATES.index(State.MISSING)


@dataclass(slots=True)
class Stage:
    """One kind of work, all folds together. ``bytes``: most memory that was the process's own.

    Pages of files that are mapped don't count: the system takes them back when it needs room.
    """

    seconds: float = 0.0
    bytes: int = 0


def bench_training(
    bundle: Path, size: Size, epochs: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Stage]:
    """Train recall on ``size`` videos and tags for a few ``epochs``, on two folds; by stage.

    A bundle's own tags are never cut.
    """
    small = load_recaller(open_bundle(bundle).recall)
    size = Size(size.videos, max(size.tags, len(small.vocabulary)))
    random = np.random.default_rng(seed)
    stages: dict[str, Stage] = {}
    with _Watch() as watch:

        def done(stage: str, _share: float = 1.0) -> None:
            """The work since the last report was of this kind."""
            seconds, peak = watch.lap()
            so_far = stages.setdefault(stage, Stage())
            so_far.seconds += seconds
            so_far.bytes = max(so_far.bytes, peak)
            tell(f"{stage}: {seconds:.0f} s, {peak / 2**30:.2f} GiB")

        dataset = _dataset(small, size, random)
        done("the videos themselves")
        trained = train_recall(
            dataset,
            small.vocabulary.repeated(size.tags),
            sentences=_embed(small.channels.meaning.vectors),
            names=_embed(small.channels.bridge.vectors),
            seed=seed,
            folds=2,
            recipe=Recipe(epochs=epochs),
            report=done,
        )
        recaller, enough = trained.recaller, trained.epochs
        del trained  # with the models of the folds
        train_again(recaller, dataset, enough, seed=seed, recipe=Recipe(epochs=epochs), report=done)
    return stages


class _Watch:
    """Looks at this process's own memory from another, so that no long call hides a peak."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._peak: Synchronized[int] = context.Value("q", 0)
        parent = multiprocessing.current_process().pid
        self._process = context.Process(target=_look, args=(parent, self._peak), daemon=True)
        self._began = perf_counter()

    def __enter__(self) -> _Watch:
        self._process.start()
        while not self._peak.value:
            sleep(_EVERY_SECONDS)
        self.lap()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.join()

    def lap(self) -> tuple[float, int]:
        """Seconds and most bytes since the last call."""
        with self._peak.get_lock():
            peak, self._peak.value = self._peak.value, 0
        began, self._began = self._began, perf_counter()
        return self._began - began, peak


def _look(process: int, peak: Synchronized[int]) -> None:
    status = Path(f"/proc/{process}/status")
    while status.exists():
        lines = status.read_text().splitlines()
        own = [int(line.split()[1]) for line in lines if line.startswith("RssAnon")]
        if not own:  # it has ended, and nobody has asked how
            return
        with peak.get_lock():
            peak.value = max(peak.value, 1024 * own[0])
        sleep(_EVERY_SECONDS)


def _dataset(small: Recaller, size: Size, random: Random) -> Dataset:
    """``size`` videos, the last of them for validation."""
    channels, base, videos = small.channels, len(small.vocabulary), size.videos
    copy_of = random.integers(0, len(channels.library), videos)
    labels = channels.library.labels.take(copy_of)
    blocks = -(-size.tags // base)
    zipf = 1 / np.arange(1, blocks + 1)
    moved = labels.values + base * np.repeat(
        random.choice(blocks, videos, p=zipf / zipf.sum()), labels.lengths
    )
    tags = np.where(moved < size.tags, moved, labels.values).astype(np.int32)
    spaces, widths = channels.spaces, channels.dims
    back = partial(_like, copy_of=copy_of, random=random)
    sentence, text = back(channels.sentence.index, spaces.sentence, widths.sentence, np.float32)
    frames, visual = back(
        channels.picture.index, spaces.picture, widths.frame, np.float16, each=FRAMES
    )
    sound, audio = back(channels.sound.index, spaces.sound, widths.audio, np.float32)
    used = np.stack([text, visual, audio], axis=1)
    split = np.full(videos, SPLITS.index(Split.TRAIN), dtype=np.uint8)
    split[videos - videos // _VALIDATION :] = SPLITS.index(Split.VAL)
    names, meanings = channels.bridge.vectors, channels.meaning.vectors
    return Dataset(
        video_ids=tuple(f"video-{number}" for number in range(videos)),
        words=_words(channels, copy_of, random),
        uploaders=tuple(f"uploader-{number}" for number in range(1 + videos // _UPLOADS)),
        sentence=sentence,
        bridge=gathered(names, random.integers(0, len(names), videos)),
        sound_bridge=gathered(meanings, random.integers(0, len(meanings), videos)),
        frames=Ragged(frames, FRAMES * np.arange(videos + 1)),
        audio=Ragged(sound, np.arange(videos + 1)),
        tokens=Ragged(np.zeros(0, dtype=np.int64), np.zeros(videos + 1, dtype=np.int64)),
        states=np.where(used, _USED, _MISSING).astype(np.uint8),
        labels=Ragged(tags, labels.starts),
        outside=np.zeros(videos, dtype=np.int32),
        uploader=random.integers(0, 1 + videos // _UPLOADS, videos).astype(np.int32),
        sources=Ragged(np.zeros(0, dtype=np.int32), np.zeros(videos + 1, dtype=np.int64)),
        component=np.arange(videos, dtype=np.int32),
        split=split,
    )


def _like(
    index: VectorIndex,
    space: Space,
    width: int,
    dtype: type[Rounded],
    *,
    copy_of: I64,
    random: Random,
    each: int = 1,
) -> tuple[npt.NDArray[Rounded], Mask]:
    """Features [N · each, width] that lead back to the vectors of these videos, shifted a little.

    A video's vectors share its ``each`` rows evenly, in their order. The space is a linear map, so
    its pseudo-inverse leads back. And bool [N]: whose are known.
    """
    held, mean, inverse = way_back(index, space)
    of_video = rows_by_video(index, copy_of)
    count, first = of_video.lengths[copy_of], of_video.starts[copy_of]
    known = count > 0
    place = first[:, None] + np.arange(each) * count[:, None] // each
    rows = np.where(known[:, None], of_video.values[np.minimum(place, len(held) - 1)], 0).ravel()
    out = large((len(rows), width), dtype)
    for part in parts(len(rows)):
        noise = random.standard_normal((len(rows[part]), held.shape[1]), dtype=np.float32)
        vectors = held[rows[part]] + noise * np.float32(_NOISE / np.sqrt(held.shape[1]))
        out[part] = mean[:width] + vectors @ inverse[:, :width]
    return out, known


def _words(channels: Channels, copy_of: I64, random: Random) -> tuple[Words, ...]:
    """Each video's single words, and one of many that are rare."""
    index = channels.words.index
    held = index.numbers.transposed(int(max(index.videos, copy_of.max() + 1)))
    terms = index.space.term_list
    texts = [
        " ".join(term for term in (terms[n] for n in held[video].tolist()) if " " not in term)
        for video in range(len(held))
    ]
    rare = np.minimum(random.zipf(1.2, len(copy_of)), _RARE_WORDS)
    return tuple(
        Words(f"{texts[video]} rare{word}")
        for video, word in zip(copy_of.tolist(), rare.tolist(), strict=True)
    )


def _embed(held: F32) -> Embed:
    """Gives each text one of the vectors held, shifted a little; the same whenever it is asked."""

    def embed(texts: Sequence[str]) -> F32:
        found = np.empty((len(texts), held.shape[1]), dtype=np.float32)
        for row, text in enumerate(texts):
            random = np.random.default_rng(crc32(text.encode()))
            noise = random.standard_normal(held.shape[1], dtype=np.float32)
            found[row] = held[random.integers(len(held))] + noise * np.float32(
                _NOISE / np.sqrt(held.shape[1])
            )
        return unit(found)

    return embed
