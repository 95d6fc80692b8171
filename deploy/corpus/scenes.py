"""Planning the clips: which pictures and sounds follow each other, under which words and tags."""

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal, get_args

from deploy.corpus.concepts import Concept
from deploy.corpus.model import (
    SPLITS,
    Backdrop,
    Clip,
    Movement,
    Picture,
    Scene,
    Sound,
    Split,
    Track,
)
from deploy.corpus.pools import Cell, make_cells
from deploy.corpus.uploaders import Uploaders
from deploy.corpus.vocabulary import closure
from deploy.corpus.words import Aside, aliases_by_tag, description, empty_title, naming_title

FEWEST, MOST = 4, 8  # true tags a clip
LARGEST_SHARE = 0.05  # of all clips, that one tag may be on
HIDDEN = 0.3  # of the (video, tag) pairs, hidden from the labels of train and val
_MUTED = 0.18  # of the clips whose words carry no tag alone: makes a third of all titles empty
_ATTEMPTS = 16  # to make a clip with as many tags as wanted
_TEST, _VAL = 1600 / 9000, 800 / 9000
_RARE_TOPICS = {"country-flag": 0.3, "subdivision-flag": 0.3}
_ASIDE_KINDS = {
    "event": "event",
    "place-building": "place",
    "place-other": "place",
    "place-geographic": "place",
    "sport": "sport",
    "person-role": "person-role",
    "country-flag": "country",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """All clips, the tags that were dropped as too common, and each split's cells."""

    clips: tuple[Clip, ...]
    dropped: tuple[str, ...]
    cells: Mapping[Split, int]


def asides(
    concepts: Mapping[str, Concept], implied: Mapping[str, tuple[str, ...]], known: frozenset[str]
) -> list[Aside]:
    """What words may bring in that is neither seen nor heard: places, occasions, sports …"""
    found: dict[str, Aside] = {}
    for concept in concepts.values():
        kind = _ASIDE_KINDS.get(concept.subgroup)
        name = concept.name.lower()
        if kind and name in known and name in concept.tags:
            tags = concept.tags & known if kind == "country" else closure({name}, implied)
            found.setdefault(name, Aside(name, kind, frozenset(tags - {"flag"}) & known))
    return [found[name] for name in sorted(found)]


def _allot(cells: Sequence[Cell], total: int, chance: random.Random) -> list[int]:
    weights = [
        chance.paretovariate(1.6) ** 0.7
        * math.sqrt(len(cell.pictures))
        * _RARE_TOPICS.get(cell.topic, 1.0)
        for cell in cells
    ]
    scale = total / sum(weights)
    exact = [min(16.0, weight * scale) for weight in weights]
    counts = [int(value) for value in exact]
    order = sorted(range(len(cells)), key=lambda i: counts[i] - exact[i])
    place = 0
    while sum(counts) < total:
        counts[order[place % len(order)]] += 1
        place += 1
    return counts


def _scenes(
    pictures: Sequence[Picture], seconds: float, chance: random.Random
) -> tuple[Scene, ...]:
    cuts = [1.0 + 0.5 * chance.random() for _ in pictures]
    found = []
    for picture, cut in zip(pictures, cuts, strict=True):
        hue = [chance.randint(30, 235) for _ in range(6)]
        backdrop: Backdrop = chance.choice(get_args(Backdrop))
        movement: Movement = chance.choice(get_args(Movement))
        found.append(
            Scene(
                picture.source_id,
                seconds * cut / sum(cuts),
                movement,
                chance.random() * 2 * math.pi,
                backdrop,
                ((hue[0], hue[1], hue[2]), (hue[3], hue[4], hue[5])),
            )
        )
    return tuple(found)


def _excess(clip: Clip) -> int:
    """By how many tags a clip has too many or too few."""
    return max(0, len(clip.tags) - MOST, FEWEST - len(clip.tags))


class _Planner:
    """Makes clips of one cell after another; keeps how often each picture has been used."""

    def __init__(
        self, instruments: Mapping[Split, Sequence[Sound]], sayable: Sequence[Aside], seed: int
    ) -> None:
        self.instruments, self.sayable, self.seed = instruments, sayable, seed
        self.aliases = aliases_by_tag()
        self.used: Counter[str] = Counter()

    def _pick_pictures(self, cell: Cell, attempt: int, chance: random.Random) -> list[Picture]:
        if attempt >= _ATTEMPTS // 2:  # what has many tags gets the clip for itself, in two scenes
            return [
                min(
                    chance.sample(cell.pictures, min(3, len(cell.pictures))),
                    key=lambda p: len(p.tags),
                )
            ] * 2
        best: list[Picture] = []
        best_cost = math.inf
        wanted = chance.choices((4, 5, 6, 7), (2, 4, 3, 1))[0]
        for _ in range(30):
            count = min(len(cell.pictures), chance.choices((2, 3, 4), (4, 4, 2))[0])
            chosen = chance.sample(cell.pictures, count)
            size = len(frozenset().union(*(p.tags for p in chosen)))
            cost = float(abs(size - wanted)) + (6 * (size - MOST) if size > MOST else 0)
            cost += 0.7 * sum(self.used[p.source_id] for p in chosen) / count
            if cost < best_cost:
                best, best_cost = chosen, cost
        return best

    def _track(self, cell: Cell, room: int, chance: random.Random) -> tuple[Track, frozenset[str]]:
        seed, gain = chance.randrange(2**31), round(0.4 + 0.6 * chance.random(), 3)
        fitting = [sound for sound in cell.recordings if len(sound.tags) <= room]
        if fitting and chance.random() < 0.55:
            sound = min(
                chance.sample(fitting, min(2, len(fitting))), key=lambda s: self.used[s.source_id]
            )
            return Track("recording", sound.source_id, seed, gain), sound.tags
        kinds: tuple[Literal["melody", "noise", "silence", "none"], ...] = (
            "melody",
            "noise",
            "silence",
            "none",
        )
        kind = chance.choices(kinds, (40, 28, 19, 13))[0]
        if kind == "melody":
            playable = [sound for sound in self.instruments[cell.split] if len(sound.tags) <= room]
            if playable:
                sound = chance.choice(playable)
                return Track("melody", sound.source_id, seed, gain), sound.tags
            kind = "noise"
        return Track(kind, None, seed, gain), frozenset()

    def _words(
        self,
        split: Split,
        seen: frozenset[str],
        heard: frozenset[str],
        names: Sequence[str],
        room: int,
        chance: random.Random,
    ) -> tuple[str, str, frozenset[str]]:
        known = seen | heard
        aside: Aside | None = None
        if chance.random() < 0.26 or len(known) < FEWEST:
            options = [
                a
                for a in chance.sample(self.sayable, min(30, len(self.sayable)))
                if len(a.tags - known) <= room and a.tag not in known
            ]
            need = FEWEST - len(known)
            options = [a for a in options if len(a.tags - known) >= need] or options
            aside = options[0] if options else None
        sure = [name for name in names if name in known]
        pool = sorted(known)
        lead = chance.choice(sure) if sure and chance.random() < 0.7 else chance.choice(pool)
        if chance.random() < 1 / 3 and (
            aside is None or (len(known) >= FEWEST and chance.random() < 0.6)
        ):
            title, aside_in_title = empty_title(split, chance), False
        else:
            named = [lead]
            if chance.random() < 0.28 and len(pool) > 1:
                named.append(chance.choice([tag for tag in pool if tag != lead]))
            aside_in_title = aside is not None and chance.random() < 0.6
            if aside_in_title and chance.random() < 0.4:
                named = []
            title = naming_title(
                split, named, aside if aside_in_title else None, chance, self.aliases
            )
        mentioned = [chance.choice(pool)] if chance.random() < 0.22 else []
        text = (
            ""
            if chance.random() < 0.45 and (aside is None or aside_in_title)
            else description(
                mentioned,
                aside if aside is not None and not aside_in_title else None,
                chance,
                self.aliases,
            )
        )
        return title, text, aside.tags if aside is not None else frozenset()

    def clip(self, cell: Cell, number: int, uploader: str) -> Clip:
        """The `number`th clip of all, made of the cell's material, with four to eight tags."""
        best = self._try(cell, number, uploader, 0)
        for attempt in range(1, _ATTEMPTS):
            if FEWEST <= len(best.tags) <= MOST:
                break
            best = min(best, self._try(cell, number, uploader, attempt), key=_excess)
        self.used.update(scene.source_id for scene in best.scenes)
        if best.track.kind == "recording" and best.track.source_id:
            self.used[best.track.source_id] += 1
        chance = random.Random(f"{self.seed}/mute/{number}")
        if not best.said and chance.random() < _MUTED:
            return replace(best, title=empty_title(cell.split, chance))
        return best

    def _try(self, cell: Cell, number: int, uploader: str, attempt: int) -> Clip:
        chance = random.Random(f"{self.seed}/clip/{number}/{attempt}")
        pictures = self._pick_pictures(cell, attempt, chance)
        seen = frozenset().union(*(p.tags for p in pictures))
        track, heard = self._track(cell, max(0, MOST - len(seen)), chance)
        names = [
            name
            for p in pictures
            for name in (p.title.lower(), p.title.lower().replace(" face", ""))
        ]
        room = max(0, MOST - len(seen | heard))
        title, text, said = self._words(cell.split, seen, heard, names, room, chance)
        scenes = _scenes(pictures, 4.0 + 2.0 * chance.random(), chance)
        # named after what is in it, so that a clip rendered for another plan is never taken for it
        video_id = sha256(f"{self.seed}/{number}/{scenes}/{track}".encode()).hexdigest()[:11]
        ending = chance.choices(("mp4", "webm", "mkv"), (86, 8, 6))[0]
        own = (
            ()
            if track.source_id is None
            else (
                (track.source_id,)
                if track.kind == "recording"
                else (f"melody:{track.source_id}/{track.seed}",)
            )
        )
        return Clip(
            video_id=video_id,
            uri=f"clips/{video_id[:2]}/{video_id}.{ending}",
            split=cell.split,
            title=title,
            description=text,
            uploader_id=uploader,
            tags=tuple(sorted(seen | heard | said)),
            scenes=scenes,
            track=track,
            sources=tuple(
                sorted({p.series for p in pictures} | {p.source_id for p in pictures} | set(own))
            ),
            seen=tuple(sorted(seen)),
            heard=tuple(sorted(heard)),
            said=tuple(sorted(said)),
        )


def _without(
    pictures: Mapping[str, Picture], sounds: Mapping[str, Sound], gone: frozenset[str]
) -> tuple[dict[str, Picture], dict[str, Sound]]:
    return (
        {name: replace(p, tags=p.tags - gone) for name, p in pictures.items() if p.tags - gone},
        {
            name: replace(s, tags=s.tags - gone, own_tags=s.own_tags - gone)
            for name, s in sounds.items()
            if s.tags - gone
        },
    )


def plan(
    pictures: Mapping[str, Picture],
    sounds: Mapping[str, Sound],
    concepts: Mapping[str, Concept],
    implied: Mapping[str, tuple[str, ...]],
    clips: int,
    seed: int,
) -> Plan:
    """Plans `clips` clips. Tags that would be on more than LARGEST_SHARE of them are dropped."""
    gone: frozenset[str] = frozenset()
    while True:
        kept_pictures, kept_sounds = _without(pictures, sounds, gone)
        cells, instruments = make_cells(kept_pictures, kept_sounds, seed)
        known = frozenset(tag for p in kept_pictures.values() for tag in p.tags)
        planner = _Planner(instruments, asides(concepts, implied, known), seed)
        made = _plan_once(planner, cells, clips, seed)
        counts = Counter(tag for clip in made for tag in clip.tags)
        common = {tag for tag, count in counts.items() if count > LARGEST_SHARE * clips}
        if not common:
            sizes = Counter(cell.split for cell in cells)
            return Plan(tuple(made), tuple(sorted(gone)), sizes)
        gone |= common


def _plan_once(planner: _Planner, cells: Sequence[Cell], total: int, seed: int) -> list[Clip]:
    sizes: dict[Split, int] = {"val": round(total * _VAL), "test": round(total * _TEST)}
    sizes["train"] = total - sizes["val"] - sizes["test"]
    made: list[Clip] = []
    uploaders = Uploaders(sorted({cell.topic for cell in cells}), seed)
    for split in SPLITS:
        chance = random.Random(f"{seed}/allot/{split}")
        mine = [cell for cell in cells if cell.split == split]
        for cell, count in zip(mine, _allot(mine, sizes[split], chance), strict=True):
            for _ in range(count):
                made.append(planner.clip(cell, len(made), uploaders.one(cell.topic, split)))
    random.Random(f"{seed}/order").shuffle(made)
    return made


def visible_labels(clip: Clip, seed: int, hidden: float = HIDDEN) -> list[str]:
    """The clip's labels: all in the test split, else each hidden with chance `hidden`, one kept."""
    if clip.split == "test":
        return list(clip.tags)
    chance = random.Random(f"{seed}/hide/{clip.video_id}")
    kept = [tag for tag in clip.tags if chance.random() >= hidden]
    return kept or [chance.choice(clip.tags)]
