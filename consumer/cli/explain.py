"""How one tagging is shown: as a table for people, as JSON for programs."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from encoders.features import Features, Media, Modality, State
from rank.tagger import Tagger, Tagging

LINE = 110
"""Width of the table where there is no terminal to ask."""
NEIGHBOURS = 3
"""Neighbours shown for each channel; a table of more is not read."""


def outcome(features: Features) -> str:
    """The outcome that the worker would publish: ``degraded`` where a modality failed."""
    return "degraded" if State.FAILED in features.states.values() else "tagged"


def to_json(
    video: str, tagger: Tagger, features: Features, media: Media, tagging: Tagging, *, explain: bool
) -> dict[str, Any]:
    """The tag event's fields that don't need Kafka; ``explain`` adds each tag's evidence."""
    tags: list[dict[str, Any]] = []
    for tag in tagging.tags:
        row: dict[str, Any] = {
            "tag_id": tag.tag_id,
            "tag": tag.tag,
            "score": round(tag.score, 4),
            "channels": [str(channel) for channel in tag.channels],
        }
        if explain:
            row["evidence"] = [
                {
                    "channel": str(evidence.channel),
                    "score": round(evidence.score, 4),
                    "neighbours": [
                        {"video_id": near.video_id, "similarity": round(near.similarity, 4)}
                        for near in evidence.neighbours
                    ],
                }
                for evidence in tag.evidence
            ]
            row["hints"] = {name: round(value, 4) for name, value in tag.parts}
        tags.append(row)
    return {
        "uri": video,
        "outcome": outcome(features),
        "tags": tags,
        "modalities": {str(kind): str(features.states[kind]) for kind in Modality},
        "notes": {str(kind): note for kind, note in media.notes.items()},
        "bundle": {"version": tagger.version, "digest": f"sha256:{tagger.digest}"},
    }


def print_tagging(
    tagger: Tagger,
    features: Features,
    media: Media,
    tagging: Tagging,
    seconds: float,
    *,
    explain: bool,
) -> None:
    """Print the tags as a table, then what was made of each modality."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else LINE)
    if tagging.tags:
        console.print(_evidence(tagging) if explain else _tags(tagging))
    else:
        console.print("No tag is likely enough to be published.")
    states = ", ".join(f"{kind} {features.states[kind]}" for kind in Modality)
    console.print(f"{states}; {seconds * 1000:.0f} ms; bundle {tagger.version}", style="dim")
    for kind, note in media.notes.items():
        console.print(f"{kind}: {note}", style="yellow")


def _tags(tagging: Tagging) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("tag", "score", "channels"):
        table.add_column(heading, justify="right" if heading == "score" else "left")
    for tag in tagging.tags:
        table.add_row(tag.tag, f"{tag.score:.2f}", " ".join(tag.channels))
    return table


def _evidence(tagging: Tagging) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("tag", "score", "channel", "channel score", "neighbours (similarity), hints"):
        table.add_column(heading, justify="right" if "score" in heading else "left")
    for tag in tagging.tags:
        name, score = tag.tag, f"{tag.score:.2f}"
        hints = ", ".join(f"{hint} {value:.2f}" for hint, value in tag.parts)
        for evidence in tag.evidence:
            neighbours = ", ".join(
                f"{near.video_id} ({near.similarity:.2f})"
                for near in evidence.neighbours[:NEIGHBOURS]
            )
            table.add_row(name, score, evidence.channel, f"{evidence.score:.3f}", neighbours)
            name = score = ""
        table.add_row(name, score, "", "", hints, style="dim")
    return table
