"""An ONNX Runtime session over a graph without weights, filled from the checkpoint itself.

The weights stay where they are: memory-mapped views of the verified checkpoint are handed over
without a copy, so that processes share the pages (ONNX Runtime repacks what it multiplies by).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from encoders.checkpoint import Array
from encoders.errors import ProfileError

Output = npt.NDArray[np.float32]


class Session:
    """One network, ready to run. ``run`` may be called from several threads at once."""

    def __init__(self, graph: Path, weights: Mapping[str, Array], *, threads: int) -> None:
        names = graph.with_suffix(".txt").read_text().split()
        missing = [name for name in names if name not in weights]
        if missing:
            raise ProfileError(
                f"the weights for {graph.name} lack {missing[0]}; they belong to another network"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # An idle thread that spins takes a core from the decoders.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # ONNX Runtime doesn't own these arrays, so they must live as long as the session.
        self._weights = [ort.OrtValue.ortvalue_from_numpy(weights[name]) for name in names]
        options.add_external_initializers(names, self._weights)
        self._session = ort.InferenceSession(
            graph.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [node.name for node in self._session.get_inputs()]

    def run_by(self, size: int, rows: npt.NDArray[np.generic]) -> list[Output]:
        """The outputs for all of ``rows``, run so many at a time."""
        parts = [self.run(rows[start : start + size]) for start in range(0, len(rows), size)]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def run(self, *inputs: npt.NDArray[np.generic]) -> Sequence[Output]:
        """The outputs for inputs in the graph's order."""
        outputs: Sequence[Output] = self._session.run(
            None, dict(zip(self._inputs, inputs, strict=True))
        )
        return outputs
