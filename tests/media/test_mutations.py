"""Thousands of damaged files: each ends decoded or refused, in time, and the reader lives on."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from encoders.errors import DecoderCrashed, MediaError, Refused, Unreadable
from encoders.features import Modality, State
from encoders.fetch import Access, Limits
from encoders.sandbox import MediaReader
from tests.media.conftest import FRAMES, SOUND
from tests.synthetic import clip

SUFFIXES = (".mp4", ".webm", ".mkv", ".mpg", ".wav", ".mov", ".ts", ".avi", ".ogv", ".gif", ".mp3")
WALL = 10.0
Mutation = Callable[[bytes, bytes, random.Random], bytes]


def truncate(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Its beginning, or its end."""
    at = chance.randrange(len(content))
    return content[:at] if chance.random() < 0.8 else content[at:]


def flip(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Some bits turned, anywhere or in the head alone."""
    changed = bytearray(content)
    reach = len(changed) if chance.random() < 0.5 else min(2000, len(changed))
    for _ in range(chance.choice([1, 3, 30, 300])):
        changed[chance.randrange(reach)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def splice(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """A piece of another file, written over or pushed in."""
    begin = chance.randrange(len(other))
    piece = other[begin : begin + chance.choice([4, 64, 1024, 16384])]
    at = chance.randrange(len(content))
    return content[:at] + piece + content[at + chance.choice([0, len(piece)]) :]


def extremes(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Numbers of four bytes set to their ends, where lengths and counts may be."""
    changed = bytearray(content)
    for _ in range(chance.choice([1, 2, 8])):
        at = chance.randrange(max(1, min(4000, len(changed)) - 4))
        if chance.random() < 0.4:
            at = max(0, len(changed) - 4000) + chance.randrange(max(1, min(4000, len(changed)) - 4))
        value = chance.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 0x10000])
        changed[at : at + 4] = value.to_bytes(4, chance.choice(["big", "little"]))
    return bytes(changed)


def shuffle(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Two pieces exchanged."""
    a, b, c, d = sorted(chance.randrange(len(content)) for _ in range(4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


MUTATIONS: tuple[Mutation, ...] = (truncate, flip, splice, extremes, shuffle)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("seeds")
    return {
        suffix: clip(
            folder / f"a{suffix}", seconds=1, size=(64, 48), scenes=("checks", "noise", "red")
        ).read_bytes()
        for suffix in SUFFIXES
    }


@pytest.fixture(scope="module")
def mutants_reader() -> Iterator[MediaReader]:
    limits = Limits(wall_seconds=WALL, memory_bytes=512 * 1024 * 1024)
    with MediaReader(limits, FRAMES, SOUND, children=1) as reader:
        yield reader


def survive(
    reader: MediaReader, seeds: dict[str, bytes], suffix: str, count: int, folder: Path, seed: int
) -> Counter[str]:
    """Read ``count`` mutants; what became of them. A failure names the mutant's number."""
    chance = random.Random(f"{suffix} {seed}")
    access = Access(frozenset({"file"}), (folder,))
    path = folder / f"mutant{suffix}"
    ends: Counter[str] = Counter()
    for number in range(count):
        content = seeds[suffix]
        for _ in range(chance.choice([1, 1, 2, 4])):
            mutation = chance.choice(MUTATIONS)
            content = mutation(content or b"x", seeds[chance.choice(SUFFIXES)], chance)
        path.write_bytes(content)
        begin = time.monotonic()
        try:
            media = reader.read(path.as_uri(), access)
        except (Unreadable, Refused, DecoderCrashed) as error:
            ends[error.reason] += 1
        except MediaError as error:
            raise AssertionError(f"mutant {number} of {suffix}, seed {seed}: {error!r}") from error
        else:
            assert State.USED in media.states.values()
            assert (media.frames is not None) == (media.states[Modality.VISUAL] is State.USED)
            assert (media.sound is not None) == (media.states[Modality.AUDIO] is State.USED)
            if media.frames is not None:
                assert media.frames.shape[1:] == (64, 64, 3)
            if media.sound is not None:
                assert np.isfinite(media.sound).all()
                assert np.abs(media.sound).max() <= 1.0
            ends["used"] += 1
        assert time.monotonic() - begin < WALL + 3, f"mutant {number} of {suffix}, seed {seed}"
    return ends


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_files_are_survived(
    suffix: str, mutants_reader: MediaReader, seeds: dict[str, bytes], tmp_path: Path
) -> None:
    ends = survive(mutants_reader, seeds, suffix, 40, tmp_path, seed=1)
    assert ends["used"] > 0
    assert ends["unreadable"] + ends["refused"] > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_thousands_of_damaged_files_are_survived(
    suffix: str, seed: int, mutants_reader: MediaReader, seeds: dict[str, bytes], tmp_path: Path
) -> None:
    ends = survive(mutants_reader, seeds, suffix, 500, tmp_path, seed)
    assert ends["used"] > 0
