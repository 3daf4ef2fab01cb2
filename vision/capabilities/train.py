"""A version of somebody's own model, learned from the pictures of a project: in slices beside the drawings,
going on where a killed one was."""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from core.events import Output, Picture
from core.requests.custom_models import ANOMALY, DETECT, STYLE, TrainRequest
from core.results import Learned, LearnedFrom
from vision.model_store import Models
from vision.own_models import needs
from vision.own_models.anomaly import training as anomaly
from vision.own_models.anomaly.inspector import FIXED, Inspector
from vision.own_models.classify import training as classify
from vision.own_models.classify.classifier import NONE, Classifier
from vision.own_models.classify.tuning import Tuning
from vision.own_models.detect import training as detect
from vision.own_models.detect.detector import Detector, sees_with
from vision.own_models.features.extractor import Extractor, named
from vision.own_models.report import boxes
from vision.own_models.report import learned as reports
from vision.own_models.report.boxes import Looked
from vision.own_models.report.learned import Report, Tested
from vision.own_models.serving import asking, finding, towers
from vision.own_models.serving.held import Loaded
from vision.own_models.serving.slices import Budget
from vision.own_models.settle import settle
from vision.own_models.snapshot import TEST, TRAIN, Snapshot
from vision.own_models.steps import FolderStore, Step
from vision.pictures import encode
from vision.reporter import Reporter, Stage

SNAPSHOT, FEATURES, MODEL = "snapshot.json", "features", "model.safetensors"
MOST_FEATURES = 380 * 2**20  # bytes that are kept of them
LEARNING = 0.5  # of a training's seconds, that a transformer may take to learn to see labels
SETTLED, TRAINED, TESTED = 0.15, 0.85, 0.95  # shares of the whole, at which these are done
Model = Inspector | Classifier | Detector


@dataclass(frozen=True)
class Lesson:
    """What is learned from, and by what."""

    request: TrainRequest
    snapshot: Snapshot
    paths: Mapping[str, str]
    models: Models

    def open(self, sha256: str) -> Image.Image:
        """Return a picture; none is kept open."""
        return encode.open_picture(self.paths[sha256])


def run(
    request: TrainRequest, paths: Mapping[str, str], models: Models, reporter: Reporter, folder: Path
) -> Output:
    """See vision.capabilities. ``folder`` has ``snapshot.json``; features are kept in it, and go with it."""
    if request.task == STYLE:
        from vision.style_training import asking as style

        return style.run(request, paths, models, reporter, folder)
    needs.check()
    reporter.loading("what a training needs", None)
    reporter.in_thread(needs.load, thread="loading")
    budget = Budget(request.seconds)
    lesson = Lesson(request, Snapshot.read((folder / SNAPSHOT).read_text("utf-8")), paths, models)
    if not request.settled:
        settling = settle(lesson.snapshot, lesson.open, request.seed)
        settled = budget.run(settling, Stage(reporter, 0, SETTLED))
        lesson = Lesson(request, settled, paths, models)
    if request.task == DETECT:
        seen_with = [sees_with(detect.side_of(request.pixels))]
    else:
        seen_with = list(towers.towers(request.task, models, reporter))
    training = _training(lesson, seen_with, FolderStore(folder / FEATURES, MOST_FEATURES), reporter)
    model = budget.run(training, Stage(reporter, SETTLED, TRAINED))
    extractor = named(model.card["extractor"], {one.name: one for one in seen_with}.get)
    testing = _testing(lesson, model, extractor, reporter)
    tested = budget.run(testing, Stage(reporter, TRAINED, TESTED))
    report, pictures = reporter.in_thread(lambda: _reported(model, tested, lesson))
    (folder / MODEL).write_bytes(model.pack())
    reporter.step(1, 1)
    return Output(
        grid=pictures[0],
        pictures=tuple(pictures[1:]),
        learned=_learned(model, lesson.snapshot, report, folder / MODEL),
        parameters={"kind": request.kind, "model": extractor.name, "seed": request.seed, "notes": []},
    )


def _training(
    lesson: Lesson, seen_with: Sequence[Extractor], store: FolderStore, reporter: Reporter
) -> Generator[Step, None, Model]:
    request = lesson.request
    if request.task == DETECT:
        chosen = detect.Settings(seen_with[0].side, request.alike != FIXED, request.seed)
        return detect.train(lesson.snapshot, lesson.open, chosen, store)
    if request.task == ANOMALY:
        settings = anomaly.Settings(request.alike, request.seed)
        return anomaly.train(lesson.snapshot, lesson.open, seen_with, settings, store)
    labels = classify.taught_labels(lesson.snapshot)
    words = asking.words_of(labels, lesson.models, reporter)
    name = lesson.models.get("clip", reporter).name if words is not None else ""
    cost = Tuning(LEARNING * request.seconds, lesson.models.config.device)
    return classify.train(
        lesson.snapshot, lesson.open, seen_with, store, words, request.seed, words_name=name, lora=cost
    )


def _testing(
    lesson: Lesson, model: Model, extractor: Extractor, reporter: Reporter
) -> Generator[Step, None, list[Tested] | list[Looked]]:
    """Yield a step for each picture that was kept for testing, and return what the model says of them."""
    if isinstance(model, Detector):
        return finding.testing(model, lesson.snapshot, lesson.open)
    return _judging(lesson, model, extractor, reporter)


def _judging(
    lesson: Lesson, model: Inspector | Classifier, extractor: Extractor, reporter: Reporter
) -> Generator[Step, None, list[Tested]]:
    items, found = lesson.snapshot.part(TEST), list[Tested]()
    plain = Reporter()  # a step is a slice already
    if isinstance(model, Inspector):
        one = Loaded(model, extractor, model.detector(extractor))
    else:
        one = Loaded(model, extractor)
        words = asking.words_of(model.labels, lesson.models, reporter, model.card["words"])
    for number, item in enumerate(items, 1):
        image, chances = lesson.open(item.sha256), tuple[float, ...]()
        if isinstance(model, Inspector):
            verdict, _ = asking.inspected(item.sha256, image, one, 0.0, plain)
            said = asking.told(verdict, bool(model.card["names"]))
        else:
            verdict = asking.classified(item.sha256, image, one, words, plain)
            said, told = verdict.label or NONE, dict(verdict.names)
            chances = tuple(told[label] for label in model.labels)
        found.append(Tested(item.sha256, item.label, said, verdict.score, verdict.strange, chances))
        yield Step(number, len(items), f"tested {number} of {len(items)}")
    return found


def _reported(
    model: Model, tested: Sequence[Tested] | Sequence[Looked], lesson: Lesson
) -> tuple[Report, list[Picture]]:
    """Return the report, and its page followed by each of its pictures."""
    if isinstance(model, Detector):
        report = boxes.of_detector(model, [one for one in tested if isinstance(one, Looked)], lesson.open)
    else:
        said = [one for one in tested if isinstance(one, Tested)]
        if isinstance(model, Inspector):
            report = reports.of_inspection(model, said, lesson.open)
        else:
            taught = [item.sha256 for item in lesson.snapshot.part(TRAIN)]
            report = reports.of_classifier(model, said, lesson.open, taught)
    drawn = [Image.open(io.BytesIO(data)).convert("RGB") for data in report.charts.values()]
    drawn += [] if report.sheet is None else [report.sheet]
    return report, [encode.png(reports.page(drawn)), *(encode.png(one) for one in drawn)]


def _learned(model: Model, snapshot: Snapshot, report: Report, path: Path) -> Learned:
    threshold = promise = None
    if isinstance(model, Inspector):
        threshold, (stopped, of) = model.limit, model.card["promise"]
        promise = stopped / of if stopped < of else None
    elif isinstance(model, Detector):
        threshold = model.limit
    return Learned(
        str(path),
        tuple(LearnedFrom(item.sha256, item.label, item.group, item.part) for item in snapshot.items),
        threshold,
        promise,
        report.metrics,
        (*report.charts, *(("mistakes",) if report.sheet is not None else ())),
        report.sentence,
    )
