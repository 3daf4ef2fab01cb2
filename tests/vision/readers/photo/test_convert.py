"""The files of packages become what is loaded: folded weights, ncnn's layers, free sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.errors import ModelError
from vision.readers.photo import fetch, models


def test_batch_normalisation_becomes_a_part_of_each_convolution(tmp_path: Path) -> None:
    torch.manual_seed(0)
    found: dict[str, torch.Tensor] = {"_fc.weight": torch.randn(1000, 1280), "_fc.bias": torch.randn(1000)}

    def layer(convolution: str, norm: str, module: torch.nn.Conv2d) -> None:
        channels = module.out_channels
        found[f"{convolution}.weight"] = torch.randn(module.weight.shape) / 10
        found.update({f"{norm}.{name}": torch.randn(channels) for name in ("weight", "bias", "running_mean")})
        found[f"{norm}.running_var"] = torch.rand(channels) + 0.5

    network = models.EfficientNetLite0()
    layer("_conv_stem", "_bn0", network.stem)
    layer("_conv_head", "_bn1", network.head)
    for number, block in enumerate(network.blocks):
        theirs = f"_blocks.{number}."
        if block.expand is not None:
            layer(f"{theirs}_expand_conv", f"{theirs}_bn0", block.expand)
        layer(f"{theirs}_depthwise_conv", f"{theirs}_bn1", block.depthwise)
        layer(f"{theirs}_project_conv", f"{theirs}_bn2", block.project)
    torch.save(found, tmp_path / "given.pth")
    fetch.convert("efficientnet-lite0", tmp_path / "given.pth", tmp_path / "model.safetensors")
    reader = models.load_photograph(tmp_path, "", {}, "cpu", torch.float32)
    x = torch.randn(1, 3, 8, 8)
    norm = [found[f"_bn0.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    padded = F.pad(x, (0, 1, 0, 1))  # TensorFlow's side of an even length
    theirs = F.batch_norm(F.conv2d(padded, found["_conv_stem.weight"], None, 2), *norm, eps=1e-3)
    assert torch.allclose(reader.model.stem(x), theirs, atol=1e-4)
    assert torch.equal(reader.model.classes.weight, found["_fc.weight"])


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"_fc.weight": Harm()}, tmp_path / "given.pth")
    with pytest.raises(ModelError, match="can't be converted"):
        fetch.convert("efficientnet-lite0", tmp_path / "given.pth", tmp_path / "model.safetensors")
    assert not (tmp_path / "ran").exists()


def test_the_layers_of_ncnn_are_read_to_the_last_byte(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, data = models.Compact(), b""
    for number, convolution in enumerate(network.convolutions):
        data += np.uint32(fetch.NCNN_HALF).tobytes()
        half = convolution.weight.detach().numpy().astype(np.float16)
        data += half.tobytes() + convolution.bias.detach().numpy().tobytes()
        if number < len(network.slopes):
            data += network.slopes[number].weight.detach().numpy().tobytes()
    (tmp_path / "given.bin").write_bytes(data)
    fetch.convert("real-esrgan-compact", tmp_path / "given.bin", tmp_path / "model.safetensors")
    loaded = models.load_enlarger(tmp_path, "", {}, "cpu", torch.float32).model
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(loaded(x), network(x), atol=1e-2)
    for wrong in (data + b"more", data[:-4], b"\1" * len(data)):
        (tmp_path / "given.bin").write_bytes(wrong)
        with pytest.raises(ModelError, match="can't be converted"):
            fetch.convert("real-esrgan-compact", tmp_path / "given.bin", tmp_path / "model.safetensors")


def test_fixed_sizes_are_removed_and_all_else_stays(tmp_path: Path) -> None:
    kind = fetch._onnx_model()
    model = kind()
    for place in (model.graph.input.add(), model.graph.output.add()):
        for size in (10, 3, 32, 32):
            place.type.tensor_type.shape.dim.add(dim_value=size)
    unknown = b"\x0a\x05hello"  # field 1 of a graph, which is none of those that are known here
    graph = unknown + model.graph.SerializeToString()
    given = b"\x3a" + bytes([len(graph)]) + graph
    (tmp_path / "given.onnx").write_bytes(given)
    fetch.convert("centerface", tmp_path / "given.onnx", tmp_path / "model.onnx")
    made = kind.FromString((tmp_path / "model.onnx").read_bytes())
    assert b"hello" in made.SerializeToString()
    for place in (*made.graph.input, *made.graph.output):
        dims = place.type.tensor_type.shape.dim
        assert [dim.HasField("dim_value") for dim in dims] == [False, True, False, False]
