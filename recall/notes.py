"""What an exporter writes into an ONNX file beside the graph. Training only (onnx)."""

from __future__ import annotations

import onnx


def without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph without descriptions and metadata.

    They name the folders of the code, so that equal weights would not give equal bytes elsewhere.
    """
    graph = model.graph
    described = [graph.node, graph.initializer, graph.input, graph.output, graph.value_info]
    for part in (model, graph, *(item for items in described for item in items)):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    return model
