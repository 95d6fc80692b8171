"""Make a profile's graphs without weights, with torch: what ``reeltag models export`` does.

The graph of a network depends on its shape alone, so no weights are needed to make it. Training
extra only; nothing that serves imports this module.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path

import onnx_ir as ir
import torch
from onnx_ir.passes import common as passes
from onnxscript import optimizer
from torch import Tensor, nn
from torch.export import Dim

from encoders import networks
from encoders.profile import NetworkSpec, Profile

OPSET = 20
SMALL = 16  # elements; constants up to here are folded, weights are longer


def build(spec: NetworkSpec) -> nn.Module:
    """The torch network of ``spec``, with random weights, in evaluation mode."""
    makers: Mapping[str, Callable[[], nn.Module]] = {
        "sentence_bert": lambda: networks.SentenceBert(networks.BertShape(**spec.shape)),
        "efficientnet_lite0": networks.EfficientNetLite0,
        "yamnet": networks.Yamnet,
        "musicnn": networks.Musicnn,
        "clip_image": lambda: networks.ClipImage(networks.ClipShape(**spec.shape)),
        "clip_text": lambda: networks.ClipText(networks.ClipShape(**spec.shape)),
        "vggish": networks.Vggish,
    }
    return makers[spec.network]().eval()


def example(spec: NetworkSpec, batch: int = 2) -> tuple[Tensor, ...]:
    """Inputs of the right kind and shape, random but always the same."""
    random = torch.Generator().manual_seed(0)
    if spec.network in ("sentence_bert", "clip_text"):
        length = 12
        ids = torch.randint(0, spec.shape["vocabulary"], (batch, length), generator=random)
        lengths = torch.randint(2, length + 1, (batch, 1), generator=random)
        return ids, (torch.arange(length)[None] < lengths).to(torch.int64)
    if spec.network in ("efficientnet_lite0", "clip_image"):
        size = (batch, 224, 224, 3)
        return (torch.randint(0, 256, size, generator=random, dtype=torch.uint8),)
    block = (181, 96) if spec.network == "musicnn" else (96, 64)
    return (torch.rand((batch, *block), generator=random),)


def export(profile: Profile, out: Path | None = None) -> list[Path]:
    """Write ``<role>.onnx`` and the list of its weights ``<role>.txt`` for every network.

    ``out`` defaults to where the profile keeps its graphs. Returns the paths of the graphs.
    """
    paths = []
    for spec in profile.networks.values():
        path = (out or spec.graph.parent) / spec.graph.name
        path.parent.mkdir(parents=True, exist_ok=True)
        graph, names = weightless(build(spec), example(spec))
        path.write_bytes(graph)
        path.with_suffix(".txt").write_text("\n".join(names) + "\n")
        paths.append(path)
    return paths


def weightless(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[bytes, list[str]]:
    """The ONNX graph of ``network`` with its weights marked external, and their names.

    The first axis of every input may be any size; of a matrix of tokens the second one, too.
    """
    axes = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    tokens = inputs[0].dtype == torch.int64
    shapes = tuple(axes if tokens else {0: Dim.DYNAMIC} for _ in inputs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        # The exporter warns of its own internals and of a torchvision that isn't needed.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, inputs, dynamo=True, optimize=False, dynamic_shapes=shapes, opset_version=OPSET
        )
    if program is None:
        raise RuntimeError("torch gave no ONNX program")
    model = program.model
    _drop_zero_biases(model)
    optimizer.fold_constants(
        model,
        input_size_limit=SMALL,
        output_size_limit=SMALL,
        # Left to itself it would turn every transposed weight into one of its own.
        should_fold=lambda node: False if node.op_type == "Transpose" else None,
    )
    passes.RemoveUnusedNodesPass()(model)
    weights = set(network.state_dict())
    names = []
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if name in weights and tensor is not None:
            shape = ir.Shape(tensor.shape.numpy())
            value.const_value = ir.ExternalTensor(
                "weights", 0, tensor.nbytes, tensor.dtype, shape=shape, name=name
            )
            names.append(name)
    passes.ClearMetadataAndDocStringPass()(model)
    proto = ir.to_proto(model)
    proto.graph.ClearField("value_info")
    return proto.SerializeToString(), names


def _drop_zero_biases(model: ir.Model) -> None:
    """Remove the zeros that torch's exporter computes as the bias of a convolution without one.

    ONNX Runtime would not fold the batch norm behind such a convolution: twice the time.
    """
    for node in model.graph:
        if node.op_type == "Conv" and len(node.inputs) == 3:
            bias = node.inputs[2]
            if bias is not None and bias.producer() is not None:
                node.resize_inputs(2)
