"""``reeltag tables``: the article's three tables and what goes with them, trained and measured.

    Table 1  recall: each channel alone, the union without each, overall, the commonest tags
    Table 2  ranking: 10 random negatives, 400, 400 of which a quarter two hops away
    Table 3  systems: classification, full ranking, recall then ranking
    besides  peers on the same features; losses with labels hidden; new tags; cold start; what each
             choice is worth; what ranking a whole vocabulary costs

Every finding is kept as it ends, so that a killed run goes on. Writes ``tables.json`` and
``report.html``. Needs the extra ``train``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from encoders.encoder import Encoders
from encoders.profile import load_profile
from encoders.weights import default_weights_dir
from rank import ablation, cost, coverage, examples, new_tags, peers, ranker_table, tables_page
from rank.bootstrap import Bootstrap
from rank.cold_start import ColdStart, cold_start
from rank.comparing import Row, compared
from rank.cost import RankingCost
from rank.coverage import HIDDEN, Covered, Judge
from rank.evaluation import Truth
from rank.examples import Shown
from rank.fitting import FitPlan
from rank.gathering import Gathering
from rank.losses import LossName
from rank.measured import Tables
from rank.metrics import Scored
from rank.new_tags import Found
from rank.notebook import Notebook
from rank.operating import VALIDATION, Validation
from rank.points import reached
from rank.progress import Progress, named, quiet
from rank.ranker_table import NEGATIVES, Arena, FalseNegatives
from rank.ranker_training import RankerParts, RankerPlan
from rank.stages import Stages, file_digest
from rank.systems import System
from rank.tagger import Tagger
from rank.training import Plan, Trained, train
from rank.variants import Ground
from recall.corpus import read_corpus, read_truth
from recall.splits import Split

TABLES = "tables.json"
PAGE = "report.html"
FINDINGS_VERSION = 5  # raise when an experiment changes
SHORT = RankerPlan(fit=FitPlan(epochs=5, bert_epochs=1, fewest_steps=100))
"""The budget of every comparison; only the product's own seeds are trained longer."""
FEATURES_A_MINUTE = 300  # videos decoded and encoded


def write_tables(
    corpus_path: Path,
    out: Path,
    *,
    truth: Path | None = None,
    vocabulary: Path | None = None,
    profile: str = "packaged",
    seeds: int = 3,
    cache_dir: Path,
    workers: int | None = None,
    plan: Plan | None = None,
    short: RankerPlan = SHORT,
    progress: Progress = quiet,
) -> Tables:
    """Train and measure everything on one corpus; writes ``tables.json`` and ``report.html``.

    ``plan``: of the product, once a seed. ``short``: the budget of every comparison.
    """
    began = time.monotonic()
    folder = default_weights_dir()
    gathering = Gathering(
        load_profile(profile, weights_dir=folder), cache_dir, workers or 2, weights_dir=folder
    )
    corpus = read_corpus(corpus_path, vocabulary)
    complete = read_truth(truth, corpus) if truth else None
    out.mkdir(parents=True, exist_ok=True)
    trained = [
        train(
            corpus_path,
            out / "bundles" / f"seed-{seed}",
            gathering=gathering,
            vocabulary=vocabulary,
            seed=seed,
            truth=complete,
            plan=plan,
            progress=named(f"seed {seed}", progress),
        )
        for seed in range(seeds)
    ]
    notebook = Notebook(
        Stages.of(
            cache_dir,
            "tables",
            FINDINGS_VERSION,
            file_digest(corpus_path),
            truth and file_digest(truth),
            vocabulary and file_digest(vocabulary),
            gathering.profile.digest,
            seeds,
            plan,
            short,
        )
    )
    encoders = Encoders.open(gathering.profile, weights_dir=folder)
    tagger = Tagger.load(trained[0].bundle.folder, encoders)
    dataset = trained[0].gathered.dataset
    test = dataset.of(Split.TEST)
    ground = Ground(
        corpus=corpus,
        complete={**{video.video_id: video.tags for video in corpus.videos}, **(complete or {})},
        dataset=dataset,
        test=test,
        true=Truth.of(test, complete),
        gathering=gathering,
        encoders=encoders,
        folder=out / "variants",
        plan=replace(plan or Plan(), ranker=short),
        progress=progress,
    )
    tables = Experiments(ground, trained, tagger, notebook, seeds).run()
    (out / TABLES).write_text(json.dumps(tables.to_json(), indent=1) + "\n", encoding="utf-8")
    first = tables.evaluations[0]
    stills = gathering.stills(corpus, examples.shown_ids(first, test))
    titles = {video.video_id: video.words.title for video in corpus.videos}
    minutes = (time.monotonic() - began) / 60
    page = tables_page.page(
        tables, dataset, Shown(first, test, tagger, titles), stills, minutes, os.cpu_count() or 1
    )
    (out / PAGE).write_text(page, encoding="utf-8")
    return tables


def expected_minutes(videos: int, seeds: int) -> float:
    """How long everything takes on two idle cores: a bundle a seed, five at the short budget of
    comparisons, the comparisons.
    """
    a_bundle = 1.0 + videos / 220
    bundles = (seeds + 5 * 2 / 3) * a_bundle
    return videos / FEATURES_A_MINUTE + bundles + 5.0 + videos / 100


class Experiments:
    """All that is measured beside the product's own trainings, each found once and kept."""

    def __init__(
        self,
        ground: Ground,
        trained: Sequence[Trained],
        tagger: Tagger,
        notebook: Notebook,
        seeds: int,
    ) -> None:
        self.ground = ground
        self.trained = trained
        self.tagger = tagger
        self.notebook = notebook
        self.seeds = seeds
        self.product = trained[0].evaluation.scored[System.RECALL_RANKING]
        self.bootstrap = Bootstrap(ground.test.component.astype(np.int64))
        true = ground.true
        self.judge = Judge(self.bootstrap, true.tags, true.outside)

    def run(self) -> Tables:
        """Everything, the article's tables first."""
        arena = self.arena()
        keep = self.notebook.keep
        negatives = keep("negatives", dict[str, Row], lambda: self.negatives(arena))
        guard = keep("false-negatives", FalseNegatives, lambda: self.guard(arena))
        rivals = keep("peers", list[Row], self.peers)
        costs = keep(
            "cost", RankingCost, lambda: cost.measure(self.tagger, self.ground.test.features(0))
        )
        columns = keep("last-stage", list[Row], self.columns)
        missing = keep(
            "missing-modality",
            list[Row],
            lambda: ablation.missing_modality(self.ground, self.tagger, self.bootstrap),
        )
        parts = keep(
            "ranker-parts",
            list[Row],
            lambda: ablation.ranker_parts(self.ground, arena, self.bootstrap),
        )
        losses: list[Covered] = []
        for loss in LossName:
            by_loss = partial(coverage.by_loss, arena, self.ground, self.judge, loss)
            losses += keep(f"loss-{loss.value}", list[Covered], by_loss)
        products: list[Covered] = []
        for share in HIDDEN:
            whole = partial(coverage.of_product, self.ground, self.judge, share)
            products.append(keep(f"hidden-{share:g}", Covered, whole))
        cold = keep(
            "cold-start",
            ColdStart,
            lambda: cold_start(self.ground, self.product, self.bootstrap),
        )
        chosen = new_tags.held_out(self.ground)
        added = (
            keep(
                "new-tags",
                list[Found],
                lambda: new_tags.new_tags(self.ground, self.tagger, chosen),
            )
            if chosen
            else []
        )
        return Tables(
            evaluations=[item.evaluation for item in self.trained],
            negatives=negatives,
            guard=guard,
            losses=losses,
            products=products,
            peers=rivals,
            cost=costs,
            columns=columns,
            missing=missing,
            parts=parts,
            points=reached(
                self.product,
                Validation.load(self.trained[0].bundle.last / VALIDATION),
                self.tagger.operating.calibration.frequency,
            ),
            cold=cold,
            new_tags=added,
        )

    def arena(self) -> Arena:
        """Where rankers are trained alone, over the first seed's candidates."""
        ground = self.ground
        parts = RankerParts.of(ground.encoders, self.tagger.recaller.channels.bridge.vectors)
        candidates = self.tagger.recaller.candidates(
            list(ground.test.each()), ground.test.uploader_ids()
        )
        true, short = ground.true, ground.plan.ranker
        return Arena.of(ground.dataset, parts, short, candidates, true.tags, true.outside)

    def negatives(self, arena: Arena) -> dict[str, Row]:
        """Table 2; each row beside the one before it."""
        found: dict[str, Row] = {}
        before: list[Scored] = []
        for name in NEGATIVES:
            runs = ranker_table.by_negatives(
                arena, name, seeds=self.seeds, progress=self.ground.progress
            )
            found[name] = compared(name, runs, before or runs, self.bootstrap)
            before = runs
        return found

    def guard(self, arena: Arena) -> FalseNegatives:
        """What the frozen teacher keeps out, by a ranker that has learned from random negatives."""
        ground, labels = self.ground, arena.labels()
        plan = replace(arena.plan.fit, negatives=NEGATIVES["negatives_400"])
        teacher = arena.train(
            plan, labels, seed=0, progress=ground.progress, stage="false negatives"
        )
        whole = coverage.matrix(
            ground, lambda video: ground.complete[video.video_id].labels, labels.shape[1]
        )
        return ranker_table.false_negatives(arena, teacher, labels, whole, seed=0)

    def peers(self) -> list[Row]:
        """Each peer beside the product, at its own validation threshold."""
        ground = self.ground
        names = self.tagger.recaller.channels.bridge.vectors
        rows = []
        for peer in peers.peers(ground.dataset, names, seed=0, progress=ground.progress):
            found = peers.compare(peer, ground.true.tags, ground.true.outside)
            rows.append(
                compared(peer.name, [found.scored], [self.product], self.bootstrap, found.threshold)
            )
        return rows

    def columns(self) -> list[Row]:
        """The last stage fitted again without each group of columns."""
        stage = ablation.stage_of(self.ground, self.trained[0], self.tagger)
        return ablation.last_stage(self.ground, stage, self.bootstrap)
