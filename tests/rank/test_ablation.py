"""What an ablation takes away is gone, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from rank.ablation import Stage, without_channel, without_columns
from rank.columns import COLUMNS
from rank.combining import Examples
from rank.fitting import prepare
from rank.last_training import Known
from rank.ranker_table import averaged, deprived
from rank.tower import TowerSize
from recall.candidates import CHANNELS, Channel
from recall.ragged import Ragged
from tests.rank.worlds import SHAPE, silent, world

pytestmark = pytest.mark.train

SMALL = TowerSize(vector=16, narrow_frame=8, narrow_audio=8, clusters=2, audio_clusters=2)


def stage() -> Stage:
    """Three candidates: proposed by text alone, by text and sound, by all channels."""
    rows = np.full((3, len(COLUMNS)), 0.5, np.float32)
    said = {0: (Channel.TEXT,), 1: (Channel.TEXT, Channel.AUDIO), 2: CHANNELS}
    for row, channels in said.items():
        for channel in CHANNELS:
            if channel not in channels:
                rows[row, COLUMNS.index(channel.value)] = np.nan
        rows[row, COLUMNS.index("channels")] = len(channels)
    tags, video = np.arange(3, dtype=np.int32), np.zeros(3, np.int64)
    examples = Examples(rows, np.array([True, False, True]), tags, video)
    learned = Known(examples, Ragged.of([tags], np.int32), np.zeros(1, np.int64))
    return Stage((learned,), examples, Ragged.of([tags[:0]] * 3, np.int32))


def test_a_channel_goes_with_its_columns_its_count_and_what_only_it_proposed() -> None:
    left = without_channel(stage(), Channel.TEXT).test
    assert left.tags.tolist() == [1, 2]
    gone = [name for name in COLUMNS if name.split(" ")[0] == "text"]
    assert np.isnan(left.rows[:, [COLUMNS.index(name) for name in gone]]).all()
    assert left.rows[:, COLUMNS.index("channels")].tolist() == [1, 4]
    assert not np.isnan(left.rows[1, [COLUMNS.index(c.value) for c in CHANNELS[1:]]]).any()


def test_columns_go_with_their_places_and_differences() -> None:
    before, after = stage().test.rows, without_columns(stage(), ["words", "name"]).test.rows
    changed = {COLUMNS[c] for c in np.flatnonzero(np.isnan(after).sum(0) > np.isnan(before).sum(0))}
    assert changed == {"words", "words below best", "words place", "name"}


def test_a_part_taken_from_the_tower_leaves_the_rest_as_it_was() -> None:
    small = world(6, 8)
    whole = prepare(list(small.features), SHAPE, SMALL, small.word_embeddings, seed=0)
    less = deprived(whole, ["words", "audio"])
    assert not less.audio_mask.any()
    assert not any(len(text) for text in less.texts)
    assert less.present.tolist() == [[1, 0, 0, 1, 1]] * 6
    assert less.frames is whole.frames


def test_means_take_the_place_of_sequences_where_there_are_any() -> None:
    small = world(2, 8)
    features = [small.features[0], silent(small.features[1])]
    whole = prepare(features, SHAPE, SMALL, small.word_embeddings, seed=0)
    mean = averaged(whole)
    assert mean.frames.shape[1] == 1
    length = int(whole.frames_mask[0].sum())
    assert np.allclose(mean.frames[0, 0], whole.frames[0, :length].mean(0), atol=1e-6)
    assert mean.audio_mask.tolist() == [[1], [0]]
