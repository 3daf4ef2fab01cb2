"""Turns the files of packages into what is loaded here: safetensors, or ONNX with free sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from core.errors import ModelError

NCNN_HALF, NCNN_FULL = 0x01306B47, 0  # flags before the weights of a convolution


def convert(name: str, source: Path, target: Path) -> None:
    """Write the model ``name`` to ``target``. Raises ModelError when ``source`` isn't what was expected."""
    try:
        _CONVERSIONS[name](source, target)
    except (UnpicklingError, KeyError, ValueError, RuntimeError, TypeError, IndexError) as error:
        raise ModelError(f"{name} can't be converted: {error}") from error


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def _efficientnet(source: Path, target: Path) -> None:
    """Fold each batch normalisation into the convolution before it. The file is a pickle: it is only read
    after its SHA-256 was found right, and without running anything in it."""
    import torch
    from safetensors.torch import save_file

    from vision.photo.efficientnet import EPSILON, EfficientNetLite0

    found = torch.load(source, map_location="cpu", weights_only=True)

    def folded(convolution: str, norm: str) -> tuple[Any, Any]:
        scale = found[f"{norm}.weight"] / (found[f"{norm}.running_var"] + EPSILON).sqrt()
        bias = found[f"{norm}.bias"] - found[f"{norm}.running_mean"] * scale
        return found[f"{convolution}.weight"] * scale[:, None, None, None], bias

    made = {"classes.weight": found["_fc.weight"], "classes.bias": found["_fc.bias"]}
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for number, block in enumerate(EfficientNetLite0().blocks):
        theirs = f"_blocks.{number}."
        if block.expand is not None:
            pairs[f"blocks.{number}.expand"] = (f"{theirs}_expand_conv", f"{theirs}_bn0")
        pairs[f"blocks.{number}.depthwise"] = (f"{theirs}_depthwise_conv", f"{theirs}_bn1")
        pairs[f"blocks.{number}.project"] = (f"{theirs}_project_conv", f"{theirs}_bn2")
    for ours, (convolution, norm) in pairs.items():
        made[f"{ours}.weight"], made[f"{ours}.bias"] = folded(convolution, norm)
    save_file({key: value.contiguous() for key, value in made.items()}, target)


def _real_esrgan(source: Path, target: Path) -> None:
    """Read ncnn's file: for each convolution a flag, weights and a bias in float32, then the slopes of its
    PReLU."""
    import torch
    from safetensors.torch import save_file

    from vision.photo.enlarger import LAYERS, Compact

    data, at = source.read_bytes(), 0

    def take(count: int, kind: type[np.generic]) -> np.ndarray:
        nonlocal at
        values = np.frombuffer(data, kind, count, at)
        at += -(-values.nbytes // 4) * 4
        return values.astype(np.float32)

    made, shapes = {}, {name: value.shape for name, value in Compact().state_dict().items()}
    for number in range(LAYERS):
        flag = int(np.frombuffer(data, np.uint32, 1, at)[0])
        at += 4
        if flag not in (NCNN_HALF, NCNN_FULL):
            raise ValueError(f"a layer is stored as {flag:#x}")
        shape = shapes[f"convolutions.{number}.weight"]
        values = take(shape.numel(), np.float16 if flag == NCNN_HALF else np.float32)
        made[f"convolutions.{number}.weight"] = torch.from_numpy(values.reshape(shape))
        made[f"convolutions.{number}.bias"] = torch.from_numpy(take(shape[0], np.float32))
        if number < LAYERS - 1:
            made[f"slopes.{number}.weight"] = torch.from_numpy(take(shape[0], np.float32))
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes are left over")
    save_file(made, target)


def _free_sizes(source: Path, target: Path) -> None:
    """Remove the fixed sizes of a network's inputs and outputs, which onnxruntime insists on."""
    model = _onnx_model().FromString(source.read_bytes())
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4:
            for at in (0, 2, 3):
                dims[at].ClearField("dim_value")
    target.write_bytes(model.SerializeToString())


def _onnx_model() -> Any:
    """Return the class of an ONNX model, with no more of its fields than lead to sizes; all others are kept
    as they are. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto"""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds: dict[str, tuple[tuple[str, int, str, bool], ...]] = {  # message → (field, number, type, repeated)
        "Dimension": (("dim_value", 1, "", False),),
        "Shape": (("dim", 1, "Dimension", True),),
        "Tensor": (("shape", 2, "Shape", False),),
        "Type": (("tensor_type", 1, "Tensor", False),),
        "Value": (("type", 2, "Type", False),),
        "Graph": (("input", 11, "Value", True), ("output", 12, "Value", True)),
        "Model": (("graph", 7, "Graph", False),),
    }
    file = descriptor_pb2.FileDescriptorProto(name="sizes.proto", package="sizes", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto
    for kind, members in kinds.items():
        message = file.message_type.add(name=kind)
        for name, number, type_name, repeated in members:
            message.field.add(
                name=name,
                number=number,
                label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL,
                type=field.TYPE_MESSAGE if type_name else field.TYPE_INT64,
                type_name=f".sizes.{type_name}" if type_name else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sizes.Model"))


_CONVERSIONS: Mapping[str, Callable[[Path, Path], None]] = {
    "efficientnet-lite0": _efficientnet,
    "u2netp": _copy,
    "centerface": _free_sizes,
    "real-esrgan-compact": _real_esrgan,
}
