"""Training all of recall from packed features. Needs the extra ``train``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recall.candidates import CandidateSet, Channel
from recall.channels import Channels, log_share, untrained_mixers
from recall.classifier import Classifier, Fused, FusionNetwork, TagScorer
from recall.dataset import Dataset
from recall.fitting import fit_mixers, tuned
from recall.linear import joined
from recall.linear_training import train_linear
from recall.merging import Merge, untrained_mixer
from recall.names import Embed
from recall.network_training import Examples, Recipe, train_network
from recall.ragged import Ragged
from recall.recaller import Recaller
from recall.splits import Split
from recall.strangers import Strangers
from recall.untrained import (
    VIDEOS_TO_SEARCH_FOR,
    Lasting,
    neighbours_of,
    scenes_of,
    some_of,
    untrained_channels,
    widths,
)
from recall.views import Spaces, Views, by_parts, views_of_dataset
from recall.vocabulary import Vocabulary
from recall.word_training import train_words

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Report = Callable[[str, float], None]

FEWEST_FOR_A_NETWORK = 8


@dataclass(frozen=True, slots=True, eq=False)
class TrainedRecall:
    """Recall, and the recallers that have never seen one fold of the training videos each.

    ``videos``: the training videos, in the order of the library. ``strangers``: which of
    ``out_of_fold`` has not seen each of them. ``epochs``: how long the network was trained.
    """

    recaller: Recaller
    videos: Dataset
    out_of_fold: tuple[Recaller, ...]
    strangers: Strangers
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
    dims = widths(dataset, sentences, names)
    views = views_of_dataset(videos, dims)
    lasting = Lasting.of(views, dims, vocabulary, sentences, names, seed)
    spaces = lasting.spaces
    seen = scenes_of(views, spaces.picture)
    channels = untrained_channels(videos, views, seen, lasting, seed)
    strangers = Strangers.of(videos.component, videos.sources, folds, seed)
    untrained = Recaller(vocabulary, channels, untrained_mixers(), Merge(untrained_mixer()))
    if len(videos) < FEWEST_FOR_A_NETWORK or not len(videos.labels.values) or strangers.folds < 2:
        return TrainedRecall(untrained, videos, (untrained,), strangers.in_one_fold(), 0)

    report("indexes", 1.0)
    everything = np.arange(len(videos))
    channels = tuned(channels, videos, strangers, everything, seed)
    validation = dataset.of(Split.VAL)
    others = views_of_dataset(validation, dims)
    held_out = _examples(others, scenes_of(others, spaces.picture), validation, spaces)
    trainer = _Trainer.of(channels, videos, views, seen, recipe, seed)
    final, epochs = trainer.train(everything, held_out, None, _share(report, 0, folds + 1))
    unseen = []
    for number in range(strangers.folds):
        part, _ = trainer.train(
            strangers.taught(number),
            None,
            epochs,
            _share(report, number + 1, folds + 1),
        )
        unseen.append(part)
    final, unseen = _with_one_carry(final, unseen, videos, strangers, seed)
    mixers, merge = fit_mixers(unseen, videos, strangers, seed)
    report("mixers", 1.0)
    return TrainedRecall(
        Recaller(vocabulary, _as_served(final), mixers, merge),
        videos,
        tuple(Recaller(vocabulary, part, mixers, merge) for part in unseen),
        strangers,
        epochs,
    )


def train_again(
    recaller: Recaller,
    dataset: Dataset,
    epochs: int,
    *,
    seed: int = 0,
    recipe: Recipe | None = None,
    report: Report = lambda _what, _share: None,
) -> Recaller:
    """``recaller`` as it is to serve: trained once more, on the validation split, too.

    What was chosen with that split's help stands: the spaces, how tags are carried over, after how
    many ``epochs`` the network has learned enough (none: there was nothing to train), the mixers.
    """
    chosen = recaller.channels
    videos = dataset.of(Split.TRAIN, Split.VAL)
    views = views_of_dataset(videos, chosen.dims)
    seen = scenes_of(views, chosen.spaces.picture)
    channels = untrained_channels(videos, views, seen, Lasting.kept(chosen), seed)
    report("indexes", 1.0)
    if epochs:
        trainer = _Trainer.of(channels, videos, views, seen, recipe or Recipe(), seed)
        channels, _ = trainer.train(np.arange(len(videos)), None, epochs, report)
    served = _as_served(_carrying(channels, chosen))
    return Recaller(recaller.vocabulary, served, recaller.mixers, recaller.merge)


def out_of_fold_candidates(
    trained: TrainedRecall,
    rows: I64 | None = None,
    *,
    limit: int | None = None,
    report: Report = lambda _w, _s: None,
) -> list[CandidateSet]:
    """The candidates of training videos (those at ``rows``), as if they had never been seen.

    Models come from folds without a video; neighbours and the uploader's history leave out the
    video itself and all that share source material with it. Without ``rows``, of all that a fold
    holds out.
    """
    videos, uploaders = trained.videos, trained.videos.uploader_ids()
    strangers = trained.strangers
    chosen = strangers.held_out if rows is None else rows
    found: dict[int, CandidateSet] = {}
    for number, recaller in enumerate(trained.out_of_fold):
        own = chosen[strangers.fold[chosen] == number]
        for start in range(0, len(own), 256):
            part = own[start : start + 256]
            sets = recaller.candidates(
                [videos.features(row) for row in part.tolist()],
                [uploaders[row] for row in part.tolist()],
                limit=limit,
                without=strangers.mates(part),
            )
            found.update(zip(part.tolist(), sets, strict=True))
        report("candidates", (number + 1) / len(trained.out_of_fold))
    return [found[row] for row in chosen.tolist()]


def _share(report: Report, part: int, parts: int) -> Report:
    """Reports of one part of the work as shares of the whole."""
    return lambda what, done: report(what, (part + done) / parts)


def _carrying(channels: Channels, like: Channels) -> Channels:
    """Tags carried over from neighbours as ``like`` does it."""
    fused = channels.fused
    if fused is not None and like.fused is not None:
        fused = replace(fused, carry=like.fused.carry)
    return replace(
        channels,
        sentence=replace(channels.sentence, carry=like.sentence.carry),
        picture=replace(channels.picture, carry=like.picture.carry),
        sound=replace(channels.sound, carry=like.sound.carry),
        words=replace(channels.words, carry=like.words.carry),
        fused=fused,
    )


def _as_served(channels: Channels) -> Channels:
    """With the network as a session instead of torch's."""
    trained = channels.classifier
    if trained is None:
        return channels
    network = FusionNetwork(trained.network.model)
    return replace(channels, classifier=replace(trained, network=network))


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

    @classmethod
    def of(
        cls,
        channels: Channels,
        videos: Dataset,
        views: Views,
        seen: Ragged[np.float32],
        recipe: Recipe,
        seed: int,
    ) -> _Trainer:
        """``views`` and scenes ``seen`` are those of ``videos``."""
        spaces = channels.spaces
        beside = by_parts(len(videos), lambda part: joined(views.part(part), spaces))
        examples = _examples(views, seen, videos, spaces)
        return cls(channels, videos, views, beside, examples, recipe, seed)

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
        some = self._fused(classifier, some_of(known, VIDEOS_TO_SEARCH_FOR))
        classifier = replace(
            classifier,
            tags=TagScorer.build(tags.embeddings, tags.bias, names, some, seed=self.seed),
        )
        fused = by_parts(len(known), lambda part: self._fused(classifier, known[part]).fused)
        near = neighbours_of(fused, known, self.seed)
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
    final: Channels, parts: list[Channels], videos: Dataset, strangers: Strangers, seed: int
) -> tuple[Channels, list[Channels]]:
    """How to carry over in the fused space, chosen on the first fold's unseen videos, for all."""
    unseen = strangers.held(0)
    like = tuned(parts[0], videos, strangers, unseen, seed, only=Channel.MULTIMODAL)
    return _carrying(final, like), [_carrying(part, like) for part in parts]
