"""One ONNX graph of a whole network, from the pixels of one picture to what it says."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import torch
from torch import nn

from core.errors import ModelError
from vision.own_models.export.packed import packed

OPSET = 18
LARGE = 8 * 2**20  # bytes of a graph whose weights are packed


def onnx_graph(network: nn.Module, side: int, outputs: Sequence[str]) -> bytes:
    """Return a network that takes ``pixels`` (1, 3, side, side) in 0..1 as an ONNX file with its weights in
    it, packed where they are many. outputs: their names. Raises ModelError when it can't be exported."""
    exporter = logging.getLogger("torch.onnx")
    before = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter, about itself
            program = torch.onnx.export(
                network,
                (torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)),),
                input_names=["pixels"],
                output_names=list(outputs),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        exporter.setLevel(before)
    if program is None:  # what the exporter's older way returns
        raise ModelError("The network can't be exported.")
    data: bytes = program.model_proto.SerializeToString()
    return data if len(data) < LARGE else packed(program.model_proto).SerializeToString()
