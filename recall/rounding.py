"""Large weights rounded to float16, so that a bundle stays small. Training only (torch, onnx).

They are rounded in the module itself before it is exported, so that what was exported is what is
measured.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

ROUNDED_FROM = 1024  # weights; smaller tensors stay float32


def round_large(module: torch.nn.Module) -> None:
    """Round the large weights of ``module`` to what float16 can say; they stay float32."""
    with torch.no_grad():
        for weight in module.parameters():
            if weight.numel() >= ROUNDED_FROM:
                weight.copy_(weight.half().float())


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with large float32 weights stored as float16 and cast when it is loaded."""
    casts = []
    for weight in model.graph.initializer:
        value = numpy_helper.to_array(weight)
        if weight.data_type == TensorProto.FLOAT and value.size >= ROUNDED_FROM:
            name, stored = weight.name, f"{weight.name}.half"
            weight.CopyFrom(numpy_helper.from_array(value.astype(np.float16), stored))
            casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    return model
