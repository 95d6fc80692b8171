"""Changing a bundle without retraining: tags added, blocked or merged, another operating point.

Each change writes a whole new bundle in place of the old one, with a greater generation, so that a
worker can load it and a reader prefers its tag events. The evaluation that the bundle earned when
it was trained stays beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from encoders.encoder import Encoders
from encoders.features import Features
from rank.bundle import LAST, MANIFEST, RANKER, RECALL, Bundle, open_bundle, replacing, seal
from rank.operating import VALIDATION, Kind, Operating, Validation, choose
from rank.ranker import TAG_VECTORS, Ranker
from recall.names import name_vectors
from recall.recaller import Recaller
from recall.storage import load_recaller, save_recaller
from recall.vocabulary import Tag, Vocabulary

Change = Callable[[Vocabulary], Vocabulary]


@dataclass(frozen=True, slots=True)
class Addition:
    """A tag that was never trained, known by its name, aliases, description and examples.

    ``examples``: (video id, features) of videos that have the tag.
    """

    tag: Tag
    examples: Sequence[tuple[str, Features]] = ()


def add(
    folder: Path,
    tag: Tag,
    encoders: Encoders,
    examples: Sequence[tuple[str, Features]] = (),
) -> Bundle:
    """Add one tag; see :func:`add_all`."""
    return add_all(folder, [Addition(tag, examples)], encoders)


def add_all(folder: Path, additions: Sequence[Addition], encoders: Encoders) -> Bundle:
    """Add tags that were never trained, parents before those that name them.

    Raises CorpusError where the vocabulary has one of them already.
    """
    bundle = open_bundle(folder)
    alone = Vocabulary(tuple(replace(item.tag, parents=()) for item in additions))
    bridge = name_vectors(alone, encoders.names)
    meaning = name_vectors(alone, encoders.sentences)
    recaller = load_recaller(bundle.recall)
    ranker = Ranker.load(bundle.ranker, encoders.word_embeddings)
    vectors = ranker.name_vectors(bridge)
    for place, item in enumerate(additions):
        recaller = recaller.with_tag(item.tag, meaning[place], bridge[place], item.examples)
        if item.examples:
            shown = ranker.vectors([features for _, features in item.examples]).whole.mean(0)
            vector = vectors[place] + shown
            vectors[place] = vector / max(float(np.linalg.norm(vector)), 1e-6)
    tags = np.concatenate([ranker.tags, vectors.astype(np.float16)])

    def write(fresh: Path) -> None:
        _save_recall(recaller, fresh)
        np.save(fresh / RANKER / TAG_VECTORS, tags)

    return _changed(bundle, write)


def block(folder: Path, name: str, *, blocked: bool = True) -> Bundle:
    """Never publish a tag again, or release it; raises CorpusError where there is no such tag."""
    return _with_vocabulary(folder, lambda vocabulary: vocabulary.block(name, blocked=blocked))


def merge(folder: Path, name: str, into: str) -> Bundle:
    """Let one tag stand for another; raises CorpusError where one of them isn't there."""
    return _with_vocabulary(folder, lambda vocabulary: vocabulary.merge(name, into))


def set_operating_point(
    folder: Path, kind: Kind, target: float, *, per_tag: bool = False
) -> Bundle:
    """Publish at another threshold, or at one for each tag that validation says enough of.

    Raises SettingError where validation can't support it.
    """
    bundle = open_bundle(folder)
    old = Operating.load(bundle.last)
    validation = Validation.load(bundle.last / VALIDATION)
    point = choose(kind, target, validation, old.calibration.frequency, per_tag=per_tag)
    new = replace(old, point=point)
    return _changed(bundle, lambda fresh: new.save(fresh / LAST))


def _with_vocabulary(folder: Path, change: Change) -> Bundle:
    bundle = open_bundle(folder)
    recaller = load_recaller(bundle.recall)
    changed = recaller.with_vocabulary(change(recaller.vocabulary))
    return _changed(bundle, lambda fresh: _save_recall(changed, fresh))


def _save_recall(recaller: Recaller, fresh: Path) -> None:
    shutil.rmtree(fresh / RECALL)
    save_recaller(recaller, fresh / RECALL)


def _changed(bundle: Bundle, write: Callable[[Path], None]) -> Bundle:
    """A copy of the bundle, changed by ``write``, in its place."""
    manifest = bundle.manifest
    with replacing(bundle.folder) as fresh:
        shutil.copytree(bundle.folder, fresh, dirs_exist_ok=True)
        (fresh / MANIFEST).unlink()
        write(fresh)
        sealed = seal(
            fresh,
            profile=manifest.profile,
            profile_digest=manifest.profile_digest,
            version=None,
            newer_than=manifest.generation,
        )
    return Bundle(bundle.folder, sealed.manifest)
