"""Weights of a graph in fewer bytes: fixed-point numbers in planes of bytes, which a zip makes smaller and a
session puts together again once, as it is loaded."""

from __future__ import annotations

from typing import Any

import numpy as np

LEAST = 4096  # weights of a tensor that is packed
BITS, MANY, OF_MANY = 24, 2**16, 22  # of a weight; of each of more than MANY, whose rounding averages out
WEIGHED = ("Conv", "MatMul", "Gemm")  # operators whose second input is packed
BYTE = 256


def packed(model: Any) -> Any:
    """Return an onnx.ModelProto with its large weights packed. The weights (n, …) of each output, or row,
    are multiples of a step of their own: the largest has BITS with its sign, about as many as float32."""
    from onnx import ModelProto, helper, numpy_helper

    held = ModelProto()
    held.CopyFrom(model)
    graph = held.graph
    weighed = {node.input[1] for node in graph.node if node.op_type in WEIGHED}
    kept, made, base = [], [], "packed.base"
    for tensor in graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if tensor.name not in weighed or weights.dtype != np.float32 or weights.size < LEAST:
            kept.append(tensor)
            continue
        step, planes = _planes(weights, OF_MANY if weights.size > MANY else BITS)
        name = f"packed.{tensor.name}"
        kept += [numpy_helper.from_array(each, f"{name}.{at}") for at, each in enumerate(planes)]
        kept.append(numpy_helper.from_array(step, f"{name}.step"))
        made += [
            helper.make_node("Cast", [f"{name}.{at}"], [f"{name}.real.{at}"], to=1)  # float
            for at in range(len(planes))
        ]
        sums = [f"{name}.real.0", f"{name}.sum.1", f"{name}.sum.2"]
        for at in (1, 2):  # sums stay below 2^24: each is exact
            made.append(helper.make_node("Mul", [sums[at - 1], base], [f"{name}.up.{at}"]))
            made.append(helper.make_node("Add", [f"{name}.up.{at}", f"{name}.real.{at}"], [sums[at]]))
        made.append(helper.make_node("Mul", [sums[-1], f"{name}.step"], [tensor.name]))
    if made:
        kept.append(numpy_helper.from_array(np.float32(BYTE), base))
    nodes = [*made, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    return held


def _planes(weights: np.ndarray, bits: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return steps (n, 1, …) as float32 and the highest, middle and lowest byte of weights (n, …) in them. Of
    fewer ``bits`` than BITS the last ones are zero."""
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    coarse = 2 ** (BITS - bits)
    most = np.abs(rows).max(1, keepdims=True)
    step = np.where(most > 0, most / (2 ** (BITS - 1) - coarse), 1).astype(np.float32)
    whole = (np.rint(rows / step / coarse) * coarse).astype(np.int64).reshape(weights.shape)
    shape = (len(weights), *(1 for _ in weights.shape[1:]))
    planes = [(whole >> 16).astype(np.int8)]
    planes += [(whole >> up & BYTE - 1).astype(np.uint8) for up in (8, 0)]
    return step.reshape(shape), planes
