"""`reeltag train`, `evaluate` and `tables`: from a labelled corpus to a bundle and its figures."""

from __future__ import annotations

from pathlib import Path

import click

from consumer.cli.style import FILE, NEW, bundle_option, echo_json, seed_option, write_json

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
    help="Decoding processes (default: the cores of this machine).",
)
truth_option = click.option(
    "--truth", type=FILE, help="File of complete tags; figures are then against it."
)


@click.command()
@click.argument("corpus", type=FILE)
@click.option("--out", type=NEW, required=True, help="Directory of the new bundle.")
@click.option(
    "--profile", default="packaged", show_default=True, help="Encoders: packaged or paper."
)
@click.option(
    "--vocabulary", type=FILE, help="Vocabulary file; without it, tags come from the corpus."
)
@cache_option
@workers_option
@seed_option
def train(
    corpus: Path,
    out: Path,
    profile: str,
    vocabulary: Path | None,
    cache: Path,
    workers: int | None,
    seed: int,
) -> None:
    """Train a bundle from the labelled videos of CORPUS (JSON Lines).

    Decodes and encodes every video once, trains the channels and the ranker, fixes the threshold on
    the validation split and writes the bundle with the evaluation that it earned. Stopped half-way,
    the same command goes on where it was. Needs the extra `train`.

    \b
    Example:
      reeltag train corpus.jsonl --out my-bundle
    """
    from consumer.cli.progress import stages
    from rank.training import train as train_bundle

    with stages() as progress:
        bundle = train_bundle(
            corpus,
            out,
            profile=profile,
            vocabulary=vocabulary,
            cache_dir=cache,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    click.echo(
        f"Bundle {bundle.manifest.version} is in {out}; try: reeltag tag --bundle {out} VIDEO"
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
    help="Part of the corpus to measure on.",
)
@click.option("--json", "json_file", type=NEW, help="File for the figures.")
@click.option("--report", type=NEW, help="Directory for a readable report.")
@cache_option
def evaluate(
    bundle: Path,
    corpus: Path,
    truth: Path | None,
    split: str,
    json_file: Path | None,
    report: Path | None,
    cache: Path,
) -> None:
    """Measure a bundle on the labelled videos of one split.

    Without --truth every figure is against the labels, which miss true tags. Intervals are 95 %, by
    bootstrap over videos that share source material.

    \b
    Example:
      reeltag evaluate --bundle my-bundle --corpus corpus.jsonl --json figures.json
    """
    from rank.evaluation import evaluate as evaluate_bundle

    figures = evaluate_bundle(bundle, corpus, truth, split, report, cache_dir=cache).to_json()
    if json_file is not None:
        write_json(json_file, figures)
    echo_json(figures)


@click.command()
@click.argument("corpus", type=FILE)
@click.option("--out", type=NEW, required=True, help="Directory for tables.json and report.html.")
@truth_option
@click.option(
    "--profile", default="packaged", show_default=True, help="Encoders: packaged or paper."
)
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each row."
)
@cache_option
@workers_option
def tables(
    corpus: Path,
    out: Path,
    truth: Path | None,
    profile: str,
    seeds: int,
    cache: Path,
    workers: int | None,
) -> None:
    """Train and measure the three tables: recall by channel, negatives, whole systems.

    Writes tables.json and report.html with plots. Needs the extra `train`, and hours.

    \b
    Example:
      reeltag tables corpus.jsonl --out build/tables --truth truth.jsonl
    """
    from rank.tables import write_tables

    write_tables(
        corpus, out, truth=truth, profile=profile, seeds=seeds, cache_dir=cache, workers=workers
    )
    click.echo(f"Written: {out / 'tables.json'} and {out / 'report.html'}")
