"""Photographs and more: Tux Paint's stamps, Scratch's costumes and places, GCompris' pictures."""

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from deploy.corpus.model import Picture
from deploy.corpus.naming import Lexicon
from deploy.corpus.vocabulary import clean

_STAMPS = Path("usr/share/tuxpaint/stamps")
_MEDIA = Path("usr/share/scratch/Media")
_RESOURCES = Path("usr/share/gcompris-qt/rcc")
_FOLDERS = {
    "birds": "bird",
    "mammals": "mammal",
    "marsupials": "marsupial",
    "insects": "insect",
    "dinosaur": "dinosaur",
    "lizards": "lizard",
    "amphibians": "amphibian",
    "rodents": "rodent",
    "camel": "camel",
    "bears": "bear",
    "equines": "equine",
    "apes": "ape",
    "cats": "cat family",
    "bovines": "bovine",
    "dogs": "dog family",
    "deer": "deer",
    "fish": "fish",
    "fruit": "fruit",
    "nuts": "nut",
    "vegetables": "vegetable",
    "spices": "spice",
    "dessert": "dessert",
    "dishes": "dishware",
    "electronics": "electronics",
    "arttools": "art supplies",
    "tools": "tool",
    "clothes": "clothing",
    "hats": "hat",
    "armor": "armor",
    "roadsigns": "road sign",
    "monuments": "monument",
    "flags": "flag",
    "houses": "house",
    "trees": "tree",
    "mushrooms": "mushroom",
    "flowers": "flower",
    "military": "military",
    "string": "string instrument",
    "brass": "brass instrument",
    "wind": "woodwind",
    "percussion": "percussion",
    "space": "space",
    "planets": "planet",
    "moon": "moon",
    "medical": "medicine",
    "winter": "winter",
    "hanukkah": "hanukkah",
    "easter": "easter",
    "christmas": "christmas",
    "halloween": "halloween",
    "newyears": "new year",
    "sports": "sport",
    "ship": "boat",
    "flight": "aviation",
    "planes": "airplane",
    "auto": "automobile",
    "locomotive": "train",
    "cycle": "bicycle",
    "emergency": "emergency vehicle",
    "construction": "construction vehicle",
    "farming": "farming",
    "coins": "coin",
    "money": "money",
    "chess": "chess",
    "body_parts": "body part",
    "plants": "plant",
    "symbols/music": "music",
    "household": "household",
    "aquatic": "sea creature",
    "shellfish": "sea creature",
}
_NOT_STAMPS = ("symbols/alphabets", "symbols/math", "symbols/shapes", "symbols/faces")
_PLACES = {
    "Nature": ("landscape",),
    "Outdoors": ("outdoors",),
    "Indoors": ("indoors",),
    "Sports": ("sport",),
}
_QT_SETS = {
    "lang": ("words_sample",),
    "explore_world_animals": ("animals",),
    "explore_farm_animals": ("animals", "farm"),
    "explore_monuments": ("monument",),
    "categorization": (),
    "instruments": ("musical instrument",),
    "explore_world_music": ("music",),
}
_QT_FOLDERS = {
    "tools": "tool",
    "birds": "bird",
    "insects": "insect",
    "fishes": "fish",
    "flowers": "flower",
    "fruits": "fruit",
    "vegetables": "vegetable",
    "monuments": "monument",
    "animals": None,
    "transport": None,
    "vehicles": None,
    "food": None,
    "usa": "united states",
    "india": "india",
    "egypt": "egypt",
    "france": "france",
    "mexico": "mexico",
    "china": "china",
    "birds2": "bird",
    "householdGoods": "household",
    "musical_instruments": "musical instrument",
    "renewable": None,
}
_NAMELESS = {
    "color",
    "number",
    "friend",
    "son",
    "brother",
    "sister",
    "dad",
    "mother",
    "back",
    "animal",
    "skin",
}
_NUMBERS = {
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "sixteen",
}


def _words(stem: str) -> str:
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", stem)
    text = re.sub(r"[-_ ]+", " ", re.sub(r"\d+", " ", text)).lower()
    return re.sub(
        r" (?:[a-e]|left|right|small|open|closed|side|front|flying|large)$", "", text.strip()
    ).strip()


def read_stamps(folder: Path, lexicon: Lexicon) -> Iterator[Picture]:
    """Tux Paint's stamps, many of them photographs, tagged by their folders and names."""
    root = folder / _STAMPS
    for path in sorted([*root.rglob("*.png"), *root.rglob("*.svg")]):
        inside = path.relative_to(root)
        if str(inside).startswith(_NOT_STAMPS) or path.stem.endswith("_mirror"):
            continue
        described = path.with_suffix(".txt")
        lines = (
            described.read_text(encoding="utf-8", errors="replace").splitlines()
            if described.exists()
            else []
        )
        sentence = lines[0].strip() if lines else ""
        name = _words(path.stem)
        tags = {_FOLDERS[part] for part in inside.parts[:-1] if part in _FOLDERS}
        spoken = _words(re.sub(r"[^A-Za-z ]", "", re.sub(r"^(?:A|An|The) ", "", sentence)))
        for phrase in (name, spoken if len(spoken.split()) <= 3 else ""):
            tags.update(lexicon.tags_of(phrase))
        own = clean(spoken) if 0 < len(spoken.split()) <= 3 else clean(name)
        if own:
            tags.add(own)
        if tags:
            yield Picture(
                source_id=f"tuxpaint:{inside.with_suffix('')}",
                location=str(path),
                title=sentence.rstrip(".") or name,
                tags=frozenset(tags),
                topic=lexicon.topic_of(name) or f"stamp/{inside.parts[0]}",
                hand="tuxpaint",
                series=f"tuxpaint:{inside.parent}:{' '.join(name.split()[:1])}",
                licence="public domain or GPL-2+",
                photo=path.suffix == ".png" and "cartoon" not in inside.parts,
            )


def read_costumes(folder: Path, lexicon: Lexicon) -> Iterator[Picture]:
    """Scratch's costumes (drawings) and backgrounds (mostly photographs of places)."""
    root = folder / _MEDIA
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.suffix not in {".png", ".gif", ".jpg"} or "Letters" in inside.parts:
            continue
        place = inside.parts[0] == "Backgrounds"
        if not place and inside.parts[1] == "People":
            continue
        name = _words(path.stem)
        tags = set(lexicon.tags_of(name))
        own = clean(name)
        if own and (place or tags or inside.parts[1] != "Fantasy"):
            tags.add(own)
        if place and len(inside.parts) > 2:
            tags.update(_PLACES.get(inside.parts[1], ()))
        if tags:
            yield Picture(
                source_id=f"scratch:{inside.with_suffix('')}",
                location=str(path),
                title=name,
                tags=frozenset(tags),
                topic=lexicon.topic_of(name)
                or ("place-other" if place else f"costume/{inside.parts[1]}"),
                hand="scratch",
                series=f"scratch:{inside.parent}:{' '.join(name.split()[:1])}",
                licence="CC-BY-SA-3.0",
                photo=place and path.suffix == ".jpg",
            )


def read_resource(path: Path) -> dict[str, bytes]:
    """The files inside a Qt resource (.rcc), by path; files compressed with zstd are left out."""
    data = path.read_bytes()
    if data[:4] != b"qres":
        raise ValueError(f"{path} is not a Qt resource file")
    version, tree, payload, names = struct.unpack(">4I", data[4:20])
    size = 22 if version >= 2 else 14
    files: dict[str, bytes] = {}

    def name_at(offset: int) -> str:
        (length,) = struct.unpack(">H", data[names + offset : names + offset + 2])
        return data[names + offset + 6 : names + offset + 6 + 2 * length].decode("utf-16-be")

    def walk(index: int, prefix: str) -> None:
        at = tree + index * size
        name, flags = struct.unpack(">IH", data[at : at + 6])
        full = prefix + name_at(name) if index else prefix
        if flags & 2:
            count, first = struct.unpack(">II", data[at + 6 : at + 14])
            for child in range(first, first + count):
                walk(child, full + "/" if index else "")
        elif not flags & 4:
            (offset,) = struct.unpack(">I", data[at + 10 : at + 14])
            (length,) = struct.unpack(">I", data[payload + offset : payload + offset + 4])
            raw = data[payload + offset + 4 : payload + offset + 4 + length]
            files[full] = zlib.decompress(raw[4:]) if flags & 1 else raw

    walk(0, "")
    return files


def unpack_resources(folder: Path, cache: Path) -> dict[str, list[Path]]:
    """Writes the media of the used GCompris resources under `cache`; paths by resource name."""
    written: dict[str, list[Path]] = {}
    for name in (*_QT_SETS, "memory-sound"):
        target = cache / name
        if not target.is_dir():
            for inside, content in read_resource(folder / _RESOURCES / f"{name}.rcc").items():
                if inside.endswith((".webp", ".ogg", ".svg", ".png", ".wav", ".mp3")):
                    file = target / inside.rpartition("resource/")[2]
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
        written[name] = sorted(path for path in target.rglob("*") if path.is_file())
    return written


def read_gcompris(resources: dict[str, list[Path]], lexicon: Lexicon) -> Iterator[Picture]:
    """GCompris' photographs of animals, things and monuments."""
    for name, extra in _QT_SETS.items():
        for path in resources[name]:
            phrase = _words(path.stem)
            usable = path.suffix == ".webp" or (path.suffix == ".svg" and name == "instruments")
            if not usable or phrase in _NUMBERS | _NAMELESS or phrase in {name, "background"}:
                continue
            tags = set(lexicon.tags_of(phrase)) | {
                tag for word in extra if (tag := clean(word)) and tag != "words sample"
            }
            folder_tag = _QT_FOLDERS.get(path.parent.name)
            own = clean(phrase)
            tags.update(tag for tag in (folder_tag, own) if tag)
            if tags:
                yield Picture(
                    source_id=f"gcompris:{name}/{path.parent.name}/{path.stem}",
                    location=str(path),
                    title=phrase,
                    tags=frozenset(tags),
                    topic=lexicon.topic_of(phrase) or f"photo/{name}",
                    hand="gcompris",
                    series=f"gcompris:{' '.join(phrase.split()[:1])}",
                    licence="GPL-3+ or CC-BY-SA-4.0",
                    photo=path.suffix == ".webp",
                )
