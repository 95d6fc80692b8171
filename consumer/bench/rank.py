"""Ranking beside raw ONNX Runtime: the towers alone, on inputs that are packed already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from consumer.bench.timing import Row, side_by_side
from encoders.encoder import Encoders
from encoders.features import F32, Features, Modality, State, Words
from encoders.profile import Profile, load_profile
from rank.bundle import open_bundle
from rank.cost import VOCABULARY, candidates_of, enlarged
from rank.inputs import pack
from rank.tagger import Tagger
from recall.candidates import CandidateSet

TITLE = "a tabby cat plays the piano in the kitchen at night"


def bench_rank(bundle: Path, candidates: int, threads: int) -> list[Row]:
    """Milliseconds a video to score ``candidates`` tags, alone and in a batch of eight.

    The vocabulary is the bundle's, its vectors repeated up to 300,000 tags: what is far apart in
    memory costs more to gather.
    """
    profile = load_profile(open_bundle(bundle).manifest.profile)
    encoders = Encoders.open(profile, threads=threads)
    tagger = enlarged(Tagger.load(bundle, encoders, threads=threads), VOCABULARY)
    features = _features(profile, encoders)
    rows = []
    for videos in (1, 8):
        batch = [features] * videos
        found = [_drawn(candidates, seed) for seed in range(videos)]
        feed = pack(batch, tagger.ranker.shape, tagger.ranker.word_embeddings).feed()
        rows.append(
            side_by_side(
                f"{candidates} of {VOCABULARY:,} tags, {videos} at a time",
                partial(_score, tagger, batch, found),
                "ONNX Runtime, towers alone",
                partial(_towers, tagger, feed),
                rounds=20,
                per=videos,
            )
        )
    return rows


def _score(
    tagger: Tagger, batch: Sequence[Features], found: Sequence[CandidateSet], _round: int
) -> object:
    return tagger.score(batch, found)


def _towers(tagger: Tagger, feed: Mapping[str, F32], _round: int) -> object:
    return tagger.ranker.session.run(None, feed)


def _features(profile: Profile, encoders: Encoders) -> Features:
    """A video with all modalities; its vectors are noise."""
    random = np.random.default_rng(0)
    dims = profile.dims

    def noise(*shape: int) -> F32:
        return random.standard_normal(shape).astype(np.float32)

    sentence, bridge = encoders.sentences([TITLE])[0], noise(dims.bridge)
    return Features(
        words=Words(TITLE),
        states=dict.fromkeys(Modality, State.USED),
        sentence=sentence,
        tokens=encoders.tokenize(TITLE),
        frames=noise(profile.frame_spec.count, dims.frame),
        bridge=bridge / np.float32(np.linalg.norm(bridge)),
        audio=noise(profile.front_end.blocks, dims.audio),
    )


def _drawn(count: int, seed: int) -> CandidateSet:
    random = np.random.default_rng(seed)
    return candidates_of(random.choice(VOCABULARY, count, replace=False), random)
