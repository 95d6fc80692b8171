"""The starter corpus builder: cleaning, closure, honest splits, planned clips and rendering."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deploy.corpus.concepts import Concept
from deploy.corpus.drawings import title_stem
from deploy.corpus.gather import settle_tags
from deploy.corpus.material import PACKAGES, MaterialError, Package, fetch
from deploy.corpus.model import SPLITS, Picture, Scene, Sound, Track
from deploy.corpus.naming import Lexicon
from deploy.corpus.pools import make_cells, split_series
from deploy.corpus.raster import join_copies, raster_path
from deploy.corpus.render import FPS, SIDE, Studio, render
from deploy.corpus.scenes import FEWEST, LARGEST_SHARE, MOST, Plan, plan, visible_labels
from deploy.corpus.trivial import judge, match_words
from deploy.corpus.vocabulary import BLOCKED, clean, closure, implications
from deploy.corpus.words import empty_title, stem_split


@pytest.mark.parametrize(
    ("raw", "tag"),
    [
        ("Ice_Cream", "ice cream"),
        ("balloons", "balloon"),
        ("  A red   Kangaroo ", "red kangaroo"),
        ("aeroplane", "airplane"),
        ("icecream", "ice cream"),
        ("firetruck", "fire engine"),
        ("glasses", "glasses"),
        ("berries", "berry"),
        ("dog face", "dog"),
        ("person juggling", "juggling"),
        ("clip art", None),
        ("icons", None),
        ("hash(0x86a0bb0)", None),
        ("11", None),
        ("", None),
    ],
)
def test_words_become_tags(raw: str, tag: str | None) -> None:
    assert clean(raw) == tag


@given(st.text(max_size=40))
def test_a_tag_is_clean_already(raw: str) -> None:
    tag = clean(raw)
    if tag is not None:
        assert tag not in BLOCKED
        assert tag == tag.strip().lower()


def test_tags_are_closed_over_what_they_imply() -> None:
    known = {"police car", "car", "hot dog", "dog", "kitten", "cat"}
    implied = implications(known)
    assert closure({"police car"}, implied) == {"police car", "car"}
    assert closure({"hot dog"}, implied) == {"hot dog"}
    assert closure({"kitten"}, implied) == {"kitten", "cat"}


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=4),
        st.frozensets(st.sampled_from([f"t{n}" for n in range(8)]), min_size=1, max_size=4),
        min_size=30,
        max_size=80,
    )
)
@settings(max_examples=15, deadline=None)
def test_every_series_gets_one_split(tags_of: dict[str, frozenset[str]]) -> None:
    placed = split_series(tags_of, 1)
    assert placed.keys() == tags_of.keys()
    assert set(placed.values()) <= set(SPLITS)
    assert placed == split_series(dict(reversed(tags_of.items())), 1)


def _world(seed: int = 0) -> tuple[dict[str, Picture], dict[str, Sound], dict[str, Concept]]:
    generator = np.random.default_rng(seed)
    pictures: dict[str, Picture] = {}
    for thing in range(220):
        kind, place = f"kind {thing % 41}", f"place {thing % 37}"
        for hand in "abcde":
            tags = {f"thing {thing}", kind, place, f"part {int(generator.integers(80))}"}
            name = f"{hand}:{thing}"
            pictures[name] = Picture(
                name, "", f"thing {thing}", frozenset(tags), kind, hand, name, "CC0-1.0"
            )
    sounds = {
        f"bank:{bank}/{n}": Sound(
            f"bank:{bank}/{n}",
            "",
            f"horn {n}",
            frozenset({f"horn {n}"}),
            f"bank:{bank}:{n}",
            "MIT",
            program=n,
        )
        for bank in "xyz"
        for n in range(40)
    }
    for n in range(60):
        name = f"sound:{n}"
        own = frozenset({f"thing {n % 30}"})
        sounds[name] = Sound(name, "", f"thing {n % 30}", own, name, "CC0-1.0", own_tags=own)
    concepts = {
        str(n): Concept(str(n), f"thing {n}", "event", frozenset({f"thing {n}"}))
        for n in range(220)
    }
    return pictures, sounds, concepts


@pytest.fixture(scope="module")
def planned() -> Plan:
    pictures, sounds, concepts = _world()
    pictures, sounds, implied = settle_tags(pictures, sounds)
    return plan(pictures, sounds, concepts, implied, 900, 3)


def test_no_source_and_no_title_is_in_two_splits(planned: Plan) -> None:
    where: dict[str, str] = {}
    for clip in planned.clips:
        for source in (*clip.sources, f"title:{title_stem(clip.title)}"):
            assert where.setdefault(source, clip.split) == clip.split, source
        assert stem_split(clip.title) == clip.split


def test_tags_are_few_true_and_never_too_common(planned: Plan) -> None:
    counts = Counter(tag for clip in planned.clips for tag in clip.tags)
    assert max(counts.values()) <= LARGEST_SHARE * len(planned.clips)
    sizes = [len(clip.tags) for clip in planned.clips]
    assert sum(FEWEST <= size <= MOST for size in sizes) >= 0.98 * len(sizes)
    for clip in planned.clips:
        assert set(clip.tags) == {*clip.seen, *clip.heard, *clip.said}


def test_labels_hide_three_in_ten_but_never_all(planned: Plan) -> None:
    shown = hidden = 0
    for clip in planned.clips:
        labels = visible_labels(clip, 3)
        assert labels
        assert set(labels) <= set(clip.tags)
        if clip.split == "test":
            assert labels == list(clip.tags)
        else:
            shown, hidden = shown + len(labels), hidden + len(clip.tags) - len(labels)
    assert 0.27 < hidden / (hidden + shown) < 0.33


def test_the_same_seed_gives_the_same_plan(planned: Plan) -> None:
    pictures, sounds, concepts = _world()
    pictures, sounds, implied = settle_tags(pictures, sounds)
    assert plan(pictures, sounds, concepts, implied, 900, 3) == planned


def test_a_cell_is_of_one_split_and_no_series_is_in_two_cells() -> None:
    pictures, sounds, _ = _world()
    cells, instruments = make_cells(pictures, sounds, 3)
    homes = Counter(series for cell in cells for series in {p.series for p in cell.pictures})
    assert max(homes.values()) == 1
    played = [sound.series for bank in instruments.values() for sound in bank]
    assert len(played) == len(set(played))


def test_rare_tags_are_dropped() -> None:
    picture = Picture("a", "", "a", frozenset({"dog", "odd"}), "t", "h", "a", "MIT")
    same = {name: Picture(name, "", "", frozenset({"dog"}), "t", "h", name, "MIT") for name in "bc"}
    settled, _, _ = settle_tags({"a": picture, **same}, {})
    assert settled["a"].tags == {"dog"}


def test_near_copies_are_one_series() -> None:
    grey = np.full(768, 128, np.float32)
    thumbs = {"a": grey, "b": grey + 1, "c": grey + 90}
    pictures = {
        name: Picture(name, "", "sun", frozenset({"sun"}), "t", name, name, "MIT") for name in "abc"
    }
    joined, copies = join_copies(pictures, thumbs)
    assert copies == 1
    assert joined["a"].series == joined["b"].series != joined["c"].series


def test_a_phrase_names_what_it_ends_in() -> None:
    concepts = [
        Concept("1", "crown", "clothing", frozenset({"crown", "clothing"})),
        Concept("2", "palm tree", "plant-other", frozenset({"palm tree", "tree", "plant", "hot"})),
    ]
    lexicon = Lexicon(concepts)
    assert lexicon.tags_of("tall palm tree") == {"palm tree", "tree", "plant"}
    assert lexicon.tags_of("crown prince") == frozenset()


def test_empty_titles_stay_in_their_split() -> None:
    chance = random.Random(1)
    for split in SPLITS:
        assert all(stem_split(empty_title(split, chance)) == split for _ in range(20))


def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    package = Package("made-up", "npm", "1.0", "made-up.tgz", "0" * 64, "MIT")
    (tmp_path / "made-up.tgz").write_bytes(b"something else")
    with pytest.raises(MaterialError, match="not the pinned"):
        fetch(package, tmp_path)
    assert all(len(known.sha256) == 64 for known in PACKAGES)


@pytest.mark.parametrize("ending", ["mp4", "webm", "mkv"])
@pytest.mark.parametrize("kind", ["noise", "none"])
def test_a_clip_is_rendered_and_can_be_read_back(
    planned: Plan, tmp_path: Path, ending: str, kind: str
) -> None:
    raster = raster_path(tmp_path / "rasters", "p")
    raster.parent.mkdir(parents=True)
    Image.new("RGBA", (120, 80), (255, 0, 0, 255)).save(raster)
    colours = ((0, 0, 90), (0, 90, 0))
    scenes = (
        Scene("p", 0.5, "pan", 1.0, "plain", colours),
        Scene("p", 0.5, "zoom", 1.0, "gradient", colours),
        Scene("p", 0.5, "drift", 1.0, "blurred", colours),
    )
    track = Track("noise" if kind == "noise" else "none", None, 5, 0.5)
    clip = replace(planned.clips[0], uri=f"clips/aa/a.{ending}", scenes=scenes, track=track)
    studio = Studio(tmp_path / "rasters", tmp_path, {}, tmp_path)
    size = render(clip, studio)
    assert size == (tmp_path / clip.uri).stat().st_size > 500
    with av.open(str(tmp_path / clip.uri)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == round(1.5 * FPS)
        assert frames[0].shape == (SIDE, SIDE, 3)
        assert np.abs(frames[0].astype(int) - frames[3].astype(int)).max() > 50
        assert len(container.streams.audio) == (kind == "noise")
    if kind == "noise":
        with av.open(str(tmp_path / clip.uri)) as container:
            wave = np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)])
            assert np.abs(wave).max() > 0.02
    before = (tmp_path / clip.uri).stat().st_mtime_ns
    assert render(clip, studio) == size
    assert (tmp_path / clip.uri).stat().st_mtime_ns == before


def test_trivial_methods_are_judged_over_all_pairs() -> None:
    truth = {"a": frozenset({"x", "y"}), "b": frozenset({"z"})}
    figures = judge({"a": ["x", "q"], "b": ["q"]}, truth, 5)
    assert figures.recall == pytest.approx(1 / 3)
    assert figures.precision == pytest.approx(1 / 3)
    rows = [{"video_id": "a", "title": "Two Hot Dogs!", "description": None}]
    names = {"hot dog": "hot dog", "dog": "dog"}
    assert match_words(rows, names, ["title", "description"]) == {"a": ["hot dog", "dog"]}
