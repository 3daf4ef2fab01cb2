"""The zip file by which a version of somebody's own model runs elsewhere, proven before it is handed out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.events import File, Output
from core.requests.own_models import STYLE, BundleRequest
from vision.model_store import Models
from vision.own_models import needs
from vision.own_models.export.child import Order, make
from vision.own_models.serving import asking
from vision.reporter import Reporter

ZIP = "application/zip"


def run(
    request: BundleRequest, paths: Mapping[str, str], models: Models, reporter: Reporter, folder: Path
) -> Output:
    """See vision.capabilities. ``Output.files`` has the zip, written into ``folder``."""
    artefact, name = Path(paths[request.artefact]), f"{request.name or 'model'}-v{request.version}.zip"
    model, file = "", folder / "bundle.zip"
    if request.task == STYLE:
        from vision.style_training.bundle import bundle as style

        made = (artefact, request.name, request.version, request.figures)
        reporter.in_thread(lambda: file.write_bytes(style(*made)), thread="fetching")
    else:
        needs.check()
        one = asking.loaded(request.artefact, artefact, request.task, models, reporter)
        model = one.extractor.name
        order = Order(
            one.model.pack(),
            request.task,
            one.extractor,
            request.name,
            [paths[sha256] for sha256 in request.images],
            request.figures,
            request.limit,
        )
        file = reporter.in_thread(lambda: make(order, folder), thread="fetching")
    reporter.step(1, 1)
    return Output(
        files=(File(name, str(file), ZIP),),
        parameters={"kind": request.kind, "model": model, "version": request.version, "notes": []},
    )
