"""Own models in a real worker: trained in slices beside others, stopped, killed, asked and bundled."""

import hashlib
import io
import json
import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from core.events import Output
from core.requests import Request, to_json
from tests.vision.custom_models.conftest import needs_train
from tests.vision.custom_models.serving.conftest import Given, bundle, inspect, train
from tests.vision.custom_models.test_classify import COLOURS, coloured
from tests.vision.test_worker import Running, start
from vision.capabilities import capability
from vision.custom_models.steps import Store
from vision.protocol import Broke, Done, Fault, Quit, Run, Step, Stop, Stopped, WorkerConfig
from vision.reporter import Reporter
from vision.store import MOST, Loaded, Models, OwnModels

pytestmark = needs_train


def hand_out(running: Running, job_id: str, request: Request, given: Given, folder: Path | str = "") -> None:
    running.conn.send(Run(job_id, request.kind, to_json(request), given.paths, None, str(folder)))


def asked(running: Running, job_id: str, request: Request, given: Given, folder: Path | str = "") -> Output:
    hand_out(running, job_id, request, given, folder)
    _, answer = running.answer()
    assert isinstance(answer, Done), answer
    return answer.output


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    torch.set_num_threads(1)
    made = start({}, tmp_path_factory.mktemp("worker"))
    made.receive()
    yield made
    made.conn.send(Quit())
    made.process.join(60)
    assert made.process.exitcode == 0


@pytest.fixture(scope="module")
def trained(running: Running, given_dials: Given) -> Output:
    return asked(running, "train", train(settled=True), given_dials, given_dials.job("train"))


@pytest.fixture(scope="module")
def artefact(trained: Output, given_dials: Given) -> str:
    return given_dials.keep_model(trained.learned.path)


@pytest.mark.slow
def test_a_training_tells_what_it_learned_from_and_how_good_it_is(
    trained: Output, given_dials: Given
) -> None:
    learned = trained.learned
    assert [(one.sha256, one.label, one.part) for one in learned.items] == sorted(
        (item.sha256, item.label, item.part) for item in given_dials.items
    )
    assert learned.threshold == pytest.approx(max(learned.metrics["good_scores"]), abs=1e-5)
    assert learned.promise == pytest.approx(1 / 7)
    assert "It stops about 1 good part in 7;" in learned.sentence
    assert len(learned.metrics["test"]) == 3
    assert learned.metrics["found"] == [1, 1]
    assert learned.metrics["labels"]["missing"]["recall"] == [1, 1]
    assert not any(item.sha256[:12] in json.dumps(learned.metrics) for item in given_dials.items)
    assert list(learned.charts)[:3] == ["scores", "confusion", "curves"]
    assert len(learned.charts) == len(trained.pictures)
    assert trained.grid.width >= trained.pictures[0].width


@pytest.mark.slow
def test_the_same_is_learned_in_slices_beside_others_and_without_and_one_picture_is_open_at_a_time(
    trained: Output, given_dials: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it is another process, with other threads, and nothing of the first one's features."""
    from vision.images import encode

    opened, most = set[int](), 0
    plain = encode.open_picture

    class Counted(Image.Image):
        def __del__(self) -> None:
            opened.discard(id(self))

    def counted(path: str) -> Image.Image:
        nonlocal most
        image = plain(path)
        image.__class__ = Counted
        opened.add(id(image))
        most = max(most, len(opened))
        return image

    monkeypatch.setattr(encode, "open_picture", counted)
    torch.set_num_threads(2)
    models = Models(WorkerConfig("cpu", {}, str(tmp_path)))
    output = capability("train")(
        train(settled=True), given_dials.paths, models, Reporter(), given_dials.job("plain")
    )
    assert Path(output.learned.path).read_bytes() == Path(trained.learned.path).read_bytes()
    assert 1 <= most <= 3


def test_a_training_that_is_stopped_ends_between_two_slices(running: Running, given_dials: Given) -> None:
    hand_out(running, "stopped", train(settled=True), given_dials, given_dials.job("stopped"))

    def stop(message: object) -> None:
        if isinstance(message, Step):
            running.conn.send(Stop("stopped"))

    heard, answer = running.answer(stop)
    assert answer == Stopped("stopped")
    assert max(message.step / message.total for message in heard if isinstance(message, Step)) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "share", [0.3, *(pytest.param(at, marks=pytest.mark.long) for at in (0.1, 0.6, 0.8))]
)
def test_a_killed_training_goes_on_where_it_was_and_learns_the_same(
    share: float, trained: Output, given_dials: Given, tmp_path: Path
) -> None:
    folder = given_dials.job(f"killed {share}")
    victim = start({}, tmp_path)
    victim.receive()
    hand_out(victim, "a", train(settled=True), given_dials, folder)
    while not (isinstance(message := victim.receive(), Step) and message.step >= share * message.total):
        pass
    os.kill(victim.process.pid, signal.SIGKILL)
    victim.process.join(60)
    kept = {file.name: file.stat().st_mtime_ns for file in (folder / "features").glob("[!.]*")}
    victim.conn.close()
    models = Models(WorkerConfig("cpu", {}, str(tmp_path)))
    output = capability("train")(train(settled=True), given_dials.paths, models, Reporter(), folder)
    assert Path(output.learned.path).read_bytes() == Path(trained.learned.path).read_bytes()
    after = {file.name: file.stat().st_mtime_ns for file in (folder / "features").glob("[!.]*")}
    assert kept.items() <= after.items()  # none of them was made again
    assert bool(kept) == (share > 0.2)


@pytest.mark.slow
def test_groups_and_parts_are_settled_where_nobody_has(given_dials: Given, tmp_path: Path) -> None:
    folder = given_dials.job("unsettled")
    models = Models(WorkerConfig("cpu", {}, str(tmp_path)))
    output = capability("train")(train(), given_dials.paths, models, Reporter(), folder)
    tested = {item.sha256 for item in given_dials.items if item.part == "test"}
    assert tested <= {one.sha256 for one in output.learned.items if one.part == "test"}


def test_a_training_that_takes_too_long_is_told(given_dials: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    from vision.custom_models import steps

    monkeypatch.setattr(steps.time, "monotonic", iter(range(0, 10**6, 3)).__next__)
    models = Models(WorkerConfig("cpu", {}, ""))
    with pytest.raises(Exception, match="has taken 12 s; the limit is 10 s"):
        capability("train")(
            train(settled=True, seconds=10), given_dials.paths, models, Reporter(), given_dials.job("long")
        )


def test_verdicts_come_in_the_order_of_the_pictures_with_what_is_strange_laid_over(
    running: Running, artefact: str, given_dials: Given, part_of: Callable
) -> None:
    bad, good = given_dials.add(part_of("dial", 210, "missing")), given_dials.add(part_of("dial", 211))
    output = asked(running, "two", inspect(artefact, bad, good, bad), given_dials)
    assert [verdict.sha256 for verdict in output.verdicts] == [bad, good, bad]
    assert [verdict.strange for verdict in output.verdicts] == [True, False, True]
    first = output.verdicts[0]
    assert first.label == "missing"
    assert first.sentence.startswith("Not like the good ones")
    assert 0 <= first.regions[0].left < first.regions[0].right <= 1
    assert first.regions[0].ratio > 1
    assert output.verdicts[1].regions == ()
    assert output.parameters["verdicts"][0]["label"] == "missing"
    assert dict(output.scores) == dict(first.names)
    alone = asked(running, "one", inspect(artefact, bad), given_dials)
    assert alone.verdicts[0] == first
    assert Image.open(io.BytesIO(alone.grid.data)).width == 2 * 256 + 8
    plain = asked(running, "plain", inspect(artefact, bad, explain=False), given_dials)
    assert Image.open(io.BytesIO(plain.grid.data)).width == 256


def test_another_limit_judges_otherwise_by_the_same_score(
    running: Running, artefact: str, given_dials: Given, part_of: Callable
) -> None:
    sha256 = given_dials.add(part_of("dial", 212))
    own = asked(running, "own", inspect(artefact, sha256), given_dials).verdicts[0]
    assert not own.strange
    strict = asked(running, "strict", inspect(artefact, sha256, limit=own.score * 0.9), given_dials)
    assert strict.verdicts[0].strange
    assert strict.verdicts[0].score == own.score
    assert strict.verdicts[0].limit == pytest.approx(own.score * 0.9, rel=1e-5)


def test_what_is_no_model_is_told(running: Running, given_dials: Given) -> None:
    (given_dials.folder / "bad.safetensors").write_bytes(b"nothing")
    sha256 = given_dials.keep_model(str(given_dials.folder / "bad.safetensors"))
    hand_out(running, "bad", inspect(sha256, given_dials.items[0].sha256), given_dials)
    _, answer = running.answer()
    assert isinstance(answer, Broke) and answer.fault is Fault.MODEL
    assert answer.message == "This file is no inspection."


@pytest.mark.long  # what is in one is in test_export.py, and that a process makes it in the two below
def test_a_bundle_is_made_beside_and_judges_as_the_model_does(
    running: Running, artefact: str, given_dials: Given, part_of: Callable
) -> None:
    golden = [given_dials.add(part_of("dial", 213)), given_dials.add(part_of("dial", 214, "missing"))]
    folder = given_dials.job("bundle")
    output = asked(
        running, "bundle", bundle(artefact, *golden, limit=2.5, figures=("Found 3.",)), given_dials, folder
    )
    (file,) = output.files
    assert (file.name, file.media_type) == ("dials-v1.zip", "application/zip")
    assert Path(file.path).parent == folder
    with zipfile.ZipFile(file.path) as archive:
        card = json.loads(archive.read("card.json"))
        assert card["limit"] == 2.5
        assert "Found 3." in archive.read("MODEL_CARD.md").decode()
        assert len([name for name in archive.namelist() if name.startswith("golden/")]) == 3
        model = archive.read("model.onnx")
    assert card["model_sha256"] == hashlib.sha256(model).hexdigest()
    assert {path.name for path in folder.iterdir()} == {"snapshot.json", "bundle.zip"}


def test_a_bundle_that_is_stopped_ends_its_process(
    running: Running, artefact: str, given_dials: Given
) -> None:
    folder = given_dials.job("no bundle")
    hand_out(running, "no", bundle(artefact), given_dials, folder)

    def stop(message: object) -> None:
        if isinstance(message, Step):
            running.conn.send(Stop("no"))

    _, answer = running.answer(stop)
    assert answer == Stopped("no")
    assert {path.name for path in folder.iterdir()} == {"snapshot.json"}


def test_a_styles_bundle_holds_its_lora(running: Running, tmp_path: Path) -> None:
    given = Given(tmp_path)
    (tmp_path / "lora").write_bytes(b"a LoRA")
    sha256 = given.keep_model(str(tmp_path / "lora"))
    (tmp_path / "job").mkdir()
    output = asked(running, "style", bundle(sha256, task="style"), given, tmp_path / "job")
    with zipfile.ZipFile(output.files[0].path) as archive:
        assert archive.read("style.safetensors") == b"a LoRA"
        assert archive.read("SHA256SUMS").decode() == f"{sha256}  style.safetensors\n"


def test_a_classifier_is_trained_asked_why_and_says_none_of_these(
    running: Running, part_of: Callable, tmp_path: Path
) -> None:
    given = Given(tmp_path)
    for place, (name, colour) in enumerate(COLOURS.items()):
        for n in range(5):
            given.add(coloured(colour, 10 * n + place), name, part="test" if n > 3 else "train")
    learned = asked(running, "colours", train("classify", settled=True), given, given.job("train")).learned
    assert learned.threshold is None and learned.promise is None
    assert learned.metrics["accuracy"] == [3, 3]
    assert list(learned.charts) == ["confusion"]
    model = given.keep_model(learned.path)
    red, other = given.add(coloured(COLOURS["red"], 901)), given.add(part_of("keypad", 1))
    said = asked(running, "ask", inspect(model, red, other, task="classify"), given)
    assert [verdict.label for verdict in said.verdicts] == ["red", ""]
    assert said.verdicts[1].strange and said.verdicts[1].sentence.startswith("Doesn't match any label")
    why = asked(running, "why", inspect(model, red, task="classify"), given)
    assert Image.open(io.BytesIO(why.grid.data)).width == 2 * 96 + 8


@pytest.mark.slow
def test_what_speaks_for_a_label_is_where_the_object_is(running: Running, tmp_path: Path) -> None:
    from vision.custom_models.classification import Classifier
    from vision.custom_models.features import filters
    from vision.custom_models.inference import why

    given = Given(tmp_path)
    for place, (name, colour) in enumerate(COLOURS.items()):
        for n in range(5):
            given.add(coloured(colour, 10 * n + place), name)
    output = asked(running, "again", train("classify", settled=True), given, given.job("train"))
    one = Loaded(Classifier.unpack(Path(output.learned.path).read_bytes()), filters())
    hits = 0
    for seed in range(900, 912):
        image = coloured(COLOURS["red"], seed)
        counts = why(image, one, "red")
        row, column = divmod(int(counts.argmax()), counts.shape[1])
        red, green, _ = image.getpixel((column * 6 + 3, row * 6 + 3))
        hits += red - green > 80
    assert hits >= 8  # 2 by chance


def test_only_the_last_models_are_kept_and_forgotten_ones_are_not() -> None:
    own, loaded = OwnModels(), Loaded(None, None)
    for number in range(MOST + 1):
        own.loaded[str(number)] = loaded
    assert "0" not in own.loaded and own.loaded["1"] is loaded
    own.forget(["1", "unknown"])
    assert "1" not in own.loaded


def test_a_store_of_features_keeps_to_its_room(tmp_path: Path) -> None:
    store = Store(tmp_path, most=30)
    for name in "abc":
        store.put(name, bytes(12))
    assert store.get("a") is None and store.get("c") == bytes(12)
