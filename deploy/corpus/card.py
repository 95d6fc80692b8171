"""The corpus's card: its counts, its sources, how common its tags are, how good its truth is."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from deploy.corpus.gather import Material
from deploy.corpus.material import PACKAGES
from deploy.corpus.model import SPLITS, Clip
from deploy.corpus.review import REVIEW
from deploy.corpus.scenes import FEWEST, HIDDEN, LARGEST_SHARE, MOST, Plan
from deploy.corpus.trivial import measure


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.1f} %"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    names = list(head)
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _components(clips: Iterable[Clip]) -> Counter[str]:
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    clips = list(clips)
    for clip in clips:
        first = root(clip.sources[0])
        for source in clip.sources[1:]:
            other = root(source)
            if other != first:
                parent[other] = first
    return Counter(split for _, split in {(root(clip.sources[0]), clip.split) for clip in clips})


def _counts(planned: Plan, material: Material) -> str:
    clips = planned.clips
    components = _components(clips)
    rows = []
    for split in SPLITS:
        mine = [clip for clip in clips if clip.split == split]
        pictures = {scene.source_id for clip in mine for scene in clip.scenes}
        recordings = {clip.track.source_id for clip in mine if clip.track.kind == "recording"}
        tags = {tag for clip in mine for tag in clip.tags}
        rows.append(
            (
                split,
                len(mine),
                len(tags),
                f"{sum(len(c.tags) for c in mine) / len(mine):.2f}",
                len(pictures),
                len(recordings),
                components[split],
                len({clip.uploader_id for clip in mine}),
            )
        )
    head = (
        "split",
        "clips",
        "tags",
        "true tags a clip",
        "pictures",
        "recordings",
        "components",
        "uploaders",
    )
    known = {clip.uploader_id for clip in clips if clip.split == "train"}
    test = [clip for clip in clips if clip.split == "test"]
    new = sum(clip.uploader_id not in known for clip in test)
    return (
        f"{_table(head, rows)}\n\n{_share(new, len(test))} of the test "
        "clips come from uploaders who are not in the training split. "
        f"{material.copies} pairs of near copies by different hands count as one source."
    )


def _channels(clips: tuple[Clip, ...]) -> str:
    pairs = sum(len(clip.tags) for clip in clips)
    only: Counter[str] = Counter()
    kinds = Counter(clip.track.kind for clip in clips)
    for clip in clips:
        words = f" {clip.title} {clip.description} ".lower()
        for tag in clip.tags:
            where = (tag in clip.seen, tag in clip.heard, tag in clip.said or f"{tag}" in words)
            only[
                {
                    (True, False, False): "seen only",
                    (False, True, False): "heard only",
                    (False, False, True): "in the words only",
                }.get(where, "by two channels or more")
            ] += 1
    rows = [(name, count, _share(count, pairs)) for name, count in only.most_common()]
    silent = sum(not any(tag in clip.title.lower() for tag in clip.tags) for clip in clips)
    sounds = ", ".join(f"{kind} {_share(count, len(clips))}" for kind, count in kinds.most_common())
    return (
        f"{_table(('a true tag can be found', 'pairs', 'share'), rows)}\n\nSound: {sounds}. "
        f"{_share(silent, len(clips))} of the titles have none of the clip's tags in them."
    )


def _frequencies(clips: tuple[Clip, ...]) -> str:
    counts = Counter(tag for clip in clips for tag in clip.tags)
    total = counts.total()
    bands = ((1, 2), (3, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, 10**6))
    rows = []
    for low, high in bands:
        band = [count for count in counts.values() if low <= count <= high]
        name = f"{low} to {high}" if high < 10**6 else f"more than {low - 1}"
        rows.append((name, len(band), _share(sum(band), total)))
    commonest = ", ".join(f"{tag} {_share(n, len(clips))}" for tag, n in counts.most_common(25))
    hands: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for clip in clips:
        for tag in clip.tags:
            hands[tag][clip.split].update(clip.sources)
    several = sum(len(found["train"]) > 1 and len(found["test"]) > 1 for found in hands.values())
    return (
        f"{_table(('clips a tag is on', 'tags', 'share of pairs'), rows)}\n\n"
        f"{len(counts)} tags, {total} pairs; {several} tags "
        f"({_share(several, len(counts))}) have several sources both in train and "
        f"in test.\n\nThe commonest: {commonest}."
    )


def _licences(clips: tuple[Clip, ...], material: Material) -> str:
    used: defaultdict[tuple[str, str], int] = defaultdict(int)
    for name in {scene.source_id for clip in clips for scene in clip.scenes}:
        picture = material.pictures[name]
        used[picture.hand, picture.licence] += 1
    rows = [
        (hand, licence, count)
        for (hand, licence), count in sorted(used.items(), key=lambda item: -item[1])
    ]
    packages = [(p.name, p.version, p.licence) for p in PACKAGES]
    return (
        f"{_table(('pictures by', 'licence', 'pictures used'), rows)}\n\n"
        f"{_table(('package', 'version', 'licence of what is used'), packages)}\n\n"
        "`sources.jsonl` names the licence of every source; `NOTICE.md` says whose they are."
    )


def _trivial(folder: Path) -> str:
    rows = []
    for name, figures in measure(folder).items():
        found = asdict(figures)
        rows.append(
            (name, found["candidates"], f"{found['recall']:.3f}", f"{found['precision']:.3f}")
        )
    head = ("method", "candidates", "recall", "precision at 3.12 a video")
    return (
        f"{_table(head, rows)}\n\nTest split, against the truth; `python -m deploy.corpus.trivial "
        f"build/{folder.name}` prints them. Matching publishes fewer than "
        "3.12 tags where it finds fewer."
    )


def write_card(planned: Plan, material: Material, folder: Path) -> None:
    """Writes `card.md` into the corpus's folder, which holds the corpus's files already."""
    clips = planned.clips
    dropped = ", ".join(planned.dropped)
    size = sum(path.stat().st_size for path in (folder / "clips").glob("*/*"))
    text = f"""# The starter corpus

{len(clips)} clips of four to six seconds, 256 × 256 pixels, 8 frames a second, {size / 1e6:.0f} MB
in all. Each is two to four pictures in turn that belong together, moving over a background, with a
sound track (or none), a title and a description. {FEWEST} to {MOST} tags are true of each;
{HIDDEN:.0%} of the (video, tag) pairs are hidden from the labels of the train and val splits, never
the last of a video. Test labels and `truth.jsonl` are whole.
`channels.jsonl` says for each clip which tags are seen, heard or said.

## Counts

{_counts(planned, material)}

A source is a picture, a recording or a made-up melody; a series (drawings by one hand under one
title, near copies, one animal's recordings) is never parted. Sources are split first and grouped
into cells of related material; a clip uses one cell. An instrument is played from another sound
bank in each split. Titles that differ only in numbers and punctuation are one series too, and stay
in one split.

## Where a tag can be found

{_channels(clips)}

## Tags

{_frequencies(clips)}

Left out: words about the drawing instead of what is in it (clip art, icon, outline, colours …), and
what would have been on more than {LARGEST_SHARE:.0%} of the clips: {dropped}.
A tag needs three independent series.

## How good the truth is

{REVIEW}

## What trivial methods reach

{_trivial(folder)}

## Licences

{_licences(clips, material)}
"""
    (folder / "card.md").write_text(text, encoding="utf-8")
