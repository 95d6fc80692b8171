"""The encoders beside raw ONNX Runtime: the same networks on inputs that are prepared already."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter

import numpy as np

from consumer.bench.timing import Row, side_by_side
from encoders.audio import AudioEncoder, Ear
from encoders.batching import padded
from encoders.encoder import Encoders, Item
from encoders.features import F32, U8, Media, Modality, State, Words
from encoders.profile import Profile, default_weights_dir
from encoders.session import Session
from encoders.weights import read_weights

WORDS = Words("a tabby cat plays the piano in the kitchen at night")
VIDEOS = 4


def noise(profile: Profile) -> tuple[U8, F32]:
    """Frames and sound of the profile's sizes; what a video shows costs nothing."""
    random = np.random.default_rng(0)
    look, listen = profile.frame_spec, profile.sound_spec
    frames = random.integers(0, 256, (look.count, look.size, look.size, 3), dtype=np.uint8)
    samples = int(listen.rate * listen.max_seconds)
    return frames, random.uniform(-1, 1, samples).astype(np.float32)


def example(profile: Profile) -> Media:
    """A decoded video of noise."""
    frames, sound = noise(profile)
    return Media(
        frames=frames,
        sound=sound,
        rate=profile.sound_spec.rate,
        duration=profile.sound_spec.max_seconds,
        states={Modality.VISUAL: State.USED, Modality.AUDIO: State.USED},
        digest="",
    )


def bench_encoders(profile: Profile, threads: int) -> list[Row]:
    """Milliseconds a video of each encoder and of all; one caller, ``threads`` a session call."""
    encoders = Encoders.open(profile, threads=threads)
    whole = example(profile)
    silent = replace(whole, states={**whole.states, Modality.AUDIO: State.MISSING})
    blind = replace(whole, states={**whole.states, Modality.VISUAL: State.MISSING})

    def session(role: str) -> Session:
        spec = profile.networks[role]
        weights = read_weights(profile, spec.weights, default_weights_dir())
        return Session(spec.graph, weights, threads=threads)

    sentence, frame = session("sentence"), session("frame")
    ears = [Ear(session(role), kind) for role, kind in profile.front_end.networks.items()]
    tokens = padded([encoders.tokenize(WORDS.text)] * VIDEOS)
    frames, sound = noise(profile)
    blocks = AudioEncoder(ears, profile.front_end, None).blocks(sound)
    patches = [np.concatenate(ear.patches(blocks)) for ear in ears]

    def row(work: str, item: Item, *raw: Callable[[], object]) -> Row:
        return side_by_side(
            work,
            lambda _: encoders.encode([item] * VIDEOS),
            "ONNX Runtime",
            lambda _: [call() for call in raw],
            per=VIDEOS,
        )

    def words_alone() -> object:
        return sentence.run(*tokens)

    def frames_alone() -> object:
        return [frame.run(frames) for _ in range(VIDEOS)]

    def sound_alone() -> object:
        return [
            ear.session.run(heard)
            for _ in range(VIDEOS)
            for ear, heard in zip(ears, patches, strict=True)
        ]

    count, seconds = profile.frame_spec.count, profile.sound_spec.max_seconds
    return [
        row(f"{len(WORDS.text.split())} words", Item(WORDS, None), words_alone),
        row(f"{count} frames", Item(Words(), silent), frames_alone),
        row(f"{seconds:.0f} s of sound", Item(Words(), blind), sound_alone),
        row("one video", Item(WORDS, whole), words_alone, frames_alone, sound_alone),
    ]


def videos_per_second(profile: Profile, callers: int, seconds: float = 5.0) -> float:
    """Videos a second that ``callers`` threads encode together, each call on one thread."""
    encoders = Encoders.open(profile, threads=1)
    item = Item(WORDS, example(profile))
    encoders.encode([item])
    began = perf_counter()

    def work(_: int) -> int:
        done = 0
        while perf_counter() < began + seconds:
            done += len(encoders.encode([item] * VIDEOS))
        return done

    with ThreadPoolExecutor(callers) as pool:
        return sum(pool.map(work, range(callers))) / (perf_counter() - began)
