"""Splitting the material before anything is made of it, and grouping it into cells.

A split holds whole series (a hand's drawings of one thing, near copies, one recording). A cell is a
handful of related series; every clip is made inside one cell, so that clips of different cells
share nothing.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.corpus.model import SPLITS, Picture, Sound, Source, Split

SHARES: Mapping[Split, float] = {"train": 0.62, "val": 0.12, "test": 0.26}


@dataclass(frozen=True, slots=True)
class Cell:
    """Related material of one split; its clips use nothing else that is seen or recorded."""

    split: Split
    topic: str
    pictures: tuple[Picture, ...]
    recordings: tuple[Sound, ...]


def split_series(tags_of: Mapping[str, frozenset[str]], seed: int) -> dict[str, Split]:
    """A split for each series so that every tag's series are spread in the shares of SHARES.

    Iterative stratification: series of rare tags are placed first, each where its tags lack most.
    """
    counts = Counter(tag for tags in tags_of.values() for tag in tags)
    chance = random.Random(f"{seed}/split")
    order = sorted(tags_of)
    chance.shuffle(order)
    order.sort(key=lambda series: min((counts[tag] for tag in tags_of[series]), default=0))
    have: defaultdict[str, Counter[Split]] = defaultdict(Counter)
    placed: dict[str, Split] = {}
    totals: Counter[Split] = Counter()
    for series in order:
        scores: dict[Split, float] = {}
        for split in SPLITS:
            lack = (
                0.3
                * (SHARES[split] * (len(placed) + 1) - totals[split])
                / math.sqrt(len(placed) + 1)
            )
            for tag in tags_of[series]:
                known = have[tag].total() + 1
                lack += (SHARES[split] * known - have[tag][split]) / counts[tag]
            scores[split] = lack + 0.12 * chance.random()
        best = max(SPLITS, key=lambda split: scores[split])
        placed[series] = best
        totals[best] += 1
        for tag in tags_of[series]:
            have[tag][best] += 1
    return placed


def _series_tags(pictures: Sequence[Picture], sounds: Sequence[Sound]) -> dict[str, frozenset[str]]:
    tags: defaultdict[str, set[str]] = defaultdict(set)
    items: list[Source] = [*pictures, *sounds]
    for item in items:
        tags[item.series].update(item.tags)
    return {series: frozenset(found) for series, found in tags.items()}


def _group(pictures: Sequence[Picture], chance: random.Random) -> list[list[Picture]]:
    """Pictures of one split as lists of related series, four to six series a list."""
    series: defaultdict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        series[picture.series].append(picture)
    tags = {name: frozenset().union(*(p.tags for p in members)) for name, members in series.items()}
    frequency = Counter(tag for found in tags.values() for tag in found)
    weight = {tag: math.log(len(series) / count) for tag, count in frequency.items()}
    index: defaultdict[str, set[str]] = defaultdict(set)
    topics: defaultdict[str, set[str]] = defaultdict(set)
    for name, found in tags.items():
        for tag in found:
            index[tag].add(name)
        topics[series[name][0].topic].add(name)
    free = dict.fromkeys(sorted(series))
    order = list(free)
    chance.shuffle(order)
    groups: list[list[Picture]] = []
    for first in order:
        if first not in free:
            continue
        del free[first]
        chosen = [first]
        wanted = chance.choice((3, 4, 4, 5, 5, 6))
        while len(chosen) < wanted:
            scores: Counter[str] = Counter()
            for member in chosen[-2:]:
                for tag in sorted(tags[member]):
                    for other in index[tag]:
                        if other in free:
                            scores[other] += weight[tag] / (1 + 0.5 * len(tags[other]))  # type: ignore[assignment]
            if not scores:
                near = sorted(name for name in topics[series[first][0].topic] if name in free)
                if not near:
                    break
                nearest = chance.choice(near)
            else:
                best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:4]
                nearest = chance.choice(best)[0]
            del free[nearest]
            chosen.append(nearest)
        groups.append([p for name in chosen for p in series[name][:6]])
    return groups


def make_cells(
    pictures: Mapping[str, Picture], sounds: Mapping[str, Sound], seed: int
) -> tuple[list[Cell], dict[Split, list[Sound]]]:
    """All cells, and each split's instruments (which any cell of that split may use)."""
    placed = split_series(_series_tags(list(pictures.values()), list(sounds.values())), seed)
    cells: list[Cell] = []
    instruments: dict[Split, list[Sound]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        chance = random.Random(f"{seed}/cells/{split}")
        groups = _group([p for p in pictures.values() if placed[p.series] == split], chance)
        recordings: defaultdict[str, list[Sound]] = defaultdict(list)
        for sound in sounds.values():
            if placed[sound.series] == split:
                if sound.program >= 0:
                    instruments[split].append(sound)
                else:
                    recordings[sound.series].append(sound)
        held: list[list[Sound]] = [[] for _ in groups]
        for _, members in sorted(recordings.items()):
            wanted = frozenset().union(*(sound.own_tags for sound in members))
            fitting = [i for i, group in enumerate(groups) if any(wanted & p.tags for p in group)]
            if not fitting or chance.random() < 0.3:
                fitting = list(range(len(groups)))
            least = min(len(held[i]) for i in fitting)
            held[chance.choice([i for i in fitting if len(held[i]) == least])].extend(members[:3])
        for group, heard in zip(groups, held, strict=True):
            topic = Counter(p.topic for p in group).most_common(1)[0][0]
            cells.append(Cell(split, topic, tuple(group), tuple(heard)))
    return cells, instruments
