"""`reeltag train`, `evaluate` and `tables`: from a labelled corpus to a bundle and its figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.cli.style import FILE, NEW, bundle_option, echo_json, seed_option, write_json

if TYPE_CHECKING:
    from encoders.profile import Profile
    from rank.gathering import Gathered, Gathering
    from recall.corpus import Corpus

cache_option = click.option(
    "--cache",
    type=NEW,
    default=Path("build/features"),
    show_default=True,
    help="Where features are kept, so that a second run skips decoding and encoding.",
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Videos decoded at once (default: this machine's cores).",
)
truth_option = click.option(
    "--truth", type=FILE, help="File of complete tags; figures are then against it."
)
vocabulary_option = click.option(
    "--vocabulary", type=FILE, help="Vocabulary file; without it, tags come from the corpus."
)
profile_option = click.option(
    "--profile", default="packaged", show_default=True, help="Encoders: packaged or paper."
)


def gathering_of(profile: Profile, cache: Path, workers: int | None) -> Gathering:
    """Where features come from: the profile's pulled weights, the cache, so many workers."""
    from rank.gathering import Gathering

    return Gathering(profile, cache, workers or os.cpu_count() or 1)


def tell_what_is_left_out(corpus: Corpus, gathered: Gathered) -> None:
    """List on stderr every row and video that could not be used, and what is odd in the splits."""
    from recall.splits import Split

    for row in corpus.skipped:
        click.echo(f"line {row.line} skipped: {row.reason}", err=True)
    for video in gathered.unread:
        click.echo(f"video {video.video_id} can't be read: {video.reason}", err=True)
    if corpus.skipped or gathered.unread:
        click.echo(
            f"left out: {len(corpus.skipped)} lines, {len(gathered.unread)} unreadable videos",
            err=True,
        )
    if corpus.leaks:
        click.echo(
            f"warning: {corpus.leaks} groups of videos that share sources lie in more than one "
            "split; the figures flatter",
            err=True,
        )
    tested = len(corpus.of(Split.TEST))
    if corpus.largest > len(corpus.videos) / 2 > 10 * tested:
        click.echo(
            f"warning: {corpus.largest} of {len(corpus.videos)} videos hang together by their "
            f"sources and can't be parted, which leaves {tested} to test on; leave out of "
            "`sources` what many share, such as a jingle, or give splits",
            err=True,
        )


@click.command()
@click.argument("corpus", type=FILE)
@click.option("--out", type=NEW, required=True, help="Directory of the new bundle.")
@profile_option
@vocabulary_option
@truth_option
@cache_option
@workers_option
@seed_option
@click.option(
    "--words", is_flag=True, help="Read on-screen text and speech too (needs the extra `words`)."
)
def train(
    corpus: Path,
    out: Path,
    profile: str,
    vocabulary: Path | None,
    truth: Path | None,
    cache: Path,
    workers: int | None,
    seed: int,
    words: bool,
) -> None:
    """Train a bundle from the labelled videos of CORPUS (JSON Lines).

    Decodes and encodes every video once and trains channels and ranker on the training split. The
    validation split, new to them, says how long to learn, and the last stage learns from both. Then
    channels and ranker are trained once more, as long, on both splits: so they serve; where to
    publish is said by models that learned from all but the half of validation that they judge.
    Writes the bundle with the evaluation that it earned on the test split. Stopped half-way, the
    same command goes on where it was. Needs the extra `train`.

    \b
    Example:
      reeltag train corpus.jsonl --out my-bundle
    """
    from consumer.cli.progress import stages
    from encoders.extra_words import with_extra_words
    from encoders.profile import load_profile
    from rank.training import train as train_bundle
    from recall.corpus import read_corpus, read_truth

    loaded = load_profile(profile)
    gathering = gathering_of(with_extra_words(loaded) if words else loaded, cache, workers)
    complete = read_truth(truth, read_corpus(corpus, vocabulary)) if truth else None
    with stages() as progress:
        trained = train_bundle(
            corpus,
            out,
            gathering=gathering,
            vocabulary=vocabulary,
            seed=seed,
            truth=complete,
            progress=progress,
        )
    tell_what_is_left_out(trained.corpus, trained.gathered)
    click.echo(
        f"Bundle {trained.bundle.manifest.version} is in {out}, with its figures in "
        f"{out / 'evaluation.json'}; try: reeltag tag --bundle {out} VIDEO"
    )


@click.command()
@bundle_option
@click.option("--corpus", type=FILE, required=True, help="Labelled corpus (JSON Lines).")
@truth_option
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="Part of the corpus to measure on; train and val flatter what has learned from them.",
)
@click.option("--json", "json_file", type=NEW, help="File for the figures.")
@click.option("--report", type=NEW, help="Directory for a readable report.")
@cache_option
@workers_option
def evaluate(
    bundle: Path,
    corpus: Path,
    truth: Path | None,
    split: str,
    json_file: Path | None,
    report: Path | None,
    cache: Path,
    workers: int | None,
) -> None:
    """Measure a bundle on the labelled videos of one split.

    Without --truth every figure is against the labels, which miss true tags. Intervals are 95 %, by
    bootstrap over videos that share source material.

    \b
    Example:
      reeltag evaluate --bundle my-bundle --corpus corpus.jsonl --json figures.json
    """
    from consumer.cli.progress import stages
    from encoders.encoder import Encoders
    from encoders.errors import CorpusError
    from encoders.extra_words import as_trained
    from encoders.profile import load_profile
    from rank.bundle import open_bundle
    from rank.evaluation import Truth
    from rank.evaluation import evaluate as measure
    from rank.examples import Shown, shown_ids
    from rank.report import write_report
    from rank.tagger import Tagger
    from recall.corpus import read_corpus, read_truth
    from recall.splits import Split

    opened = open_bundle(bundle)
    manifest = opened.manifest
    profile = as_trained(load_profile(manifest.profile), manifest.profile_digest)
    gathering = gathering_of(profile, cache, workers)
    labelled = read_corpus(corpus, opened.recall / "vocabulary.jsonl")
    complete = read_truth(truth, labelled) if truth else None
    chosen = labelled.of(Split(split))
    if not chosen:
        raise CorpusError(f"the corpus has no videos of the split {split}; choose another --split")
    with stages() as progress:
        gathered = gathering.gather(labelled, chosen, progress)
        tagger = Tagger.load(bundle, Encoders.open(gathering.profile))
        videos = gathered.dataset
        evaluation = measure(tagger, videos, Truth.of(videos, complete), progress)
    tell_what_is_left_out(labelled, gathered)
    if report is not None:
        titles = {video.video_id: video.words.title for video in labelled.videos}
        stills = gathering.stills(labelled, shown_ids(evaluation, videos))
        page = write_report(report, Shown(evaluation, videos, tagger, titles), stills)
        click.echo(f"Report: {page}", err=True)
    figures = evaluation.to_json()
    if json_file is not None:
        write_json(json_file, figures)
    echo_json(figures)


@click.command()
@click.argument("corpus", type=FILE)
@click.option("--out", type=NEW, required=True, help="Directory for tables.json and report.html.")
@truth_option
@vocabulary_option
@profile_option
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each row."
)
@cache_option
@workers_option
def tables(
    corpus: Path,
    out: Path,
    truth: Path | None,
    vocabulary: Path | None,
    profile: str,
    seeds: int,
    cache: Path,
    workers: int | None,
) -> None:
    """Train and measure the three tables: recall by channel, negatives, whole systems.

    Beside them: what one would try instead, labels hidden from training, tags that were never
    trained, a bundle of names alone, and what each choice is worth. Writes tables.json and
    report.html, one page with plots and examples. Stopped half-way, the same command goes on where
    it was. Needs the extra `train`.

    \b
    Example:
      reeltag tables corpus.jsonl --out build/tables --truth truth.jsonl
    """
    from consumer.cli.progress import stages
    from rank.tables import expected_minutes, write_tables
    from recall.corpus import read_corpus

    videos = len(read_corpus(corpus, vocabulary).videos)
    click.echo(
        f"{videos} videos, {seeds} seeds: about {expected_minutes(videos, seeds):.0f} minutes on "
        "two cores that have nothing else to do, without what is in the cache already",
        err=True,
    )
    with stages() as progress:
        write_tables(
            corpus,
            out,
            truth=truth,
            vocabulary=vocabulary,
            profile=profile,
            seeds=seeds,
            cache_dir=cache,
            workers=workers or os.cpu_count(),
            progress=progress,
        )
    click.echo(f"Written: {out / 'tables.json'} and {out / 'report.html'}")
