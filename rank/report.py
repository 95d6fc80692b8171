"""An evaluation as one readable page: tables and plots, no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from rank.evaluation import Evaluation
from rank.metrics import Scored
from rank.plots import Line, bars, lines
from rank.recall_figures import CURVE
from rank.systems import System
from recall.dataset import Dataset
from recall.vocabulary import Vocabulary

PAGE = "report.html"
STYLE = """body{font:15px/1.5 sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .7rem;text-align:right;
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}
figure{display:inline-block;margin:1rem 1rem 1rem 0}figcaption{font-weight:600}
.right{color:#227a2b}.wrong{color:#b02a2a}.missed{color:#777}"""
SHOWN = 24

NAMES: Mapping[System, str] = {
    System.CLASSIFICATION: "classification alone",
    System.FULL_RANKING: "full ranking, no recall",
    System.RECALL_RANKING: "recall, then ranking",
}


def write_report(
    folder: Path, evaluation: Evaluation, videos: Dataset, vocabulary: Vocabulary
) -> Path:
    """Write ``report.html`` for one evaluation; gives its path."""
    folder.mkdir(parents=True, exist_ok=True)
    body = [
        "<h1>Evaluation</h1>",
        summary(evaluation),
        "<h2>Systems</h2>",
        systems_table(evaluation),
        "<h2>Recall</h2>",
        recall_table(evaluation),
        *evaluation_plots(evaluation),
        "<h2>Examples</h2>",
        examples(evaluation, videos, vocabulary),
    ]
    path = folder / PAGE
    path.write_text(page("Evaluation", body), encoding="utf-8")
    return path


def page(title: str, body: Iterable[str]) -> str:
    """A whole page."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style><body>{''.join(body)}</body></html>\n"
    )


def summary(evaluation: Evaluation) -> str:
    """What was measured, in a few sentences."""
    row = evaluation.to_json()
    return (
        f"<p>{row['videos']} videos, {row['vocabulary']} tags in the vocabulary; figures are "
        f"against the {row['against']}. A video has {row['true_tags_per_video']:.2f} true tags; "
        f"{row['out_of_vocabulary']:.1%} of the pairs are outside the vocabulary and count as "
        f"missed. At 3.12 tags a video, accuracy can be {row['ceiling']:.3f} at most. Calibration "
        f"error {row['calibration_error']:.3f}.</p>"
    )


def systems_table(evaluation: Evaluation) -> str:
    """The three systems with intervals."""
    rows = []
    for system, found in evaluation.systems.items():
        interval = evaluation.intervals[system]["accuracy"]
        rows.append(
            (
                NAMES[system],
                f"{found.accuracy:.3f} ({interval.low:.3f}–{interval.high:.3f})",
                f"{found.tags_per_video:.2f}",
                f"{found.recall:.3f}",
                f"{found.f1:.3f}",
                f"{found.accuracy_top:.3f}",
                f"{found.precision_at_5:.3f}",
                f"{found.map:.3f}",
                f"{evaluation.milliseconds[system]:.1f}",
            )
        )
    head = (
        "system|accuracy (95 %)|tags a video|recall|F1|accuracy, top|precision at 5|mAP|ms a video"
    )
    return table(head.split("|"), rows)


def recall_table(evaluation: Evaluation) -> str:
    """Recall of each channel alone, and of all but it."""
    recall = evaluation.recall
    rows = [
        (channel.value, f"{alone:.3f}", f"{recall.without[channel]:.3f}")
        for channel, alone in recall.channels.items()
    ]
    rows.append(("all five", f"{recall.overall:.3f}", ""))
    rows.append(("the commonest tags instead", f"{recall.commonest:.3f}", ""))
    return (
        table(["channel", "recall alone", "recall of the others"], rows)
        + f"<p>{recall.candidates_per_video:.0f} candidates a video; "
        + ", ".join(f"{share:.3f} at {depth}" for depth, share in recall.at.items())
        + ".</p>"
    )


def evaluation_plots(evaluation: Evaluation) -> list[str]:
    """Recall by number of candidates, precision and recall, calibration, tag frequency."""
    recall = evaluation.recall
    by_depth = [
        Line(channel.value, [(float(k), share) for k, share in zip(CURVE, curve, strict=True)])
        for channel, curve in recall.curves.items()
    ]
    by_depth.append(Line("all five", [(float(k), share) for k, share in recall.at.items()]))
    curves = [
        Line(NAMES[system], precision_recall(scored))
        for system, scored in evaluation.scored.items()
    ]
    reliable = [
        Line("measured", [(float(row[0]), float(row[1])) for row in evaluation.bins]),
        Line("perfect", [(0.0, 0.0), (1.0, 1.0)], dashed=True),
    ]
    frequency = {
        name: {"accuracy": part.accuracy, "recall": part.recall}
        for name, part in evaluation.by_frequency.items()
    }
    uploader = {
        name: {"accuracy": part.accuracy, "recall": part.recall}
        for name, part in evaluation.by_uploader.items()
    }
    return [
        lines("Recall by number of candidates", "candidates", "recall", by_depth, x_range=(0, 300)),
        lines("Precision and recall", "recall", "precision", curves),
        lines("Calibration", "score", "share true", reliable),
        bars("By tag frequency", "", frequency),
        bars("By uploader", "", uploader),
    ]


def precision_recall(scored: Scored) -> list[tuple[float, float]]:
    """(recall, precision) from the highest score on, at up to 60 depths."""
    order = np.argsort(-scored.score, kind="stable")
    hits = np.cumsum(scored.right[order])
    total = max(1, int(scored.pairs.sum()))
    most = min(len(order), 12 * scored.videos)
    depths = np.unique(np.linspace(0, most - 1, 60).astype(int)).tolist() if most else []
    return [(float(hits[d]) / total, float(hits[d]) / (d + 1)) for d in depths]


def examples(evaluation: Evaluation, videos: Dataset, vocabulary: Vocabulary) -> str:
    """Some videos: what was published and right, published and wrong, true and missed."""
    scored = evaluation.scored[System.RECALL_RANKING]
    threshold = evaluation.thresholds[System.RECALL_RANKING]
    rows = []
    step = max(1, scored.videos // SHOWN)
    for video in range(0, scored.videos, step)[:SHOWN]:
        own = np.flatnonzero((scored.video == video) & (scored.score >= threshold))
        own = own[np.argsort(-scored.score[own], kind="stable")]
        published = "".join(
            _published(vocabulary.tags[int(scored.tag[pair])].name, scored, pair)
            for pair in own.tolist()
        )
        missed = set(evaluation.truth.tags[video].tolist()) - set(scored.tag[own].tolist())
        names = ", ".join(sorted(vocabulary.tags[tag].name for tag in missed))
        title = escape(videos.words[video].text[:90]) or "(no words)"
        rows.append(
            f'<tr><td>{title}</td><td>{published}<span class="missed">{escape(names)}</span>'
        )
    return (
        "<p>Published tags with their scores, <span class=right>right</span> and "
        "<span class=wrong>wrong</span>; then the <span class=missed>true ones missed</span>.</p>"
        f"<table>{''.join(rows)}</table>"
    )


def _published(name: str, scored: Scored, pair: int) -> str:
    kind = "right" if scored.right[pair] else "wrong"
    return f'<span class="{kind}">{escape(name)} {scored.score[pair]:.2f}</span> · '


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table; cells are text."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"
