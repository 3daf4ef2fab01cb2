"""Bundles: what is in them, that they say what the model says, and what happens when they don't."""

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import ModelError
from tests.vision.custom_models.conftest import needs_train, pile
from tests.vision.custom_models.memory_store import MemoryStore
from tests.vision.custom_models.test_classify import COLOURS, coloured
from vision.custom_models import export as bundles
from vision.custom_models import report
from vision.custom_models.anomaly.detector import Inspector
from vision.custom_models.anomaly.train import Settings, train_inspection
from vision.custom_models.classification import train_classifier
from vision.custom_models.features import filters
from vision.custom_models.steps import exhausted

pytestmark = needs_train
BARE = os.environ.get("BARE_PYTHON", sys.executable)  # of an environment with onnxruntime, numpy, pillow only


@pytest.fixture(scope="module")
def inspector(part_of) -> Inspector:
    torch.set_num_threads(1)
    some = [(part_of("dial", seed), "good") for seed in range(6)]
    some += [(part_of("dial", 100 + seed, "missing"), "missing") for seed in range(3)]
    known = pile(some)
    settings = Settings(alike="fixture")
    return exhausted(train_inspection(known.snapshot, known.open, [filters()], settings, MemoryStore()))


@pytest.fixture(scope="module")
def bundle(inspector: Inspector, part_of) -> bytes:
    golden = [part_of("dial", 300).resize((301, 277)), part_of("dial", 301, "missing").resize((400, 640))]
    return bundles.bundle(inspector, filters(), "dials", golden, ["Found: 3 of 3 (29-100 %)."])


@pytest.fixture
def folder(bundle: bytes, tmp_path: Path) -> Path:
    zipfile.ZipFile(io.BytesIO(bundle)).extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


def judged(folder: Path, *arguments: str) -> list[dict]:
    command = [BARE, "-I", "predict.py", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_a_bundle_holds_what_runs_it_and_says_what_it_is(folder: Path) -> None:
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == {
        "Dockerfile", "MODEL_CARD.md", "SHA256SUMS", "card.json", "golden/0.png", "golden/1.png",
        "golden/expected.json", "model.onnx", "predict.py", "requirements.txt",
    }  # fmt: skip
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    with Image.open(folder / "golden/1.png") as image:
        assert image.size == (200, 320), "no larger than it needs to be"
    card = json.loads((folder / "card.json").read_text())
    assert card["model_sha256"] == hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    page = (folder / "MODEL_CARD.md").read_text()
    assert "6 good pictures and 3 with defects" in page
    assert "at most 1 of 7 good parts" in page
    assert "Found: 3 of 3 (29-100 %)." in page
    assert "**Weak:**" in page if card["weak"] else "**Weak:**" not in page


def test_the_script_has_sixty_lines_and_three_libraries() -> None:
    text = bundles.SCRIPT.read_text()
    assert text.count("\n") <= 60
    imported = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import", "from"))
    }
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime", "PIL"}


@pytest.mark.slow
def test_it_says_what_the_model_says_of_pictures_of_any_size_type_and_turn(
    inspector, folder: Path, part_of, tmp_path: Path
) -> None:
    lots, pictures = np.random.default_rng(0), tmp_path / "pictures"
    pictures.mkdir()
    for number in range(12):
        image = part_of("dial", 300 + number % 4, (None, "missing", None, "crack")[number % 4])
        exif = Image.Exif()
        exif[0x0112] = number % 8 + 1
        size = tuple(int(side) for side in lots.integers(90, 500, 2))
        kind = ("jpg", "png", "webp")[number % 3]
        image.convert("L" if number == 5 else "RGB").resize(size).save(
            pictures / f"{number:02}.{kind}", exif=exif
        )
    lines = judged(folder, str(pictures))
    assert len(lines) == 12
    verdicts = set()
    for line in lines:
        with Image.open(line["file"]) as image:
            mine = inspector.inspect(image, filters())
        assert line["score"] == pytest.approx(mine.score, rel=1e-4)
        assert (line["verdict"] == "strange") == mine.strange
        assert line["name"] == mine.name
        verdicts.add(line["verdict"])
    assert "strange" in verdicts


def test_heat_maps_are_written_beside(folder: Path, tmp_path: Path) -> None:
    judged(folder, "golden", "--heat", str(tmp_path))
    good, bad = (np.asarray(Image.open(tmp_path / f"{number}.heat.png")) for number in range(2))
    assert good.shape == (277, 301)
    assert bad.max() > 0


def test_new_pictures_of_a_watched_folder_are_judged_once_and_broken_ones_are_told(
    folder: Path, part_of, tmp_path: Path
) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    command = [BARE, "-I", "predict.py", "--watch", "0.1", str(watched)]
    watching = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        part_of("dial", 300).save(watched / "a.png")
        first = json.loads(watching.stdout.readline())
        (watched / "notes.txt").write_text("no picture")
        (watched / "b.jpg").write_bytes(b"no picture either")
        second = json.loads(watching.stdout.readline())
        part_of("dial", 301, "missing").save(watched / "c.png")
        third = json.loads(watching.stdout.readline())
    finally:
        watching.kill()
        watching.wait()
        watching.stdout.close()
    assert [Path(line["file"]).name for line in (first, second, third)] == ["a.png", "b.jpg", "c.png"]
    assert "error" in second
    assert third["verdict"] == "strange"


def test_a_bundle_that_says_something_else_is_not_handed_out(bundle: bytes) -> None:
    archive = zipfile.ZipFile(io.BytesIO(bundle))
    expected = json.loads(archive.read("golden/expected.json"))
    bundles.prove(bundle, expected)
    expected["golden/0.png"]["score"] *= 1.01
    with pytest.raises(ModelError, match="says something else than the model: score of golden/0.png"):
        bundles.prove(bundle, expected)
    with zipfile.ZipFile(damaged := io.BytesIO(), "w") as other:
        for name in archive.namelist():
            other.writestr(name, b"damaged" if name == "model.onnx" else archive.read(name))
    with pytest.raises(ModelError, match="doesn't run"):
        bundles.prove(damaged.getvalue(), expected)


@pytest.mark.slow
def test_a_classifier_runs_elsewhere_too(tmp_path: Path) -> None:
    known = pile(
        [(coloured(c, 10 * n + k), name) for k, (name, c) in enumerate(COLOURS.items()) for n in range(4)]
    )
    classifier = exhausted(train_classifier(known.snapshot, known.open, [filters()], MemoryStore()))
    golden = [coloured(colour, 990) for colour in COLOURS.values()]
    data = bundles.bundle(classifier, filters(), "colours", golden)
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
    for line, image in zip(judged(tmp_path, "golden"), golden, strict=True):
        mine = classifier.classify(image, filters())
        assert line["label"] == mine.label
        assert line["distance"] == pytest.approx(mine.distance, rel=1e-4)
        assert line["chances"] == pytest.approx(dict(mine.chances), abs=1e-4)
    assert "A classifier of blue, green, red, from 12 pictures." in (tmp_path / "MODEL_CARD.md").read_text()


class _Wide(torch.nn.Module):
    """A network with weights that are packed in 24 bits and in 22, of rows of very different sizes, and few
    that aren't packed."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.few = torch.nn.Conv2d(3, 160, 4, 4), torch.nn.Conv2d(160, 16, 1)
        self.many = torch.nn.Linear(16 * 64, 80)
        self.first.weight.data *= torch.logspace(-4, 2, 160)[:, None, None, None]
        self.first.weight.data[7] = 0

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first = self.first(pixels)
        return first, self.many(self.few(first).flatten(1)).relu()


def test_large_graphs_are_packed_and_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx
    import onnxruntime

    network, pixels = _Wide().eval(), torch.rand(1, 3, 32, 32)
    plain = bundles.onnx_graph(network, 32, ("first", "many"))
    monkeypatch.setattr(bundles, "LARGE", 1000)
    small = bundles.onnx_graph(network, 32, ("first", "many"))
    said = [onnxruntime.InferenceSession(one).run(None, {"pixels": pixels.numpy()}) for one in (plain, small)]
    for (right, value), error in zip(zip(*said, strict=True), (1e-6, 2e-5), strict=True):
        most = np.abs(right).max((0, 2, 3) if right.ndim == 4 else None, keepdims=True)
        assert (np.abs(value - right) <= error * most + 1e-12).all()
    types = {one.name: one.data_type for one in onnx.load_from_string(small).graph.initializer}
    assert {name.split(".")[1] for name in types if name.startswith("packed.") and name != "packed.base"} == {
        "first", "many",
    }  # fmt: skip
    assert len(small) < 0.8 * len(plain)


def test_packed_weights_are_within_half_a_step_of_what_they_were() -> None:
    weights = np.random.default_rng(0).normal(0, 1, (5, 6, 2, 2)).astype(np.float32)
    for bits in (bundles.BITS, bundles.OF_MANY):
        step, (high, middle, low) = bundles.byte_planes(weights, bits)
        again = ((high.astype(np.int64) * 256 + middle) * 256 + low) * step.astype(np.float64)
        most = np.abs(weights).max((1, 2, 3), keepdims=True)
        assert (np.abs(again - weights) <= 1.01 * most * 2.0**-bits).all()
        assert (low % 2 ** (bundles.BITS - bits) == 0).all()


def test_a_report_has_no_chart_of_one_field_alone(inspector: Inspector, part_of) -> None:
    """Where all is good and called good, a confusion matrix shows nothing."""
    good = [report.Tested("a", "good", "good", inspector.limit / 2, False)]
    bad = [report.Tested("b", "missing", "missing", inspector.limit * 2, True)]
    assert list(report.of_inspection(inspector, good, lambda _: part_of("dial", 300)).charts) == ["scores"]
    both = report.of_inspection(inspector, good + bad, lambda _: part_of("dial", 300))
    assert list(both.charts) == ["scores", "confusion", "curves"]
