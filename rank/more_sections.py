"""Sections of the tables' page: hidden labels, tags that were never trained, ablations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rank import plots, report
from rank.coverage import Covered
from rank.measured import Tables
from rank.operating import Kind
from rank.points import Unsupported
from rank.wording import gap, maybe, same, span, verdict

LOSSES: Mapping[str, str] = {
    "product": "the whole product",
    "contrastive": "ranker alone, contrastive (the product's)",
    "plain": "ranker alone, plain: unlabelled is wrong",
    "asymmetric": "ranker alone, asymmetric",
    "selective": "ranker alone, selective",
}

NEW_HEAD = (
    "the tags were",
    "among candidates (95 %)",
    "mean place",
    "in the best 3",
    "in the best 10",
    "published (95 %)",
    "accuracy",
    "other tags' accuracy",
    "known uploader",
    "new uploader",
)

POINTS_HEAD = ("asked for", "one threshold for", "accuracy", "tags a video", "recall", "F1")
ABLATION_HEAD = (
    "what",
    "accuracy, top",
    "F1, top",
    "accuracy, of tags a video",
    "loses (95 %)",
    "verdict",
)


def hidden_section(tables: Tables) -> Iterator[str]:
    """Labels hidden: against the truth, against labels as thin, with ceilings and drops."""
    groups: dict[str, list[Covered]] = {}
    for found in (*tables.products, *tables.losses):
        groups.setdefault(found.name, []).append(found)
    shares = [found.hidden for found in next(iter(groups.values()))]
    rows = [
        (
            LOSSES[name],
            *(f"{each.truth:.3f}" for each in found),
            f"{found[0].truth - found[-1].truth:+.3f}",
            *(f"{each.labels:.3f}" for each in found),
            f"{found[0].labels - found[-1].labels:+.3f}",
        )
        for name, found in groups.items()
    ]
    first = next(iter(groups.values()))
    rows.append(
        (
            "ceiling",
            *(f"{each.truth_ceiling:.3f}" for each in first),
            "",
            *(f"{each.labels_ceiling:.3f}" for each in first),
            f"{first[0].labels_ceiling - first[-1].labels_ceiling:+.3f}",
        )
    )
    yield report.table(
        [
            "trained with",
            *(f"truth, {share:.0%} hidden" for share in shares),
            "drop",
            *(f"labels, {share:.0%} hidden" for share in shares),
            "drop",
        ],
        rows,
        caption="Accuracy at exactly 3.12 tags a video. Of the complete tags of training and "
        "validation a share is hidden, never a video's last. “Truth”: against whole test tags; "
        "“labels”: against test tags with as many hidden, which is what such labels would show. "
        "The ranker alone ranks the whole vocabulary, so that recall can't help it. One seed.",
        ours=0,
    )
    drops = {name: found[0].truth - found[-1].truth for name, found in groups.items()}
    widest = max(found[0].interval.high - found[0].interval.low for found in groups.values())
    yield (
        f"<p>From none to {shares[-1]:.0%} hidden the product loses {drops['product']:.3f} against "
        f"the truth, the ranker alone {drops['contrastive']:.3f} with the product's loss and "
        f"{drops['plain']:.3f} with the plain one. A single row's interval is up to {widest:.3f} "
        "wide.</p>"
    )
    for title, key in (("against the truth", "truth"), ("against labels as thin", "labels")):
        yield plots.lines(
            f"Accuracy {title}",
            "share of labels hidden",
            "accuracy, top",
            [
                plots.Line(name, [(each.hidden, getattr(each, key)) for each in found])
                for name, found in groups.items()
            ]
            + [plots.Line("ceiling", [(e.hidden, getattr(e, f"{key}_ceiling")) for e in first])],
            x_range=(0, max(shares)),
            note="Test split, exactly 3.12 tags a video, one seed.",
        )


def points_section(tables: Tables) -> Iterator[str]:
    """What an editor may ask for, and what it gives."""
    rows = []
    for point in tables.points:
        asked = (
            f"accuracy of at least {point.target:.2f}"
            if point.kind is Kind.PRECISION
            else f"{point.target:g} tags a video"
        )
        if isinstance(point, Unsupported):
            rows.append((asked, "each tag" if point.per_tag else "all tags", *["not promised"] * 4))
            continue
        rows.append(
            (
                asked,
                f"each tag ({point.own} have one)" if point.per_tag else "all tags",
                f"{point.accuracy:.3f}",
                f"{point.tags_per_video:.2f}",
                f"{point.recall:.3f}",
                f"{point.f1:.3f}",
            )
        )
    yield report.table(
        POINTS_HEAD,
        rows,
        caption="Chosen on validation, whose labels are as the corpus has them; measured on the "
        "test split. An accuracy asked for is promised with a confidence of 90 % (Learn then "
        "Test), if labels miss as many true tags as the calibration takes them to; where "
        "validation has too few videos to promise it, the row says so. First seed.",
    )


def new_section(tables: Tables) -> Iterator[str]:
    """Tags added without training, and a bundle without any label."""
    if tables.new_tags:
        first = tables.new_tags[0]
        yield report.table(
            NEW_HEAD,
            [
                (
                    row.name,
                    f"{row.candidates:.3f} ({span(row.candidates_interval)})",
                    "none" if row.place is None else f"{row.place:.1f}",
                    f"{row.hit_near:.3f}",
                    f"{row.hit_far:.3f}",
                    f"{row.published:.3f} ({span(row.published_interval)})",
                    maybe(row.accuracy),
                    maybe(row.others),
                    maybe(row.known),
                    maybe(row.new),
                )
                for row in tables.new_tags
            ],
            caption=f"{first.tags} tags, taken out of the vocabulary and of all labels, then added "
            f"as `reeltag tags add` does it, without training. Shares of their {first.pairs} true "
            "pairs in the test split; mean place among the candidates, of those found; accuracy is "
            "of the pairs published; the last two columns are the best 10 by uploader. The first "
            "row is the product, trained longer; the example is a video without its words.",
        )
    else:
        yield "<p>No tag is common enough here to be held out and judged.</p>"
    cold = tables.cold
    row = cold.row.figures
    yield (
        "<h3>Cold start</h3><p>A bundle made of the tags' names, aliases and descriptions, without "
        f"one labelled video: accuracy {row.accuracy_top:.3f} ({span(cold.row.accuracy)}), F1 "
        f"{row.f1_top:.3f} at exactly 3.12 tags a video; the similarity of names alone, without a "
        f"bundle's channels, {cold.zero_shot.figures.accuracy_top:.3f} "
        f"({span(cold.zero_shot.accuracy)}): the cold bundle is "
        f"{gap(cold.zero_shot.accuracy_behind)}. Its {cold.candidates_per_video:.0f} "
        f"candidates hold {cold.recall:.3f} of the true pairs (as many tags in the order of a "
        f"vocabulary without counts: {cold.commonest:.3f}).</p>"
    )


def ablation_section(tables: Tables) -> Iterator[str]:
    """Rows of differences."""
    for title, rows, caption in (
        (
            "Columns of the last stage",
            tables.columns,
            "The last stage fitted again without some columns, on the same candidates (of training "
            "videos at most 250,000, and those of validation videos). A channel takes the "
            "candidates with it that only it proposes.",
        ),
        (
            "A modality missing at test time",
            tables.missing,
            "The product on the same test videos, as if they lacked a modality. The third column "
            "is at the product's own threshold, as a worker would publish.",
        ),
        (
            "Parts of the ranker",
            tables.parts,
            "The ranker alone on recall's candidates, trained anew without a part. Moments are "
            "single frames and blocks of sound, compared with a tag beside the whole video. Rows "
            "with a modality missing are beside the whole ranker with the same one missing; "
            "negative there means that the change makes it better. One seed.",
        ),
    ):
        yield f"<h3>{title}</h3>"
        yield report.table(
            ABLATION_HEAD,
            [
                (
                    row.name,
                    f"{row.figures.accuracy_top:.3f}",
                    f"{row.figures.f1_top:.3f}",
                    f"{row.figures.accuracy:.3f} of {row.figures.tags_per_video:.2f}",
                    "" if same(row) else span(row.accuracy_behind, sign=True),
                    "" if same(row) else verdict(row.accuracy_behind),
                )
                for row in rows
            ],
            caption=caption,
            ours=0,
        )
