"""A clip's sound track: a recording, a melody on an instrument, noise, silence or nothing."""

import functools
import importlib
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from deploy.corpus.model import Track

RATE = 24_000  # samples a second, mono
_Wave = npt.NDArray[np.float32]
_SCALES = ((0, 2, 4, 7, 9), (0, 2, 3, 7, 8), (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_LOW = {32, 42, 43, 47, 57, 58, 60, 70}  # General MIDI programs that sound an octave or two lower
_HIGH = {8, 10, 72, 78, 123}
_EFFECTS = range(122, 128)


def read_sound(path: str, seconds: float) -> _Wave:
    """The first seconds of a sound file, mono; raises av.FFmpegError where it can't be read."""
    pieces: list[_Wave] = []
    have, wanted = 0, int(seconds * RATE)
    with av.open(path) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        for frame in container.decode(audio=0):
            for ready in resampler.resample(frame):
                piece = ready.to_ndarray().reshape(-1).astype(np.float32)
                pieces.append(piece)
                have += len(piece)
            if have >= wanted:
                break
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def fitted(wave: _Wave, seconds: float, chance: random.Random) -> _Wave:
    """The sound trimmed, or repeated with short pauses, to the clip's length, at full scale."""
    wanted = int(seconds * RATE)
    loud = float(np.abs(wave).max(initial=0.0))
    if loud < 1e-4:
        return np.zeros(wanted, np.float32)
    wave = wave / loud
    if len(wave) > wanted:
        start = chance.randrange(0, max(1, min(len(wave) - wanted, RATE)))
        return wave[start : start + wanted]
    parts: list[_Wave] = []
    have = 0
    while have < wanted:
        pause = np.zeros(int(RATE * chance.uniform(0.05, 0.6)), np.float32)
        parts += [wave, pause]
        have += len(wave) + len(pause)
    return np.concatenate(parts)[:wanted]


@functools.lru_cache(maxsize=8)
def _synthesiser(bank: str, library: str) -> tuple[Any, int]:
    """The bank loaded once a process: loading takes far longer than playing."""
    if library not in sys.path:
        sys.path.append(library)
    tinysoundfont = importlib.import_module("tinysoundfont")

    synth = tinysoundfont.Synth(samplerate=RATE, gain=-6)
    return synth, synth.sfload(bank)


def play(bank: str, library: str, program: int, seconds: float, chance: random.Random) -> _Wave:
    """A melody made up by chance, on one of the bank's instruments."""
    synth, font = _synthesiser(bank, library)
    synth.program_select(0, font, 0, program)
    base = 60 + chance.randint(-5, 6) + (-17 if program in _LOW else 10 if program in _HIGH else 0)
    scale = chance.choice(_SCALES)
    beat = chance.choice((0.22, 0.3, 0.38, 0.5))
    step, now = chance.randint(0, 6), 0.0
    pieces: list[_Wave] = []
    while now < seconds:
        length = beat * chance.choice((1, 1, 1, 2, 2, 3)) * (6 if program in _EFFECTS else 1)
        step = max(-3, min(11, step + chance.choice((-2, -1, -1, 0, 1, 1, 2, 3))))
        octave, degree = divmod(step, len(scale))
        keys = [base + 12 * octave + scale[degree]]
        if chance.random() < 0.2:
            keys.append(base + 12 * octave + scale[(degree + 2) % len(scale)])
        silent = program not in _EFFECTS and chance.random() < 0.08
        for key in keys:
            if not silent:
                synth.noteon(0, key, chance.randint(70, 118))
        pieces.append(
            np.frombuffer(bytes(synth.generate(int(length * RATE))), np.float32)
            .reshape(-1, 2)
            .mean(axis=1)
        )
        for key in keys:
            synth.noteoff(0, key)
        now += length
    synth.sounds_off(0)
    synth.generate(RATE // 8)
    wave = np.concatenate(pieces).astype(np.float32)[: int(seconds * RATE)]
    return wave / np.float32(max(1e-4, float(np.abs(wave).max())))


def noise(seconds: float, seed: int) -> _Wave:
    """Hiss, rumble or hum that says nothing of what a clip is about."""
    generator = np.random.default_rng(seed)
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(generator.standard_normal(count))
    slope = generator.uniform(0.0, 1.2)
    spectrum /= np.maximum(1.0, np.arange(len(spectrum)) / 20.0) ** slope
    wave = np.fft.irfft(spectrum, count)
    if generator.random() < 0.3:
        wave /= np.abs(wave).max()
        wave += 0.3 * np.sin(2 * np.pi * generator.choice((50.0, 60.0)) * np.arange(count) / RATE)
    scaled: _Wave = (0.35 * wave / np.abs(wave).max()).astype(np.float32)
    return scaled


def sound_track(
    track: Track, seconds: float, sounds: Mapping[str, tuple[str, int]], library: Path
) -> _Wave | None:
    """The samples of a track, or None for a clip without one. `sounds`: id to (path, program)."""
    if track.kind == "none":
        return None
    if track.kind == "silence" or (track.source_id is None and track.kind != "noise"):
        return np.zeros(int(seconds * RATE), np.float32)
    if track.source_id is None:
        return np.float32(track.gain) * noise(seconds, track.seed)
    path, program = sounds[track.source_id]
    chance = random.Random(track.seed)
    if track.kind == "melody":
        return np.float32(0.8 * track.gain) * play(path, str(library), program, seconds, chance)
    return np.float32(0.9 * track.gain) * fitted(read_sound(path, seconds + 1.0), seconds, chance)
