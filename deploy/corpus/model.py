"""The nouns that the corpus builder's modules exchange."""

from dataclasses import dataclass
from typing import Literal, Protocol

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Movement = Literal["pan", "zoom", "drift"]
Backdrop = Literal["plain", "gradient", "blurred"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One still picture.

    `location` is a file path. `series` names what must never be parted between splits: drawings by
    one hand that share a title, and near copies.
    """

    source_id: str
    location: str
    title: str
    tags: frozenset[str]
    topic: str
    hand: str
    series: str
    licence: str
    photo: bool = False


@dataclass(frozen=True, slots=True)
class Sound:
    """One recording, or a bank's instrument on which melodies are played (`program` ≥ 0)."""

    source_id: str
    location: str
    title: str
    tags: frozenset[str]
    series: str
    licence: str
    program: int = -1
    own_tags: frozenset[str] = frozenset()


class Source(Protocol):
    """What pictures and sounds have in common."""

    @property
    def tags(self) -> frozenset[str]:
        """What is truly there."""

    @property
    def series(self) -> str:
        """What it must never be parted from."""

    @property
    def licence(self) -> str:
        """The licence of the material."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture's turn in a clip, moved by `movement` in the direction `angle` (radians)."""

    source_id: str
    seconds: float
    movement: Movement
    angle: float
    backdrop: Backdrop
    colours: tuple[tuple[int, int, int], tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Track:
    """What a clip sounds like. `kind` "none" leaves the clip without a sound track."""

    kind: Literal["recording", "melody", "noise", "silence", "none"]
    source_id: str | None
    seed: int
    gain: float


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip to be rendered, with its words and all of its true tags."""

    video_id: str
    uri: str
    split: Split
    title: str
    description: str
    uploader_id: str
    tags: tuple[str, ...]
    scenes: tuple[Scene, ...]
    track: Track
    sources: tuple[str, ...]
    seen: tuple[str, ...]
    heard: tuple[str, ...]
    said: tuple[str, ...]
