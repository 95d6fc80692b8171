"""``reeltag train``: from a labelled corpus to a bundle, in stages that survive a kill.

features    every video decoded and encoded (kept by the feature store)
recall      channels and merge; each training video's candidates, as if it had never been seen
ranker      the towers; each training video's logits by towers that never saw its fold
last        combiner, calibration, operating point, thresholds
served      recall and ranker once more, from validation videos, too: what was chosen with them as
            strangers stands
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
from encoders.features import F32
from encoders.small_bert import initial_layers
from rank import candidate_file, last_training, systems
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
from rank.operating import VALIDATION, Operating
from rank.progress import Progress
from rank.ranker import Ranker
from rank.ranker_training import RankerParts, RankerPlan, shape_of, train_ranker, train_towers
from rank.stages import Stages, file_digest
from rank.systems import System
from rank.tagger import Tagger
from rank.threshold import for_tags_per_video
from recall.candidates import CandidateSet
from recall.corpus import Corpus, TagSet, read_corpus
from recall.dataset import Dataset
from recall.recaller import Recaller
from recall.splits import Split
from recall.storage import load_recaller, save_recaller
from recall.training import Report, out_of_fold_candidates, train_again, train_recall

FOLDS = 3
ROWS = "rows.npy"  # in the stage recall: which training videos those after it learn from
EPOCHS = "epochs.npy"  # there, too: after how many the network had learned enough
STAGES_VERSION = 11  # raise when a stage's files change


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


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A new bundle, what was read for it, and what it reached.

    ``recall`` and ``ranker``: the folders of these stages, with what the last one learned from, by
    models that validation videos are new to; the bundle's have learned from them since.
    """

    bundle: Bundle
    corpus: Corpus
    gathered: Gathered
    evaluation: Evaluation
    recall: Path
    ranker: Path


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
    if vocabulary is None:
        _check_readable(gathered)
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
    served = stages.folder(
        "served",
        lambda folder: _served(
            dataset, recall, encoders, plan.ranker, plan.ranked, folder, seed, progress
        ),
    )
    with replacing(out) as folder:
        shutil.copytree(served / RECALL, folder / RECALL)
        shutil.copytree(served / RANKER, folder / RANKER)
        (folder / LAST).mkdir()
        _last(dataset, recall, ranker, encoders, plan.last, folder / LAST, seed, progress)
        profile = gathering.profile
        before = generation_of(out)
        seal(folder, profile=profile.name, profile_digest=profile.digest, version=version)
        tagger = Tagger.load(folder, encoders)
        unseen = replace(
            tagger,
            recaller=load_recaller(recall / RECALL),
            ranker=Ranker.load(ranker / RANKER, encoders.word_embeddings),
        )
        operating = _with_standard_thresholds(unseen, dataset.of(Split.VAL), progress)
        operating.save(folder / LAST)
        tagger = replace(tagger, operating=operating)
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
    made = Bundle(out, sealed.manifest)
    return Trained(made, corpus, gathered, evaluation, recall, ranker)


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


def _check_readable(gathered: Gathered) -> None:
    if not len(gathered.dataset.of(Split.TRAIN).labels.values):
        first = gathered.unread[0].reason if gathered.unread else "they have no tags"
        raise CorpusError(
            f"no labelled training video could be read; the first: {first}; check the URIs"
        )


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
        folds=FOLDS,
        report=_shares("recall", progress),
    )
    save_recaller(trained.recaller, folder / RECALL)
    recaller = load_recaller(folder / RECALL)
    held_out = trained.strangers.held_out
    rows = held_out[np.sort(np.random.default_rng(seed).permutation(len(held_out))[:ranked])]
    np.save(folder / ROWS, rows)
    candidate_file.save(folder / "train.npz", out_of_fold_candidates(trained, rows))
    candidate_file.save(folder / "val.npz", candidates_of(recaller, dataset.of(Split.VAL)))
    np.save(folder / "fold.npy", trained.strangers.fold[rows])
    np.save(folder / EPOCHS, trained.epochs)


def _served(
    dataset: Dataset,
    recall: Path,
    encoders: Encoders,
    plan: RankerPlan,
    ranked: int,
    folder: Path,
    seed: int,
    progress: Progress,
) -> None:
    """Train recall and the towers as they serve, and keep them."""
    served = train_again(
        load_recaller(recall / RECALL),
        dataset,
        int(np.load(recall / EPOCHS)),
        seed=seed,
        report=_shares("recall as it serves", progress),
    )
    save_recaller(served, folder / RECALL)
    rows = dataset.rows_of(Split.TRAIN, Split.VAL)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:ranked])
    parts = _parts(encoders, served.channels.bridge.vectors)
    towers = train_towers(dataset.take(rows[chosen]), parts, plan, seed=seed, progress=progress)
    export(towers, parts.shape, folder / RANKER)


def learned_from(dataset: Dataset, recall: Path) -> Dataset:
    """The training videos whose candidates the stage ``recall`` keeps, in their order."""
    return dataset.take(dataset.rows_of(Split.TRAIN)[np.load(recall / ROWS)])


def seen_as_strangers(recall: Path, ranker: Path) -> tuple[list[CandidateSet], list[F32]]:
    """Those videos' candidates, and their logits by towers that never saw them."""
    candidates = candidate_file.load(recall / "train.npz")
    ends = np.cumsum([len(item.tags) for item in candidates])
    return candidates, np.split(np.load(ranker / "logits.npy"), ends[:-1])


def known(
    dataset: Dataset,
    recall: Path,
    ranker: Path,
    word_embeddings: F32,
    *,
    seed: int,
    most: int = last_training.MOST_ROWS,
) -> tuple[Known, Known]:
    """What a last stage learns from: training videos, seen as strangers, and validation videos.

    ``most``: candidates of training videos.
    """
    training, validation = learned_from(dataset, recall), dataset.of(Split.VAL)
    candidates, logits = seen_as_strangers(recall, ranker)
    rows = last_training.sample(training, candidates, seed=seed, most=most)
    seen = candidate_file.load(recall / "val.npz")
    towers = Ranker.load(ranker / RANKER, word_embeddings)
    judged = towers.logits(list(validation.each()), seen)
    return (
        known_of(training, candidates, logits, rows),
        known_of(validation, seen, judged, np.arange(len(validation), dtype=np.int64)),
    )


def candidates_of(recaller: Recaller, videos: Dataset) -> list[CandidateSet]:
    """The candidates of videos that recall was not trained on."""
    return recaller.candidates(list(videos.each()), videos.uploader_ids())


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
    parts = _parts(encoders, load_recaller(recall / RECALL).channels.bridge.vectors)
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
    np.save(folder / "logits.npy", np.concatenate([np.zeros(0, np.float32), *trained.logits]))


def _shares(name: str, progress: Progress) -> Report:
    """Progress of ``name`` by shares of the work."""
    return lambda what, share: progress(f"{name}: {what}", round(share * 1000), 1000)


def _parts(encoders: Encoders, names: F32) -> RankerParts:
    words = encoders.word_embeddings
    shape = shape_of(encoders.profile, words.shape[1])
    return RankerParts(shape, initial_layers(encoders.profile), names, words)


def _last(
    dataset: Dataset,
    recall: Path,
    ranker: Path,
    encoders: Encoders,
    plan: CombinePlan,
    folder: Path,
    seed: int,
    progress: Progress,
) -> None:
    training, validation = known(dataset, recall, ranker, encoders.word_embeddings, seed=seed)
    stage = last_training.train_last(training, validation, plan, seed=seed, progress=progress)
    stage.combiner.save(folder)
    stage.operating.save(folder)
    stage.validation.save(folder / VALIDATION)


def _with_standard_thresholds(tagger: Tagger, videos: Dataset, progress: Progress) -> Operating:
    """The thresholds that give each system 3.12 tags a video on validation."""
    standard = {System.RECALL_RANKING.value: tagger.operating.point.threshold}
    for system in (System.CLASSIFICATION, System.FULL_RANKING):
        ranked = systems.run(tagger, system, videos, progress)
        scores = np.concatenate([np.zeros(0), *ranked.scores])
        standard[system.value] = for_tags_per_video(scores, len(videos))
    return replace(tagger.operating, standard=standard)
