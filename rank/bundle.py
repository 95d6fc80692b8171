"""A bundle on disk: one directory of all that is trained, and a manifest that vouches for it.

    manifest.json     version, generation, profile, sha256 and size of every file, digest
    recall/           vocabulary, indexes, channels, classifier, merge
    ranker/           towers
    last/             the last stage, calibration, operating point
    evaluation.json   what it reached on its own corpus's test split

``digest`` is over the trained files alone: the same corpus and seed give the same one, whenever
they are trained. ``generation`` grows with each bundle.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from encoders.errors import BundleError

MANIFEST = "manifest.json"
RECALL = "recall"
RANKER = "ranker"
LAST = "last"
EVALUATION = "evaluation.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class File:
    """One file of a bundle."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself. ``profile`` and ``profile_digest``: the encoders' identity."""

    version: str
    generation: int
    profile: str
    profile_digest: str
    digest: str
    files: Mapping[str, File]
    format: int = FORMAT

    def to_json(self) -> dict[str, object]:
        """As written to the manifest file."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, object]) -> Manifest:
        """Read what :meth:`to_json` gave; raises ValueError, KeyError or TypeError if it can't."""
        if row["format"] != FORMAT:
            raise ValueError(f"format {row['format']!r} is not {FORMAT}")
        files = row["files"]
        if not isinstance(files, dict):
            raise TypeError("files must be an object")
        generation = row["generation"]
        if not isinstance(generation, int) or isinstance(generation, bool):
            raise TypeError("generation must be a whole number")
        return cls(
            str(row["version"]),
            generation,
            str(row["profile"]),
            str(row["profile_digest"]),
            str(row["digest"]),
            {
                name: File(str(entry["sha256"]), int(entry["bytes"]))
                for name, entry in files.items()
            },
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files are as its manifest says."""

    folder: Path
    manifest: Manifest

    @property
    def recall(self) -> Path:
        """The folder of recall's parts."""
        return self.folder / RECALL

    @property
    def ranker(self) -> Path:
        """The folder of the towers."""
        return self.folder / RANKER

    @property
    def last(self) -> Path:
        """The folder of the last stage."""
        return self.folder / LAST

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.manifest.files.values())


def open_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle; raises BundleError where it is missing, damaged or incomplete."""
    path = folder / MANIFEST
    try:
        manifest = Manifest.from_json(json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise BundleError(
            f"there is no bundle in {folder}; train one with: reeltag train CORPUS.jsonl "
            f"--out {folder}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} can't be read ({error}); train the bundle again") from error
    for name, file in manifest.files.items():
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise BundleError(f"the bundle in {folder} names a file outside of it; don't use it")
        if not target.is_file() or _sha256(target) != file.sha256:
            raise BundleError(
                f"{name} of the bundle in {folder} is missing or damaged; copy or train it again"
            )
    return Bundle(folder, manifest)


def check_free(folder: Path) -> None:
    """Raise BundleError where ``folder`` holds something that is not a bundle."""
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / MANIFEST).is_file():
            raise BundleError(f"{folder} holds other files; name a new directory for the bundle")
    elif folder.exists():
        raise BundleError(f"{folder} is a file; name a directory for the bundle")


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` that takes its place when the block ends without an error.

    A reader sees the old bundle or the new one, never a mixture; a killed writer leaves the old.
    """
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield fresh
        fresh.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            folder.rename(old / "old")
            fresh.rename(folder)
            shutil.rmtree(old)
        else:
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def seal(
    folder: Path, *, profile: str, profile_digest: str, version: str | None, newer_than: int = 0
) -> Bundle:
    """Write the manifest over all files that are there. Call it last.

    ``version`` None: the first twelve letters of the digest. ``generation`` is the time in seconds,
    or one more than ``newer_than``, whichever is greater.
    """
    files = {
        path.relative_to(folder).as_posix(): File(_sha256(path), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    trained = {name: file.sha256 for name, file in files.items() if name != EVALUATION}
    content = json.dumps([profile_digest, trained], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()
    manifest = Manifest(
        version or digest[:12],
        max(int(time.time()), newer_than + 1),
        profile,
        profile_digest,
        digest,
        files,
    )
    text = json.dumps(manifest.to_json(), indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n")
    return Bundle(folder, manifest)


def generation_of(folder: Path) -> int:
    """The generation of the bundle in ``folder``; 0 where there is none."""
    if not (folder / MANIFEST).is_file():
        return 0
    return open_bundle(folder).manifest.generation


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
