"""Examples for the pages: pictures, what was published and why, what was missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from rank.evaluation import Evaluation
from rank.stills import Stills
from rank.systems import System
from rank.tagger import ScoredTag, Tagger
from recall.dataset import Dataset

EVENLY, MISTAKEN = 16, 8  # videos shown
NEIGHBOURS = 2  # labelled videos named for each tag
LONGEST = 60  # characters of a title


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What examples are made of. ``titles``: of labelled videos, by id, for the evidence."""

    evaluation: Evaluation
    videos: Dataset
    tagger: Tagger
    titles: Mapping[str, str]


def chosen(evaluation: Evaluation) -> tuple[list[int], list[int]]:
    """Test videos drawn evenly, and others with the wrong tags that were published most surely."""
    count = len(evaluation.truth.tags)
    evenly = list(range(0, count, max(1, count // EVENLY)))[:EVENLY]
    scored = evaluation.scored[System.RECALL_RANKING]
    published = scored.score >= evaluation.thresholds[System.RECALL_RANKING]
    wrong = np.flatnonzero(published & ~scored.right)
    surest = scored.video[wrong[np.argsort(-scored.score[wrong], kind="stable")]].tolist()
    mistaken = [video for video in dict.fromkeys(surest) if video not in evenly]
    return evenly, mistaken[:MISTAKEN]


def shown_ids(evaluation: Evaluation, videos: Dataset) -> frozenset[str]:
    """The ids of the videos that the examples show."""
    evenly, mistaken = chosen(evaluation)
    return frozenset(videos.video_ids[row] for row in (*evenly, *mistaken))


def examples(shown: Shown, stills: Stills) -> str:
    """Both groups, each under its own heading."""
    evenly, mistaken = chosen(shown.evaluation)
    return (
        "<p>✓ published and true, ✗ published and not among the true tags, then the true tags that "
        "were missed. Under each tag: the channels that proposed it and the labelled videos that "
        "were nearest.</p><h3>Drawn evenly from the test split, not picked</h3>"
        + _cards(shown, stills, evenly)
        + "<h3>Where it is most surely wrong</h3>"
        + "<p>Videos with the wrong tags that were published with the highest scores.</p>"
        + _cards(shown, stills, mistaken)
    )


def _cards(shown: Shown, stills: Stills, rows: Sequence[int]) -> str:
    uploaders = shown.videos.uploader_ids()
    tagged = shown.tagger.tag(
        [shown.videos.features(row) for row in rows],
        [uploaders[row] for row in rows],
        explain=True,
    )
    cards = (
        _card(shown, stills, row, tagging.tags) for row, tagging in zip(rows, tagged, strict=True)
    )
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(shown: Shown, stills: Stills, row: int, tags: Sequence[ScoredTag]) -> str:
    names = {tag.tag_id: place for place, tag in enumerate(shown.tagger.vocabulary.tags)}
    true = set(shown.evaluation.truth.tags[row].tolist())
    title = escape(shown.videos.words[row].text[: 2 * LONGEST]) or "(no words)"
    pictures = "".join(
        f'<img src="{uri}" width="96" height="96" alt="Frame {number} of {title}">'
        for number, uri in enumerate(stills.get(shown.videos.video_ids[row], ()), 1)
    )
    published = "".join(_tag(shown, tag, right=names[tag.tag_id] in true) for tag in tags)
    missed = sorted(
        shown.tagger.vocabulary.tags[place].name
        for place in true - {names[tag.tag_id] for tag in tags}
    )
    outside = int(shown.evaluation.truth.outside[row])
    if outside:
        missed.append(f"{outside} outside the vocabulary")
    lacking = f'<p class="missed">Missed: {escape(", ".join(missed))}</p>' if missed else ""
    nothing = "<li>nothing published</li>"
    return (
        f'<article><p class="frames">{pictures}</p><h4>{title}</h4>'
        f"<ul>{published or nothing}</ul>{lacking}</article>"
    )


def _tag(shown: Shown, tag: ScoredTag, *, right: bool) -> str:
    kind, mark, word = ("right", "✓", "true") if right else ("wrong", "✗", "not true")
    near = [n for evidence in tag.evidence for n in evidence.neighbours]
    nearest = dict.fromkeys(n.video_id for n in sorted(near, key=lambda n: -n.similarity))
    titles = [shown.titles.get(video, "") for video in nearest]
    named = [f"“{title[:LONGEST]}”" for title in dict.fromkeys(titles) if title][:NEIGHBOURS]
    why = ", ".join(tag.channels) + (f"; like {', '.join(named)}" if named else "")
    return (
        f'<li class="{kind}"><span title="{word}">{mark}</span> {escape(tag.tag)} '
        f"{tag.score:.2f}<small>{escape(why)}</small></li>"
    )
