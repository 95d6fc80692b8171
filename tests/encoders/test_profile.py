"""A profile is data, and its digest names what decides about features."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encoders.errors import ProfileError
from encoders.profile import HERE, Profile, load_profile, read_profile, recorded

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Edit], Profile]:
    """The packaged profile after an edit of its JSON."""

    def load(edit: Edit) -> Profile:
        data = json.loads((HERE / "packaged.json").read_bytes())
        edit(data)
        (tmp_path / "packaged").mkdir(exist_ok=True)
        for names in (HERE / "packaged").glob("*_classes.txt"):
            (tmp_path / "packaged" / names.name).write_bytes(names.read_bytes())
        (tmp_path / "edited.json").write_text(json.dumps(data))
        return load_profile(tmp_path / "edited.json")

    return load


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda d: d.update(preprocessing=99), id="pre-processing"),
        pytest.param(lambda d: d["files"]["audio"].update(sha256="0" * 64), id="weights"),
        pytest.param(lambda d: d["frames"].update(count=4), id="frames"),
        pytest.param(lambda d: d["sound"].update(level=0.9), id="sound"),
        pytest.param(lambda d: d["bridge"].update(sound_top=3), id="bridge"),
        pytest.param(lambda d: d["bridge"].pop("sound_classes"), id="classes"),
        pytest.param(lambda d: d["languages"].append("de"), id="languages"),
        pytest.param(lambda d: d["networks"]["sentence"]["shape"].update(heads=6), id="shape"),
    ],
)
def test_whatever_changes_features_changes_the_digest(
    profile: Profile, edited: Callable[[Edit], Profile], edit: Edit
) -> None:
    assert edited(edit).digest != profile.digest


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda d: d.update(name="other"), id="name"),
        pytest.param(lambda d: d["networks"]["audio"].update(graph="x.onnx"), id="graph"),
        pytest.param(lambda d: d["files"]["audio"]["source"].update(version="9"), id="source"),
        pytest.param(lambda d: d["small_bert"].update(layers=[0]), id="start of training"),
    ],
)
def test_what_does_not_change_features_leaves_the_digest(
    profile: Profile, edited: Callable[[Edit], Profile], edit: Edit
) -> None:
    assert edited(edit).digest == profile.digest


def test_the_decoder_is_told_what_the_networks_take(profile: Profile) -> None:
    assert (profile.frame_spec.count, profile.frame_spec.size) == (8, 224)
    window = profile.sound_spec.window_seconds * profile.sound_spec.rate
    assert window == pytest.approx(profile.front_end.block)
    assert profile.sound_spec.max_seconds == pytest.approx(
        profile.front_end.blocks * profile.sound_spec.window_seconds
    )


def test_an_unknown_name_lists_the_profiles() -> None:
    with pytest.raises(ProfileError, match="packaged, paper"):
        load_profile("papier")


def test_a_file_that_is_no_profile_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"name": "mine"}')
    with pytest.raises(ProfileError, match=r"mine\.json is not a profile"):
        load_profile(tmp_path / "mine.json")


def test_nothing_runs_on_weights_without_an_identity(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="reeltag models pull paper"):
        load_profile("paper", weights_dir=tmp_path)


def test_a_recorded_checksum_completes_the_identity(tmp_path: Path) -> None:
    path = recorded("paper", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"small_bert": "a" * 64}))
    first = load_profile("paper", weights_dir=tmp_path)
    path.write_text(json.dumps({"small_bert": "b" * 64}))
    assert first.files["small_bert"].sha256 == "a" * 64
    assert load_profile("paper", weights_dir=tmp_path).digest != first.digest


def test_paper_names_what_the_article_names() -> None:
    paper = read_profile("paper")
    assert paper.dims.frame == paper.dims.bridge == 512
    assert paper.dims.audio == 128
    assert paper.small_bert.dim == 312
    assert len(paper.small_bert.layers) == 4
