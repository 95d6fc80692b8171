"""Where the ranker's small BERT starts: some layers of a published BERT, as numpy.

Its word table stays with the profile, frozen (``Encoders.word_embeddings``); the layers are
fine-tuned and belong to the bundle.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from encoders.checkpoint import Array, read_checkpoint
from encoders.errors import ProfileError
from encoders.features import F32
from encoders.profile import Profile, default_weights_dir
from encoders.weights import locate

TABLE = "embeddings.word_embeddings.weight"
EMBEDDINGS = (
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
    "embeddings.LayerNorm.weight",
    "embeddings.LayerNorm.bias",
)


def initial_layers(profile: Profile, *, weights_dir: Path | None = None) -> dict[str, F32]:
    """The state dict of ``networks.BertLayers``: the profile's chosen layers, numbered from 0.

    Raises ProfileError where the weights are missing or are not those that the profile pins.
    """
    spec = profile.small_bert
    path = locate(profile, spec.weights, weights_dir or default_weights_dir())
    tensors = bert_tensors(read_checkpoint(path))
    state = {name: tensors[name] for name in EMBEDDINGS if name in tensors}
    for place, layer in enumerate(spec.layers):
        old, new = f"encoder.layer.{layer}.", f"encoder.layer.{place}."
        state |= {
            new + name.removeprefix(old): array
            for name, array in tensors.items()
            if name.startswith(old)
        }
    if len(state) != len(EMBEDDINGS) + 16 * len(spec.layers):
        raise ProfileError(f"{path} lacks layers of a BERT; profile {profile.name} names others")
    return {name: np.array(array, np.float32) for name, array in state.items()}


def bert_tensors(tensors: dict[str, Array]) -> dict[str, Array]:
    """A BERT checkpoint's tensors by their names in the encoder itself.

    Pre-training checkpoints put ``bert.`` before them, the oldest call a norm's weight and bias
    gamma and beta.
    """
    renamed = {}
    for name, array in tensors.items():
        name = name.removeprefix("bert.")
        if name.endswith("LayerNorm.gamma"):
            name = name.removesuffix("gamma") + "weight"
        elif name.endswith("LayerNorm.beta"):
            name = name.removesuffix("beta") + "bias"
        renamed[name] = array
    return renamed


def word_table(tensors: dict[str, Array]) -> F32:
    """float32 [V, Dw]: the word table of a BERT checkpoint, a view where it can be."""
    table = bert_tensors(tensors).get(TABLE)
    if table is None:
        raise ProfileError("the small BERT's checkpoint has no word table; name another file")
    return np.asarray(table, np.float32)
