"""Sounds: recordings of things, and instruments to play melodies on."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.corpus.model import Sound
from deploy.corpus.naming import Lexicon
from deploy.corpus.vocabulary import clean, closure

_STAMPS = Path("usr/share/tuxpaint/stamps")
_SCRATCH = Path("usr/share/scratch/Media/Sounds")
_SONIC = Path("usr/share/sonic-pi/samples")
SPOKEN = "speech"

_HEARD: Mapping[str, Mapping[str, str]] = tomllib.loads(
    (Path(__file__).parent / "data/sounds.toml").read_text(encoding="utf-8")
)
INSTRUMENTS: Mapping[int, str] = {int(key): text for key, text in _HEARD["instruments"].items()}
_BANKS = (
    ("timgm6mb-soundfont", "usr/share/sounds/sf2/TimGM6mb.sf2", "tim", "GPL-2"),
    (
        "fluidr3mono-gm-soundfont",
        "usr/share/fluidr3mono-gm-soundfont/FluidR3Mono_GM.sf3",
        "fluid",
        "MIT",
    ),
    ("opl3-soundfont", "usr/share/sounds/sf2/OPL-3_FM_128M.sf2", "opl3", "CC-BY-SA-4.0"),
)


_HEARD_CLASSES = {"mammal", "bird", "bug", "sea creature", "amphibian"}


def _tags(words: str, lexicon: Lexicon) -> tuple[frozenset[str], frozenset[str]]:
    own = {tag for word in words.split(",") if (tag := clean(word))}
    implied = {tag for word in words.split(",") for tag in lexicon.tags_of(word.strip())}
    return frozenset(own), closure(own | (implied & _HEARD_CLASSES))


def _start(stem: str, table: Mapping[str, str]) -> str | None:
    keys = [key for key in table if stem.startswith(key)]
    return table[max(keys, key=len)] if keys else None


def read_recordings(
    folders: Mapping[str, Path], resources: Mapping[str, list[Path]], lexicon: Lexicon
) -> Iterator[Sound]:
    """All recordings whose content is known, with what is heard in them."""
    stamps, scratch, sonic = (
        folders["tuxpaint-stamps-default"] / _STAMPS,
        folders["scratch"] / _SCRATCH,
        folders["sonic-pi-samples"] / _SONIC,
    )
    own_sounds = [
        path
        for path in sorted(stamps.rglob("*.ogg"))
        if "_desc" not in path.name and "symbols" not in path.parts
    ]
    loops = sorted([*scratch.rglob("*.wav"), *scratch.rglob("*.mp3")])
    played = [path for paths in resources.values() for path in paths if path.suffix == ".ogg"]
    spoken = sorted(stamps.rglob("*_desc.ogg"))[::3]
    table = _HEARD["gcompris"]
    starts = {key: text for key, text in table.items() if key.startswith(("LR", "guitar_"))}
    tux, qt = "public domain or GPL-2+", "GPL-3+ or CC-BY-SA-4.0"
    found: list[tuple[str, Path, str | None, str]] = [
        *(("tuxpaint", path, _HEARD["stamps"].get(path.stem), tux) for path in own_sounds),
        *(("scratch", p, _start(p.stem, _HEARD["scratch"]), "CC-BY-SA-3.0") for p in loops),
        *(
            ("sonic-pi", p, _start(p.stem, _HEARD["sonic_pi"]), "CC0-1.0")
            for p in sorted(sonic.rglob("*.flac"))
        ),
        *(
            ("gcompris", path, table.get(path.stem) or _start(path.stem, starts), qt)
            for path in played
        ),
        *(("tuxpaint", path, SPOKEN, tux) for path in spoken),
    ]
    for hand, path, words, licence in found:
        if words is None:
            continue
        own, tags = _tags(words, lexicon)
        stem = re.sub(r"[\d_-]+$", "", re.sub(r"\d.*$", "", path.stem))
        group = "" if words == SPOKEN else f":{path.parent.name}"
        yield Sound(
            source_id=f"sound:{hand}/{path.parent.name}/{path.stem}",
            location=str(path),
            title=words.replace(",", " "),
            tags=tags,
            own_tags=own,
            series=f"sound:{hand}{group}:{stem or path.stem}",
            licence=licence,
        )


def read_instruments(folders: Mapping[str, Path], lexicon: Lexicon) -> Iterator[Sound]:
    """Each bank's instruments; a bank is a hand, so an instrument has several sources."""
    for package, inside, hand, licence in _BANKS:
        for program, words in INSTRUMENTS.items():
            own, tags = _tags(words, lexicon)
            yield Sound(
                source_id=f"bank:{hand}/{program}",
                location=str(folders[package] / inside),
                title=words.replace(",", " "),
                tags=tags,
                own_tags=own,
                series=f"bank:{hand}:{program}",
                licence=licence,
                program=program,
            )
