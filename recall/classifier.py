"""The multimodal classifier at serving: one ONNX network a video, one vector a tag.

The network fuses what it is given of words, picture and sound (it weighs the modalities anew for
every video) into a hidden vector and a name query, one of each for every scene of the picture: what
is seen in one scene only would be lost in a mean of them. A tag's score is

    log mean over scenes of exp(hidden · embedding + query · name) + bias

(a smooth maximum, as in multiple-instance learning: Ramon & De Raedt 2000), where ``name`` is the
frozen vector of the tag's name. A tag that was never trained has no embedding of its own; it is
found by its name alone. Over a large vocabulary a scene's sum is one inner product, and the best
tags are searched for instead of all being scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from encoders.errors import BundleError
from recall.arrays import pack_rows, read_arrays, unpack_rows, write_arrays
from recall.index import VectorIndex
from recall.proposals import Proposals

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

SCORED_IN_FULL_UP_TO = 20_000
A_SCENE = 100  # of a large vocabulary, the most tags that are searched for by one scene
OUTPUTS = ("hidden", "query", "fused", "gates")


class Inputs(NamedTuple):
    """B videos as the network is given them, float32, zeros for what isn't used.

    ``sentence`` [B, Ds], ``scenes`` [B, S, Dv], ``bridge`` [B, Db] and ``sound`` [B, Da], each in
    its modality's space. ``used`` [B, 3]: 0 or 1 for each of MODALITIES. ``shown`` [B, S]: 1 for
    each scene; 1 for the first alone where there is no picture.
    """

    sentence: F32
    scenes: F32
    bridge: F32
    sound: F32
    used: F32
    shown: F32


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """What the network makes of B videos, float32.

    ``hidden`` [B, S, d] and ``query`` [B, S, Db] meet the tags, scene by scene, and ``shown``
    [B, S] says which scenes there are; ``fused`` [B, f] has unit length and is compared between
    videos; ``gates`` [B, 3]: how much each modality counted, adding up to 1.
    """

    hidden: F32
    query: F32
    fused: F32
    gates: F32
    shown: F32

    def take(self, rows: I64) -> Fused:
        """The videos at ``rows``."""
        return Fused(
            self.hidden[rows],
            self.query[rows],
            self.fused[rows],
            self.gates[rows],
            self.shown[rows],
        )


class Network(Protocol):
    """What fuses: the ONNX session when serving, the torch module while training."""

    def __call__(self, inputs: Inputs) -> Fused:
        """Fuse B videos."""

    @property
    def model(self) -> bytes:
        """The network as an ONNX file."""


class FusionNetwork:
    """The ONNX network. Sessions are safe to share between threads."""

    def __init__(self, model: bytes, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._model = model
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except (RuntimeError, ValueError) as error:
            raise BundleError("the fusion network can't be read; build the bundle again") from error

    @property
    def model(self) -> bytes:
        """The network as an ONNX file."""
        return self._model

    def __call__(self, inputs: Inputs) -> Fused:
        """Fuse B videos."""
        made = self._session.run(list(OUTPUTS), inputs._asdict())
        hidden, query, fused, gates = (np.asarray(out) for out in made)
        return Fused(hidden, query, fused, gates, inputs.shown)


@dataclass(frozen=True, slots=True, eq=False)
class TagScorer:
    """The tags' side. ``embeddings`` float32 [V, d], ``bias`` [V], ``names`` [V, Db].

    ``search`` is an index over [embedding | name | bias], where there are too many to score whole.
    """

    embeddings: F32
    bias: F32
    names: F32
    search: VectorIndex | None

    @classmethod
    def build(
        cls, embeddings: F32, bias: F32, names: F32, videos: Fused, *, seed: int = 0
    ) -> TagScorer:
        """With a search index, made for such ``videos``, where the vocabulary is large."""
        rows = tag_rows(embeddings, names, bias)
        return cls(embeddings, bias, names, index_of_tags(rows, videos, seed))

    def best(self, fused: Fused, keep: int, rows: I64) -> Proposals:
        """The ``keep`` best tags of each video, by log odds; ``rows`` int64 [B] are the videos."""
        if self.search is None:
            return Proposals.of_dense(self.all(fused), keep, rows)
        scenes = fused.shown.sum(axis=1).astype(np.int64)
        tags, scores = self.search.search(queries(fused), min(keep, A_SCENE))
        scores -= np.repeat(np.log(scenes), scenes)[:, None]
        found = tags.ravel() >= 0
        video = np.repeat(np.repeat(rows, scenes), tags.shape[1])[found]
        pooled = Proposals.of_alternatives(
            video, tags.ravel()[found], scores.ravel()[found], len(self.bias)
        )
        return pooled.strongest(keep)

    def all(self, fused: Fused) -> F32:
        """float32 [B, V]: every tag's log odds."""
        total = np.full((len(fused.shown), len(self.bias)), -np.inf, dtype=np.float32)
        for scene in range(fused.shown.shape[1]):
            own = np.flatnonzero(fused.shown[:, scene])
            scores = fused.hidden[own, scene] @ self.embeddings.T
            scores += fused.query[own, scene] @ self.names.T
            total[own] = np.logaddexp(total[own], scores)
        total += self.bias - np.log(fused.shown.sum(axis=1))[:, None]
        return total

    def added(self, name: F32) -> TagScorer:
        """With one more tag, known by its name's vector [Db] only; its bias is a rare tag's."""
        embedding = np.zeros((1, self.embeddings.shape[1]), dtype=np.float32)
        bias = np.asarray([bias_of_new(self.bias)], dtype=np.float32)
        search = self.search
        if search is not None:
            row = tag_rows(embedding, name[None], bias)
            search = search.added(row, np.asarray([len(self.bias)]))
        return TagScorer(
            np.concatenate([self.embeddings, embedding]),
            np.concatenate([self.bias, bias]),
            np.concatenate([self.names, name[None]]),
            search,
        )


def bias_of_new(bias: F32) -> float:
    """The bias of a tag without a label, as a rare one's; ``bias`` [n] are those of the others."""
    return float(np.quantile(bias, 0.1)) if len(bias) else 0.0


def tag_rows(embeddings: F32, names: F32, bias: F32) -> F32:
    """float32 [V, d + Db + 1]: each tag as it is searched for."""
    return np.concatenate([embeddings, names, bias[:, None]], axis=1)


def index_of_tags(rows: F32, videos: Fused, seed: int) -> VectorIndex | None:
    """An index over :func:`tag_rows`, made for such ``videos``; None for a small vocabulary."""
    if len(rows) <= SCORED_IN_FULL_UP_TO:
        return None
    return VectorIndex.build(rows, np.arange(len(rows)), seed=seed, queries=queries(videos))


def queries(fused: Fused) -> F32:
    """A row a scene: what the tags' rows [embedding | name | bias] are multiplied with."""
    there = fused.shown > 0
    hidden, query = fused.hidden[there], fused.query[there]
    return np.concatenate([hidden, query, np.ones((len(hidden), 1), dtype=np.float32)], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """The network and the tags' side of it."""

    network: Network
    tags: TagScorer

    def save(self, folder: Path) -> None:
        """Write into a new folder; vectors at 8 bits a number. Names are kept by their owner."""
        write_arrays(
            folder,
            {
                **pack_rows("embeddings", self.tags.embeddings, bits=8),
                "bias": self.tags.bias.astype(np.float32),
            },
        )
        (folder / "network.onnx").write_bytes(self.network.model)
        if self.tags.search is not None:
            self.tags.search.save(folder / "search")

    @classmethod
    def load(cls, folder: Path, names: F32, threads: int = 1) -> Classifier:
        """Read what :meth:`save` wrote; raises BundleError."""
        arrays = read_arrays(folder)
        try:
            model = (folder / "network.onnx").read_bytes()
        except OSError as error:
            raise BundleError(
                f"{folder}/network.onnx can't be read; build the bundle again"
            ) from error
        search = VectorIndex.load(folder / "search") if (folder / "search").is_dir() else None
        tags = TagScorer(
            unpack_rows("embeddings", arrays), np.asarray(arrays["bias"]), names, search
        )
        return cls(FusionNetwork(model, threads), tags)
