"""``reeltag tables``: the article's three tables and what goes with them, trained and measured.

    Table 1  recall: each channel alone, the union without each, overall, the commonest tags
    Table 2  ranking: 10 random negatives, 400, 400 of which a quarter two hops away
    Table 3  systems: classification, full ranking, recall then ranking
    besides  peers on the same features; losses with labels hidden; what each column is worth

Writes ``tables.json`` and ``report.html``. Needs the extra ``train``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from encoders.encoder import Encoders
from encoders.profile import load_profile
from encoders.small_bert import initial_layers
from encoders.weights import default_weights_dir
from rank import peers, plots, ranker_table, report
from rank.bootstrap import Bootstrap, differs, middle
from rank.evaluation import Evaluation, Truth, evaluate
from rank.gathering import Gathering
from rank.metrics import Figures, Scored
from rank.peers import Compared
from rank.progress import Progress, quiet
from rank.ranker_table import Arena, FalseNegatives
from rank.ranker_training import RankerParts, RankerPlan, label_matrix, shape_of
from rank.systems import System
from rank.tagger import Tagger
from rank.training import candidates_of, train
from recall.corpus import TagSet, read_corpus, read_truth
from recall.dataset import Dataset
from recall.splits import Split

F64 = npt.NDArray[np.float64]

TABLES = "tables.json"
PAGE = "report.html"


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Everything that was measured."""

    evaluations: Sequence[Evaluation]
    negatives: Mapping[str, Sequence[tuple[Figures, Scored]]]
    guard: FalseNegatives
    losses: Mapping[str, Mapping[str, Figures]]
    peers: Sequence[Compared]
    bootstrap: Bootstrap

    def to_json(self) -> dict[str, object]:
        """The evaluation's keys (mean over seeds), then ``ranking``, ``seeds``, ``peers``, …"""
        each = [evaluation.to_json() for evaluation in self.evaluations]
        mean = _mean(each)
        if not isinstance(mean, dict):
            raise TypeError("an evaluation is an object")
        return {
            **mean,
            "ranking": {name: self._runs(runs) for name, runs in self.negatives.items()},
            "false_negatives": asdict(self.guard),
            "losses": {
                loss: {share: asdict(found) for share, found in rows.items()}
                for loss, rows in self.losses.items()
            },
            "peers": {peer.name: self._peer(peer) for peer in self.peers},
            "seeds": {str(seed): row for seed, row in enumerate(each)},
        }

    def _runs(self, runs: Sequence[tuple[Figures, Scored]]) -> dict[str, object]:
        accuracy = np.array([found.accuracy_top for found, _ in runs])
        drawn = np.mean([top_draws(scored, self.bootstrap) for _, scored in runs], axis=0)
        interval = middle(drawn)
        return {
            **{
                name: float(np.mean([asdict(f)[name] for f, _ in runs]))
                for name in asdict(runs[0][0])
            },
            "accuracy_top_spread": float(accuracy.std(ddof=1)) if len(runs) > 1 else 0.0,
            "accuracy_top_interval": [interval.low, interval.high],
            "seeds": accuracy.tolist(),
        }

    def _peer(self, peer: Compared) -> dict[str, object]:
        product = self.evaluations[0].scored[System.RECALL_RANKING]
        ours, theirs = (top_draws(s, self.bootstrap) for s in (product, peer.scored))
        gap = middle(ours - theirs)
        return {
            **asdict(peer.figures),
            "behind_by": [gap.low, gap.high],
            "differs": differs(ours, theirs),
        }


def _means(runs: Sequence[Figures]) -> dict[str, float]:
    rows = [asdict(found) for found in runs]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def top_draws(scored: Scored, bootstrap: Bootstrap) -> F64:
    """The accuracy of exactly the top 3.12·N pairs in each draw."""
    best = scored.top(round(3.12 * scored.videos))
    right = np.bincount(scored.video[best], scored.right[best], minlength=scored.videos)
    many = np.bincount(scored.video[best], minlength=scored.videos)
    return bootstrap.ratio(right.astype(np.float64), many.astype(np.float64))


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
    progress: Progress = quiet,
) -> Tables:
    """Train and measure everything on one corpus; writes ``tables.json`` and ``report.html``."""
    folder = default_weights_dir()
    gathering = Gathering(
        load_profile(profile, weights_dir=folder), cache_dir, workers or 2, weights_dir=folder
    )
    complete = read_truth(truth, read_corpus(corpus_path, vocabulary)) if truth else None
    out.mkdir(parents=True, exist_ok=True)
    trained = [
        train(
            corpus_path,
            out / "bundles" / f"seed-{seed}",
            gathering=gathering,
            vocabulary=vocabulary,
            seed=seed,
            truth=complete,
            progress=progress,
        )
        for seed in range(seeds)
    ]
    encoders = Encoders.open(gathering.profile, weights_dir=folder)
    tagger = Tagger.load(trained[0].bundle.folder, encoders)
    dataset = trained[0].gathered.dataset
    test = dataset.of(Split.TEST)
    true = Truth.of(test, complete)
    arena = _arena(dataset, tagger, encoders, true)
    labels = label_matrix(dataset, len(tagger.vocabulary))
    whole = _whole(dataset, complete, labels)
    negatives = ranker_table.by_negatives(arena, seeds=seeds, progress=progress)
    teacher = arena.train(
        arena.plan.fit, labels, seed=0, progress=progress, stage="false negatives"
    )
    names = tagger.recaller.channels.bridge.vectors
    tables = Tables(
        evaluations=[item.evaluation for item in trained],
        negatives=negatives,
        guard=ranker_table.false_negatives(arena, teacher, labels, whole, seed=0),
        losses=ranker_table.by_loss(arena, whole, progress=progress),
        peers=[
            peers.compare(peer, dataset, true.tags, true.outside)
            for peer in peers.peers(dataset, names, seed=0, progress=progress)
        ],
        bootstrap=Bootstrap(test.component.astype(np.int64)),
    )
    (out / TABLES).write_text(json.dumps(tables.to_json(), indent=1) + "\n", encoding="utf-8")
    evaluation = evaluate(tagger, test, true, progress)
    body = [*_page(tables), *report.evaluation_plots(evaluation), "<h2>Examples</h2>"]
    body.append(report.examples(evaluation, test, tagger.vocabulary))
    (out / PAGE).write_text(report.page("Three tables", body), encoding="utf-8")
    return tables


def _arena(dataset: Dataset, tagger: Tagger, encoders: Encoders, true: Truth) -> Arena:
    words = encoders.word_embeddings
    parts = RankerParts(
        shape_of(encoders.profile, words.shape[1]),
        initial_layers(encoders.profile),
        tagger.recaller.channels.bridge.vectors,
        words,
    )
    candidates = {
        split: candidates_of(tagger.recaller, dataset.of(split))
        for split in (Split.VAL, Split.TEST)
    }
    return Arena.of(dataset, parts, RankerPlan(), candidates, true.tags, true.outside)


def _whole(dataset: Dataset, truth: Mapping[str, TagSet] | None, labels: csr_matrix) -> csr_matrix:
    """The complete labels where a truth knows them, else the labels as they are."""
    if truth is None:
        return labels
    rows = Truth.of(dataset, truth).tags
    counts = [len(tags) for tags in rows]
    owner = np.repeat(np.arange(len(rows)), counts)
    ones = np.ones(len(owner), np.float32)
    whole = csr_matrix((ones, (owner, np.concatenate(rows))), shape=labels.shape)
    whole.sort_indices()
    return whole


def _mean(values: Sequence[object]) -> object:
    """The mean of equally shaped JSON values; text and whole numbers that agree stay."""
    first = values[0]
    if isinstance(first, dict):
        rows = [value for value in values if isinstance(value, dict)]
        return {key: _mean([row[key] for row in rows]) for key in first}
    if isinstance(first, list):
        lists = [value for value in values if isinstance(value, list)]
        return [_mean(list(items)) for items in zip(*lists, strict=True)]
    if isinstance(first, int | float) and not all(value == first for value in values):
        return float(np.mean([value for value in values if isinstance(value, int | float)]))
    return first


def _page(tables: Tables) -> list[str]:
    row = tables.to_json()
    evaluation = tables.evaluations[0]
    ranking = [
        (
            name.replace("_", " "),
            f"{np.mean([f.accuracy_top for f, _ in runs]):.3f}",
            f"{np.mean([f.f1_top for f, _ in runs]):.3f}",
            f"{np.mean([f.map for f, _ in runs]):.3f}",
            ", ".join(f"{f.accuracy_top:.3f}" for f, _ in runs),
        )
        for name, runs in tables.negatives.items()
    ]
    product = evaluation.systems[System.RECALL_RANKING]
    rivals = [("reeltag", f"{product.accuracy_top:.3f}", f"{product.f1_top:.3f}", "")]
    rivals += [
        (
            peer.name.replace("_", " "),
            f"{peer.figures.accuracy_top:.3f}",
            f"{peer.figures.f1_top:.3f}",
            "yes"
            if differs(
                top_draws(evaluation.scored[System.RECALL_RANKING], tables.bootstrap),
                top_draws(peer.scored, tables.bootstrap),
            )
            else "no",
        )
        for peer in tables.peers
    ]
    hidden = list(next(iter(tables.losses.values())))
    losses = [
        (loss, *(f"{found[share].accuracy_top:.3f}" for share in hidden))
        for loss, found in tables.losses.items()
    ]
    guard = tables.guard
    return [
        "<h1>Three tables</h1>",
        report.summary(evaluation),
        f"<p>{len(tables.evaluations)} seeds; figures without a list are of the first.</p>",
        "<h2>Table 1: recall</h2>",
        report.recall_table(evaluation),
        "<h2>Table 2: negatives</h2>",
        report.table(["negatives", "accuracy, top", "F1, top", "mAP", "seeds"], ranking),
        f"<p>The ranker alone orders recall's candidates. Of the hard negatives drawn, "
        f"{guard.drawn:.1%} are true; the frozen teacher drops {guard.dropped:.1%} of them, and of "
        f"those left {guard.kept:.1%} are true.</p>",
        "<h2>Table 3: systems</h2>",
        report.systems_table(evaluation),
        "<h2>Peers</h2>",
        report.table(["system", "accuracy, top", "F1, top", "beyond the interval"], rivals),
        "<h2>Labels hidden from training</h2>",
        report.table(["loss", *(f"{float(share):.0%} hidden" for share in hidden)], losses),
        "<p>Accuracy of the ranker alone at exactly 3.12 tags a video, against the "
        f"{row['against']}.</p>",
        plots.lines(
            "Accuracy with labels hidden",
            "share hidden",
            "accuracy, top",
            [
                plots.Line(loss, [(float(s), found[s].accuracy_top) for s in hidden])
                for loss, found in tables.losses.items()
            ],
            x_range=(0, 0.6),
        ),
    ]
