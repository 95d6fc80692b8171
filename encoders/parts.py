"""Features in two parts, because they change apart: a title may change while its video stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from encoders.features import F32, I64, Features, Media, Modality, State, Words


@dataclass(frozen=True, slots=True, eq=False)
class TextFeatures:
    """What follows from the words alone; the arrays are as in Features."""

    state: State
    sentence: F32 | None = None
    tokens: I64 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MediaFeatures:
    """What follows from the file alone; arrays as in Features, extra words as in Words."""

    visual: State
    audio: State
    frames: F32 | None = None
    bridge: F32 | None = None
    heard: F32 | None = None
    sound_bridge: F32 | None = None
    shown: str = ""
    spoken: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The parts of a video's features that need no work any more."""

    text: TextFeatures | None = None
    media: MediaFeatures | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.text is not None and self.media is not None


NOTHING = Known()


def all_words(words: Words, source: Media | MediaFeatures | None) -> Words:
    """The words that came with an upload and, where ``source`` has any, its extra words."""
    if source is None:
        return words
    return replace(words, shown=source.shown, spoken=source.spoken)


def join(words: Words, text: TextFeatures, media: MediaFeatures) -> Features:
    """Both parts as one."""
    return Features(
        words=words,
        states={
            Modality.TEXT: text.state,
            Modality.VISUAL: media.visual,
            Modality.AUDIO: media.audio,
        },
        sentence=text.sentence,
        tokens=text.tokens,
        frames=media.frames,
        bridge=media.bridge,
        audio=media.heard,
        sound_bridge=media.sound_bridge,
    )


def split(features: Features) -> tuple[TextFeatures, MediaFeatures]:
    """The reverse of ``join``."""
    states: Mapping[Modality, State] = features.states
    return (
        TextFeatures(states[Modality.TEXT], features.sentence, features.tokens),
        MediaFeatures(
            states[Modality.VISUAL],
            states[Modality.AUDIO],
            features.frames,
            features.bridge,
            features.audio,
            features.sound_bridge,
            features.words.shown,
            features.words.spoken,
        ),
    )
