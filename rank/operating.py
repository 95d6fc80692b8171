"""What turns a logit into a published tag: calibration, the operating point, and their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError, SettingError
from rank import threshold
from rank.calibration import Calibration
from rank.per_tag import moved, surpluses, thresholds

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
    """A tag is published from the score ``threshold`` on; ``target`` is what was asked for.

    ``own``: by place in the vocabulary, the thresholds of tags that have one of their own. They
    say what is published; evaluation compares at thresholds that all tags share (``standard``).
    """

    kind: Kind
    target: float
    threshold: float
    own: Mapping[int, float] = field(default_factory=dict)

    def limits(self, tags: I32) -> F64:
        """The score that each of these tags needs, float64 [C]."""
        return np.array([self.own.get(tag, self.threshold) for tag in tags.tolist()], np.float64)


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

    def take(self, kept: Bools, videos: int) -> Validation:
        """The candidates of some of the videos, and how many videos these are."""
        return Validation(
            self.score[kept], self.right[kept], self.tag[kept], self.video[kept], videos
        )

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

    ``standard``: by system, the threshold that gives 3.12 tags a video on validation. ``implied``:
    whether a tag is at least as likely as what implies it (``rank.implied``).
    """

    calibration: Calibration
    point: OperatingPoint
    standard: Mapping[str, float] = field(default_factory=dict)
    implied: bool = False

    def save(self, folder: Path) -> None:
        """Write two JSON files."""
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / CALIBRATION, asdict(self.calibration))
        rest = {"standard": dict(self.standard), "implied": self.implied}
        _write(folder / OPERATING, {"point": asdict(self.point), **rest})

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
                    Kind(point["kind"]),
                    float(point["target"]),
                    float(point["threshold"]),
                    {int(tag): float(value) for tag, value in point.get("own", {}).items()},
                ),
                {name: float(value) for name, value in found["standard"].items()},
                bool(found.get("implied", False)),  # earlier bundles were calibrated without
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the operating point in {folder} can't be read: {error}; train the bundle again"
            ) from error


def choose(
    kind: Kind,
    target: float,
    validation: Validation,
    frequency: float,
    *,
    per_tag: bool = False,
) -> OperatingPoint:
    """The operating point that validation supports; raises SettingError where there is none.

    ``precision`` holds with a confidence of 90 % on videos like those of the corpus. It is the
    share of true tags, of which ``frequency`` (the calibration's) are labelled: labels have to show
    that much of it. ``per_tag``: tags that validation says enough of get a threshold of their own
    (``rank.per_tag``). One half of the videos then says how far tags are moved, and the other half,
    which had no part in that, where to cut: so the promise of ``precision`` holds as before, with
    half as much to show it.
    """
    if per_tag:
        return _per_tag(kind, target, validation, frequency)
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
    certain = threshold.for_precision(
        validation.score, validation.right, validation.video, target * frequency
    )
    if certain is None:
        raise SettingError(
            f"{validation.videos} validation videos don't show a precision of {target} at any "
            "threshold; ask for less, or give more validation videos"
        )
    return OperatingPoint(kind, target, certain)


def _per_tag(kind: Kind, target: float, validation: Validation, frequency: float) -> OperatingPoint:
    if kind is Kind.FIXED:
        raise SettingError("a fixed threshold is one for all tags; ask for tags per video instead")
    if (validation.tag < 0).any():
        raise SettingError(
            "the bundle was trained before thresholds of single tags; train it again to have them"
        )
    drawn = np.random.default_rng(0).permutation(np.unique(validation.video))
    half = len(drawn) // 2
    first = np.isin(validation.video, drawn[:half])
    shown = validation.take(first, half)
    surplus = surpluses(shown.score, shown.right, shown.tag, frequency)
    rest = validation.take(~first, validation.videos - half)
    rest = replace(rest, score=moved(rest.score, rest.tag, surplus))
    common = choose(kind, target, rest, frequency)
    return replace(common, own=thresholds(common.threshold, surplus))


def _write(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
