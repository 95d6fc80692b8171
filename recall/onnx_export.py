"""A trained module as an ONNX graph. Training only (torch, onnx)."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

OPSET = 17


def traced(
    module: nn.Module,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
) -> onnx.ModelProto:
    """What ``module`` does with ``example``'s inputs, by their names.

    ``free``: of an input or output, which of its axes may have any length, and what that counts.
    """
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        path = Path(scratch) / "model.onnx"
        # The tracing exporter is marked as old. It is twelve times as fast on these graphs, and
        # torch is pinned.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module.eval(),
            tuple(example.values()),
            path,
            dynamo=False,
            input_names=list(example),
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=OPSET,
        )
        return _without_notes(onnx.load(path))


def _without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph without descriptions and metadata.

    They name the folders of the code, so that equal weights would not give equal bytes elsewhere.
    """
    graph = model.graph
    described = [graph.node, graph.initializer, graph.input, graph.output, graph.value_info]
    for part in (model, graph, *(item for items in described for item in items)):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    return model
