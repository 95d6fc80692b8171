"""A recaller on disk: one folder, read back by memory-mapping."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.errors import BundleError
from recall.arrays import Array, pack_rows, read_arrays, unpack_rows, write_arrays
from recall.candidates import Channel
from recall.channels import Channels, untrained_mixers
from recall.classifier import Classifier
from recall.index import EXACT_UP_TO, VectorIndex
from recall.library import Library
from recall.linear import LinearClassifier
from recall.merging import Merge
from recall.mixing import Mixer
from recall.names import NameMatcher
from recall.parts import Carry, NameSearch, VectorNeighbours, WordNeighbours
from recall.recaller import Recaller
from recall.uploader import UploaderHistory
from recall.views import Dims, Space, Spaces
from recall.vocabulary import Vocabulary
from recall.words import WordClassifier, WordIndex

F32 = npt.NDArray[np.float32]


def save_recaller(recaller: Recaller, folder: Path) -> None:
    """Write into ``folder``, making it; the same recaller gives the same bytes."""
    channels = recaller.channels
    folder.mkdir(parents=True, exist_ok=True)
    recaller.vocabulary.write(folder / "vocabulary.jsonl")
    channels.library.save(folder / "library")
    channels.words.index.save(folder / "words")
    spaces = {
        "sentence": channels.spaces.sentence,
        "picture": channels.spaces.picture,
        "sound": channels.spaces.sound,
    }
    write_arrays(
        folder / "spaces",
        {f"{name}_mean": space.mean for name, space in spaces.items()}
        | _packed({f"{name}_basis": space.basis for name, space in spaces.items()}),
    )
    same = np.array_equal(channels.meaning.vectors, channels.bridge.vectors)
    names = {"meaning": channels.meaning} | ({} if same else {"bridge": channels.bridge})
    write_arrays(
        folder / "names",
        {"prior": channels.prior}
        | _packed({name: search.vectors for name, search in names.items()}),
    )
    for name, search in names.items():
        if len(search.vectors) > EXACT_UP_TO:  # a small index is quicker built than kept
            search.index.save(folder / "names" / name)
    searches = {
        "sentence": channels.sentence,
        "picture": channels.picture,
        "sound": channels.sound,
        "fused": channels.fused,
    }
    for name, near in searches.items():
        if near is not None:
            near.index.save(folder / name)
    if channels.classifier is not None:
        channels.classifier.save(folder / "classifier")
    if channels.word_classifier is not None:
        channels.word_classifier.save(folder / "word_classifier")
    if channels.linear is not None:
        channels.linear.save(folder / "linear")
    carries = {name: asdict(near.carry) for name, near in searches.items() if near is not None}
    carries["words"] = asdict(channels.words.carry)
    settings = {
        "dims": asdict(channels.dims),
        "carries": carries,
        "mixers": {channel.value: mixer.to_json() for channel, mixer in recaller.mixers.items()},
        "merge": recaller.merge.save(folder),
    }
    (folder / "recaller.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def load_recaller(folder: Path, threads: int = 1) -> Recaller:
    """Read what :func:`save_recaller` wrote; ``threads`` for one call of the network.

    Raises BundleError where something is missing or damaged.
    """
    try:
        settings = json.loads((folder / "recaller.json").read_text(encoding="utf-8"))
        return _recaller(folder, settings, threads)
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(
            f"{folder} holds no whole recall ({error}); build the bundle again"
        ) from error


def _recaller(folder: Path, settings: Mapping[str, Any], threads: int) -> Recaller:
    vocabulary = Vocabulary.read(folder / "vocabulary.jsonl")
    library = Library.load(folder / "library")
    arrays = read_arrays(folder / "spaces")
    names = read_arrays(folder / "names")
    carries = {
        name: Carry(int(carry["neighbours"]), carry["temperature"])
        for name, carry in settings["carries"].items()
    }

    def space(name: str) -> Space:
        return Space(np.asarray(arrays[f"{name}_mean"]), unpack_rows(f"{name}_basis", arrays))

    def near(name: str) -> VectorNeighbours:
        return VectorNeighbours(VectorIndex.load(folder / name), carries[name])

    def named(name: str) -> NameSearch:
        vectors = unpack_rows(name, names)
        if len(vectors) <= EXACT_UP_TO:
            return NameSearch.build(vectors)
        return NameSearch(vectors, VectorIndex.load(folder / "names" / name))

    meaning = named("meaning")
    bridge = named("bridge") if "bridge" in names else meaning
    classifier, words = folder / "classifier", folder / "word_classifier"
    linear = folder / "linear"
    channels = Channels(
        dims=Dims(**{name: int(width) for name, width in settings["dims"].items()}),
        spaces=Spaces(space("sentence"), space("picture"), space("sound")),
        library=library,
        prior=np.asarray(names["prior"]),
        sentence=near("sentence"),
        picture=near("picture"),
        sound=near("sound"),
        fused=near("fused") if "fused" in carries else None,
        words=WordNeighbours(WordIndex.load(folder / "words"), carries["words"]),
        matcher=NameMatcher(vocabulary),
        meaning=meaning,
        bridge=bridge,
        history=UploaderHistory(library),
        classifier=Classifier.load(classifier, bridge.vectors, threads)
        if classifier.is_dir()
        else None,
        word_classifier=WordClassifier.load(words) if words.is_dir() else None,
        linear=LinearClassifier.load(linear) if linear.is_dir() else None,
    )
    mixers = {Channel(name): Mixer.from_json(stored) for name, stored in settings["mixers"].items()}
    mixers[Channel.CLASSIFIER] = _with_linear(mixers[Channel.CLASSIFIER])
    return Recaller(vocabulary, channels, mixers, Merge.load(folder, settings["merge"]))


def _with_linear(mixer: Mixer) -> Mixer:
    """Of a bundle from before the linear model on everything: its column counts for nothing."""
    known = untrained_mixers()[Channel.CLASSIFIER].curves
    place = len(known) - 2  # before the prior
    if len(mixer.curves) == len(known):
        return mixer
    nothing = np.zeros(3, dtype=np.float32)
    return Mixer(
        (*mixer.curves[:place], known[place], *mixer.curves[place:]),
        np.insert(mixer.weights, 3 * place, nothing).astype(np.float32),
    )


def _packed(rows: Mapping[str, F32]) -> dict[str, Array]:
    """All rows at 8 bits a number."""
    packed = [pack_rows(name, array, bits=8) for name, array in rows.items()]
    return {name: array for arrays in packed for name, array in arrays.items()}
