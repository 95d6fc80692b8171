"""The encoders of a profile: decoded videos and their words in, features out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from encoders import words as reading
from encoders.audio import AudioEncoder, Ear, silent
from encoders.checkpoint import Array
from encoders.errors import ProfileError
from encoders.features import F32, I64, Features, Media, Modality, State, Words
from encoders.frame import BridgeFrom, ClassBridge, FrameEncoder, joint_bridge
from encoders.parts import NOTHING, Known, MediaFeatures, TextFeatures, all_words, join
from encoders.profile import Profile, default_weights_dir
from encoders.sentence import TextEncoder
from encoders.session import Session
from encoders.small_bert import word_table
from encoders.weights import locate, read_weights


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One video to encode.

    ``failed``  its media could not be read; only its words are left.
    ``known``   parts that a feature store still has; its text is that of all words.
    """

    words: Words
    media: Media | None
    failed: bool = False
    known: Known = NOTHING


class Encoders:
    """The four encoders of one profile on ONNX Runtime. Every method is thread-safe.

    A video's features don't depend on its batch-mates (beyond 1e-5, float32's own noise).
    """

    def __init__(
        self,
        profile: Profile,
        *,
        text: TextEncoder,
        frame: FrameEncoder,
        audio: AudioEncoder,
        naming: TextEncoder | None,
        word_embeddings: F32,
    ) -> None:
        self.profile = profile
        self.word_embeddings = word_embeddings
        """float32 [V, Dw]: the small BERT's frozen word table, memory-mapped, row = token id."""
        self._text = text
        self._frame = frame
        self._audio = audio
        self._naming = naming

    @classmethod
    def open(
        cls, profile: Profile, *, threads: int = 1, weights_dir: Path | None = None
    ) -> Encoders:
        """Verify the weights and build the sessions; ``threads`` is each session's own.

        Run as many calls at once as there are cores ÷ ``threads``. Raises ProfileError where
        weights are missing or are not those that the profile pins.
        """
        folder = weights_dir or default_weights_dir()
        weights: dict[str, dict[str, Array]] = {}

        def tensors(role: str) -> dict[str, Array]:
            if role not in weights:
                weights[role] = read_weights(profile, role, folder)
            return weights[role]

        def session(role: str) -> Session:
            spec = profile.networks[role]
            return Session(spec.graph, tensors(spec.weights), threads=threads)

        dims, bridge = profile.dims, profile.bridge
        text = TextEncoder(
            session("sentence"),
            locate(profile, "tokenizer", folder),
            dim=dims.sentence,
            max_tokens=profile.max_tokens,
        )

        def sentences(names: Sequence[str]) -> F32:
            return text.encode([text.tokenize(name) for name in names])

        naming: TextEncoder | None = None
        to_names: BridgeFrom = joint_bridge
        if bridge.kind == "joint":
            naming = TextEncoder(
                session("names"),
                locate(profile, "names_tokenizer", folder),
                dim=dims.bridge,
                max_tokens=profile.networks["names"].shape["positions"],
            )
        else:
            if bridge.classes is None:
                raise ProfileError(f"profile {profile.name} needs a list of class names")
            to_names = ClassBridge(bridge.classes, bridge.top, sentences)
        to_sounds: ClassBridge | None = None
        if bridge.sound_classes is not None:
            to_sounds = ClassBridge(bridge.sound_classes, bridge.sound_top, sentences)
        return cls(
            profile,
            text=text,
            frame=FrameEncoder(session("frame"), to_names),
            audio=AudioEncoder(
                [Ear(session(role), kind) for role, kind in profile.front_end.networks.items()],
                profile.front_end,
                to_sounds,
            ),
            naming=naming,
            word_embeddings=word_table(tensors(profile.small_bert.weights)),
        )

    def __enter__(self) -> Encoders:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to close: sessions and maps go with the object."""

    def encode(self, items: Sequence[Item]) -> list[Features]:
        """Features of each item, in order; parts that are known already cost nothing."""
        words = [all_words(item.words, item.known.media or item.media) for item in items]
        texts = [i for i, item in enumerate(items) if item.known.text is None]
        media = [i for i, item in enumerate(items) if item.known.media is None]
        read = dict(zip(texts, self.encode_words([words[i] for i in texts]), strict=True))
        shown = dict(zip(media, self._encode_media([items[i] for i in media]), strict=True))
        return [
            join(words[i], item.known.text or read[i], item.known.media or shown[i])
            for i, item in enumerate(items)
        ]

    def encode_words(self, words: Sequence[Words]) -> list[TextFeatures]:
        """The part of the features that follows from the words."""
        profile = self.profile
        states = [reading.state_of(each, profile.languages, profile.scripts) for each in words]
        used = [i for i, state in enumerate(states) if state is State.USED]
        tokens = {i: self.tokenize(words[i].text) for i in used}
        sentences = dict(zip(used, self._text.encode([tokens[i] for i in used]), strict=True))
        return [
            TextFeatures(state, sentences.get(i), tokens.get(i)) for i, state in enumerate(states)
        ]

    def sentences(self, texts: Sequence[str]) -> F32:
        """float32 [N, Ds], unit length: sentence embeddings, whatever the language."""
        return self._text.encode([self._text.tokenize(text) for text in texts])

    def names(self, names: Sequence[str]) -> F32:
        """float32 [N, Db], unit length: names in the space of ``Features.bridge``."""
        encoder = self._naming or self._text
        return encoder.encode([encoder.tokenize(name) for name in names])

    def tokenize(self, text: str) -> I64:
        """int64 [L]: the small BERT's token ids of ``text``, [CLS] … [SEP]."""
        return self._text.tokenize(text)

    def _encode_media(self, items: Sequence[Item]) -> list[MediaFeatures]:
        """The part of the features that follows from the file."""
        states = [_media_states(item) for item in items]
        pictures = {
            i: item.media.frames
            for i, item in enumerate(items)
            if states[i][0] is State.USED and item.media and item.media.frames is not None
        }
        sounds = {
            i: item.media.sound
            for i, item in enumerate(items)
            if states[i][1] is State.USED and item.media and item.media.sound is not None
        }
        seen = dict(zip(pictures, self._frame.encode(list(pictures.values())), strict=True))
        heard = dict(zip(sounds, self._audio.encode(list(sounds.values())), strict=True))
        features = []
        for i, (visual, audio) in enumerate(states):
            frames, bridge = seen.get(i, (None, None))
            sound, sound_bridge = heard.get(i, (None, None))
            features.append(MediaFeatures(visual, audio, frames, bridge, sound, sound_bridge))
        return features


def _media_states(item: Item) -> tuple[State, State]:
    """Of picture and sound; a silent sound counts as none."""
    media = item.media
    if media is None:
        other = State.FAILED if item.failed else State.MISSING
        return other, other
    visual, audio = media.states[Modality.VISUAL], media.states[Modality.AUDIO]
    if audio is State.USED and media.sound is not None and silent(media.sound):
        audio = State.MISSING
    return visual, audio
