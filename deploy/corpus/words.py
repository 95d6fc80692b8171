"""Titles and descriptions: a third of the titles say nothing, the rest name some of the tags."""

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from deploy.corpus.model import SPLITS, Split
from deploy.corpus.pools import SHARES
from deploy.corpus.vocabulary import ALIASES

_PHRASES: Mapping[str, Any] = tomllib.loads(
    (Path(__file__).parent / "data/phrases.toml").read_text(encoding="utf-8")
)
_SAID: Mapping[str, Sequence[str]] = _PHRASES["said"]


@dataclass(frozen=True, slots=True)
class Aside:
    """A tag that the words alone carry, with its kind in _SAID."""

    tag: str
    kind: str
    tags: frozenset[str]


def _drawn(kind: str, chance: random.Random) -> str:
    return str(chance.choice(_PHRASES[kind]))


def title_stem(title: str) -> str:
    """A title without numbers and punctuation; titles of one stem are one series."""
    return " ".join(re.sub(r"[^a-zà-ÿ]+", " ", title.lower()).split())


def stem_split(title: str) -> Split:
    """The split in which a title's stem may be used, fixed by its hash."""
    share = int(sha256(title_stem(title).encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    edge = 0.0
    for split in SPLITS:
        edge += SHARES[split]
        if share <= edge:
            return split
    return SPLITS[-1]


def _spoken(tag: str, chance: random.Random, aliases: Mapping[str, Sequence[str]]) -> str:
    others = aliases.get(tag, ())
    word = chance.choice(others) if others and chance.random() < 0.35 else tag
    if chance.random() < 0.15 and not word.endswith("s"):
        word += "es" if word.endswith(("sh", "ch", "x")) else "s"
    return word


def aliases_by_tag() -> dict[str, list[str]]:
    """Every tag's other spellings."""
    found: dict[str, list[str]] = {}
    for alias, tag in ALIASES.items():
        found.setdefault(tag, []).append(alias)
    return found


def _styled(text: str, chance: random.Random) -> str:
    text = text.replace("{n}", str(chance.choice((chance.randint(2, 20), chance.randint(2, 400)))))
    style = chance.random()
    if style < 0.45:
        text = text[:1].upper() + text[1:]
    elif style < 0.55:
        text = text.title()
    elif style < 0.58:
        text = text.upper()
    return text.strip()


def empty_title(split: Split, chance: random.Random) -> str:
    """A title that says nothing about its clip."""
    while True:
        if chance.random() < 0.6:
            parts = [_drawn(f"empty_{which}", chance) for which in ("first", "second", "third")]
            text = f"{parts[0]} {parts[1]}{parts[2]}"
        else:
            text = "".join(
                _drawn(which, chance) for which in ("openings", "empty_whole", "endings")
            )
        text = _styled(text, chance)
        if stem_split(text) == split:
            return text


def naming_title(
    split: Split,
    named: Sequence[str],
    aside: Aside | None,
    chance: random.Random,
    aliases: Mapping[str, Sequence[str]],
) -> str:
    """A title that names one or two tags, and brings in `aside` where there is one."""
    while True:
        words = [_spoken(tag, chance, aliases) for tag in named]
        if len(words) > 1:
            text = _drawn("both", chance).replace("{x}", words[0]).replace("{y}", words[1])
        elif words:
            text = _drawn("about", chance).replace("{x}", words[0])
        else:
            text = _drawn("bare", chance)
        if aside is not None:
            phrase = chance.choice(_SAID[aside.kind]).replace("{x}", aside.tag)
            text = f"{text} {phrase}" if text else phrase
        text = _styled(f"{_drawn('openings', chance)}{text}{_drawn('endings', chance)}", chance)
        if stem_split(text) == split:
            return text


def description(
    named: Sequence[str],
    aside: Aside | None,
    chance: random.Random,
    aliases: Mapping[str, Sequence[str]],
) -> str:
    """Chatter, with the given tags mentioned in it; may be empty."""
    parts = [_drawn("chat", chance) for _ in range(chance.choice((0, 1, 1, 2)))]
    for tag in named:
        word = _spoken(tag, chance, aliases)
        text = _drawn("mentions", chance).replace("{x}", word).replace("{X}", word.capitalize())
        parts.insert(chance.randint(0, len(parts)), text)
    if aside is not None:
        phrase = chance.choice(_SAID[aside.kind]).replace("{x}", aside.tag)
        parts.insert(0, phrase[0].upper() + phrase[1:] + ".")
    return " ".join(parts)
