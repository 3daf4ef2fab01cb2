"""The zip that runs elsewhere: made, and proven in a child process before anybody gets it."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from core.errors import ModelError
from vision.own_models.anomaly.inspector import Inspector
from vision.own_models.classify.classifier import NONE, Classifier
from vision.own_models.detect.detector import Detector
from vision.own_models.export.graph import onnx_graph
from vision.own_models.export.model_card import model_card
from vision.own_models.features.extractor import Extractor
from vision.own_models.snapshot import GOOD

SCRIPT = Path(__file__).with_name("predict.py")
SUFFIXES = [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"]
REQUIREMENTS = "onnxruntime>=1.20\nnumpy>=2\npillow>=12.3\n"
DOCKERFILE = """FROM python:3.11-slim
WORKDIR /model
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt && useradd --create-home judge
COPY . .
USER judge
# docker run --network none -v "$PWD/pictures:/pictures:ro" IMAGE /pictures
ENTRYPOINT ["python", "predict.py"]
"""
Model = Inspector | Classifier | Detector
TOLERANCE = 1e-4  # relative, of scores
PATIENCE = 120  # seconds for the proof
MOST_GOLDEN, GOLDEN_SIDE = 6, 320  # pictures, and px of their longer side at most
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file: the same files are the same zip


def bundle(
    model: Model,
    extractor: Extractor,
    name: str,
    golden: Sequence[Image.Image],
    figures: Sequence[str] = (),
    *,
    limit: float = 0.0,
) -> bytes:
    """Return a zip with the model, everything around it, and ``predict.py``.

    name: of the project, for the card. golden: pictures, not of the model's size, whose verdicts are kept and
    proven; larger ones are made smaller (GOLDEN_SIDE). figures: sentences with intervals for MODEL_CARD.md.
    limit: that it judges by, 0 = its own. Raises ModelError when the graph says anything else than the model
    does.
    """
    if limit and isinstance(model, Inspector | Detector):
        model = type(model)({**model.card, "limit": limit}, model.tensors)
    card = _card(model, extractor, name)
    if isinstance(model, Inspector):
        graph = onnx_graph(model.detector(extractor), extractor.side, ("score", "heat", "logits"))
    elif isinstance(model, Detector):
        graph = onnx_graph(model.finder, extractor.side, ("boxes", "scores", "labels"))
    else:
        graph = onnx_graph(model.network(extractor), extractor.side, ("logits", "distance"))
    card["model_sha256"] = hashlib.sha256(graph).hexdigest()
    files: dict[str, bytes] = {
        "model.onnx": graph,
        "card.json": json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False).encode(),
        "predict.py": SCRIPT.read_bytes(),
        "requirements.txt": REQUIREMENTS.encode(),
        "Dockerfile": DOCKERFILE.encode(),
        "MODEL_CARD.md": model_card(card, model.card, figures).encode(),
    }
    expected = {}
    for number, image in enumerate(golden[:MOST_GOLDEN]):
        file = f"golden/{number}.png"
        held = io.BytesIO()
        small = ImageOps.exif_transpose(image).convert("RGB")
        small.thumbnail((GOLDEN_SIDE, GOLDEN_SIDE))
        small.save(held, "PNG", optimize=True)
        files[file] = held.getvalue()
        expected[file] = _said(model, extractor, Image.open(io.BytesIO(held.getvalue())))
    files["golden/expected.json"] = json.dumps(
        expected, indent=1, sort_keys=True, ensure_ascii=False
    ).encode()
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in sorted(files.items()))
    files["SHA256SUMS"] = sums.encode()
    data = _zip(files)
    prove(data, expected)
    return data


def prove(data: bytes, expected: Mapping[str, Mapping[str, Any]], python: str = sys.executable) -> None:
    """Run a bundle's ``predict.py`` on its golden pictures in a child process. Raises ModelError unless
    verdicts are equal and scores within TOLERANCE."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(folder)  # our own names only
        done = subprocess.run(
            [python, "-I", "predict.py", "golden"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    if done.returncode != 0:
        raise ModelError(f"The bundle doesn't run: {done.stderr.strip().splitlines()[-1:]}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    said = {Path(line.pop("file")).as_posix(): line for line in lines}
    if wrong := differences(expected, said):
        raise ModelError(f"The bundle says something else than the model: {wrong[0]}")


def differences(
    expected: Mapping[str, Mapping[str, Any]], said: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return in what two sets of verdicts differ by more than rounding."""
    found = [f"{file} is missing" for file in sorted(set(expected) - set(said))]
    for file in sorted(set(expected) & set(said)):
        for key, right in expected[file].items():
            if not _is_same(right, value := said[file].get(key)):
                found.append(f"{key} of {file} is {value!r}, not {right!r}")
    return found


def _is_same(right: Any, value: Any) -> bool:
    """Return whether two answers are the same but for rounding."""
    if isinstance(right, float) and isinstance(value, float):
        return abs(right - value) <= TOLERANCE * max(abs(right), 1.0)
    if isinstance(right, dict) and isinstance(value, dict):
        return right.keys() == value.keys() and all(_is_same(right[key], value[key]) for key in right)
    if isinstance(right, list) and isinstance(value, list):
        return len(right) == len(value) and all(map(_is_same, right, value))
    return bool(right == value)


def _card(model: Model, extractor: Extractor, name: str) -> dict[str, Any]:
    """Return what ``predict.py`` and a reader of the bundle need to know."""
    common = {
        "format": 1,
        "project": name,
        "task": model.card["task"],
        "side": extractor.side,
        "resize": "Pillow's resize to side × side, BILINEAR, after exif_transpose and RGB; divided by 255",
        "suffixes": SUFFIXES,
        "snapshot": model.card["snapshot"],
        "extractor": extractor.name,
        "licence": extractor.licence,
    }
    if isinstance(model, Detector):
        return common | {"labels": model.labels, "good": None, "limit": model.limit}
    if isinstance(model, Inspector):
        rest = {"labels": model.card["names"], "good": GOOD}
        return (
            common | rest | {key: model.card[key] for key in ("limit", "promise", "method", "alike", "weak")}
        )
    own = {"labels": model.card["labels"], "good": None, "none": NONE}
    return common | own | {"temperature": model.card["temperature"]}


def _said(model: Model, extractor: Extractor, image: Image.Image) -> dict[str, Any]:
    if isinstance(model, Inspector):
        verdict = model.inspect(image, extractor)
        return {
            "verdict": "strange" if verdict.strange else "good",
            "score": verdict.score,
            "name": verdict.name,
        }
    if isinstance(model, Detector):
        found = model.detect(image)
        return {"boxes": [{"label": one.label, "score": one.score, "box": list(one.box)} for one in found]}
    answer = model.classify(image, extractor)
    return {"label": answer.label, "distance": answer.distance}


def _zip(files: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, EPOCH), data, zipfile.ZIP_DEFLATED)
    return held.getvalue()
