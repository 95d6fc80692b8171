"""What trivial methods reach on the corpus: `python -m deploy.corpus.trivial build/starter`."""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PUBLISHED = 3.12  # tags a video that the tagging service publishes
MOST_CANDIDATES, CANDIDATE_SHARE = 300, 0.05


@dataclass(frozen=True, slots=True)
class Figures:
    """Recall of the candidates and, of the first 3.12 tags a video, the share that is true."""

    candidates: int
    recall: float
    precision: float


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads JSON Lines."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def judge(
    ranked: Mapping[str, Sequence[str]], truth: Mapping[str, frozenset[str]], candidates: int
) -> Figures:
    """Recall over all (video, true tag) pairs at `candidates`; precision of 3.12 tags a video.

    Lists are in order of belief. Where 3.12·N tags are to be published, every video gives its first
    three, and the fourth comes from as many videos as are needed; a shorter list publishes less.
    """
    pairs = sum(len(tags) for tags in truth.values())
    found = sum(len(truth[video] & set(list_[:candidates])) for video, list_ in ranked.items())
    published, right, fourth = 0, 0, round((PUBLISHED - 3) * len(truth))
    for video, list_ in ranked.items():
        take = list_[:4] if fourth > 0 and len(list_) > 3 else list_[:3]
        fourth -= len(take) == 4
        published += len(take)
        right += len(truth[video] & set(take))
    return Figures(candidates, found / max(1, pairs), right / max(1, published))


def _phrases(text: str) -> set[str]:
    words = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()
    found = {" ".join(words[i : i + n]) for n in (1, 2, 3, 4) for i in range(len(words) - n + 1)}
    return (
        found
        | {phrase[:-1] for phrase in found if phrase.endswith("s")}
        | {phrase[:-2] for phrase in found if phrase.endswith("es")}
    )


def match_words(
    rows: Iterable[Mapping[str, Any]], names: Mapping[str, str], fields: Sequence[str]
) -> dict[str, list[str]]:
    """For each video the tags whose names or aliases stand in the fields, longest first."""
    return {
        row["video_id"]: sorted(
            {
                names[phrase]
                for field in fields
                for phrase in _phrases(row.get(field) or "")
                if phrase in names
            },
            key=lambda tag: (-len(tag), tag),
        )
        for row in rows
    }


def measure(folder: Path) -> dict[str, Figures]:
    """The figures of all trivial methods on the test split, against the truth."""
    rows = read_lines(folder / "corpus.jsonl")
    truth = {row["video_id"]: frozenset(row["tags"]) for row in read_lines(folder / "truth.jsonl")}
    vocabulary = read_lines(folder / "vocabulary.jsonl")
    names = {word: row["name"] for row in vocabulary for word in (*row["aliases"], row["name"])}
    candidates = min(MOST_CANDIDATES, int(CANDIDATE_SHARE * len(vocabulary)))
    train = [row for row in rows if row["split"] == "train"]
    test = [row for row in rows if row["split"] == "test"]
    wanted = {row["video_id"]: truth[row["video_id"]] for row in test}
    counts = Counter(tag for row in train for tag in row["tags"])
    common = [tag for tag, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    by_uploader: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        by_uploader[row["uploader_id"]].update(row["tags"])
    habits = {
        row["video_id"]: list(
            dict.fromkeys([t for t, _ in by_uploader[row["uploader_id"]].most_common()] + common)
        )
        for row in test
    }
    return {
        "commonest tags": judge(dict.fromkeys(wanted, common), wanted, candidates),
        "title matching": judge(match_words(test, names, ["title"]), wanted, candidates),
        "title and description matching": judge(
            match_words(test, names, ["title", "description"]), wanted, candidates
        ),
        "the uploader's commonest tags": judge(habits, wanted, candidates),
    }


def main() -> int:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.corpus.trivial",
        description=__doc__,
        epilog="example: python -m deploy.corpus.trivial build/starter",
    )
    parser.add_argument("folder", type=Path, help="folder of the corpus")
    arguments = parser.parse_args()
    if not (arguments.folder / "corpus.jsonl").exists():
        print(
            f"error: {arguments.folder} holds no corpus.jsonl; build it with `make corpus`",
            file=sys.stderr,
        )
        return 1
    figures = {name: asdict(found) for name, found in measure(arguments.folder).items()}
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
