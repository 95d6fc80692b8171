"""What turns a logit into a published tag: calibration, the operating point, and their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError, SettingError
from rank import threshold
from rank.calibration import Calibration

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

OPERATING = "operating.json"
CALIBRATION = "calibration.json"
VALIDATION = "validation.npz"
KEPT_FROM = 0.01  # validation candidates scored below are of no use for any threshold


class Kind(StrEnum):
    """How the operating point was chosen."""

    TAGS_PER_VIDEO = "tags_per_video"
    PRECISION = "precision"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A tag is published from the score ``threshold`` on; ``target`` is what was asked for."""

    kind: Kind
    target: float
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Scores of the validation candidates, kept so that a threshold can be chosen again.

    ``score`` float64 [n], ``right`` bool [n], ``tag`` int32 [n] (place in the vocabulary; -1 where
    an earlier bundle didn't keep it), ``video`` int64 [n]; ``videos``: how many there are.
    """

    score: F64
    right: Bools
    tag: I32
    video: I64
    videos: int

    def save(self, path: Path) -> None:
        """Write one ``.npz``, without candidates that no threshold would publish."""
        kept = self.score >= KEPT_FROM
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                allow_pickle=False,
                score=self.score[kept],
                right=self.right[kept],
                tag=self.tag[kept],
                video=self.video[kept].astype(np.int32),
                videos=np.int64(self.videos),
            )

    @classmethod
    def load(cls, path: Path) -> Validation:
        """Read what :meth:`save` wrote."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                score = stored["score"]
                return cls(
                    score,
                    stored["right"],
                    stored.get("tag", np.full(len(score), -1, np.int32)),
                    stored["video"].astype(np.int64),
                    int(stored["videos"]),
                )
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(f"{path} can't be read: {error}; train the bundle again") from error


@dataclass(frozen=True, slots=True)
class Operating:
    """A bundle's calibration, its operating point, and the thresholds that evaluation compares at.

    ``standard``: by system, the threshold that gives 3.12 tags a video on validation.
    """

    calibration: Calibration
    point: OperatingPoint
    standard: Mapping[str, float] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write two JSON files."""
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / CALIBRATION, asdict(self.calibration))
        _write(folder / OPERATING, {"point": asdict(self.point), "standard": dict(self.standard)})

    @classmethod
    def load(cls, folder: Path) -> Operating:
        """Read what :meth:`save` wrote; raises BundleError where it can't."""
        try:
            line = json.loads((folder / CALIBRATION).read_text())
            found = json.loads((folder / OPERATING).read_text())
            point = found["point"]
            return cls(
                Calibration(tuple(line["at"]), tuple(line["gives"]), float(line["frequency"])),
                OperatingPoint(
                    Kind(point["kind"]), float(point["target"]), float(point["threshold"])
                ),
                {name: float(value) for name, value in found["standard"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the operating point in {folder} can't be read: {error}; train the bundle again"
            ) from error


def choose(kind: Kind, target: float, validation: Validation) -> OperatingPoint:
    """The operating point that validation supports; raises SettingError where there is none.

    ``precision`` holds with a confidence of 90 % on videos like those of the corpus.
    """
    if kind is Kind.FIXED:
        if not 0 <= target <= 1:
            raise SettingError(
                f"a threshold of {target} is not between 0 and 1; choose one that is"
            )
        return OperatingPoint(kind, target, target)
    if kind is Kind.TAGS_PER_VIDEO:
        if target <= 0:
            raise SettingError("tags per video must be above 0; name how many you want")
        found = threshold.for_tags_per_video(validation.score, validation.videos, target)
        return OperatingPoint(kind, target, found)
    if not 0 < target < 1:
        raise SettingError(f"a precision of {target} is not between 0 and 1; choose one that is")
    certain = threshold.for_precision(validation.score, validation.right, validation.video, target)
    if certain is None:
        raise SettingError(
            f"{validation.videos} validation videos don't show a precision of {target} at any "
            "threshold; ask for less, or give more validation videos"
        )
    return OperatingPoint(kind, target, certain)


def _write(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
