"""The five channels: which parts each is made of.

text         neighbours by sentence, neighbours by words, names in the words, names near in meaning
visual       neighbours by scene, names near the picture
audio        neighbours by sound, names near the sound
classifier   the multimodal network, linear models on words and on everything, the uploader's videos
multimodal   neighbours by fused embedding
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from encoders.features import Features, Modality, State
from recall.candidates import Channel, Hint
from recall.classifier import Classifier, Fused, Inputs
from recall.dataset import MODALITIES
from recall.library import Library
from recall.linear import LinearClassifier, joined
from recall.mixing import Mixer
from recall.names import NameMatcher
from recall.parts import (
    Batch,
    Column,
    NameSearch,
    Neighbours,
    VectorNeighbours,
    WordNeighbours,
    carried,
    linear_column,
    name_column,
    network_column,
    word_column,
)
from recall.proposals import Proposals
from recall.ragged import Ragged
from recall.uploader import UploaderHistory
from recall.views import MOST_SCENES, Dims, Placed, Spaces, Views, views_of
from recall.words import WordClassifier

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

MODALITY_OF = {
    Channel.TEXT: Modality.TEXT,
    Channel.VISUAL: Modality.VISUAL,
    Channel.AUDIO: Modality.AUDIO,
}

_SHARE, _COSINE, _CERTAIN, _LOG_ODDS, _PRIOR = (
    (0.0, 0.5),
    (0.1, 0.8),
    (0.0, 1.0),
    (-6.0, 0.0),
    (-9e9, 9e9),
)
# From untrained log odds -6 to 0, by column: what a score means before any label has been seen.
UNTRAINED: Mapping[Channel, tuple[tuple[float, float], ...]] = {
    Channel.TEXT: (_SHARE, _COSINE, _SHARE, _COSINE, _CERTAIN, _COSINE, _PRIOR),
    Channel.VISUAL: (_SHARE, _COSINE, _COSINE, _PRIOR),
    Channel.AUDIO: (_SHARE, _COSINE, _COSINE, _PRIOR),
    Channel.CLASSIFIER: (_LOG_ODDS, _CERTAIN, _SHARE, _SHARE, _PRIOR),
    Channel.MULTIMODAL: (_SHARE, _COSINE, _PRIOR),
}
WORDS_COLUMN = 1  # of the classifier's columns: the linear model on words


def untrained_mixers() -> dict[Channel, Mixer]:
    """The mixers of a bundle made without labelled videos."""
    return {channel: Mixer.untrained(curves) for channel, curves in UNTRAINED.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """All parts, ready to search. ``prior`` float32 [V]: log share of labelled videos by tag."""

    dims: Dims
    spaces: Spaces
    library: Library
    prior: F32
    sentence: VectorNeighbours
    picture: VectorNeighbours
    sound: VectorNeighbours
    fused: VectorNeighbours | None
    words: WordNeighbours
    matcher: NameMatcher
    meaning: NameSearch
    bridge: NameSearch
    history: UploaderHistory
    classifier: Classifier | None
    word_classifier: WordClassifier | None
    linear: LinearClassifier | None

    def batch(
        self,
        features: Sequence[Features],
        uploader_ids: Sequence[str | None],
        without: Ragged[np.int32] | None = None,
    ) -> Batch:
        """Make a batch ready; see :class:`Batch` for ``without``."""
        views = views_of(features, self.dims)
        rows = views.used(Modality.TEXT)
        has_words = set(rows.tolist())
        texts = tuple(w.text if row in has_words else "" for row, w in enumerate(views.words))
        word_rows = self.words.index.space.rows(texts)
        placed = Placed.of(views, self.spaces)
        return Batch(
            views,
            placed,
            joined(views, self.spaces),
            texts,
            word_rows,
            None if self.word_classifier is None else self.word_classifier.scores(word_rows),
            self.matcher.proposals([texts[row] for row in rows.tolist()], rows),
            Column(*self.history.proposals(uploader_ids, without)),
            self.fuse(views, placed),
            without,
        )

    def fuse(self, views: Views, placed: Placed) -> Fused | None:
        """The network's outputs; None where there is no network."""
        if self.classifier is None:
            return None
        return self.classifier.network(network_inputs(views, placed))

    def columns(self, batch: Batch, channel: Channel) -> list[Column]:
        """The channel's columns, in the order of UNTRAINED but for the prior."""
        if channel is Channel.CLASSIFIER:
            return [
                network_column(batch, self.classifier),
                word_column(batch),
                batch.remembered,
                linear_column(batch, self.linear),
            ]
        columns: list[Column] = []
        for found, part in self.neighbours(batch, channel):
            columns += carried(batch, found, part.carry, self.library)
        rows = batch.views.used(MODALITY_OF[channel]) if channel in MODALITY_OF else None
        if channel is Channel.TEXT and rows is not None:
            columns.append(name_column(batch))
            columns.append(self.meaning.column(batch, batch.views.sentence[rows], rows))
        if channel is Channel.VISUAL and rows is not None:
            columns.append(self.bridge.column(batch, batch.views.bridge[rows], rows))
        if channel is Channel.AUDIO:
            named = batch.views.named_sounds()
            columns.append(self.meaning.column(batch, batch.views.sound_bridge[named], named))
        return columns

    def neighbours(
        self, batch: Batch, channel: Channel
    ) -> list[tuple[Neighbours, VectorNeighbours | WordNeighbours]]:
        """The labelled videos that a channel finds near, by each of its ways of looking."""
        views, without = batch.views, batch.without
        if channel is Channel.CLASSIFIER:
            return []
        if channel is Channel.MULTIMODAL:
            rows = views.any_used()
            if self.fused is None or batch.fused is None:
                nobody = VectorNeighbours(self.sound.index, self.sound.carry)
                none = Neighbours(
                    rows[:0], np.zeros((0, 1), dtype=np.int32), np.zeros((0, 1), dtype=np.float32)
                )
                return [(none, nobody)]
            vectors = batch.fused.fused[rows]
            return [(self.fused.find(vectors, rows, without), self.fused)]
        rows = views.used(MODALITY_OF[channel])
        if channel is Channel.VISUAL:
            seen = batch.placed.scenes
            each = np.repeat(np.arange(len(views)), seen.lengths)
            near = self.picture.find(seen.values, each, without)
            return [(near, self.picture)]
        if channel is Channel.AUDIO:
            heard = batch.placed.sound[rows]
            return [(self.sound.find(heard, rows, without), self.sound)]
        said = batch.placed.sentence[rows]
        by_sentence = self.sentence.find(said, rows, without)
        return [(by_sentence, self.sentence), (self.words.find(batch), self.words)]

    def with_example(self, video_id: str, features: Features, tag: int) -> Channels:
        """With one more labelled video to carry ``tag`` over from, in each space it has."""
        number = np.asarray([len(self.library)])
        views = views_of([features], self.dims)
        placed = Placed.of(views, self.spaces)
        fused = self.fuse(views, placed)

        def also(part: VectorNeighbours, vectors: F32, known: bool) -> VectorNeighbours:
            numbers = np.repeat(number, len(vectors))
            return replace(part, index=part.index.added(vectors, numbers)) if known else part

        text, visual, audio = (bool(used) for used in views.used_mask()[0])
        together = self.fused
        if together is not None and fused is not None:
            together = also(together, fused.fused, text or visual or audio)
        library = self.library.added(
            video_id, np.asarray([tag], dtype=np.int32), self.library.width
        )
        return replace(
            self,
            library=library,
            history=UploaderHistory(library),
            sentence=also(self.sentence, placed.sentence, text),
            picture=also(self.picture, placed.scenes.values, visual),
            sound=also(self.sound, placed.sound, audio),
            fused=together,
        )

    def hints(self, batch: Batch, pairs: Proposals, words_curve: Mixer) -> dict[Hint, F32]:
        """Each hint for each pair, float32 [P]; NaN where the video lacks what it takes."""
        text = batch.spoke(batch.views.used(Modality.TEXT))[pairs.video]
        visual = batch.spoke(batch.views.used(Modality.VISUAL))[pairs.video]
        heard = batch.spoke(batch.views.named_sounds())[pairs.video]
        has_terms = (batch.word_rows.terms.lengths > 0)[pairs.video]
        nothing = np.full(len(pairs), np.nan, dtype=np.float32)
        words = nothing
        if batch.word_scores is not None:
            log_odds = words_curve.curves[WORDS_COLUMN](batch.word_scores[pairs.video, pairs.tag])
            words = np.where(has_terms, 1 / (1 + np.exp(-log_odds)), np.nan)
        meaning = self.meaning.cosines(batch.views.sentence, pairs)
        bridge = self.bridge.cosines(batch.views.bridge, pairs)
        sound_bridge = self.meaning.cosines(batch.views.sound_bridge, pairs)
        return {
            Hint.WORDS: words.astype(np.float32),
            Hint.NAME: _looked_up(name_column(batch), pairs, len(self.prior)),
            Hint.UPLOADER: _looked_up(batch.remembered, pairs, len(self.prior)),
            Hint.BRIDGE: np.where(visual, bridge, np.nan).astype(np.float32),
            Hint.SOUND_BRIDGE: np.where(heard, sound_bridge, np.nan).astype(np.float32),
            Hint.MEANING: np.where(text, meaning, np.nan).astype(np.float32),
            Hint.PRIOR: self.prior[pairs.tag],
        }


def log_share(counts: npt.NDArray[np.integer], videos: int) -> F32:
    """float32: the log share of ``videos`` that has a tag, by how many have it; never -inf."""
    return np.log((counts + 0.5) / (videos + 1)).astype(np.float32)


def network_inputs(views: Views, placed: Placed) -> Inputs:
    """What the fusion network is given of some videos.

    Not the names of sounds: on validation clips it did better without them.
    """
    return inputs_of(
        placed.sentence,
        placed.scenes,
        views.bridge,
        placed.sound,
        views.used_mask(),
    )


def inputs_of(
    sentence: F32, scenes: Ragged[np.float32], bridge: F32, sound: F32, used: F32
) -> Inputs:
    """As the network takes them: scenes side by side, and nothing of a modality that isn't used."""
    visual = used[:, 1] > 0
    lengths = np.where(visual, scenes.lengths, 0)
    place = np.arange(MOST_SCENES)
    shown = (place < np.maximum(lengths, 1)[:, None]).astype(np.float32)
    seen = np.zeros((*shown.shape, scenes.values.shape[1]), dtype=np.float32)
    seen[place < lengths[:, None]] = scenes.values[np.repeat(visual, scenes.lengths)]
    return Inputs(
        sentence * used[:, :1], seen, bridge * used[:, 1:2], sound * used[:, 2:], used, shown
    )


def silence(features: Features, channel: Channel, has_network: bool) -> str | None:
    """Why a channel has nothing to go by for this video; None where it has."""
    if channel in MODALITY_OF:
        return _WHY.get(features.states[MODALITY_OF[channel]])
    if all(features.states[modality] is not State.USED for modality in MODALITIES):
        return "no modality could be used"
    if channel is Channel.MULTIMODAL and not has_network:
        return "the bundle was trained without labelled videos"
    return None


_WHY = {
    State.MISSING: "the video has none",
    State.FAILED: "it could not be read",
    State.UNSUPPORTED: "the language is not among the profile's",
}


def _looked_up(column: Column, pairs: Proposals, width: int) -> F32:
    """The column's scores of these pairs: 0 where not proposed, NaN where it was silent."""
    keys, wanted = column.proposals.keys(width), pairs.keys(width)
    out = np.where(column.spoke[pairs.video], 0.0, np.nan).astype(np.float32)
    if len(keys):
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = keys[at] == wanted
        out[hit] = column.proposals.score[at[hit]]
    return out
