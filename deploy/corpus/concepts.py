"""Concepts: what emoji stand for, with the names and keywords people gave them (CLDR)."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from deploy.corpus.vocabulary import clean

_COMMON = Path("usr/share/unicode/cldr/common")
_SKIPPED_GROUPS = {"Symbols", "Component"}
_SKIPPED_SUBGROUPS = {"skin-tone", "hotel"}
_PEOPLE = re.compile(
    r"^(?:man|woman|person|men|women|people)(?: in| with)? |^(?:man|woman)-|: (?:man|woman)$"
)

# Tags that everything of a subgroup truly has.
SUBGROUP_TAGS: dict[str, tuple[str, ...]] = {
    "animal-mammal": ("mammal",),
    "animal-bird": ("bird",),
    "animal-reptile": ("reptile",),
    "animal-amphibian": ("amphibian",),
    "animal-marine": ("sea creature",),
    "animal-bug": ("bug",),
    "plant-flower": ("flower",),
    "plant-other": ("plant",),
    "food-fruit": ("fruit",),
    "food-vegetable": ("vegetable",),
    "food-asian": ("asian food",),
    "food-sweet": ("dessert",),
    "food-prepared": ("cooked food",),
    "drink": ("drink",),
    "clothing": ("clothing",),
    "musical-instrument": ("musical instrument",),
    "transport-water": ("boat",),
    "transport-air": ("aviation",),
    "place-building": ("building",),
    "place-religious": ("place of worship",),
    "sport": ("sport",),
    "person-sport": ("sport",),
    "game": ("game",),
    "award-medal": ("award",),
    "money": ("money",),
    "mail": ("mail",),
    "medical": ("medicine",),
    "science": ("science",),
    "writing": ("stationery",),
    "lock": ("security",),
    "family": ("family",),
    "cat-face": ("cat",),
    "monkey-face": ("monkey",),
    "person-role": ("profession",),
    "person-fantasy": ("fantasy",),
    "country-flag": ("flag",),
}
# Members of a subgroup that its tags don't fit.
_MISFITS = {
    "anchor",
    "ring buoy",
    "paw prints",
    "spider web",
    "bone",
    "seat",
    "parachute",
    "water wave",
    "spiral shell",
    "passport control",
    "customs",
    "baggage claim",
    "left luggage",
    "satellite",
    "rocket",
    "flying saucer",
    "crown",
    "ring",
    "gem stone",
    "lipstick",
    "thread",
    "yarn",
    "hut",
    "construction",
    "brick",
    "rock",
    "wood",
    "dna",
    "feather",
    "coral",
    "ice",
    "baby bottle",
    "glass of milk",
    "trophy",
    "microbe",
    "person in suit levitating",
}


@dataclass(frozen=True, slots=True)
class Concept:
    """A thing with one name; `characters` is its emoji, `subgroup` Unicode's class for it."""

    characters: str
    name: str
    subgroup: str
    tags: frozenset[str]


def _expand(unicode_set: str) -> list[str]:
    inner = unicode_set.strip()[1:-1]
    found: list[str] = []
    position = 0
    while position < len(inner):
        if inner[position] == "{":
            end = inner.index("}", position)
            found.append(inner[position + 1 : end])
            position = end + 1
        elif inner[position] == "-" and found and position + 1 < len(inner):
            first, last = ord(found[-1]), ord(inner[position + 1])
            found.extend(chr(code) for code in range(first + 1, last + 1))
            position += 2
        else:
            found.append(inner[position])
            position += 1
    return found


def _subgroups(common: Path) -> dict[str, tuple[str, str]]:
    classes: dict[str, tuple[str, str]] = {}
    for line in (common / "properties/labels.txt").read_text(encoding="utf-8").splitlines():
        parts = [part.strip() for part in line.split(";")]
        if line.startswith("[") and len(parts) == 3:
            for characters in _expand(parts[0]):
                classes[characters.replace("\ufe0f", "")] = (parts[1], parts[2])
    return classes


def _annotations(common: Path) -> dict[str, tuple[str, list[str]]]:
    names: dict[str, str] = {}
    words: dict[str, list[str]] = {}
    for folder in ("annotations", "annotationsDerived"):
        tree = ElementTree.parse(common / folder / "en.xml")
        for node in tree.iter("annotation"):
            characters, text = node.get("cp", "").replace("\ufe0f", ""), node.text or ""
            if node.get("type") == "tts":
                names[characters] = text
            else:
                words[characters] = [word.strip() for word in text.split("|")]
    return {key: (name, words.get(key, [])) for key, name in names.items()}


def _regions(common: Path) -> dict[str, tuple[str, ...]]:
    """For a two-letter territory, the cleaned names of its subregion and continent."""
    names = {
        node.get("type", ""): node.text or ""
        for node in ElementTree.parse(common / "main/en.xml").iter("territory")
        if node.get("alt") is None
    }
    parent: dict[str, str] = {}
    tree = ElementTree.parse(common / "supplemental/supplementalData.xml")
    for node in tree.iter("group"):
        code = node.get("type", "")
        if node.get("contains") and code.isdigit() and node.get("status") is None:
            for member in node.get("contains", "").split():
                parent.setdefault(member, code)
    found: dict[str, tuple[str, ...]] = {}
    for code in names:
        chain, at = [], code
        while at in parent and parent[at] != "001":
            at = parent[at]
            name = clean(names.get(at, ""))
            if name:
                chain.append(name)
        found[code] = tuple(chain)
    return found


def read_concepts(cldr: Path) -> dict[str, Concept]:
    """All usable concepts of the unpacked CLDR package, by their characters (without U+FE0F)."""
    common = cldr / _COMMON
    classes, regions = _subgroups(common), _regions(common)
    concepts: dict[str, Concept] = {}
    for characters, (name, words) in _annotations(common).items():
        group, subgroup = classes.get(characters, ("", ""))
        if characters and all("\U0001f1e6" <= c <= "\U0001f1ff" for c in characters):
            code = "".join(chr(ord(c) - 0x1F1E6 + 65) for c in characters)
            country = clean(name.removeprefix("flag: "))
            tags = {"flag", *regions.get(code, ())} | ({country} if country else set())
            concepts[characters] = Concept(
                characters, country or name, "country-flag", frozenset(tags)
            )
            continue
        if any("\U0001f3fb" <= c <= "\U0001f3ff" for c in characters) or not group:
            continue
        if group in _SKIPPED_GROUPS or subgroup in _SKIPPED_SUBGROUPS:
            continue
        if ":" in name or name.endswith(("o’clock", "-thirty")):
            continue  # families by membership and clock faces by the half hour say little
        if "\u2640" in characters or "\u2642" in characters:
            continue  # the neutral drawing of the same thing is enough
        cleaned = {tag for word in words if (tag := clean(word))}
        own = clean(_PEOPLE.sub("", name.replace(" face", "")))
        if own and len(own.split()) <= 3:
            cleaned.add(own)
        if name not in _MISFITS:
            cleaned.update(SUBGROUP_TAGS.get(subgroup, ()))
        if cleaned:
            concepts[characters] = Concept(characters, name, subgroup, frozenset(cleaned))
    return concepts
