"""A bundle vouches for its files, and is replaced as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.errors import BundleError
from rank.bundle import MANIFEST, check_free, generation_of, open_bundle, replacing, seal


def write(folder: Path, text: str = "weights") -> None:
    (folder / "ranker").mkdir(exist_ok=True)
    (folder / "ranker" / "tower.onnx").write_text(text)
    (folder / "evaluation.json").write_text("{}")


def make(folder: Path, text: str = "weights", **options: int) -> Path:
    with replacing(folder) as fresh:
        write(fresh, text)
        seal(fresh, profile="packaged", profile_digest="ab" * 32, version=None, **options)
    return folder


def test_what_was_sealed_can_be_opened(tmp_path: Path) -> None:
    bundle = open_bundle(make(tmp_path / "bundle"))
    assert set(bundle.manifest.files) == {"ranker/tower.onnx", "evaluation.json"}
    assert bundle.manifest.version == bundle.manifest.digest[:12]
    assert bundle.size == len("weights") + len("{}")


def test_equal_files_give_an_equal_digest_whatever_the_evaluation(tmp_path: Path) -> None:
    first = open_bundle(make(tmp_path / "first")).manifest
    second = tmp_path / "second"
    with replacing(second) as fresh:
        write(fresh)
        (fresh / "evaluation.json").write_text('{"milliseconds": 3}')
        seal(fresh, profile="packaged", profile_digest="ab" * 32, version=None)
    assert open_bundle(second).manifest.digest == first.digest
    assert open_bundle(make(tmp_path / "other", "others")).manifest.digest != first.digest


def test_the_generation_grows_even_when_the_clock_does_not(tmp_path: Path) -> None:
    folder = make(tmp_path / "bundle", newer_than=99_999_999_999)
    assert generation_of(folder) == 100_000_000_000
    make(folder, newer_than=generation_of(folder))
    assert generation_of(folder) == 100_000_000_001
    assert generation_of(tmp_path / "nowhere") == 0


@pytest.mark.parametrize("damage", ["changed", "removed", "not json", "other format", "outside"])
def test_a_damaged_bundle_is_refused(tmp_path: Path, damage: str) -> None:
    folder = make(tmp_path / "bundle")
    tower, manifest = folder / "ranker" / "tower.onnx", folder / MANIFEST
    if damage == "changed":
        tower.write_text("Weights")
    elif damage == "removed":
        tower.unlink()
    elif damage == "not json":
        manifest.write_text("{")
    elif damage == "other format":
        manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 9'))
    else:
        manifest.write_text(manifest.read_text().replace("ranker/tower.onnx", "../elsewhere"))
    with pytest.raises(BundleError):
        open_bundle(folder)


def test_no_bundle_says_how_to_train_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="reeltag train"):
        open_bundle(tmp_path)


def test_a_failed_write_leaves_the_old_bundle(tmp_path: Path) -> None:
    folder = make(tmp_path / "bundle")
    before = open_bundle(folder).manifest

    def killed() -> None:
        with replacing(folder) as fresh:
            write(fresh, "half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        killed()
    assert open_bundle(folder).manifest == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_other_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BundleError, match="other files"):
        check_free(tmp_path)
    with pytest.raises(BundleError, match="is a file"):
        check_free(tmp_path / "thesis.txt")
    check_free(tmp_path / "new")
