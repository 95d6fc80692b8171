"""An evaluation as one readable page: tables and plots, no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from rank.evaluation import Evaluation
from rank.examples import Shown, examples
from rank.metrics import Scored
from rank.plots import Line, bars, lines
from rank.recall_figures import CURVE
from rank.stills import Stills
from rank.systems import System

PAGE = "report.html"
STYLE = """body{font:16px/1.55 system-ui,sans-serif;max-width:76rem;margin:2rem auto;
padding:0 1rem;color:#222;background:#fff}h2{margin-top:2.5rem;border-top:1px solid #ddd;
padding-top:1rem}p,li{max-width:46rem}table{border-collapse:collapse;margin:1rem 0;display:block;
overflow-x:auto}caption{text-align:left;color:#555;padding-bottom:.4rem;max-width:60rem}
td,th{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
td:first-child,th:first-child{text-align:left}tr.ours td{font-weight:600;background:#f3f7fb}
figure{display:inline-block;margin:1rem 1rem 1rem 0;max-width:100%;vertical-align:top}
figcaption{font-weight:600;max-width:36rem}figcaption small{display:block;font-weight:400;
color:#555}svg{max-width:100%;height:auto}.right{color:#1d6b26}.wrong{color:#a32222}
.missed{color:#666}.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));
gap:1rem}article{border:1px solid #ddd;border-radius:6px;padding:.6rem .8rem}
article h4{margin:.2rem 0}
article ul{list-style:none;padding:0;margin:.3rem 0}article small{display:block;color:#666;
padding-left:1.1rem}.frames{margin:0}.frames img{margin-right:4px;border-radius:3px}
nav a{margin-right:1rem}"""

NAMES: Mapping[System, str] = {
    System.CLASSIFICATION: "classification alone",
    System.FULL_RANKING: "full ranking, no recall",
    System.RECALL_RANKING: "recall, then ranking",
}


def write_report(folder: Path, shown: Shown, stills: Stills) -> Path:
    """Write ``report.html`` for one evaluation; gives its path.

    ``stills``: pictures of the videos that ``rank.examples`` shows.
    """
    evaluation = shown.evaluation
    folder.mkdir(parents=True, exist_ok=True)
    body = [
        "<h1>Evaluation</h1>",
        summary(evaluation),
        "<h2>Systems</h2>",
        table(SYSTEMS_HEAD, systems_rows(evaluation)),
        "<h2>Recall</h2>",
        recall_table(evaluation),
        *evaluation_plots(evaluation),
        "<h2>Examples</h2>",
        examples(shown, stills),
    ]
    path = folder / PAGE
    path.write_text(page("Evaluation", body), encoding="utf-8")
    return path


def page(title: str, body: Iterable[str]) -> str:
    """A whole page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
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


SYSTEMS_HEAD = (
    "system",
    "accuracy (95 %)",
    "tags a video",
    "recall",
    "F1",
    "accuracy, top (95 %)",
    "precision at 5",
    "mAP",
    "ms a video",
)


def systems_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """The three systems with intervals."""
    rows: list[tuple[str, ...]] = []
    for system, found in evaluation.systems.items():
        interval, top = (
            evaluation.intervals[system][name] for name in ("accuracy", "accuracy_top")
        )
        rows.append(
            (
                NAMES[system],
                f"{found.accuracy:.3f} ({interval.low:.3f} to {interval.high:.3f})",
                f"{found.tags_per_video:.2f}",
                f"{found.recall:.3f}",
                f"{found.f1:.3f}",
                f"{found.accuracy_top:.3f} ({top.low:.3f} to {top.high:.3f})",
                f"{found.precision_at_5:.3f}",
                f"{found.map:.3f}",
                f"{evaluation.milliseconds[system]:.1f}",
            )
        )
    return rows


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
        Line("perfect", [(0.0, 0.0), (1.0, 1.0)]),
    ]
    frequency = {
        name: {"accuracy": part.accuracy, "recall": part.recall}
        for name, part in evaluation.by_frequency.items()
    }
    uploader = {
        name: {"accuracy": part.accuracy, "recall": part.recall}
        for name, part in evaluation.by_uploader.items()
    }
    of = f"{len(evaluation.truth.tags)} videos, against the {evaluation.against}. "
    return [
        lines(
            "Recall by number of candidates",
            "candidates",
            "recall",
            by_depth,
            note=of + "The candidates of each channel, best first, and of all five together.",
            x_range=(0, 300),
        ),
        lines(
            "Precision and recall",
            "recall",
            "precision",
            curves,
            note=of + "From the highest score on.",
        ),
        lines(
            "Calibration",
            "score",
            "share true",
            reliable,
            note=of + "Ten bins of equal mass over candidates scored 0.1 or more; "
            f"error {evaluation.calibration_error:.3f}.",
        ),
        bars(
            "By tag frequency",
            "",
            frequency,
            note=of + "Head: the commonest tenth of the trained tags; tail: the rarest half.",
        ),
        bars(
            "By uploader",
            "",
            uploader,
            note=of + "Known: training had labelled videos of the same uploader.",
        ),
    ]


def precision_recall(scored: Scored) -> list[tuple[float, float]]:
    """(recall, precision) from the highest score on, at up to 60 depths."""
    order = np.argsort(-scored.score, kind="stable")
    hits = np.cumsum(scored.right[order])
    total = max(1, int(scored.pairs.sum()))
    most = min(len(order), 12 * scored.videos)
    depths = np.unique(np.linspace(0, most - 1, 60).astype(int)).tolist() if most else []
    return [(float(hits[d]) / total, float(hits[d]) / (d + 1)) for d in depths]


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", ours: int = -1
) -> str:
    """A plain table; cells are text. ``ours``: the row that is set apart."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f"<tr{' class=ours' if number == ours else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for number, row in enumerate(rows)
    )
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{above}<tr>{top}</tr>{body}</table>"
