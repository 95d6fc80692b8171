"""The peers learn what there is to learn; the product must not be compared with strawmen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn")

from encoders.features import Words
from rank.peers import compare, peers
from rank.progress import quiet
from rank.tree_peer import installed
from recall.corpus import LabelledVideo, TagSet
from recall.dataset import Dataset, pack
from recall.ragged import Ragged
from recall.splits import Split
from tests.rank.worlds import world

pytestmark = pytest.mark.train


def dataset() -> tuple[Dataset, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    small = world(300, 20)
    videos = []
    for row, features in enumerate(small.features):
        tags = tuple(small.labels[[row]].indices.tolist())
        split = Split.TRAIN if row < 200 else Split.VAL if row < 250 else Split.TEST
        words = Words(" ".join(f"tag{tag}" for tag in tags))
        video = LabelledVideo(str(row), "file:///x", words, None, TagSet(tags), split, (), row)
        videos.append((video, features))
    packed = pack(videos)
    return packed, small.names


def test_every_peer_beats_the_commonest_tags() -> None:
    packed, names = dataset()
    test = packed.of(Split.TEST)
    truth = tuple(test.labels[row] for row in range(len(test)))
    reached = {
        peer.name: compare(peer, truth, test.outside.astype(np.int64)).figures.accuracy_top
        for peer in peers(packed, names, seed=0, progress=quiet)
    }
    trees = ["label_trees"] if installed() else []
    assert list(reached) == [
        "commonest", "neighbours", "embeddings", "words", "zero_shot", *trees, "mean"
    ]  # fmt: skip
    for name in ("neighbours", "embeddings", "mean", "zero_shot", *trees):
        assert reached[name] > 1.5 * reached["commonest"], name


def test_peers_choose_on_validation_and_then_learn_from_it_as_the_product_does() -> None:
    packed, names = dataset()
    late = packed.rows_of(Split.VAL, Split.TEST)
    fresh = max(
        range(len(names)),
        key=lambda tag: min(
            int((packed.of(split).labels.values == tag).sum()) for split in (Split.VAL, Split.TEST)
        ),
    )
    kept = [
        own if row in late else own[own != fresh]
        for row, own in enumerate(packed.labels[row] for row in range(len(packed)))
    ]
    packed = replace(packed, labels=Ragged.of(kept, np.int32))
    test = packed.of(Split.TEST)
    has = np.array([fresh in test.labels[row] for row in range(len(test))])
    found = {peer.name: peer for peer in peers(packed, names, seed=0, progress=quiet)}
    for name in ("neighbours", "embeddings"):
        scores = found[name].test[:, fresh]
        assert scores[has].mean() > 3 * scores[~has].mean(), name
        assert found[name].validation[:, fresh].max() < 0.05, name
