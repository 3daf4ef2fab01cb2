"""A training of a style as a job: pictures and words from a request, a version of a project's model as its
answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from core.errors import ModelError, UserError
from core.events import Output
from core.requests import DescribeRequest
from core.requests.custom_models import TrainRequest
from core.results import Learned as Version
from core.results import LearnedFrom
from vision.capabilities import describe
from vision.families import Mode
from vision.image_model.model import ImageModel
from vision.model_store import Models
from vision.own_models.snapshot import Item, Snapshot
from vision.own_models.steps import FolderStore, Store
from vision.pictures import encode
from vision.reporter import Reporter
from vision.style_training import learning, recipes
from vision.style_training.learning import Plan, prompts_of
from vision.style_training.lesson import Example
from vision.style_training.samples import Sampling
from vision.style_training.settings import check_count, usual

SNAPSHOT, FEATURES, FILE = "snapshot.json", "features", "model.safetensors"
SHORT_SIDE = 1024  # px of a picture's shorter side; no model is trained on larger ones
CURVE = 20  # numbers that tell how the loss went


def run(
    request: TrainRequest, paths: Mapping[str, str], models: Models, reporter: Reporter, folder: Path
) -> Output:
    """Train a style on the pictures of ``snapshot.json`` in ``folder``, whose labels are their captions; what
    has none is described. Leaves the LoRA in ``folder``.

    Raises UserError for too few or too many pictures, a model that can't be taught, or one that would take
    longer than ``request.seconds``.
    """
    snapshot = Snapshot.read((folder / SNAPSHOT).read_text(encoding="utf-8"))
    check_count(len(snapshot.items))
    store = FolderStore(folder / FEATURES)
    notes: list[str] = []
    examples = _examples(snapshot.items, paths, request.seed, models, store, reporter, notes)
    model = models.image(request.model, reporter)
    settings = usual(request.words, len(examples), _weights(model), request.seed)
    prompts = prompts_of([example.caption for example in examples])
    plan = Plan(request.model, examples, prompts, settings, request.seconds)
    learned = learning.learn(plan, models, store, reporter)
    (folder / FILE).write_bytes(learned.file)
    sheet = reporter.in_thread(lambda: encode.png(learned.sheet))
    version = Version(
        str(folder / FILE),
        tuple(LearnedFrom(item.sha256, item.label, item.group, item.part) for item in snapshot.items),
        metrics={"loss": _curve(learned.losses), **learned.about},
        charts=("samples",),
        sentence=f"Learned from {len(examples)} pictures in {settings.steps} steps on {model.name}.",
    )
    parameters = {"kind": request.kind, "model": model.name, "seed": request.seed, "notes": notes}
    return Output((sheet,), sheet, learned=version, parameters=parameters)


def _weights(model: ImageModel) -> int:
    """How many weights the denoiser has."""
    module = model.pipeline(Mode.TEXT).components[recipes.of(model).part]
    return sum(value.numel() for value in module.parameters())


def _examples(
    items: Sequence[Item],
    paths: Mapping[str, str],
    seed: int,
    models: Models,
    store: Store,
    reporter: Reporter,
    notes: list[str],
) -> tuple[Example, ...]:
    """Return the pictures with their captions; captions that were written are kept in ``store``."""
    pictures = {item.sha256: reporter.in_thread(partial(_opened, paths[item.sha256])) for item in items}
    captions = {item.sha256: item.label for item in items}
    missing = [sha256 for sha256, caption in captions.items() if not caption]
    try:
        for sha256 in missing:
            captions[sha256] = _described(sha256, pictures[sha256], seed, models, store, reporter)
    except ModelError as error:
        notes.append(f"{error} Pictures without a caption are learned from by the style's words alone.")
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
    name = hashlib.sha256(
        f"caption {models.config.models.get('caption')} {seed} {sha256}".encode()
    ).hexdigest()
    kept = store.get(name)
    if kept is None:
        request = DescribeRequest(image=sha256, num_captions=1, seed=seed)
        told = describe.run(request, {sha256: picture}, models, Sampling(reporter, 0, 1))
        kept = told.captions[0].encode()
        store.put(name, kept)
    return kept.decode()


def _curve(losses: Sequence[float]) -> list[float]:
    """Return the loss as CURVE means, from the first step to the last."""
    size = max(1, len(losses) // CURVE)
    parts = [losses[start : start + size] for start in range(0, len(losses), size)]
    return [round(sum(part) / len(part), 4) for part in parts]
