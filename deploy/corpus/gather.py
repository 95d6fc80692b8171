"""All usable pictures and sounds in one place, with their tags settled."""

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from deploy.corpus.concepts import Concept, read_concepts
from deploy.corpus.drawings import read_drawings
from deploy.corpus.emoji import read_emoji
from deploy.corpus.material import PACKAGES, fetch
from deploy.corpus.model import Picture, Sound, Source
from deploy.corpus.naming import Lexicon
from deploy.corpus.photos import read_costumes, read_gcompris, read_stamps, unpack_resources
from deploy.corpus.raster import join_copies, rasterise_all
from deploy.corpus.sounds import read_instruments, read_recordings
from deploy.corpus.vocabulary import closure, implications

LEAST_SERIES = 3  # independent series that a tag needs: fewer can't be both learnt and tested


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that clips are made of."""

    pictures: dict[str, Picture]
    sounds: dict[str, Sound]
    concepts: dict[str, Concept]
    implied: dict[str, tuple[str, ...]]
    copies: int


def settle_tags(
    pictures: dict[str, Picture], sounds: dict[str, Sound], least: int = LEAST_SERIES
) -> tuple[dict[str, Picture], dict[str, Sound], dict[str, tuple[str, ...]]]:
    """Closes all tags over what they imply and drops tags of fewer than `least` series.

    Returns the pictures, the sounds and what each tag implies.
    """
    series: defaultdict[str, set[str]] = defaultdict(set)
    items: list[Source] = [*pictures.values(), *sounds.values()]
    implied = implications(tag for item in items for tag in closure(item.tags))
    closed = {name: closure(picture.tags, implied) for name, picture in pictures.items()}
    sounds = {
        name: replace(sound, tags=closure(sound.tags, implied)) for name, sound in sounds.items()
    }
    for name, picture in pictures.items():
        for tag in closed[name]:
            series[tag].add(picture.series)
    for sound in sounds.values():
        for tag in sound.tags:
            series[tag].add(sound.series)
    kept = {tag for tag, members in series.items() if len(members) >= least}
    return (
        {
            name: replace(picture, tags=closed[name] & kept)
            for name, picture in pictures.items()
            if closed[name] & kept
        },
        {
            name: replace(sound, tags=sound.tags & kept, own_tags=sound.own_tags & kept)
            for name, sound in sounds.items()
            if sound.tags & kept
        },
        {
            tag: tuple(name for name in names if name in kept)
            for tag, names in implied.items()
            if tag in kept
        },
    )


def gather(root: Path, cache: Path, workers: int) -> Material:
    """Fetches, reads, rasterises; `root` keeps the packages, `cache` what is derived from them."""
    folders = {
        package.name: fetch(package, root)
        for package in tqdm(PACKAGES, desc="material", unit="package")
    }
    concepts = read_concepts(folders["unicode-cldr-core"])
    lexicon = Lexicon(concepts.values())
    resources = unpack_resources(folders["gcompris-qt-data"], cache / "gcompris")
    pictures = {
        picture.source_id: picture
        for reader in (
            read_emoji(folders, concepts, cache / "svg"),
            read_drawings(folders["openclipart-svg"], lexicon),
            read_stamps(folders["tuxpaint-stamps-default"], lexicon),
            read_costumes(folders["scratch"], lexicon),
            read_gcompris(resources, lexicon),
        )
        for picture in reader
    }
    thumbs = rasterise_all(pictures.values(), cache / "rasters", workers)
    pictures = {name: picture for name, picture in pictures.items() if name in thumbs}
    pictures, copies = join_copies(pictures, thumbs)
    sounds = {
        sound.source_id: sound
        for reader in (
            read_recordings(folders, resources, lexicon),
            read_instruments(folders, lexicon),
        )
        for sound in reader
    }
    pictures, sounds, implied = settle_tags(pictures, sounds)
    return Material(pictures, sounds, concepts, implied, copies)
