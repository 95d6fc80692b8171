"""New tags: how well a tag is found that no training video was labelled with.

Some tags are taken out of the vocabulary and out of all labels, and the product is trained without
them. Then they are added as ``reeltag tags add`` does it: by name alone, and by name and one
example video. Beside them the same tags in a bundle that learned them from their labels.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.features import Features, Modality, Words
from rank import edit, systems
from rank.bootstrap import Bootstrap, Interval
from rank.gathering import without
from rank.systems import System
from rank.tagger import Tagger
from rank.variants import Ground, retrained
from recall.corpus import TagSet
from recall.dataset import Dataset
from recall.normal import key
from recall.recaller import most_candidates
from recall.splits import Split
from recall.vocabulary import Status, Vocabulary

Bools = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

SHARE = 0.05  # of the vocabulary is held out, but of those that may be never more than a third
FEWEST, MOST = 5, 50  # labelled training videos of a held-out tag
NEAR, FAR = 3, 10  # places at which a hit counts
NAMES_ALONE, ONE_EXAMPLE = "added by name alone", "added by name and one example video"


@dataclass(frozen=True, slots=True)
class Found:
    """How well some tags are found in the test videos that truly have them; with 95 % intervals.

    ``candidates``: share of pairs among recall's candidates; ``hit_near`` and ``hit_far``: among
    the video's 3 and 10 best scores; ``published``: at the bundle's 3.12 threshold; ``accuracy``:
    of these tags where published, the share that is true; ``place``: mean rank among the video's
    candidates, of the pairs that are there. ``known`` and ``new``: ``hit_far`` for uploaders that
    training has seen and for others. ``others``: accuracy of the other tags published. None where
    there is nothing to count.
    """

    name: str
    tags: int
    pairs: int
    candidates: float
    candidates_interval: Interval
    hit_near: float
    hit_far: float
    published: float
    published_interval: Interval
    accuracy: float | None
    accuracy_interval: Interval | None
    place: float | None
    known: float | None
    new: float | None
    others: float | None


def held_out(ground: Ground, *, seed: int = 0) -> tuple[int, ...]:
    """The tags to hold out, places in the vocabulary; see :func:`drawn`."""
    vocabulary = ground.corpus.vocabulary
    labels = ground.dataset.of(Split.TRAIN).labels.values
    return drawn(vocabulary, np.bincount(labels, minlength=len(vocabulary)), seed=seed)


def drawn(vocabulary: Vocabulary, counts: I64, *, seed: int) -> tuple[int, ...]:
    """Draw from the removable tags that 5 to 50 of the training videos, ``counts``, have."""
    fit = np.flatnonzero(removable(vocabulary) & (counts >= FEWEST) & (counts <= MOST))
    many = min(round(SHARE * len(vocabulary)), len(fit) // 3)
    chosen = np.random.default_rng(seed).choice(fit, many, replace=False)
    return tuple(np.sort(chosen).tolist())


def removable(vocabulary: Vocabulary) -> Bools:
    """bool [V]: the tags that can be taken out and added again.

    They are active, no parent or stand-in of another, and no other tag goes by their name.
    """
    tags = vocabulary.tags
    referred = {name for tag in tags for name in (*tag.parents, tag.merged_into)}
    claims = Counter(
        same for tag in tags for same in {key(s) for s in (tag.tag_id, tag.name, *tag.aliases)}
    )
    return np.array(
        [
            tag.status is Status.ACTIVE
            and tag.merged_into is None
            and tag.tag_id not in referred
            and claims[key(tag.name)] == 1
            for tag in tags
        ],
        bool,
    )


def new_tags(ground: Ground, trained: Tagger, chosen: Sequence[int]) -> list[Found]:
    """The chosen tags in ``trained``, added by name, and added by name with one example."""
    bare = retrained(
        ground, "new-tags", lambda video: video.tags.labels, unknown=frozenset(chosen)
    ).bundle.folder
    known = frozenset(trained.recaller.channels.library.uploaders)
    rows = [found(ground, trained, chosen, "trained with its labels", known)]
    shown = examples(ground.dataset.of(Split.TRAIN), ground.complete, chosen)
    for name, given in ((NAMES_ALONE, {}), (ONE_EXAMPLE, shown)):
        folder = ground.folder / "new-tags" / name.replace(" ", "-")
        added = with_tags(ground, bare, folder, chosen, given)
        rows.append(found(ground, added, chosen, name, known))
    return rows


def with_tags(
    ground: Ground,
    bare: Path,
    folder: Path,
    chosen: Sequence[int],
    given: Mapping[int, tuple[str, Features]],
) -> Tagger:
    """A copy of a bundle with tags added, by the code of ``reeltag tags add``."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bare, folder)
    gone = {ground.corpus.vocabulary.tags[place].tag_id for place in chosen}
    additions = []
    for place in chosen:
        tag = ground.corpus.vocabulary.tags[place]
        there = replace(tag, parents=tuple(p for p in tag.parents if p not in gone))
        additions.append(edit.Addition(there, [given[place]] if place in given else []))
    edit.add_all(folder, additions, ground.encoders)
    return Tagger.load(folder, ground.encoders)


def examples(
    training: Dataset, complete: Mapping[str, TagSet], chosen: Sequence[int]
) -> dict[int, tuple[str, Features]]:
    """To each tag a training video that truly has it, as ``tags add --example`` would show it.

    That is a file without words; of those that may be shown, the one with the fewest other tags,
    which is what a person would choose.
    """
    seen = training.used(Modality.VISUAL) | training.used(Modality.AUDIO)
    true = [set(complete[video_id].labels) for video_id in training.video_ids]
    having: dict[int, list[int]] = {}
    for row in np.flatnonzero(seen).tolist():
        for tag in training.labels[row].tolist():
            if tag in true[row]:
                having.setdefault(tag, []).append(row)
    best = {
        place: min(having[place], key=lambda row: (len(true[row]), row))
        for place in chosen
        if place in having
    }
    return {
        place: (training.video_ids[row], wordless(training.features(row)))
        for place, row in best.items()
    }


def wordless(features: Features) -> Features:
    """The same video without a title, a description or a word shown or spoken."""
    return replace(without(features, Modality.TEXT), words=Words())


def found(
    ground: Ground, tagger: Tagger, chosen: Sequence[int], name: str, known: Collection[str]
) -> Found:
    """Look for the chosen tags (places in the ground's vocabulary) in the test videos."""
    place_of = {tag.tag_id: at for at, tag in enumerate(ground.corpus.vocabulary.tags)}
    old = np.array([place_of[tag.tag_id] for tag in tagger.vocabulary.tags], np.int32)
    asked = np.zeros(len(old), bool)
    asked[list(chosen)] = True
    operating = tagger.operating
    threshold = operating.standard.get(System.RECALL_RANKING, operating.point.threshold)
    ranked = systems.run(tagger, System.RECALL_RANKING, ground.test, ground.progress)
    cut = most_candidates(len(old))
    table = np.array(
        [
            _counts(old[tags], scores, true, asked, threshold, cut)
            for tags, scores, true in zip(ranked.tags, ranked.scores, ground.true.tags, strict=True)
        ],
        np.float64,
    ).reshape(-1, 10)
    pairs, candidates, there, near, far, right, published, places, others, all_others = table.T
    bootstrap = Bootstrap(ground.test.component.astype(np.int64))
    by_known = np.array([uploader in known for uploader in ground.test.uploader_ids()], bool)
    return Found(
        name=name,
        tags=len(chosen),
        pairs=int(pairs.sum()),
        candidates=_share(candidates, pairs) or 0.0,
        candidates_interval=bootstrap.interval(candidates, pairs),
        hit_near=_share(near, pairs) or 0.0,
        hit_far=_share(far, pairs) or 0.0,
        published=_share(right, pairs) or 0.0,
        published_interval=bootstrap.interval(right, pairs),
        accuracy=_share(right, published),
        accuracy_interval=bootstrap.interval(right, published) if published.any() else None,
        place=_share(places, there),
        known=_share(far[by_known], pairs[by_known]),
        new=_share(far[~by_known], pairs[~by_known]),
        others=_share(others, all_others),
    )


def _counts(
    tags: I32, scores: F64, true: I32, asked: Bools, threshold: float, cut: int
) -> tuple[int, ...]:
    """Of one video, best candidate first: what :func:`found` sums up."""
    own, right, out = asked[tags], np.isin(tags, true), scores >= threshold
    place = np.empty(len(tags), np.int64)
    place[np.argsort(-scores, kind="stable")] = np.arange(1, len(tags) + 1)
    hit = own & right
    return (
        int(asked[true].sum()),
        int(hit[:cut].sum()),
        int(hit.sum()),
        int((hit & (place <= NEAR)).sum()),
        int((hit & (place <= FAR)).sum()),
        int((hit & out).sum()),
        int((own & out).sum()),
        int(place[hit].sum()),
        int((~own & right & out).sum()),
        int((~own & out).sum()),
    )


def _share(above: F64, below: F64) -> float | None:
    return float(above.sum() / below.sum()) if below.any() else None
