"""``reeltag train``: from a labelled corpus to a bundle, in stages that survive a kill.

features    every video decoded and encoded (kept by the feature store)
recall      channels and merge; each training video's candidates, as if it had never been seen
ranker      the towers; each training video's logits by towers that never saw its fold
served      recall and ranker once more, from validation videos, too; each of these videos'
            candidates and logits by models that have learned from all but its half of them
last        combiner, calibration, operating point, thresholds
evaluation  on the test split
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from encoders.encoder import Encoders
from encoders.errors import CorpusError
from rank import candidate_file, last_training
from rank.bundle import (
    EVALUATION,
    LAST,
    RANKER,
    RECALL,
    Bundle,
    check_free,
    generation_of,
    replacing,
    seal,
)
from rank.combining import CombinePlan
from rank.embedding import Remembering
from rank.evaluation import Evaluation, Truth, evaluate
from rank.export import export
from rank.gathering import Gathered, Gathering
from rank.last_training import Known, known_of
from rank.operating import VALIDATION
from rank.progress import Progress, shares
from rank.ranker_training import RankerParts, RankerPlan, train_ranker
from rank.served_training import EPOCHS, Judged, Serving
from rank.stages import Stages, file_digest
from rank.systems import System
from rank.tagger import Tagger
from recall.corpus import Corpus, TagSet, read_corpus
from recall.dataset import Dataset
from recall.splits import Split
from recall.storage import load_recaller, save_recaller
from recall.training import out_of_fold_candidates, train_recall
from recall.vocabulary import Vocabulary

FOLDS = 5
MANY = 50_000  # training videos; of more, models of two thirds are near enough to what serves,
FOLDS_OF_MANY = 3  # and each takes hours and memory
ROWS = "rows.npy"  # in the stage recall: which training videos those after it learn from
STAGES_VERSION = 13  # raise when a stage's files change


@dataclass(frozen=True, slots=True)
class Plan:
    """All that shapes a training beside the corpus and the seed.

    ``ranked``: the ranker and the last stage learn from so many training videos, drawn at random;
    recall learns from all of them. ``threads``: torch's own. Fixed, not the machine's, since the
    order of sums depends on it.
    """

    ranker: RankerPlan = field(default_factory=RankerPlan)
    last: CombinePlan = field(default_factory=CombinePlan)
    ranked: int = 50_000
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Made:
    """The folders of the stages before the last.

    The models in ``recall`` and ``ranker`` have learned from the training split alone; those in
    ``served``, from the validation split, too.
    """

    recall: Path
    ranker: Path
    served: Path


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A new bundle, what was read for it, and what it reached.

    ``stages``: with what the last one learned from.
    """

    bundle: Bundle
    corpus: Corpus
    gathered: Gathered
    evaluation: Evaluation
    stages: Made


def train(
    corpus_path: Path,
    out: Path,
    *,
    gathering: Gathering,
    vocabulary: Path | None = None,
    seed: int = 0,
    version: str | None = None,
    truth: Mapping[str, TagSet] | None = None,
    plan: Plan | None = None,
    progress: Progress,
) -> Trained:
    """Train a bundle into ``out``, replacing one that is there.

    Raises CorpusError where the corpus gives nothing to learn from, BundleError where ``out`` holds
    something else, ProfileError where weights are missing.
    """
    plan = plan or Plan()
    check_free(out)
    corpus = read_corpus(corpus_path, vocabulary)
    _check(corpus, needs_labels=vocabulary is None)
    gathered = gathering.gather(corpus, corpus.videos, progress)
    dataset = gathered.dataset
    _check_readable(gathered, needs_labels=vocabulary is None)
    encoders = Encoders.open(gathering.profile, weights_dir=gathering.weights_dir)
    stages = Stages.of(
        gathering.cache_dir,
        STAGES_VERSION,
        file_digest(corpus_path),
        vocabulary and file_digest(vocabulary),
        gathering.profile.digest,
        sorted(item.video_id for item in gathered.unread),
        seed,
        plan.ranker,
        plan.ranked,
        plan.threads,
    )
    torch.set_num_threads(plan.threads)
    recall = stages.folder(
        "recall",
        lambda folder: _recall(dataset, corpus, encoders, plan.ranked, folder, seed, progress),
    )
    ranker = stages.folder(
        "ranker",
        lambda folder: _ranker(dataset, recall, encoders, plan.ranker, folder, seed, progress),
    )
    serving = Serving(dataset, recall, ranker, encoders, plan.ranker, plan.ranked, seed, progress)
    made = Made(recall, ranker, stages.folder("served", serving.train))
    with replacing(out) as folder:
        shutil.copytree(made.served / RECALL, folder / RECALL)
        shutil.copytree(made.served / RANKER, folder / RANKER)
        (folder / LAST).mkdir()
        _last(dataset, made, corpus.vocabulary, plan.last, folder / LAST, seed, progress)
        profile = gathering.profile
        before = generation_of(out)
        seal(folder, profile=profile.name, profile_digest=profile.digest, version=version)
        tagger = Tagger.load(folder, encoders)
        test = dataset.of(Split.TEST)
        evaluation = evaluate(tagger, test, Truth.of(test, truth), progress)
        (folder / EVALUATION).write_text(json.dumps(evaluation.to_json(), indent=1) + "\n")
        sealed = seal(
            folder,
            profile=profile.name,
            profile_digest=profile.digest,
            version=version,
            newer_than=before,
        )
    return Trained(Bundle(out, sealed.manifest), corpus, gathered, evaluation, made)


def _check(corpus: Corpus, *, needs_labels: bool) -> None:
    """Raise CorpusError where there is nothing to learn, before any video is decoded.

    With a vocabulary, the names of its tags are something: a bundle can start without any label.
    """
    used = {tag for video in corpus.of(Split.TRAIN) for tag in video.tags.labels}
    if not corpus.of(Split.TRAIN):
        raise CorpusError("the corpus has no training videos; give some the split train")
    if len(corpus.vocabulary) < 2:
        raise CorpusError(
            f"the corpus has {len(corpus.vocabulary)} tag; at least two are needed to tell videos "
            "apart"
        )
    if needs_labels and not used:
        raise CorpusError("no training video has a tag of the vocabulary; check the tags' spelling")
    if not corpus.of(Split.TEST):
        raise CorpusError(
            "the corpus has no test videos, so nothing could say what the bundle is worth; give "
            "some the split test (without splits, videos of which more than half hang together by "
            "their sources are for training)"
        )


def _check_readable(gathered: Gathered, *, needs_labels: bool) -> None:
    """Raise CorpusError where nothing to learn from, or to judge by, could be read."""
    if needs_labels and not len(gathered.dataset.of(Split.TRAIN).labels.values):
        missing, reason = "labelled training video", "they have no tags"
    elif not len(gathered.dataset.rows_of(Split.TEST)):
        missing, reason = "test video", "it is missing"
    else:
        return
    first = gathered.unread[0].reason if gathered.unread else reason
    raise CorpusError(f"no {missing} could be read; the first: {first}; check the URIs")


def _recall(
    dataset: Dataset,
    corpus: Corpus,
    encoders: Encoders,
    ranked: int,
    folder: Path,
    seed: int,
    progress: Progress,
) -> None:
    """Train recall; keep it, and the candidates of training and validation videos."""
    sentences = Remembering(encoders.sentences, progress)
    joint = encoders.profile.bridge.kind == "joint"  # else names are read by the sentence encoder
    names = Remembering(encoders.names, progress) if joint else sentences
    trained = train_recall(
        dataset,
        corpus.vocabulary,
        sentences=sentences,
        names=names,
        seed=seed,
        folds=FOLDS if len(corpus.of(Split.TRAIN)) <= MANY else FOLDS_OF_MANY,
        report=shares("recall", progress),
    )
    save_recaller(trained.recaller, folder / RECALL)
    held_out = trained.strangers.held_out
    rows = held_out[np.sort(np.random.default_rng(seed).permutation(len(held_out))[:ranked])]
    np.save(folder / ROWS, rows)
    candidate_file.save(folder / "train.npz", out_of_fold_candidates(trained, rows))
    np.save(folder / "fold.npy", trained.strangers.fold[rows])
    np.save(folder / EPOCHS, trained.epochs)


def learned_from(dataset: Dataset, recall: Path) -> Dataset:
    """The training videos whose candidates the stage ``recall`` keeps, in their order."""
    return dataset.take(dataset.rows_of(Split.TRAIN)[np.load(recall / ROWS)])


def known(
    dataset: Dataset, made: Made, *, seed: int, most: int = last_training.MOST_ROWS
) -> tuple[Known, Known]:
    """What a last stage learns from: training and validation videos, seen as strangers.

    ``most``: candidates of training videos.
    """
    training, validation = learned_from(dataset, made.recall), dataset.of(Split.VAL)
    candidates = candidate_file.load(made.recall / "train.npz")
    logits = candidate_file.load_logits(made.ranker / "logits.npy", candidates)
    rows = last_training.sample(training, candidates, seed=seed, most=most)
    judged = Judged.load(made.served)
    return (
        known_of(training, candidates, logits, rows),
        known_of(
            validation,
            judged.candidates,
            judged.logits,
            np.arange(len(validation), dtype=np.int64),
        ),
    )


def _ranker(
    dataset: Dataset,
    recall: Path,
    encoders: Encoders,
    plan: RankerPlan,
    folder: Path,
    seed: int,
    progress: Progress,
) -> None:
    """Train the towers; keep them, and the logits of the training videos' candidates."""
    parts = RankerParts.of(encoders, load_recaller(recall / RECALL).channels.bridge.vectors)
    trained = train_ranker(
        learned_from(dataset, recall),
        candidate_file.load(recall / "train.npz"),
        np.load(recall / "fold.npy"),
        parts,
        plan,
        seed=seed,
        progress=progress,
    )
    export(trained.towers, parts.shape, folder / RANKER)
    candidate_file.save_logits(folder / "logits.npy", trained.logits)


def _last(
    dataset: Dataset,
    made: Made,
    vocabulary: Vocabulary,
    plan: CombinePlan,
    folder: Path,
    seed: int,
    progress: Progress,
) -> None:
    training, validation = known(dataset, made, seed=seed)
    stage = last_training.train_last(
        training, validation, plan, vocabulary.above, seed=seed, progress=progress
    )
    operating = stage.operating
    standard = {System.RECALL_RANKING.value: operating.point.threshold}
    standard |= {name.value: at for name, at in Judged.load(made.served).standard.items()}
    stage.combiner.save(folder)
    replace(operating, standard=standard).save(folder)
    stage.validation.save(folder / VALIDATION)
