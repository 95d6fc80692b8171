"""What the encoders make of a video, alone or among others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from encoders.encoder import Encoders, Item
from encoders.features import Features, Modality, State, Words
from encoders.parts import Known, split
from encoders.profile import Profile
from tests.encoders.conftest import MakeMedia

ARRAYS = ("sentence", "tokens", "frames", "bridge", "audio", "sound_bridge")


def assert_same(one: Features, other: Features) -> None:
    assert one.words == other.words
    assert one.states == other.states
    for name in ARRAYS:
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5, err_msg=name)


@pytest.fixture
def items(media: MakeMedia) -> Sequence[Item]:
    """Seven videos that have little in common."""
    return [
        Item(Words("dog"), media(1, frames=3, seconds=0.4)),
        Item(Words("a very long title " * 30, "and more"), media(2, frames=1, seconds=9.3)),
        Item(Words(), media(3, frames=8, seconds=0)),
        Item(Words("only words"), None),
        Item(Words("words are left"), None, failed=True),
        Item(Words("狗", language="zh"), media(4, frames=0, seconds=5)),
        Item(Words("two cats", "on a sofa", "en"), media(5, frames=2, seconds=2.4)),
    ]


def test_a_video_has_the_vectors_that_the_profile_promises(
    encoders: Encoders, profile: Profile, media: MakeMedia
) -> None:
    (features,) = encoders.encode([Item(Words("A dog"), media(frames=8, seconds=5))])
    assert set(features.states.values()) == {State.USED}
    assert features.sentence is not None
    assert features.sentence.shape == (profile.dims.sentence,)
    assert features.frames is not None
    assert features.frames.shape == (8, profile.dims.frame)
    told = np.split(features.frames, np.cumsum([1280, 112, 112, 192, 192, 320]), axis=1)
    assert np.allclose([np.linalg.norm(part, axis=1) for part in told], 1, atol=1e-5)
    assert features.audio is not None
    assert features.audio.shape == (2, profile.dims.audio)
    assert features.bridge is not None
    assert features.bridge.shape == (profile.dims.bridge,)
    assert np.linalg.norm(features.sentence) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(features.bridge) == pytest.approx(1, abs=1e-5)
    assert all(
        getattr(features, name).dtype == (np.int64 if name == "tokens" else np.float32)
        for name in ARRAYS
    )


def test_features_do_not_depend_on_batch_mates(encoders: Encoders, items: Sequence[Item]) -> None:
    alone = [encoders.encode([item])[0] for item in items]
    for order in (list(range(7)), [6, 2, 0, 5, 1, 4, 3]):
        together = encoders.encode([items[i] for i in order])
        for i, features in zip(order, together, strict=True):
            assert_same(features, alone[i])


def test_threads_do_not_disturb_each_other(encoders: Encoders, items: Sequence[Item]) -> None:
    expected = encoders.encode(items)
    with ThreadPoolExecutor(3) as pool:
        for batch in pool.map(encoders.encode, [items] * 6):
            for one, other in zip(batch, expected, strict=True):
                assert_same(one, other)


def test_no_videos_have_no_features(encoders: Encoders) -> None:
    assert encoders.encode([]) == []
    assert encoders.sentences([]).shape == (0, 384)


def test_each_modality_says_how_it_fared(encoders: Encoders, items: Sequence[Item]) -> None:
    states = [features.states for features in encoders.encode(items)]
    assert [s[Modality.TEXT].value for s in states] == (
        ["used", "used", "missing", "used", "used", "unsupported", "used"]
    )
    assert [s[Modality.VISUAL].value for s in states] == (
        ["used", "used", "used", "missing", "failed", "missing", "used"]
    )
    assert [s[Modality.AUDIO].value for s in states] == (
        ["used", "used", "missing", "missing", "failed", "used", "used"]
    )


def test_an_array_is_there_only_for_a_used_modality(
    encoders: Encoders, items: Sequence[Item]
) -> None:
    for features in encoders.encode(items):
        states = features.states
        assert (features.sentence is not None) == (states[Modality.TEXT] is State.USED)
        assert (features.tokens is not None) == (states[Modality.TEXT] is State.USED)
        assert (features.frames is not None) == (states[Modality.VISUAL] is State.USED)
        assert (features.bridge is not None) == (states[Modality.VISUAL] is State.USED)
        assert (features.audio is not None) == (states[Modality.AUDIO] is State.USED)
        assert (features.sound_bridge is not None) == (states[Modality.AUDIO] is State.USED)


@pytest.mark.parametrize("level", [0.0, 5e-4])
def test_a_silent_sound_counts_as_none(encoders: Encoders, media: MakeMedia, level: float) -> None:
    sound = np.full(16000, level, np.float32)
    (features,) = encoders.encode([Item(Words(), replace(media(), sound=sound))])
    assert features.states[Modality.AUDIO] is State.MISSING
    assert features.audio is None


def test_a_sound_is_the_same_at_any_loudness(encoders: Encoders, media: MakeMedia) -> None:
    loud = media(seconds=2)
    assert loud.sound is not None
    quiet = replace(loud, sound=loud.sound * np.float32(0.1))
    one, other = encoders.encode([Item(Words(), loud), Item(Words(), quiet)])
    assert one.audio is not None
    assert other.audio is not None
    np.testing.assert_allclose(one.audio, other.audio, atol=1e-3)


@pytest.mark.parametrize(
    ("seconds", "blocks"), [(0.05, 1), (2.9, 1), (4.3, 1), (4.5, 2), (7.0, 2), (11.7, 4), (30, 4)]
)
def test_blocks_spread_over_the_sound(
    encoders: Encoders, media: MakeMedia, seconds: float, blocks: int
) -> None:
    (features,) = encoders.encode([Item(Words(), media(frames=0, seconds=seconds))])
    assert features.audio is not None
    assert len(features.audio) == blocks


def test_a_short_sound_is_heard_as_if_it_were_repeated(
    encoders: Encoders, media: MakeMedia
) -> None:
    short = media(seconds=1)
    assert short.sound is not None
    again = replace(short, sound=np.tile(short.sound, 2))
    one, other = encoders.encode([Item(Words(), short), Item(Words(), again)])
    assert one.audio is not None
    assert other.audio is not None
    np.testing.assert_allclose(one.audio, other.audio, atol=1e-5)


def test_a_sound_is_near_the_name_of_what_is_heard(encoders: Encoders, media: MakeMedia) -> None:
    """White noise is what rain and a waterfall sound like to YAMNet."""
    (features,) = encoders.encode([Item(Words(), media(seconds=6))])
    names = ["rain", "dog", "violin", "speech"]
    cosines = encoders.sentences(names) @ np.asarray(features.sound_bridge)
    assert names[int(cosines.argmax())] == "rain"


def test_known_parts_cost_nothing_and_change_nothing(encoders: Encoders, media: MakeMedia) -> None:
    item = Item(Words("a dog"), media())
    (whole,) = encoders.encode([item])
    text, shown = split(whole)
    (renamed,) = encoders.encode([Item(Words("a cat"), None, known=Known(media=shown))])
    assert renamed.frames is whole.frames
    assert renamed.words.title == "a cat"
    (again,) = encoders.encode([Item(item.words, None, known=Known(text, shown))])
    assert again.sentence is whole.sentence


def test_meaning_shows_in_sentences(encoders: Encoders) -> None:
    dog, puppy, car = encoders.sentences(["a dog", "a puppy", "a car"])
    assert dog @ puppy > 0.7 > dog @ car


def test_names_share_the_space_of_the_bridge(encoders: Encoders) -> None:
    names = encoders.names(["basketball", "basketball court", "spoon"])
    assert names.shape == (3, encoders.profile.dims.bridge)
    assert names[0] @ names[1] > names[0] @ names[2]


def test_any_text_can_be_tokenized(encoders: Encoders) -> None:
    table = encoders.word_embeddings
    for text in ("", "hello", "\ud800 lone", "e\u0301" * 4000, "\0\x1b[2J", "🎉" * 500):
        ids = encoders.tokenize(text)
        assert 2 <= len(ids) <= encoders.profile.max_tokens
        assert table[ids].shape == (len(ids), table.shape[1])


def test_what_serves_needs_no_torch() -> None:
    code = (
        "import sys; from encoders.profile import load_profile; "
        "from encoders.encoder import Encoders; import encoders.cache, encoders.pull; "
        "Encoders.open(load_profile('packaged')).sentences(['x']); "
        "print({'torch', 'transformers', 'onnx', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
