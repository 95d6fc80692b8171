"""Emoji drawn by several hands: one thing in several styles."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.corpus.concepts import Concept
from deploy.corpus.model import Picture


@dataclass(frozen=True, slots=True)
class Hand:
    """One collection; collections with the same `family` count as one hand."""

    package: str
    family: str
    licence: str


HANDS: tuple[Hand, ...] = (
    Hand("noto", "noto", "Apache-2.0"),
    Hand("noto-v1", "noto", "Apache-2.0"),
    Hand("twemoji", "twemoji", "CC-BY-4.0"),
    Hand("openmoji", "openmoji", "CC-BY-SA-4.0"),
    Hand("fluent-emoji-flat", "fluent", "MIT"),
    Hand("emojione", "emojione", "CC-BY-4.0"),
    Hand("fxemoji", "fxemoji", "Apache-2.0"),
)


def _slug(name: str) -> str:
    letters = "".join(
        c if c.isalnum() else " " for c in name.lower().replace("’", "").replace("'", "")
    )
    return "-".join(letters.split())


def _icons(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    data = json.loads((folder / "package/icons.json").read_text(encoding="utf-8"))
    width, height = data.get("width", 16), data.get("height", 16)
    drawings = {}
    for name, icon in data["icons"].items():
        w, h = icon.get("width", width), icon.get("height", height)
        drawings[name] = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {w} {h}">{icon["body"]}</svg>'
        )
    characters: dict[str, str] = {}
    listed = folder / "package/chars.json"
    if listed.exists():
        for code, name in json.loads(listed.read_text(encoding="utf-8")).items():
            points = "".join(chr(int(part, 16)) for part in code.split("-"))
            characters[points.replace("\ufe0f", "")] = name
    return drawings, characters


def _name_in(
    concept: Concept, drawings: Mapping[str, str], characters: Mapping[str, str]
) -> str | None:
    named = characters.get(concept.characters)
    if named in drawings:
        return named
    slug = _slug(concept.name)
    flag = concept.subgroup == "country-flag"
    tries = [f"flag-for-{slug}", f"flag-{slug}"] if flag else [slug, slug.replace("-", "")]
    return next((name for name in tries if name in drawings), None)


def read_emoji(
    folders: Mapping[str, Path], concepts: Mapping[str, Concept], cache: Path
) -> Iterator[Picture]:
    """The drawings of all hands of all concepts; writes their SVG files under `cache` once."""
    for hand in HANDS:
        drawings, characters = _icons(folders[f"@iconify-json/{hand.package}"])
        target = cache / hand.package
        target.mkdir(parents=True, exist_ok=True)
        for concept in concepts.values():
            name = _name_in(concept, drawings, characters)
            if name is None:
                continue
            path = target / f"{name}.svg"
            if not path.exists():
                path.write_text(drawings[name], encoding="utf-8")
            yield Picture(
                source_id=f"{hand.package}:{name}",
                location=str(path),
                title=concept.name,
                tags=concept.tags,
                topic=concept.subgroup,
                hand=hand.family,
                series=f"{hand.family}:{_slug(concept.name)}",
                licence=hand.licence,
            )
