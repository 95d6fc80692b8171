"""The trained towers as files that serving reads: an ONNX graph, tag vectors, a name projection.

Large weights are rounded to float16, in the model itself first, so that what was exported is what
is measured. Needs torch and onnx.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch

from rank.evidence import VideoVectors
from rank.fitting import tag_vectors
from rank.inputs import Shape, pack
from rank.ranker import META, NAME_PROJECTION, TAG_VECTORS, TOWER
from rank.tower import Towers
from recall.onnx_export import traced
from recall.rounding import halved, round_large


def export(towers: Towers, shape: Shape, folder: Path) -> None:
    """Write the towers into ``folder``; equal weights give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    round_large(towers)
    model = halved(_graph(towers, shape))
    (folder / TOWER).write_bytes(model.SerializeToString(deterministic=True))
    np.save(folder / TAG_VECTORS, tag_vectors(towers).numpy().astype(np.float16))
    projection = towers.tag.project.weight.detach().numpy().T
    np.save(folder / NAME_PROJECTION, projection.astype(np.float16))
    meta = {"shape": asdict(shape), "evidence": asdict(towers.evidence())}
    (folder / META).write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n")


def _graph(towers: Towers, shape: Shape) -> onnx.ModelProto:
    feed = pack([], shape, np.zeros((1, shape.word), np.float32)).feed()
    example = {name: torch.zeros(2, *value.shape[1:]) for name, value in feed.items()}
    for name in ("words", "words_mask"):
        example[name] = torch.zeros(2, 3, *feed[name].shape[2:])
    made = VideoVectors._fields
    axes = {name: {0: "videos"} for name in (*feed, *made)}
    axes["words"][1] = axes["words_mask"][1] = "tokens"
    return traced(towers.video, example, made, axes)
