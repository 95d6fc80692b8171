"""Training all of recall from packed features. Needs the extra ``train``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recall.candidates import CandidateSet, Channel
from recall.channels import Channels, log_share, untrained_mixers
from recall.classifier import Classifier, Fused, FusionNetwork, TagScorer
from recall.dataset import MODALITIES, Dataset
from recall.fitting import fit_mixers, tuned
from recall.index import VectorIndex
from recall.large import laid_down, large, parts
from recall.library import Library
from recall.linear import joined
from recall.linear_training import train_linear
from recall.names import Embed, NameMatcher, name_vectors
from recall.network_training import Examples, Recipe, train_network
from recall.parts import Carry, NameSearch, VectorNeighbours, WordNeighbours
from recall.ragged import Ragged
from recall.recaller import Recaller, untrained_merge
from recall.splits import Split
from recall.uploader import UploaderHistory
from recall.views import (
    MOST_SCENES,
    Dims,
    Space,
    Spaces,
    Views,
    by_parts,
    dims_of,
    scenes,
    views_of_dataset,
)
from recall.vocabulary import Vocabulary
from recall.word_training import train_words
from recall.words import WordIndex, WordSpace

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Report = Callable[[str, float], None]

FEWEST_FOR_A_NETWORK = 8
# Dimensions and whitening of each space, chosen on validation splits.
_SENTENCE, _PICTURE, _SOUND = (256, 0.5), (256, 0.75), (256, 0.75)
_VIDEOS_TO_SEARCH_FOR = 4_000
_VECTORS_TO_FIT = 50_000
_BITS = 4  # a dimension of the indexed vectors


@dataclass(frozen=True, slots=True, eq=False)
class TrainedRecall:
    """Recall, and the recallers that have never seen one fold of the training videos each.

    ``videos``: the training videos, in the order of the library. ``fold`` int32 [N]: which of
    ``out_of_fold`` has not seen each of them. ``epochs``: how long the network was trained.
    """

    recaller: Recaller
    videos: Dataset
    out_of_fold: tuple[Recaller, ...]
    fold: I32
    epochs: int


def train_recall(
    dataset: Dataset,
    vocabulary: Vocabulary,
    *,
    sentences: Embed,
    names: Embed,
    seed: int = 0,
    folds: int = 3,
    recipe: Recipe | None = None,
    report: Report = lambda _what, _share: None,
) -> TrainedRecall:
    """Train on the training split; the validation split says when the network has learned enough.

    ``sentences`` and ``names`` embed texts in the sentence encoder's space and the bridge's.
    ``report`` is told what is being done and the share of it that is done.
    """
    recipe = recipe or Recipe()
    videos = dataset.of(Split.TRAIN)
    dims = _dims(dataset, sentences, names)
    views = views_of_dataset(videos, dims)
    spaces = _spaces(views)
    seen = _scenes(views, spaces.picture)
    channels = _untrained(videos, views, dims, spaces, seen, vocabulary, sentences, names, seed)
    fold = fold_by_component(videos.component, folds, seed)
    untrained = Recaller(vocabulary, channels, untrained_mixers(), untrained_merge())
    if len(videos) < FEWEST_FOR_A_NETWORK or not len(videos.labels.values) or fold.max() < 1:
        return TrainedRecall(untrained, videos, (untrained,), np.zeros(len(videos), np.int32), 0)

    report("indexes", 1.0)
    channels = tuned(channels, videos, seed)
    examples = _examples(views, seen, videos, spaces)
    validation = dataset.of(Split.VAL)
    others = views_of_dataset(validation, dims)
    held_out = _examples(others, _scenes(others, spaces.picture), validation, spaces)
    everything = np.arange(len(videos))
    beside = by_parts(len(videos), lambda part: joined(views.part(part), spaces))
    trainer = _Trainer(channels, videos, views, beside, examples, recipe, seed)
    final, epochs = trainer.train(everything, held_out, None, _share(report, 0, folds + 1))
    unseen = []
    for number in range(int(fold.max()) + 1):
        part, _ = trainer.train(
            np.flatnonzero(fold != number),
            None,
            epochs,
            _share(report, number + 1, folds + 1),
        )
        unseen.append(part)
    final, unseen = _with_one_carry(final, unseen, videos, fold, seed)
    mixers, merge = fit_mixers(unseen, videos, fold, seed)
    report("mixers", 1.0)
    network = final.classifier
    if network is not None:
        served = replace(network, network=FusionNetwork(network.network.model))
        final = replace(final, classifier=served)
    return TrainedRecall(
        Recaller(vocabulary, final, mixers, merge),
        videos,
        tuple(Recaller(vocabulary, part, mixers, merge) for part in unseen),
        fold,
        epochs,
    )


def out_of_fold_candidates(
    trained: TrainedRecall,
    rows: I64 | None = None,
    *,
    limit: int | None = None,
    report: Report = lambda _w, _s: None,
) -> list[CandidateSet]:
    """The candidates of training videos (those at ``rows``), as if they had never been seen.

    Models come from folds without a video; neighbours and the uploader's history leave out the
    video itself and all that share source material with it.
    """
    videos, uploaders = trained.videos, trained.videos.uploader_ids()
    chosen = np.arange(len(videos)) if rows is None else rows
    found: dict[int, CandidateSet] = {}
    for number, recaller in enumerate(trained.out_of_fold):
        own = chosen[trained.fold[chosen] == number]
        for start in range(0, len(own), 256):
            part = own[start : start + 256]
            sets = recaller.candidates(
                [videos.features(row) for row in part.tolist()],
                [uploaders[row] for row in part.tolist()],
                limit=limit,
                without=videos.component[part],
            )
            found.update(zip(part.tolist(), sets, strict=True))
        report("candidates", (number + 1) / len(trained.out_of_fold))
    return [found[row] for row in chosen.tolist()]


def _share(report: Report, part: int, parts: int) -> Report:
    """Reports of one part of the work as shares of the whole."""
    return lambda what, done: report(what, (part + done) / parts)


def fold_by_component(component: I32, folds: int, seed: int) -> I32:
    """int32 [N]: a fold for each video, whole components in one fold, folds about equally large."""
    sizes = np.bincount(component) if len(component) else np.zeros(0, dtype=np.int64)
    random = np.random.default_rng(seed)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(max(1, min(folds, int((sizes > 0).sum()))), dtype=np.int64)
    fold_of = np.zeros(len(sizes), dtype=np.int32)
    for number in order.tolist():
        fold_of[number] = int(np.argmin(filled))
        filled[fold_of[number]] += sizes[number]
    return fold_of[component]


def _dims(dataset: Dataset, sentences: Embed, names: Embed) -> Dims:
    """The dataset's widths; the encoders' own where it has none."""
    dims = dims_of(dataset)
    return replace(
        dims,
        sentence=dims.sentence or sentences([""]).shape[1],
        bridge=dims.bridge or names([""]).shape[1],
    )


def _spaces(views: Views) -> Spaces:
    """Fitted to the training videos, without labels."""
    text, _, audio = (views.used(modality) for modality in MODALITIES)
    frames = views.frames.values
    return Spaces(
        Space.fit(views.sentence[_some(text)], *_SENTENCE),
        Space.fit(frames[:: 1 + len(frames) // _VECTORS_TO_FIT], *_PICTURE),
        Space.fit(views.sound[_some(audio)], *_SOUND),
    )


def _untrained(
    videos: Dataset,
    views: Views,
    dims: Dims,
    spaces: Spaces,
    seen: Ragged[np.float32],
    vocabulary: Vocabulary,
    sentences: Embed,
    names: Embed,
    seed: int,
) -> Channels:
    """All that needs no training: indexes, words, names, history."""
    library = Library(
        videos.video_ids,
        videos.labels,
        len(vocabulary),
        videos.component,
        videos.uploader,
        videos.uploaders,
    )
    text, visual, audio = (views.used(modality) for modality in MODALITIES)
    said = views.sentence[_some(text, _VIDEOS_TO_SEARCH_FOR)]
    shown = views.bridge[_some(visual, _VIDEOS_TO_SEARCH_FOR)]
    has_text = set(text.tolist())
    texts = [w.text if row in has_text else "" for row, w in enumerate(views.words)]
    space = WordSpace.fit(text for text in texts if text)
    numbers = np.arange(len(videos), dtype=np.int32)
    words = WordIndex.build(space, space.rows(texts), numbers, len(videos))
    return Channels(
        dims=dims,
        spaces=spaces,
        library=library,
        prior=log_share(library.counts(), len(library)),
        sentence=_near(_placed(spaces.sentence, views.sentence, text), text, seed),
        picture=_near(seen.values, np.repeat(numbers, seen.lengths), seed),
        sound=_near(_placed(spaces.sound, views.sound, audio), audio, seed),
        fused=None,
        words=WordNeighbours(words, Carry()),
        matcher=NameMatcher(vocabulary),
        meaning=NameSearch.build(
            laid_down(name_vectors(vocabulary, sentences)), queries=said, seed=seed
        ),
        bridge=NameSearch.build(
            laid_down(name_vectors(vocabulary, names)), queries=shown, seed=seed
        ),
        history=UploaderHistory(library),
        classifier=None,
        word_classifier=None,
        linear=None,
    )


def _near(vectors: F32, rows: npt.NDArray[np.integer], seed: int) -> VectorNeighbours:
    return VectorNeighbours(VectorIndex.build(vectors, rows, bits=_BITS, seed=seed), Carry())


def _some(rows: I64, most: int = _VECTORS_TO_FIT) -> I64:
    """At most so many, spread evenly; by default as many as a space is fitted to."""
    return rows[:: 1 + len(rows) // most]


def _placed(space: Space, vectors: F32, rows: I64) -> F32:
    return by_parts(len(rows), lambda part: space.place(vectors[rows[part]]))


def _scenes(views: Views, space: Space) -> Ragged[np.float32]:
    """All videos' scenes, a few videos at a time."""
    values = large((MOST_SCENES * len(views), space.width), np.float32)
    lengths = [np.zeros(0, dtype=np.int64)]
    filled = 0
    for part in parts(len(views)):
        seen = scenes(views.part(part).frames, space)
        values[filled : filled + len(seen.values)] = seen.values
        filled += len(seen.values)
        lengths.append(seen.lengths)
    starts = np.zeros(len(views) + 1, dtype=np.int64)
    np.cumsum(np.concatenate(lengths), out=starts[1:])
    return Ragged(values[:filled], starts)


def _examples(views: Views, seen: Ragged[np.float32], videos: Dataset, spaces: Spaces) -> Examples:
    """What :func:`recall.channels.network_inputs` gives, of as many videos as one likes."""
    return Examples(
        by_parts(len(views), lambda part: spaces.sentence.place(views.sentence[part])),
        seen,
        views.bridge,
        by_parts(len(views), lambda part: spaces.sound.place(views.sound[part])),
        views.used_mask(),
        videos.labels,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Trainer:
    """Trains what is trained on labels, on all or on some of the training videos."""

    channels: Channels
    videos: Dataset
    views: Views
    joined: F32
    examples: Examples
    recipe: Recipe
    seed: int

    def train(
        self, rows: I64, held_out: Examples | None, stop_after: int | None, report: Report
    ) -> tuple[Channels, int]:
        """Network, fused index and linear models from the videos at ``rows``."""
        base = self.channels
        labels = self.videos.labels.take(rows)
        counts = np.bincount(labels.values, minlength=len(base.prior))
        prior = log_share(counts, len(rows))
        names = base.bridge.vectors
        trained = train_network(
            self.examples,
            prior,
            names,
            rows=rows,
            seed=self.seed,
            recipe=self.recipe,
            held_out=held_out,
            stop_after=stop_after,
            report=report,
        )
        classifier, tags = trained.classifier, trained.classifier.tags
        known = rows[self.examples.used[rows].any(axis=1)]
        some = self._fused(classifier, _some(known, _VIDEOS_TO_SEARCH_FOR))
        classifier = replace(
            classifier,
            tags=TagScorer.build(tags.embeddings, tags.bias, names, some, seed=self.seed),
        )
        fused = by_parts(len(known), lambda part: self._fused(classifier, known[part]).fused)
        near = _near(fused, known, self.seed)
        report("neighbours", 1.0)
        texts = [
            words.text if used else ""
            for words, used in zip(
                (self.views.words[row] for row in rows.tolist()),
                self.examples.used[rows, 0] > 0,
                strict=True,
            )
        ]
        space = base.words.index.space
        word_rows = space.rows(texts)
        spoken = np.flatnonzero(word_rows.terms.lengths).astype(np.int64)
        words = train_words(
            word_rows.take(spoken), labels.take(spoken), len(space), len(base.prior)
        )
        report("words", 1.0)
        linear = train_linear(self.joined, labels, len(base.prior), rows=rows, seed=self.seed)
        report("linear", 1.0)
        channels = replace(
            base,
            prior=prior,
            classifier=classifier,
            fused=near,
            word_classifier=words,
            linear=linear.rounded(),
        )
        return channels, trained.epochs

    def _fused(self, classifier: Classifier, rows: I64) -> Fused:
        return classifier.network(self.examples.inputs(rows))


def _with_one_carry(
    final: Channels, parts: list[Channels], videos: Dataset, fold: I32, seed: int
) -> tuple[Channels, list[Channels]]:
    """How to carry over in the fused space, chosen on the first fold's unseen videos, for all."""
    unseen = np.flatnonzero(fold == 0)
    chosen = tuned(parts[0], videos.take(unseen), seed, only=Channel.MULTIMODAL).fused
    if chosen is None:
        return final, parts

    def alike(channels: Channels) -> Channels:
        near = channels.fused
        return (
            channels if near is None else replace(channels, fused=replace(near, carry=chosen.carry))
        )

    return alike(final), [alike(part) for part in parts]
