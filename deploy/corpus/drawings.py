"""Drawings of the Open Clip Art Library, with their authors' titles and tags."""

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.corpus.model import Picture
from deploy.corpus.naming import Lexicon
from deploy.corpus.vocabulary import clean

_ROOT = Path("usr/share/openclipart/svg")
_SKIPPED = (
    "computer/icons",
    "shapes",
    "special",
    "unsorted/duplicates",
    "recreation/games/cards",
    "signs_and_symbols/led",
    "signs_and_symbols/map_symbols",
    "education/letters",
    "decorations",
    "signs_and_symbols/buttons",
    "computer/buttons",
)
_LARGEST = 700_000  # bytes; larger drawings take long to rasterise
_FOLDER_TAGS = {
    "birds": "bird",
    "mammals": "mammal",
    "fish": "fish",
    "insects": "insect",
    "bugs": "bug",
    "reptiles": "reptile",
    "dinosaurs": "dinosaur",
    "flowers": "flower",
    "trees": "tree",
    "fruit": "fruit",
    "vegetables": "vegetable",
    "desserts": "dessert",
    "beverages": "drink",
    "dairy": "dairy",
    "meat": "meat",
    "roadsigns": "road sign",
    "christmas": "christmas",
    "easter": "easter",
    "halloween": "halloween",
    "chess": "chess",
    "dice": "dice",
    "toys": "toy",
    "furniture": "furniture",
    "homes": "house",
    "weapons": "weapon",
    "tools": "tool",
    "music": "music",
    "sports": "sport",
    "astronomy": "astronomy",
    "clothing": "clothing",
    "ships": "boat",
    "aircraft": "aviation",
    "christianity": "christianity",
    "flags": "flag",
    "money": "money",
    "books": "book",
    "weather": "weather",
    "buildings": "building",
    "plants": "plant",
    "herbs": "herb",
    "bulb": "light bulb",
    "battery": "battery",
    "europe": "europe",
    "africa": "africa",
    "asia": "asia",
    "america": "america",
    "oceania": "oceania",
    "thanksgiving": "thanksgiving",
    "valentines": "valentine's day",
    "party": "party",
}


def _field(metadata: str, pattern: str) -> str:
    found = re.search(pattern, metadata, re.DOTALL)
    return html.unescape(html.unescape(found.group(1))).strip() if found else ""


def title_stem(title: str) -> str:
    """A title without its numbers and author: "flower 1" and "Flower 02" have the same stem."""
    text = re.sub(r"^clipart by [^-]*- ", "", title.lower())
    return " ".join(re.sub(r"[^a-zà-ÿ]+", " ", text).split())


def read_drawings(folder: Path, lexicon: Lexicon) -> Iterator[Picture]:
    """The usable drawings of `openclipart-svg`; icon sets and plain shapes are left out."""
    root = folder / _ROOT
    for path in sorted(root.rglob("*.svg")):
        inside = path.relative_to(root)
        if str(inside).startswith(_SKIPPED) or path.is_symlink() or path.stat().st_size > _LARGEST:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"<metadata.*?</metadata>", text, re.DOTALL)
        if found is None:
            continue
        picture = _picture(path, inside, found.group(0), lexicon)
        if picture is not None:
            yield picture


def _picture(path: Path, inside: Path, metadata: str, lexicon: Lexicon) -> Picture | None:
    title = _field(metadata, r"<dc:title[^>]*>(.*?)</dc:title>")
    author = _field(metadata, r"<dc:creator.*?<dc:title[^>]*>(.*?)</dc:title>") or "anonymous"
    subject = _field(metadata, r"<dc:subject(.*?)</dc:subject>")
    raw = re.findall(r"<rdf:li[^>]*>(.*?)</rdf:li>", subject, re.DOTALL)
    tags = {tag for word in raw if (tag := clean(word)) and "hash" not in tag}
    tags.update(_FOLDER_TAGS[part] for part in inside.parts[:-1] if part in _FOLDER_TAGS)
    stem = title_stem(title)
    if "svg" in stem or "clipart" in stem or "icon" in stem:
        stem = title_stem(re.sub(rf"_{author[:4].lower()}.*$", "", path.stem))
    tags.update(lexicon.tags_of(stem))
    if "gun" in tags and "map" in tags:
        return None
    if not tags or not stem:
        return None
    return Picture(
        source_id=f"openclipart:{inside.with_suffix('')}",
        location=str(path),
        title=stem,
        tags=frozenset(tags),
        topic=lexicon.topic_of(stem) or f"drawing/{inside.parts[0]}",
        hand="openclipart",
        series=f"openclipart:{title_stem(author)}:{' '.join(stem.split()[:2])}",
        licence="public domain",
    )


def check_titles(pictures: Mapping[str, Picture]) -> int:
    """How many drawings share their series with another: what is counted once when splitting."""
    seen: dict[str, int] = {}
    for picture in pictures.values():
        seen[picture.series] = seen.get(picture.series, 0) + 1
    return sum(count for count in seen.values() if count > 1)
