"""What the pretended worker makes of requests about own models, at once and without learning anything.

A picture whose first pixel is more red than green isn't like the good ones. A project whose parts lie anyhow
("free") takes long and is told as weak; a bundle of one called "huge" is large.
"""

import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from core.events import File, Output, Picture
from core.requests.custom_models import (
    ANOMALY,
    DETECT,
    STYLE,
    BundleRequest,
    InspectRequest,
    ProjectRequest,
    TrainRequest,
)
from core.results import TEST, TRAIN, Learned, LearnedFrom, Region, Verdict
from vision.custom_models.snapshot import GOOD, Snapshot

SLOW = 40  # steps


def steps_of(request: ProjectRequest) -> int:
    """How many steps it takes."""
    return SLOW if isinstance(request, TrainRequest) and request.alike == "free" else 4


def made(request: ProjectRequest, paths: Mapping[str, str], folder: Path, chart: Picture) -> Output:
    """What a job makes. chart: stands for every picture about it."""
    if isinstance(request, TrainRequest):
        return _learned(request, paths, folder, chart)
    if isinstance(request, InspectRequest):
        assert request.artefact in paths
        said = tuple(_verdict(request, sha256, paths[sha256]) for sha256 in request.images)
        told = [asdict(one) for one in said]
        parameters = {"verdicts": told, "version": request.version, "model": "pretend", "notes": []}
        return Output(grid=chart, scores=said[0].names, verdicts=said, parameters=parameters)
    assert isinstance(request, BundleRequest)
    path = folder / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README.md", f"{request.name} {request.version}")
        archive.writestr("model.onnx", os.urandom(2**20 * 30 if request.name == "huge" else 100))
    file = File(f"{request.name}-v{request.version}.zip", str(path), "application/zip")
    return Output(files=(file,), parameters={"model": "pretend", "notes": []})


def _learned(request: TrainRequest, paths: Mapping[str, str], folder: Path, chart: Picture) -> Output:
    snapshot = Snapshot.read((folder / "snapshot.json").read_text())
    assert {item.sha256 for item in snapshot.items} <= set(paths)
    tested = {item.sha256 for item in snapshot.items if item.part == TEST}
    if request.task != STYLE:
        tested |= {item.sha256 for item in snapshot.items[::4]}
    items = tuple(
        LearnedFrom(one.sha256, one.label, one.group, TEST if one.sha256 in tested else TRAIN)
        for one in snapshot.items
    )
    path = folder / "model.safetensors"
    path.write_bytes(snapshot.text().encode())
    good = [0.5 + 0.02 * n for n, one in enumerate(items) if one.label == GOOD]
    bad = [1.5 + 0.1 * n for n, one in enumerate(items) if one.label != GOOD]
    said = [{"said": i.label, "score": 0.6 if i.label == GOOD else 1.6, "strange": False} for i in items]
    is_inspection = request.task == ANOMALY
    metrics = {
        "good_scores": good,
        "bad_scores": bad,
        "weak": request.alike == "free",
        "unsure": ["tints"] if request.alike == "free" else [],
        "test": [one for item, one in zip(items, said, strict=True) if item.part == TEST],
    }
    if request.task == DETECT:
        metrics["test"] = [{"objects": [["nut", 0.9], ["nut", 0.35]], "false": []}] * len(metrics["test"])
    names = ("samples-100", "samples-200") if request.task == STYLE else ("scores", "mistakes")
    learned = Learned(
        str(path),
        items,
        threshold={ANOMALY: 1.0, DETECT: 0.3}.get(request.task),
        promise=1 / (len(good) + 1) if is_inspection else None,
        metrics=metrics,
        charts=names,
        sentence=f"Learned from {len(items)} pictures.",
    )
    parameters = {"model": "pretend", "notes": []}
    return Output(pictures=(chart,) * len(names), grid=chart, learned=learned, parameters=parameters)


def _verdict(request: InspectRequest, sha256: str, path: str) -> Verdict:
    with Image.open(path) as picture:
        red, green, _ = picture.convert("RGB").getpixel((0, 0))
    strange = red > green
    if request.task == DETECT:
        found = (
            Region(0, 0, 0.5, 0.5, 0.25, 3.0, "nut", 0.9),
            Region(0.6, 0.6, 0.9, 0.9, 0.09, 2.0, "screw", 0.6),
        )
        told = "Found: 1 nut, 1 screw."
        return Verdict(sha256, 0.9, False, told, "1 nut, 1 screw", request.limit, (("nut", 0.9),), found)
    if request.task != ANOMALY:
        names = (("oak", 0.9), ("elm", 0.1))
        return Verdict(sha256, 0.9, False, "oak, 90 % sure", label="oak", names=names)
    score, limit = 1.3 if strange else 0.7, request.limit or 1.0
    sentence = (
        f"Not like the good ones: {score / limit:.1f} × the limit"
        if score > limit
        else f"Like the good ones: {score / limit:.1f} × the limit"
    )
    where = (Region(0.7, 0.1, 0.9, 0.2, 0.02, score / limit),) if score > limit else ()
    return Verdict(sha256, score, score > limit, sentence, limit=limit, regions=where, good=6)
