"""The zip file by which a version of somebody's own model runs elsewhere, proven before it is handed out."""

import hashlib
import math
import zipfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from core.errors import ModelError
from core.events import File, Output
from core.requests.custom_models import STYLE, BundleRequest
from vision.custom_models import inference, steps
from vision.custom_models.export import EPOCH, Making, Order
from vision.reporter import Reporter
from vision.store import Models

ZIP = "application/zip"
LOOK, USUAL = 1.0, 15.0  # seconds between two looks at whether it is made, that it usually takes
PATIENCE = 600  # seconds
PARTS = 1000  # of what is told as done


def run(
    request: BundleRequest, paths: Mapping[str, str], models: Models, reporter: Reporter, folder: Path
) -> Output:
    """See vision.capabilities. ``Output.files`` has the zip, written into ``folder``."""
    artefact, name = Path(paths[request.artefact]), f"{request.name or 'model'}-v{request.version}.zip"
    model, file = "", folder / "bundle.zip"
    if request.task == STYLE:
        reporter.in_thread(lambda: _style(request, artefact, file), thread="fetching")
    else:
        steps.check_libraries()
        one = inference.loaded(request.artefact, artefact, request.task, models, reporter)
        model = one.extractor.name
        pictures, packed = [paths[sha256] for sha256 in request.images], one.model.pack()
        what = (packed, request.task, one.extractor, request.name, pictures, request.figures, request.limit)
        file = _made(Order(*what), folder, reporter)
    reporter.step(PARTS, PARTS)
    parameters = {"kind": request.kind, "model": model, "version": request.version, "notes": []}
    return Output(files=(File(name, str(file), ZIP),), parameters=parameters)


def _made(order: Order, folder: Path, reporter: Reporter) -> Path:
    """Return a bundle that another process makes, and tell how far it may be meanwhile."""
    making, looks = reporter.in_thread(lambda: Making(order, folder), thread="fetching"), 0
    with closing(making):
        while not reporter.in_thread(lambda: making.wait(LOOK), thread="fetching"):
            reporter.check()
            looks += 1
            if looks * LOOK > PATIENCE:
                raise ModelError(f"The bundle wasn't made within {PATIENCE} s.")
            reporter.step(round(PARTS * (1 - math.exp(-looks * LOOK / USUAL))), PARTS)
        return making.taken()


def _style(request: BundleRequest, artefact: Path, file: Path) -> None:
    """Write a style's zip: its LoRA, which any program that draws with diffusers takes, and what it is."""
    data = artefact.read_bytes()
    lines = [f"# {request.name}, version {request.version}", "", *(f"- {one}" for one in request.figures), ""]
    lines += ["`style.safetensors` is a LoRA in diffusers' form:", ""]
    lines += ['    pipeline.load_lora_weights("style.safetensors")', ""]
    digest = hashlib.sha256(data).hexdigest()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("style.safetensors", EPOCH), data)
        archive.writestr(zipfile.ZipInfo("README.md", EPOCH), "\n".join(lines))
        archive.writestr(zipfile.ZipInfo("SHA256SUMS", EPOCH), f"{digest}  style.safetensors\n")
