"""Detectors in a worker: trained, asked, and packed to run elsewhere."""

import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from core.events import Output
from core.requests import to_json
from tests.vision.custom_models import trays
from tests.vision.custom_models.conftest import needs_train
from tests.vision.custom_models.serving.conftest import Given, inspect, train
from tests.vision.test_worker import start
from vision.capabilities import capability
from vision.capabilities.inspect import _short
from vision.custom_models.detection import Detector, Settings, sees_with
from vision.custom_models.export import bundle, differences
from vision.protocol import Run, Step, WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

pytestmark = needs_train
STEPS = 4


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Six trays, two of them kept for testing."""
    given = Given(tmp_path_factory.mktemp("trays"))
    for seed in range(6):
        image, objects = trays.picture(seed)
        boxes, names = tuple(box for _, box in objects), tuple(kind for kind, _ in objects)
        given.add(image, "marked", boxes=boxes, names=names, part="test" if seed > 3 else "train")
    return given


@pytest.fixture(scope="module")
def models() -> Models:
    return Models(WorkerConfig("cpu", {}, ""))


@pytest.fixture(scope="module")
def trained(given: Given, models: Models) -> Output:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vision.custom_models.detection.Settings", partial(Settings, steps=STEPS))
        request = train("detect", settled=True, pixels=128)
        return capability("train")(request, given.paths, models, Reporter(), given.job("train"))


@pytest.fixture(scope="module")
def artefact(trained: Output, given: Given) -> str:
    assert trained.learned is not None
    return given.keep_model(trained.learned.path)


def test_a_training_tells_what_it_learned_from_and_what_it_finds(trained: Output, given: Given) -> None:
    learned = trained.learned
    assert learned is not None and learned.threshold == 0.3 and learned.promise is None
    assert {one.sha256 for one in learned.items} == {item.sha256 for item in given.items}
    assert [one.part for one in learned.items].count("test") == 2
    assert len(learned.metrics["test"]) == 2 and set(learned.metrics["labels"]) <= set(trays.KINDS)
    objects = sum(len(item.boxes) for item in given.items if item.part == "test")
    assert learned.metrics["found"][1] == objects
    assert learned.charts[0] == "curves" and "from 4 pictures" in learned.sentence
    assert trained.grid is not None and len(trained.pictures) == len(learned.charts)


def test_what_is_found_has_a_place_a_label_and_a_score(
    given: Given, models: Models, artefact: str, tmp_path: Path
) -> None:
    names = [item.sha256 for item in given.items][:2]
    request = inspect(artefact, *names, task="detect", limit=0.001)
    output = capability("inspect")(request, given.paths, models, Reporter(), tmp_path)
    assert [one.sha256 for one in output.verdicts] == names
    [first, _] = output.verdicts
    assert first.regions and first.score == first.regions[0].score and not first.strange
    assert all(one.label in trays.KINDS and 0 <= one.left < one.right <= 1 for one in first.regions)
    assert first.sentence.startswith("Found: ") and first.label in first.sentence
    told = json.loads(json.dumps(output.parameters["verdicts"]))
    assert told[0]["regions"][0]["label"] == first.regions[0].label
    assert output.grid is not None and _short(first) == first.label
    alone = inspect(artefact, names[0], task="detect", limit=0.999)
    nothing = capability("inspect")(alone, given.paths, models, Reporter(), tmp_path)
    assert nothing.verdicts[0].regions == () and nothing.verdicts[0].label == ""
    assert _short(nothing.verdicts[0]) == "nothing"
    assert "None of its objects" in nothing.verdicts[0].sentence
    shown = Image.open(io.BytesIO(nothing.grid.data)).convert("RGB")
    plain = Image.open(given.paths[names[0]]).convert("RGB")
    assert np.array_equal(np.asarray(shown), np.asarray(plain)), "nothing is drawn where nothing is found"


@pytest.mark.long
def test_a_killed_training_goes_on_where_it_was_and_learns_the_same(
    given: Given, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vision.custom_models.detection.Settings", partial(Settings, steps=9))
    monkeypatch.setattr("vision.custom_models.detection.KEPT_EVERY", 3)
    request = train("detect", settled=True, pixels=128)
    whole = capability("train")(request, given.paths, models, Reporter(), given.job("whole"))
    folder = given.job("killed")
    victim = start({}, tmp_path)  # a fork: it learns in as few steps
    victim.receive()
    victim.conn.send(Run("a", request.kind, to_json(request), given.paths, None, str(folder)))
    while not (isinstance(message := victim.receive(), Step) and message.step >= 0.7 * message.total):
        pass
    os.kill(victim.process.pid, signal.SIGKILL)
    victim.process.join(60)
    victim.conn.close()
    assert len(list((folder / "features").glob("[!.]*"))) == 1, "the last state of it"
    again = capability("train")(request, given.paths, models, Reporter(), folder)
    assert Path(again.learned.path).read_bytes() == Path(whole.learned.path).read_bytes()


def test_too_few_pictures_end_a_training_with_a_sentence(given: Given, models: Models, tmp_path) -> None:
    few = Given(tmp_path, given.paths, [replace(item, boxes=(), names=()) for item in given.items])
    with pytest.raises(UserError, match="at least 3 pictures"):
        capability("train")(train("detect", settled=True), few.paths, models, Reporter(), few.job("train"))


@pytest.mark.long
def test_a_bundle_finds_elsewhere_what_the_detector_finds(given: Given, artefact: str, tmp_path) -> None:
    model = Detector.unpack(Path(given.paths[artefact]).read_bytes())
    golden = [Image.open(given.paths[item.sha256]).resize((311, 200)) for item in given.items[:2]]
    new = trays.picture(77)[0].resize((500, 333))
    scores = [one.score for one in model.detect(new, 0.001)]
    limit = (scores[5] + scores[6]) / 2  # little was learned: scores are low
    data = bundle(model, sees_with(model.card["side"]), "trays", golden, limit=limit)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["task"], card["limit"]) == ("detect", limit)
    new.save(tmp_path / "new.png")
    done = subprocess.run(
        [sys.executable, "-I", "predict.py", "new.png"], cwd=tmp_path, capture_output=True, check=True
    )
    said = json.loads(done.stdout)
    found = model.detect(new, limit)
    right = [{"label": one.label, "score": one.score, "box": list(one.box)} for one in found]
    assert len(found) == 6 and differences({"new.png": {"boxes": right}}, {"new.png": said}) == []


def test_boxes_that_differ_by_more_than_rounding_are_told() -> None:
    right = {"a.png": {"boxes": [{"label": "nut", "score": 0.5, "box": [0.1, 0.2, 0.3, 0.4]}]}}
    near = {"a.png": {"boxes": [{"label": "nut", "score": 0.50005, "box": [0.1, 0.2, 0.3, 0.4]}]}}
    assert differences(right, near) == []
    for boxes in (
        [],
        [{"label": "nut", "score": 0.5, "box": [0.1, 0.2, 0.3, 0.41]}],
        [{"label": "screw", "score": 0.5, "box": [0.1, 0.2, 0.3, 0.4]}],
        [{"label": "nut", "score": 0.5}],
    ):
        assert differences(right, {"a.png": {"boxes": boxes}}), boxes
