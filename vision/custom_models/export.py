"""The zip that runs elsewhere: one ONNX graph in packed weights, a model card and a program, proven in a
child process before anybody gets it.

It is made in a process of its own: torch's exporter changes what is the whole process's while it runs, and
others' drawings go on in the worker meanwhile."""

import hashlib
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

from core.errors import ModelError
from vision.custom_models.anomaly.detector import Inspector
from vision.custom_models.classification import NONE, Classifier
from vision.custom_models.detection import Detector
from vision.custom_models.features import Extractor
from vision.custom_models.snapshot import GOOD

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
        step, planes = byte_planes(weights, OF_MANY if weights.size > MANY else BITS)
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


def byte_planes(weights: np.ndarray, bits: int) -> tuple[np.ndarray, list[np.ndarray]]:
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


def model_card(card: Mapping[str, Any], learned: Mapping[str, Any], figures: Sequence[str]) -> str:
    """Return MODEL_CARD.md. card: of the bundle. learned: of the model."""
    lines = [f"# {card['project']}", ""]
    if card["task"] == "anomaly":
        stopped, of = card["promise"]
        lines += [
            f"An inspection that learned from {len(learned['good_scores'])} good pictures and"
            f" {len(learned['bad_scores'])} with defects.",
            "",
            f"- On average at most {stopped} of {of} good parts is stopped, while camera and light stay the"
            " same as when the good pictures were taken. With other parts or another camera there is no"
            " guarantee.",
            f"- It judges by {card['method']} on {card['extractor']}; parts lie: {card['alike']}.",
        ]
        if card["weak"]:
            lines.append(
                "- **Weak:** defects drawn onto its good pictures were often missed. Fine defects will be"
                " missed."
            )
        if learned["unsure"]:
            lines.append(f"- Drawn defects that it mostly missed: {', '.join(learned['unsure'])}.")
        if card["labels"]:
            lines.append(
                f"- It names: {', '.join(card['labels'])}. A kind it wasn't trained on gets a wrong name."
            )
    elif card["task"] == "detect":
        lines += [
            f"A detector of {', '.join(card['labels'])}, from {learned['pictures']} pictures with"
            f" {sum(learned['boxes'].values())} boxes.",
            "",
            f"- A box is reported from a score of {card['limit']:g} on. Scores put boxes in order; they are"
            " no probabilities.",
            f"- Pictures are squeezed into {card['side']} px: objects much smaller or larger than those that"
            " it learned from are missed.",
        ]
    else:
        lines += [
            f"A classifier of {', '.join(card['labels'])}, from {learned['examples']} pictures.",
            "",
            f"- Of pictures held out in turn, {100 * learned['accuracy']:.0f} % were labelled correctly;"
            f" reported probabilities were {100 * learned['calibration_error']:.0f} % off on average.",
            f'- A picture unlike all it learned from is "{card["none"]}".',
        ]
    lines += [f"- {sentence}" for sentence in figures]
    lines += [
        "",
        "It must not decide alone about people, or about anything whose failure can hurt somebody.",
        "",
        f"Licence of the backbone: {card['licence'] or 'not stated'}. Snapshot of the pictures:"
        f" {card['snapshot']}. `golden/` has pictures and what the model says of them, `SHA256SUMS` the hash"
        " of every file.",
        "",
    ]
    return "\n".join(lines)


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
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, EPOCH), data, zipfile.ZIP_DEFLATED)
    prove(made.getvalue(), expected)
    return made.getvalue()


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


ORDER, SAID, ZIP = "order.pickle", "said.txt", "bundle.zip"  # in the folder
REFUSED = 3  # exit status of a process whose last line of stderr is for people


@dataclass(frozen=True)
class Order:
    """artefact: bytes of the model's file. task: of it. extractor: what it sees with. golden: files of
    pictures. name, figures, limit: see ``bundle``."""

    artefact: bytes
    task: str
    extractor: object
    name: str
    golden: Sequence[str]
    figures: Sequence[str]
    limit: float


class Making:
    """A bundle that another process makes in ``folder``."""

    def __init__(self, order: Order, folder: Path) -> None:
        self.folder = folder
        (folder / ORDER).write_bytes(pickle.dumps(order))  # read by this program only, in its own folder
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "vision.custom_models.export", str(folder)]
        self._said = (folder / SAID).open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said
        )

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended within so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def taken(self) -> Path:
        """Return the file of the bundle, once it has ended. Raises ModelError when there is none."""
        self._said.seek(0)
        last = (self._said.read().strip().splitlines() or [""])[-1]
        status = self._process.returncode
        if status:
            raise ModelError(last if status == REFUSED else f"The bundle can't be made: {last}")
        return self.folder / ZIP

    def close(self) -> None:
        """End the process if it still runs, and remove what it was told."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._said.close()
        for name in (ORDER, SAID):
            (self.folder / name).unlink(missing_ok=True)


def main(folder: Path) -> int:
    """Make what the order in ``folder`` asks for; return the exit status."""
    import torch

    from vision.images import encode
    from vision.store import unpack_own_model

    torch.set_num_threads(1)
    order = pickle.loads((folder / ORDER).read_bytes())
    try:
        model = unpack_own_model(order.artefact, order.task)
        golden = [encode.open_picture(path) for path in order.golden]
        data = bundle(model, order.extractor, order.name, golden, order.figures, limit=order.limit)
    except ModelError as error:
        print(error, file=sys.stderr)
        return REFUSED
    (folder / ZIP).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
