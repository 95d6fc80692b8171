"""The corpus's files: labelled videos, truth, vocabulary and the licence of every source."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deploy.corpus.card import write_card
from deploy.corpus.gather import Material
from deploy.corpus.model import Clip, Source
from deploy.corpus.scenes import Plan, visible_labels
from deploy.corpus.words import aliases_by_tag


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON Lines; the file appears whole."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    partial.rename(path)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads JSON Lines."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def tag_id(name: str) -> str:
    """A tag's id, made from its name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def corpus_row(clip: Clip, seed: int) -> dict[str, Any]:
    """The clip as a labelled video."""
    return {
        "video_id": clip.video_id,
        "uri": clip.uri,
        "title": clip.title,
        "description": clip.description,
        "language": "en",
        "uploader_id": clip.uploader_id,
        "tags": visible_labels(clip, seed),
        "split": clip.split,
        "sources": list(clip.sources),
    }


def vocabulary_rows(clips: Iterable[Clip], material: Material) -> list[dict[str, Any]]:
    """One row a tag that is in the truth, the commonest first."""
    counts = Counter(tag for clip in clips for tag in clip.tags)
    aliases = aliases_by_tag()
    topics: dict[str, Counter[str]] = {}
    for picture in material.pictures.values():
        for tag in picture.tags:
            topics.setdefault(tag, Counter())[picture.title.lower()] += 1
    rows = []
    for tag, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        examples = [title for title, _ in topics.get(tag, Counter()).most_common(3) if title != tag]
        rows.append(
            {
                "tag_id": tag_id(tag),
                "name": tag,
                "aliases": [alias for alias in aliases.get(tag, []) if alias not in counts],
                "description": f"for example {', '.join(examples)}" if examples else "",
                "parents": [
                    tag_id(parent) for parent in material.implied.get(tag, ()) if parent in counts
                ],
                "status": "active",
            }
        )
    return rows


def source_rows(clips: Iterable[Clip], material: Material) -> list[dict[str, Any]]:
    """Every source that a clip names, with whose it is and under which licence."""
    names = {name for clip in clips for name in clip.sources}
    series: dict[str, set[str]] = {}
    items: list[Source] = [*material.pictures.values(), *material.sounds.values()]
    for item in items:
        series.setdefault(item.series, set()).add(item.licence)
    rows = []
    for name in sorted(names):
        if name in material.pictures:
            picture = material.pictures[name]
            rows.append(
                {
                    "source": name,
                    "kind": "picture",
                    "hand": picture.hand,
                    "title": picture.title,
                    "licence": picture.licence,
                }
            )
        elif name in material.sounds:
            sound = material.sounds[name]
            rows.append(
                {
                    "source": name,
                    "kind": "recording",
                    "hand": name.split(":")[1].split("/")[0],
                    "title": sound.title,
                    "licence": sound.licence,
                }
            )
        elif name.startswith("melody:"):
            sound = material.sounds[name.removeprefix("melody:").rpartition("/")[0]]
            rows.append(
                {
                    "source": name,
                    "kind": "melody",
                    "hand": name.split(":")[2].split("/")[0],
                    "title": sound.title,
                    "licence": sound.licence,
                }
            )
        else:
            rows.append(
                {
                    "source": name,
                    "kind": "series",
                    "hand": name.split(":")[0],
                    "title": "",
                    "licence": " / ".join(sorted(series.get(name, set()))),
                }
            )
    return rows


def write_corpus(planned: Plan, material: Material, out: Path, seed: int) -> None:
    """Writes corpus.jsonl, truth.jsonl, vocabulary.jsonl, sources.jsonl and card.md."""
    write_lines(out / "corpus.jsonl", (corpus_row(clip, seed) for clip in planned.clips))
    write_lines(
        out / "truth.jsonl",
        ({"video_id": clip.video_id, "tags": list(clip.tags)} for clip in planned.clips),
    )
    write_lines(
        out / "channels.jsonl",
        (
            {
                "video_id": clip.video_id,
                "seen": list(clip.seen),
                "heard": list(clip.heard),
                "said": list(clip.said),
                "pictures": [scene.source_id for scene in clip.scenes],
            }
            for clip in planned.clips
        ),
    )
    write_lines(out / "vocabulary.jsonl", vocabulary_rows(planned.clips, material))
    write_lines(out / "sources.jsonl", source_rows(planned.clips, material))
    write_card(planned, material, out)
