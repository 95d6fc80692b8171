"""Candidates: tags that recall proposes for a video, with scores and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


class Channel(StrEnum):
    """The five recall methods, in the order of the columns of ``CandidateSet.scores``."""

    TEXT = "text"
    VISUAL = "visual"
    AUDIO = "audio"
    CLASSIFIER = "classifier"
    MULTIMODAL = "multimodal"


CHANNELS: tuple[Channel, ...] = tuple(Channel)


class Hint(StrEnum):
    """Simple evidence beside channels, in the order of the columns of ``CandidateSet.hints``."""

    WORDS = "words"  # probability by a linear model on TF-IDF words
    NAME = "name"  # the tag's own name or an alias stands in the words: share matched, 0 to 1
    UPLOADER = "uploader"  # share of the uploader's other labelled videos with the tag
    BRIDGE = "bridge"  # cosine of the picture and the tag's name
    SOUND_BRIDGE = "sound_bridge"  # cosine of the sound and the tag's name
    MEANING = "meaning"  # cosine of the words and the tag's name
    PRIOR = "prior"  # log of the tag's share of labelled videos


HINTS: tuple[Hint, ...] = tuple(Hint)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A labelled video that carried a tag over."""

    video_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why one channel proposed one tag; the classifier has no neighbours."""

    channel: Channel
    score: float
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CandidateSet:
    """The candidates of one video, best first.

    ``tags``    int32 [C]: indexes into the vocabulary.
    ``scores``  float32 [C, 5]: one column a channel (CHANNELS); NaN where it did not
                propose the tag.
    ``hints``   float32 [C, H]: one column a hint (HINTS); NaN where unknown.
    ``silent``  channels that had nothing to go by, with the reason.
    """

    tags: I32
    scores: F32
    hints: F32
    silent: Mapping[Channel, str]
