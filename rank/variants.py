"""The product trained on a changed corpus: labels hidden, tags unknown, no labels at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from encoders.access import Access
from encoders.encoder import Encoders
from rank.evaluation import Truth
from rank.gathering import Gathering
from rank.progress import Progress, named
from rank.training import Plan, Trained, train
from recall.corpus import Corpus, LabelledVideo, TagSet
from recall.dataset import Dataset
from recall.splits import Split
from recall.vocabulary import Vocabulary

Labels = Callable[[LabelledVideo], Sequence[int]]
"""The labels that a video is to have, as places in the old vocabulary."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What all experiments share: the corpus, its features, and what is true of it.

    ``complete``: the true tags of every video, the labels where no truth is given. ``plan``: how
    variants are trained.
    """

    corpus: Corpus
    complete: Mapping[str, TagSet]
    dataset: Dataset
    test: Dataset
    true: Truth
    gathering: Gathering
    encoders: Encoders
    folder: Path
    plan: Plan
    progress: Progress


def retrained(
    ground: Ground, name: str, labels: Labels, *, unknown: frozenset[int] = frozenset()
) -> Trained:
    """A bundle below the ground's folder, from ``labels``, without the ``unknown`` tags."""
    folder = ground.folder / name
    old = ground.corpus.vocabulary
    kept = [place for place in range(len(old)) if place not in unknown]
    path = write_variant(folder, ground.corpus, labels, kept)
    place_of = {old: new for new, old in enumerate(kept)}
    truth = {video: moved(tags, place_of) for video, tags in ground.complete.items()}
    schemes = frozenset({"file", "https", "s3"})
    access = ground.gathering.access or Access(schemes=schemes, paths=(ground.corpus.folder,))
    return train(
        path,
        folder / "bundle",
        gathering=replace(ground.gathering, access=access),
        vocabulary=folder / "vocabulary.jsonl",
        truth=truth,
        plan=ground.plan,
        progress=named(name, ground.progress),
    )


def write_variant(folder: Path, corpus: Corpus, labels: Labels, kept: Sequence[int]) -> Path:
    """Write the corpus with other labels, and a vocabulary of the ``kept`` tags; gives its path."""
    folder.mkdir(parents=True, exist_ok=True)
    tags = corpus.vocabulary.tags
    Vocabulary(tuple(tags[place] for place in kept)).write(folder / "vocabulary.jsonl")
    there = set(kept)
    path = folder / "corpus.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for video in corpus.videos:
            row = {
                "video_id": video.video_id,
                "uri": video.uri,
                "title": video.words.title,
                "description": video.words.description,
                "language": video.words.language,
                "uploader_id": video.uploader_id,
                "tags": [tags[place].tag_id for place in labels(video) if place in there],
                "split": video.split.value,
                "sources": list(video.sources),
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def moved(tags: TagSet, place_of: Mapping[int, int]) -> TagSet:
    """The same tags in a smaller vocabulary; what it lacks counts as outside."""
    known = tuple(place_of[tag] for tag in tags.labels if tag in place_of)
    return TagSet(known, tags.outside + len(tags.labels) - len(known))


def hidden(
    videos: Sequence[LabelledVideo], complete: Mapping[str, TagSet], share: float, *, seed: int
) -> Labels:
    """The complete tags with a share hidden from training and validation, never a video's last."""
    random = np.random.default_rng(seed)
    kept: dict[str, tuple[int, ...]] = {}
    for video in videos:
        whole = complete[video.video_id].labels
        seen = tuple(tag for tag in whole if random.random() >= share)
        if whole and not seen:
            seen = (whole[int(random.integers(len(whole)))],)
        kept[video.video_id] = whole if video.split is Split.TEST else seen
    return lambda video: kept[video.video_id]
