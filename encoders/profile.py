"""Encoder profiles: which weights, which pre-processing, which languages. A profile is data.

A profile is a JSON file beside its graphs (ONNX without weights). ``Profile.digest`` is its
identity: the sha256 of the source weights and of every setting that changes features. Graphs are
not part of it, nor is where the weights were found.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from encoders.errors import ProfileError
from encoders.limits import FrameSpec, SoundSpec, WordSpec

HERE = Path(__file__).parent / "profiles"

BridgeKind = Literal["classes", "joint"]
FrontEnd = Literal["musicnn", "vggish", "yamnet"]
CLASS_LISTS = ("classes", "sound_classes")
SETTINGS = ("preprocessing", "languages", "scripts", "words", "dims", "frames", "sound", "bridge")


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A file inside an installed distribution of the package registry."""

    package: str
    version: str
    path: str


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file of a hub's repository at a pinned revision, or at a URL of its own."""

    repository: str
    revision: str
    path: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a profile. ``sha256`` None: not known beforehand, recorded when first pulled."""

    role: str
    source: PackageSource | HubSource
    sha256: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """One network: its graph without weights, the file that fills it, and its torch shape."""

    role: str
    graph: Path
    weights: str
    network: str
    shape: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Dims:
    """Lengths of the vectors that a profile's encoders give."""

    sentence: int
    frame: int
    audio: int
    bridge: int


@dataclass(frozen=True, slots=True)
class SoundFrontEnd:
    """How sound becomes the audio networks' input: up to ``blocks`` of ``block`` samples.

    ``networks``: each role, and the spectrogram that it takes. ``level``: of full scale, what the
    highest peak is brought to; None where loudness is kept.
    """

    networks: Mapping[str, FrontEnd]
    block: int
    blocks: int
    level: float | None


@dataclass(frozen=True, slots=True)
class Bridge:
    """How pictures and names meet.

    ``classes``  ConSE: the frame encoder's ``top`` classes, as sentence embeddings of their names.
    ``joint``    the frame embeddings themselves; names go through a text tower of their own.

    ``sound_top``, ``sound_classes``: ConSE of what is heard, in the sentence encoder's space; None
    where the audio network knows no classes.
    """

    kind: BridgeKind
    top: int = 0
    classes: Path | None = None
    sound_top: int = 0
    sound_classes: Path | None = None


@dataclass(frozen=True, slots=True)
class SmallBert:
    """Where the ranker's small BERT starts: ``layers`` of a checkpoint, its word table frozen."""

    weights: str
    layers: tuple[int, ...]
    dim: int
    heads: int
    inner: int


@dataclass(frozen=True, slots=True)
class Profile:
    """The encoders' identity; ``digest`` names it in every bundle and cache."""

    name: str
    digest: str
    preprocessing: int
    languages: frozenset[str]
    scripts: frozenset[str]
    files: Mapping[str, WeightFile]
    networks: Mapping[str, NetworkSpec]
    max_tokens: int
    dims: Dims
    frame_spec: FrameSpec
    sound_spec: SoundSpec
    front_end: SoundFrontEnd
    bridge: Bridge
    small_bert: SmallBert
    extra_words: WordSpec | None = None
    """Set where words are read from the video too (``encoders.extra_words``)."""


def load_profile(name_or_path: str | Path, *, weights_dir: Path | None = None) -> Profile:
    """Read a profile by its name (``packaged``, ``paper``) or its file.

    ``weights_dir`` is where ``models pull`` put files, by default ``default_weights_dir()``, and
    with them the sha256 of those that were not known before. Raises ProfileError where there is no
    such profile, or where a sha256 is still unknown: nothing runs on weights without an identity.
    """
    profile = read_profile(name_or_path, weights_dir=weights_dir)
    unknown = sorted(role for role, file in profile.files.items() if file.sha256 is None)
    if unknown:
        raise ProfileError(
            f"the weights of profile {profile.name} are not here yet ({', '.join(unknown)}); "
            f"run: reeltag models pull {profile.name}"
        )
    return profile


def read_profile(name_or_path: str | Path, *, weights_dir: Path | None = None) -> Profile:
    """As ``load_profile``, but a sha256 may still be unknown: for pulling."""
    path = Path(name_or_path)
    if path.suffix != ".json":
        path = HERE / f"{name_or_path}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in HERE.glob("*.json")))
        raise ProfileError(f"there is no profile {name_or_path}; choose one of {known}")
    try:
        data = json.loads(path.read_bytes())
        return _profile(data, path.parent, weights_dir or default_weights_dir())
    except (KeyError, TypeError, ValueError) as error:
        raise ProfileError(f"{path} is not a profile: {error!r}; compare packaged.json") from error


def default_weights_dir() -> Path:
    """Where pulled weights lie: ``REELTAG_CACHE``, or ``~/.cache/reeltag``, under ``weights``."""
    root = os.environ.get("REELTAG_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "reeltag") / "weights"


def recorded(name: str, weights_dir: Path) -> Path:
    """The file that keeps the sha256 of what was pulled on trust."""
    return weights_dir / name / "recorded.json"


def _profile(data: dict[str, Any], folder: Path, weights_dir: Path) -> Profile:
    name = str(data["name"])
    trusted: dict[str, str] = {}
    if recorded(name, weights_dir).is_file():
        trusted = json.loads(recorded(name, weights_dir).read_bytes())
    files = {
        role: WeightFile(
            role, _source(entry["source"]), entry["sha256"] or trusted.get(role), entry["size"]
        )
        for role, entry in data["files"].items()
    }
    networks = {
        role: NetworkSpec(role, folder / n["graph"], n["weights"], n["network"], n.get("shape", {}))
        for role, n in data["networks"].items()
    }
    for spec in networks.values():
        if spec.weights not in files:
            raise ValueError(f"network {spec.role} asks for unknown weights {spec.weights}")
    sound, bridge, small = data["sound"], data["bridge"], data["small_bert"]
    front_end = SoundFrontEnd(
        sound["networks"], sound["block"], sound["blocks"], sound.get("level")
    )
    window = front_end.block / sound["rate"]
    lists = {key: folder / bridge[key] for key in CLASS_LISTS if key in bridge}
    return Profile(
        name=name,
        digest=_digest(data, files, lists),
        preprocessing=data["preprocessing"],
        languages=frozenset(data["languages"]),
        scripts=frozenset(data["scripts"]),
        files=files,
        networks=networks,
        max_tokens=data["words"]["max_tokens"],
        dims=Dims(**data["dims"]),
        frame_spec=FrameSpec(**data["frames"]),
        sound_spec=SoundSpec(sound["rate"], front_end.blocks * window, window),
        front_end=front_end,
        bridge=Bridge(
            bridge["kind"],
            bridge.get("top", 0),
            lists.get("classes"),
            bridge.get("sound_top", 0),
            lists.get("sound_classes"),
        ),
        small_bert=SmallBert(
            small["weights"], tuple(small["layers"]), small["dim"], small["heads"], small["inner"]
        ),
    )


def _source(entry: Mapping[str, str]) -> PackageSource | HubSource:
    return PackageSource(**entry) if "package" in entry else HubSource(**entry)


def _digest(
    data: Mapping[str, Any], files: Mapping[str, WeightFile], lists: Mapping[str, Path]
) -> str:
    networks = {role: (n["network"], n.get("shape")) for role, n in data["networks"].items()}
    identity = {
        "weights": {role: file.sha256 for role, file in files.items()},
        "networks": networks,
        "classes": {
            key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in lists.items()
        },
        **{key: data[key] for key in SETTINGS},
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
