"""The page of ``reeltag tables``: what was measured, in words, tables and plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from rank import report
from rank.examples import Shown, examples
from rank.measured import Tables
from rank.more_sections import (
    ablation_section,
    hidden_section,
    new_section,
    points_section,
)
from rank.recall_figures import DEPTHS
from rank.stills import Stills
from rank.systems import System
from rank.tree_peer import installed
from rank.wording import gain, gap, seeds, span, verdict
from recall.dataset import Dataset
from recall.splits import Split

NEGATIVES: Mapping[str, str] = {
    "negatives_10": "10 random negatives",
    "negatives_400": "400 random",
    "negatives_400_hard": "400, a quarter of them two hops away",
}
PEERS: Mapping[str, str] = {
    "commonest": "the commonest tags for everyone",
    "neighbours": "nearest neighbours, all embeddings",
    "embeddings": "one-vs-rest logistic regression on embeddings",
    "words": "one-vs-rest logistic regression on TF-IDF words",
    "mean": "mean of both regressions",
    "zero_shot": "similarity of the tag's name",
    "label_trees": "napkinXC label trees, words and embeddings",
}

PEERS_HEAD = (
    "system",
    "accuracy, top",
    "F1, top",
    "reeltag ahead by",
    "in F1 by",
    "beyond the interval",
)


def page(
    tables: Tables, dataset: Dataset, shown: Shown, stills: Stills, minutes: float, cores: int
) -> str:
    """The whole page; ``shown``: what the examples are made of."""
    sections = (
        ("recall", "Table 1: recall", recall_section(tables)),
        ("negatives", "Table 2: negatives", negatives_section(tables)),
        ("systems", "Table 3: systems", systems_section(tables)),
        ("peers", "What one would try instead", peers_section(tables)),
        ("plots", "Where it is good", plots_section(tables)),
        ("points", "Choosing how sure to be", points_section(tables)),
        ("hidden", "When labels miss true tags", hidden_section(tables)),
        ("new", "Tags that were never trained", new_section(tables)),
        ("ablations", "What each choice is worth", ablation_section(tables)),
        ("examples", "Examples", iter([examples(shown, stills)])),
    )
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in sections)
    body = ["<h1>What the tags are worth</h1>", *opening(tables, dataset, minutes, cores)]
    body.append(f"<nav>{links}</nav>")
    for name, title, parts in sections:
        body += [f'<h2 id="{name}">{title}</h2>', *parts]
    return report.page("What the tags are worth", body)


def opening(tables: Tables, dataset: Dataset, minutes: float, cores: int) -> Iterator[str]:
    """What an editor wants first, then how it was measured."""
    evaluation = tables.evaluations[0]
    found = [e.systems[System.RECALL_RANKING] for e in tables.evaluations]
    accuracy, f1 = (np.mean([getattr(f, key) for f in found]) for key in ("accuracy", "f1"))
    many = np.mean([f.tags_per_video for f in found])
    rivals = [row for row in tables.peers if row.figures.accuracy_top]
    best = max(rivals, key=lambda row: row.figures.accuracy_top)
    top = evaluation.systems[System.RECALL_RANKING].accuracy_top
    ahead = gap(best.accuracy_behind)
    yield (
        f"<p><strong>Of the {many:.2f} tags published for a video, {accuracy:.1%} are true</strong>"
        f" (F1 {f1:.3f}; mean of {seeds(len(found))}). The best of the simpler methods, "
        f"{PEERS.get(best.name, best.name)}, reaches {best.figures.accuracy_top:.1%} where the "
        f"product has {top:.1%} at exactly 3.12 tags a video: the product is {ahead}.</p>"
    )
    sizes = {split: len(dataset.rows_of(split)) for split in Split}
    yield report.summary(evaluation)
    yield (
        f"<p>Trained on {sizes[Split.TRAIN]} videos; thresholds and every choice come from "
        f"{sizes[Split.VAL]} validation videos; all figures are of the {sizes[Split.TEST]} test "
        "videos, which share no source material with the others. Intervals are 95 %, by bootstrap "
        "over videos that share material, paired between systems; a difference within its interval "
        "is called none. “Top” means exactly 3.12 tags a video on the test split. Each seed trains "
        "the whole product anew. Comparisons train for less than half as many steps, all with the "
        "same budget: Table 2 and the ranker's parts order the first seed's candidates; hidden "
        "labels, new tags and cold start train recall anew. The last run took "
        f"{minutes:.0f} minutes on {cores} cores, without what earlier runs had finished.</p>"
    )


def recall_section(tables: Tables) -> Iterator[str]:
    """Each channel alone and left out, the union, the commonest tags; mean over seeds."""
    each = [evaluation.recall for evaluation in tables.evaluations]

    def mean(values: Sequence[float]) -> str:
        return f"{np.mean(values):.3f}"

    rows = [
        (
            channel.value,
            mean([r.channels[channel] for r in each]),
            mean([r.without[channel] for r in each]),
        )
        for channel in each[0].channels
    ]
    overall = [recall.overall for recall in each]
    many = np.mean([recall.candidates_per_video for recall in each])
    rows.append(("all five", mean(overall), ""))
    rows.append(("as many of the commonest tags", mean([r.commonest for r in each]), ""))
    yield report.table(
        ["channel", "recall alone", "union without it"],
        rows,
        caption="Share of all true pairs among the candidates: at most 100 of a channel, "
        f"{many:.0f} of all five. Mean of {seeds(len(each))}.",
        ours=len(rows) - 2,
    )
    yield report.table(
        ["candidates", *(str(depth) for depth in DEPTHS)],
        [
            ("all five", *(mean([r.at[depth] for r in each]) for depth in DEPTHS)),
            ("commonest", *(mean([r.commonest_at[depth] for r in each]) for depth in DEPTHS)),
        ],
        caption="Recall by length of the list.",
        ours=0,
    )
    yield f"<p>Over seeds, overall recall is from {min(overall):.3f} to {max(overall):.3f}.</p>"


def negatives_section(tables: Tables) -> Iterator[str]:
    """The ranker alone, by negatives; whether each step wins, in words."""
    rows = [
        (
            NEGATIVES[name],
            f"{row.figures.accuracy_top:.3f} ({span(row.accuracy)})",
            f"{row.spread:.4f}" if len(row.seeds) > 1 else "",
            f"{row.figures.f1_top:.3f}",
            f"{row.figures.map:.3f}",
            ", ".join(f"{value:.3f}" for value in row.seeds),
        )
        for name, row in tables.negatives.items()
    ]
    head = "negatives|accuracy, top (95 %)|spread|F1, top|mAP|accuracy by seed"
    yield report.table(
        head.split("|"),
        rows,
        caption="The ranker alone orders recall's candidates; the same steps for all rows. Spread: "
        "standard deviation over seeds.",
    )
    for before, after in pairwise(tables.negatives):
        row = tables.negatives[after]
        yield (
            f"<p>From {NEGATIVES[before]} to {NEGATIVES[after]}: "
            f"<strong>{verdict(row.accuracy_behind)}</strong> "
            f"(accuracy {gain(row.accuracy_behind)}).</p>"
        )
    guard = tables.guard
    yield (
        f"<p>Two hops from a training video lie {guard.reached:.0f} tags on average, of which at "
        f"most 100 are drawn. Of these hard negatives {guard.drawn:.1%} are in fact true tags that "
        f"nobody wrote down. The frozen teacher drops {guard.dropped:.1%} of them; of those left "
        f"{guard.kept:.1%} are true.</p>"
    )


def systems_section(tables: Tables) -> Iterator[str]:
    """The three systems and the regression beside them, and what ranking all tags would cost."""
    evaluation = tables.evaluations[0]
    rows = report.systems_rows(evaluation)
    rows += [
        (
            "logistic regression on the same embeddings",
            f"{row.figures.accuracy:.3f}",
            f"{row.figures.tags_per_video:.2f}",
            f"{row.figures.recall:.3f}",
            f"{row.figures.f1:.3f}",
            f"{row.figures.accuracy_top:.3f} ({span(row.accuracy)})",
            f"{row.figures.precision_at_5:.3f}",
            f"{row.figures.map:.3f}",
            "",
        )
        for row in tables.peers
        if row.name == "embeddings"
    ]
    yield report.table(
        report.SYSTEMS_HEAD,
        rows,
        caption="First seed, each at its own validation threshold. Milliseconds: one thread, "
        "features at hand, in batches.",
        ours=2,
    )
    accuracy = [e.systems[System.RECALL_RANKING].accuracy for e in tables.evaluations]
    cost = tables.cost
    yield (
        "<p>Recall, then ranking by seed: "
        f"{', '.join(f'{value:.3f}' for value in accuracy)}. The regression stands beside "
        "“classification alone” because on small corpora it can be the stronger classifier.</p>"
        "<h3>The cost of doing without recall</h3>"
        f"<p>With tag vectors resampled to 300,000 tags, one video at a time: ranking all tags as "
        f"the candidates are ranked takes {cost.everything / 1000:.1f} s, ranking 300 candidates "
        f"{cost.candidates:.1f} ms: <strong>{cost.times:.0f} times as long</strong> (target: at "
        "least 50). Recall's own time comes on top of the latter; it is in the table for this "
        "vocabulary. The two towers alone, one product of matrices, take "
        f"{cost.towers:.0f} ms over all tags, which makes them cheap without recall, and "
        "less accurate.</p>"
    )


def peers_section(tables: Tables) -> Iterator[str]:
    """The product and each peer at exactly 3.12 tags a video."""
    product = tables.evaluations[0].systems[System.RECALL_RANKING]
    rows = [("reeltag", f"{product.accuracy_top:.3f}", f"{product.f1_top:.3f}", "", "", "")]
    rows += [
        (
            PEERS.get(row.name, row.name),
            f"{row.figures.accuracy_top:.3f}",
            f"{row.figures.f1_top:.3f}",
            span(row.accuracy_behind, sign=True),
            span(row.f1_behind, sign=True),
            "yes" if row.beyond and not row.f1_behind.holds(0.0) else "no",
        )
        for row in sorted(tables.peers, key=lambda row: -row.figures.accuracy_top)
    ]
    yield report.table(
        PEERS_HEAD,
        rows,
        caption="Same features, same splits, exactly 3.12 tags a video. What a method leaves to "
        "choose was chosen on validation; then each, as the product, has learned from both splits.",
        ours=0,
    )
    if not installed():
        yield "<p>napkinXC is not installed here, so its row is missing.</p>"


def plots_section(tables: Tables) -> Iterator[str]:
    """The evaluation's plots, and by frequency and uploader in figures."""
    evaluation = tables.evaluations[0]
    yield "<p>All plots are of the first seed.</p>"
    yield from report.evaluation_plots(evaluation)
    yield report.table(
        ["group", "true pairs", "accuracy", "recall", "F1"],
        [
            (name, str(part.pairs), f"{part.accuracy:.3f}", f"{part.recall:.3f}", f"{part.f1:.3f}")
            for name, part in (
                *((f"{name} tags", part) for name, part in evaluation.by_frequency.items()),
                *((f"{name} uploaders", part) for name, part in evaluation.by_uploader.items()),
            )
        ],
        caption="Head: the commonest tenth of the trained tags; tail: the rarest half and those "
        "that no training video has.",
    )
