"""Choosing the demo's sample clips: `python -m deploy.corpus.samples build/starter`.

Test clips whose every source is permissively licensed, drawn so that containers, kinds of sound,
tags and hands are mixed; how well anything tags them plays no part.
"""

import argparse
import random
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.corpus.files import read_lines, write_lines

PERMISSIVE = ("public domain", "CC0-1.0", "MIT", "CC-BY-4.0", "Apache-2.0")
MOST_BYTES = 4_000_000
_CONTAINERS = {"mp4": 12, "webm": 4, "mkv": 4}
_ATTRIBUTION = {
    "openclipart": "Open Clip Art Library, authors named in each drawing",
    "twemoji": "Twemoji, © Twitter, Inc and other contributors",
    "emojione": "EmojiTwo / EmojiOne 2, © Ranks.com Inc. and contributors",
    "fluent": "Fluent Emoji, © Microsoft Corporation",
    "noto": "Noto Emoji, © Google Inc",
    "fxemoji": "FxEmojis, © Mozilla Foundation",
    "sonic-pi": "samples of Sonic Pi (freesound.org authors)",
    "fluid": "FluidR3 Mono GM sound bank, © Frank Wen, Michael Cowgill",
}


def choose(
    rows: Sequence[Mapping[str, Any]],
    licences: Mapping[str, str],
    sizes: Mapping[str, int],
    count: int,
    seed: int,
) -> list[Mapping[str, Any]]:
    """`count` test rows with permissive sources only, greedily as unlike each other as possible."""
    usable = [
        row
        for row in rows
        if row["split"] == "test"
        and all(licences.get(source) in PERMISSIVE for source in row["sources"])
    ]
    random.Random(seed).shuffle(usable)
    wanted = Counter({ending: round(share * count / 20) for ending, share in _CONTAINERS.items()})
    chosen: list[Mapping[str, Any]] = []
    seen: Counter[str] = Counter()
    room = MOST_BYTES
    while len(chosen) < count:
        best, least = None, 0.0
        for row in usable:
            ending = row["uri"].rpartition(".")[2]
            if (
                row in chosen
                or wanted[ending] <= 0
                or sizes[row["video_id"]] > room / (count - len(chosen)) * 2
            ):
                continue
            marks = _marks(row)
            cost = sum(seen[mark] for mark in marks) / len(marks)
            if best is None or cost < least:
                best, least = row, cost
        if best is None:
            break
        chosen.append(best)
        wanted[best["uri"].rpartition(".")[2]] -= 1
        room -= sizes[best["video_id"]]
        seen.update(_marks(best))
    return chosen


def _marks(row: Mapping[str, Any]) -> list[str]:
    kinds = {source.split(":")[0] for source in row["sources"]}
    sound = (
        "sound"
        if any(source.startswith(("sound:", "melody:")) for source in row["sources"])
        else "quiet"
    )
    return [
        *row["tags"],
        *sorted(kinds),
        sound,
        row["uploader_id"],
        row["title"].split()[0].lower(),
    ]


def notice(chosen: Sequence[Mapping[str, Any]], sources: Mapping[str, Mapping[str, str]]) -> str:
    """The licence notes of the chosen clips: whose material each one is made of."""
    lines = [
        "# Sample clips",
        "",
        "Made from freely licensed material; each clip's sources, their authors and licences:",
        "",
    ]
    hands: defaultdict[str, set[str]] = defaultdict(set)
    for row in chosen:
        lines.append(f"- `{row['uri']}`")
        for name in row["sources"]:
            source = sources[name]
            if source["kind"] != "series":
                hands[source["hand"]].add(source["licence"])
                lines.append(f"  - {name} ({source['licence']})")
    lines += ["", "## Attribution", ""]
    for hand, licences in sorted(hands.items()):
        lines.append(f"- {_ATTRIBUTION.get(hand, hand)}: {', '.join(sorted(licences))}")
    lines += [
        "",
        "CC BY 4.0: https://creativecommons.org/licenses/by/4.0/ · Apache 2.0: "
        "https://www.apache.org/licenses/LICENSE-2.0 · MIT: https://opensource.org/license/mit.",
        "The pictures were rasterised, scaled, moved over backgrounds and put in sequence.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Copies the chosen clips with samples.jsonl and NOTICE.md."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.corpus.samples",
        description=__doc__,
        epilog="example: python -m deploy.corpus.samples build/starter --out deploy/samples",
    )
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("build/starter"), help="folder of the corpus"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("deploy/samples"), help="where the samples go"
    )
    parser.add_argument("--count", type=int, default=20, help="number of clips (default 20)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed chooses the same clips")
    arguments = parser.parse_args()
    if not (arguments.folder / "corpus.jsonl").exists():
        print(
            f"error: {arguments.folder} holds no corpus.jsonl; build it with `make corpus`",
            file=sys.stderr,
        )
        return 1
    rows = read_lines(arguments.folder / "corpus.jsonl")
    sources = {row["source"]: row for row in read_lines(arguments.folder / "sources.jsonl")}
    sizes = {
        row["video_id"]: (arguments.folder / row["uri"]).stat().st_size
        for row in rows
        if row["split"] == "test"
    }
    licences = {name: source["licence"] for name, source in sources.items()}
    chosen = choose(rows, licences, sizes, arguments.count, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = []
    for row in chosen:
        name = row["uri"].rpartition("/")[2]
        shutil.copyfile(arguments.folder / row["uri"], arguments.out / name)
        fields = ("video_id", "title", "description", "language", "uploader_id", "tags", "sources")
        kept.append({"uri": name, **{field: row[field] for field in fields}})
    for stranger in arguments.out.iterdir():
        if stranger.suffix in {".mp4", ".webm", ".mkv"} and stranger.name not in {
            row["uri"] for row in kept
        }:
            stranger.unlink()
    write_lines(arguments.out / "samples.jsonl", kept)
    (arguments.out / "NOTICE.md").write_text(notice(kept, sources), encoding="utf-8")
    size = sum(sizes[row["video_id"]] for row in chosen)
    print(f"{len(kept)} samples, {size / 1e6:.1f} MB in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
