"""A version of somebody's own model, or of a style, learned from the pictures of a project: in slices beside
the drawings, going on where a killed one was."""

import hashlib
import io
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from textwrap import shorten

from PIL import Image

from core.errors import ModelError, UserError
from core.events import Output, Picture
from core.requests import DescribeRequest
from core.requests.custom_models import ANOMALY, DETECT, STYLE, TrainRequest
from core.results import Learned, LearnedFrom
from vision.capabilities import describe
from vision.custom_models import classification as classify
from vision.custom_models import detection as detect
from vision.custom_models import inference, steps
from vision.custom_models import report as boxes
from vision.custom_models.anomaly import train as anomaly
from vision.custom_models.anomaly.detector import FIXED, Inspector
from vision.custom_models.classification import NONE, Classifier
from vision.custom_models.dataset import settle
from vision.custom_models.features import Extractor, find_extractor
from vision.custom_models.report import Looked, Report, Tested
from vision.custom_models.snapshot import LONGEST_LABEL, TEST, TRAIN, Item, Snapshot
from vision.custom_models.steps import Budget, Step, Store
from vision.families import Mode
from vision.images import encode
from vision.lora_training import families, train
from vision.lora_training.config import check_count, usual_settings, without_common
from vision.lora_training.dataset import Example, Sampling
from vision.reporter import Reporter, Stage
from vision.store import Loaded, Models

SNAPSHOT, FEATURES, MODEL = "snapshot.json", "features", "model.safetensors"
MOST_FEATURES = 380 * 2**20  # bytes that are kept of them
LEARNING = 0.5  # of a training's seconds, that a transformer may take to learn to see labels
SETTLED, TRAINED, TESTED = 0.15, 0.85, 0.95  # shares of the whole, at which these are done
Model = Inspector | Classifier | detect.Detector


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
        return train_style(request, paths, models, reporter, folder)
    steps.check_libraries()
    reporter.loading("what a training needs", None)
    reporter.in_thread(steps.load_libraries, thread="loading")
    budget = Budget(request.seconds)
    lesson = Lesson(request, Snapshot.read((folder / SNAPSHOT).read_text("utf-8")), paths, models)
    if not request.settled:
        settling = settle(lesson.snapshot, lesson.open, request.seed)
        settled = budget.run(settling, Stage(reporter, 0, SETTLED))
        lesson = Lesson(request, settled, paths, models)
    if request.task == DETECT:
        seen_with = [detect.sees_with(detect.side_of(request.pixels))]
    else:
        seen_with = list(inference.towers(request.task, models, reporter))
    training = _training(lesson, seen_with, Store(folder / FEATURES, MOST_FEATURES), reporter)
    model = budget.run(training, Stage(reporter, SETTLED, TRAINED))
    extractor = find_extractor(model.card["extractor"], {one.name: one for one in seen_with}.get)
    stage = Stage(reporter, TRAINED, TESTED)
    tested: Sequence[Looked] | Sequence[Tested]
    if isinstance(model, detect.Detector):
        tested = budget.run(inference.testing(model, lesson.snapshot, lesson.open), stage)
    else:
        tested = budget.run(_judging(lesson, model, extractor, reporter), stage)
    report, (page, *pictures) = reporter.in_thread(lambda: _reported(model, tested, lesson))
    (folder / MODEL).write_bytes(model.pack())
    reporter.step(1, 1)
    learned = _learned(model, lesson.snapshot, report, folder / MODEL)
    parameters = {"kind": request.kind, "model": extractor.name, "seed": request.seed, "notes": []}
    return Output(tuple(pictures), page, learned=learned, parameters=parameters)


def _training(
    lesson: Lesson, seen_with: Sequence[Extractor], store: Store, reporter: Reporter
) -> Generator[Step, None, Model]:
    request = lesson.request
    if request.task == DETECT:
        chosen = detect.Settings(seen_with[0].side, request.alike != FIXED, request.seed)
        return detect.train_detector(lesson.snapshot, lesson.open, chosen, store)
    if request.task == ANOMALY:
        settings = anomaly.Settings(request.alike, request.seed)
        return anomaly.train_inspection(lesson.snapshot, lesson.open, seen_with, settings, store)
    labels = classify.taught_labels(lesson.snapshot)
    words = inference.label_words(labels, lesson.models, reporter)
    name = lesson.models.get("clip", reporter).name if words is not None else ""
    cost = classify.Tuning(LEARNING * request.seconds, lesson.models.config.device)
    return classify.train_classifier(
        lesson.snapshot, lesson.open, seen_with, store, words, request.seed, words_name=name, lora=cost
    )


def _judging(
    lesson: Lesson, model: Inspector | Classifier, extractor: Extractor, reporter: Reporter
) -> Generator[Step, None, list[Tested]]:
    """Yield a step for each picture that was kept for testing, and return what the model says of them."""
    items, found = lesson.snapshot.part(TEST), list[Tested]()
    plain = Reporter()  # a step is a slice already
    if isinstance(model, Inspector):
        one = Loaded(model, extractor, model.detector(extractor))
    else:
        one = Loaded(model, extractor)
        words = inference.label_words(model.labels, lesson.models, reporter, model.card["words"])
    for number, item in enumerate(items, 1):
        image, chances = lesson.open(item.sha256), tuple[float, ...]()
        if isinstance(model, Inspector):
            verdict, _ = inference.inspected(item.sha256, image, one, 0.0, plain)
            said = inference.verdict_label(verdict, bool(model.card["names"]))
        else:
            verdict = inference.classified(item.sha256, image, one, words, plain)
            said, told = verdict.label or NONE, dict(verdict.names)
            chances = tuple(told[label] for label in model.labels)
        found.append(Tested(item.sha256, item.label, said, verdict.score, verdict.strange, chances))
        yield Step(number, len(items), f"tested {number} of {len(items)}")
    return found


def _reported(
    model: Model, tested: Sequence[Tested] | Sequence[Looked], lesson: Lesson
) -> tuple[Report, list[Picture]]:
    """Return the report, and its page followed by each of its pictures."""
    if isinstance(model, detect.Detector):
        report = boxes.of_detector(model, [one for one in tested if isinstance(one, Looked)], lesson.open)
    else:
        said = [one for one in tested if isinstance(one, Tested)]
        if isinstance(model, Inspector):
            report = boxes.of_inspection(model, said, lesson.open)
        else:
            taught = [item.sha256 for item in lesson.snapshot.part(TRAIN)]
            report = boxes.of_classifier(model, said, lesson.open, taught)
    drawn = [Image.open(io.BytesIO(data)).convert("RGB") for data in report.charts.values()]
    drawn += [] if report.sheet is None else [report.sheet]
    return report, [encode.png(boxes.page(drawn)), *(encode.png(one) for one in drawn)]


def _learned_from(snapshot: Snapshot) -> tuple[LearnedFrom, ...]:
    return tuple(LearnedFrom(item.sha256, item.label, item.group, item.part) for item in snapshot.items)


def _learned(model: Model, snapshot: Snapshot, report: Report, path: Path) -> Learned:
    threshold = promise = None
    if isinstance(model, Inspector):
        threshold, (stopped, of) = model.limit, model.card["promise"]
        promise = stopped / of if stopped < of else None
    elif isinstance(model, detect.Detector):
        threshold = model.limit
    charts = (*report.charts, *(("mistakes",) if report.sheet is not None else ()))
    learned_from, told = _learned_from(snapshot), report.metrics
    return Learned(str(path), learned_from, threshold, promise, told, charts, report.sentence)


SHORT_SIDE = 1024  # px of a picture's shorter side; no model is trained on larger ones
CURVE = 20  # means that tell how the loss went, from the first step to the last


def train_style(
    request: TrainRequest, paths: Mapping[str, str], models: Models, reporter: Reporter, folder: Path
) -> Output:
    """Train a style on the pictures of ``snapshot.json`` in ``folder``, whose labels are their captions; what
    has none is described. Leaves the LoRA in ``folder``. Raises UserError for too few or too many pictures, a
    model that can't be trained, or would take longer than ``request.seconds`` or its card say."""
    snapshot = Snapshot.read((folder / SNAPSHOT).read_text(encoding="utf-8"))
    check_count(len(snapshot.items))
    store = Store(folder / FEATURES)
    notes: list[str] = []
    examples = _examples(snapshot.items, paths, request.seed, models, store, reporter, notes)
    model = models.image(request.model, reporter)
    denoiser = model.pipeline(Mode.TEXT).components[families.recipe_of(model).part]
    weights, name = sum(value.numel() for value in denoiser.parameters()), model.name
    seconds = min(request.seconds, model.card.style_seconds or request.seconds)
    del model, denoiser  # what the style is learned on may need its room
    settings = usual_settings(request.words, len(examples), weights, request.seed)
    prompts = train.prompts_of([example.caption for example in examples])
    plan = train.Plan(request.model, examples, prompts, settings, seconds)
    learned = train.learn_style(plan, models, store, reporter)
    (folder / MODEL).write_bytes(learned.file)
    size, on = max(1, len(learned.losses) // CURVE), learned.about.get("learned_on", name)
    if on != name:
        notes.append(f"{name} was distilled from {on}, which has learned the style in its place.")
    parts = [learned.losses[start : start + size] for start in range(0, len(learned.losses), size)]
    loss = [round(sum(part) / len(part), 4) for part in parts]
    sheet = reporter.in_thread(lambda: encode.png(learned.sheet))
    told = {"loss": loss, **learned.about}
    sentence = f"Learned from {len(examples)} pictures in {settings.steps} steps on {on}."
    learned_from = tuple(
        replace(one, label=example.caption)
        for one, example in zip(_learned_from(snapshot), examples, strict=True)
    )
    version = Learned(str(folder / MODEL), learned_from, None, None, told, ("samples",), sentence)
    parameters = {"kind": request.kind, "model": name, "seed": request.seed, "notes": notes}
    return Output((sheet,), sheet, learned=version, parameters=parameters)


def _examples(
    items: Sequence[Item],
    paths: Mapping[str, str],
    seed: int,
    models: Models,
    store: Store,
    reporter: Reporter,
    notes: list[str],
) -> tuple[Example, ...]:
    """Return the pictures with their captions: people's as they are, and for the others what a captioner
    says, which is kept in ``store``, less what it says of all alike."""
    pictures = {item.sha256: reporter.in_thread(partial(_opened, paths[item.sha256])) for item in items}
    captions = {item.sha256: item.label for item in items}
    missing = [sha256 for sha256, caption in captions.items() if not caption]
    try:
        said = [_described(one, pictures[one], seed, models, store, reporter) for one in missing]
        cut = (shorten(one, LONGEST_LABEL, placeholder="") for one in without_common(said))
        captions.update(zip(missing, cut, strict=True))
    except ModelError as error:
        notes.append(f"{error} Pictures without a caption are trained with the style's words alone.")
    if not any(captions.values()):
        raise UserError("None of the pictures has a caption; label some with what they show.")
    return tuple(Example(pictures[item.sha256], captions[item.sha256]) for item in items)


def _opened(path: str) -> Image.Image:
    image = encode.open_picture(path)
    scale = SHORT_SIDE / min(image.size)
    if scale >= 1:
        return image
    return encode.resize(image, (round(image.width * scale), round(image.height * scale)))


def _described(
    sha256: str, picture: Image.Image, seed: int, models: Models, store: Store, reporter: Reporter
) -> str:
    """Return the describe model's first words for a picture."""
    told = f"caption {models.config.models.get('caption')} {seed} {sha256}"
    name = hashlib.sha256(told.encode()).hexdigest()
    if (kept := store.get(name)) is None:
        request = DescribeRequest(image=sha256, num_captions=1, seed=seed)
        made = describe.run(request, {sha256: picture}, models, Sampling(reporter, 0, 1))
        kept = made.captions[0].encode()
        store.put(name, kept)
    return kept.decode()
