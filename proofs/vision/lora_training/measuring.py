"""How a learned style is measured on the demo models: how near its drawings are to the style's pictures, and
whether they still show what was asked for."""

from __future__ import annotations

import hashlib
import io
import operator
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.requests.custom_models import STYLE, TrainRequest
from demo.evaluate.images import SINGLE
from demo.judge import Judge
from demo.train.loop import MODELS
from demo.world import PLACES, Scene, describe, held_out_scene
from proofs.vision.lora_training import looks, reader
from tests.vision.custom_models.memory_store import MemoryStore
from vision.capabilities import train as capability
from vision.custom_models.snapshot import Item, Snapshot
from vision.custom_models.steps import Store
from vision.diffusion import vae as pixels
from vision.diffusion.model import ImageModel, decode
from vision.engine.engine import Engine
from vision.engine.fiber import Fiber, unbatched
from vision.families import Mode
from vision.lora_training import dataset, families
from vision.lora_training.config import Settings, worded
from vision.lora_training.dataset import Example
from vision.lora_training.train import Learned, Plan, learn_style, prompts_of
from vision.protocol import WorkerConfig
from vision.reporter import Reporter
from vision.store import Models

UNSEEN = 7  # seed of a look's pictures that no training sees
COMPARED = 24  # of them
TOGETHER = 12  # drawings at once
# of a look's own filter: shares of drawings that it brings nearer, and that the judge still reads rightly
SEEN_NEARER, SEEN_KEPT = 0.9, 0.85


@dataclass(frozen=True)
class Figures:
    """Shares of prompts, 0..1. nearer: drawn with the style, nearer to its pictures than without. right: all
    three of object, colour and background as asked, drawn plainly, with the style, and, the most that can be
    expected, plainly with the look's filter over it. kept: object and place right plainly, and with the
    style; a plain ground counts in any colour."""

    look: str
    count: int
    nearer: float
    similarity: tuple[float, float]  # without, with
    right: tuple[float, float, float]
    kept: tuple[float, float]


def models(folder: Path, **loras: str) -> Models:
    """Return the demo models as a worker holds them, with these LoRAs."""
    roles = {"image": "stable-diffusion", "clip": "clip", "caption": "captioner"}
    specs = {role: str(MODELS / name) for role, name in roles.items()}
    return Models(WorkerConfig("cpu", specs, str(folder), cpu_threads=1, allow_download=False, loras=loras))


def train(look: str, pictures: int, settings: Settings) -> Learned:
    """Train a look on the demo model."""
    found = looks.pictures(look, pictures)
    examples = tuple(Example(picture, caption) for picture, caption in found)
    plan = Plan(None, examples, prompts_of([caption for _, caption in found]), settings)
    with tempfile.TemporaryDirectory() as folder:
        return learn_style(plan, models(Path(folder)), MemoryStore(), Reporter())


def train_described(look: str, pictures: int, trigger: str) -> Learned:
    """Train a look as ``/style`` does where nobody has written a caption."""
    with tempfile.TemporaryDirectory() as name:
        folder, paths = Path(name), dict[str, str]()
        for number, (picture, _) in enumerate(looks.pictures(look, pictures)):
            file = folder / f"{number}.png"
            picture.save(file)
            paths[hashlib.sha256(file.read_bytes()).hexdigest()] = str(file)
        (folder / capability.SNAPSHOT).write_text(Snapshot.of(map(Item, paths)).text())
        request = TrainRequest(project="abcdefgh2345", task=STYLE, words=trigger, seconds=3600)
        made = capability.train_style(request, paths, models(folder), Reporter(), folder)
        assert made.learned is not None
        sheet = Image.open(io.BytesIO(made.pictures[0].data)).convert("RGB")
        about = {"captions": [one.label for one in made.learned.items], **made.learned.metrics}
        return Learned(Path(made.learned.path).read_bytes(), about, (), (), sheet)


def scenes(count: int) -> list[tuple[Scene, str]]:
    """Return compositions that no training of the demo models has seen, and how they are asked for."""
    found = []
    for number in range(count):
        rng = random.Random(f"style {number}")
        scene = looks.flat(held_out_scene(rng, rng.choices(list(SINGLE), list(SINGLE.values()))[0]))
        caption = describe(scene, rng, noise=0.0, drop=0.0)
        while not caption.background_told:
            caption = describe(scene, rng, noise=0.0, drop=0.0)
        found.append((scene, caption.text))
    return found


def measure(
    look: str,
    learned: Learned,
    trigger: str,
    count: int,
    plain_store: Store,
    keep: Path | None = None,
    judge: Path | None = None,
) -> Figures:
    """Draw ``count`` prompts without and with the style. plain_store: for those without, which are the same
    for all styles. keep: folder for sheets of drawings. judge: file of the judge's weights."""
    asked = scenes(count)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lora.safetensors"
        file.write_bytes(learned.file)
        own = models(Path(folder), style=str(file))
        plain = _drawn([prompt for _, prompt in asked], "", own, plain_store)
        styled = _drawn([worded(text, trigger) for _, text in asked], "style", own, MemoryStore())
        own_pictures = [picture for picture, _ in looks.pictures(look, COMPARED, UNSEEN)]
        vectors = _vectors([*own_pictures, *plain, *styled], own)
    filtered = [looks.LOOKS[look](picture, number) for number, picture in enumerate(plain)]
    middle = torch.nn.functional.normalize(vectors[:COMPARED].mean(0), dim=0)
    without, with_style = (vectors[COMPARED:] @ middle).split(count)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        learned.sheet.save(keep / f"{look}-training.png")
        rows = [("plain", plain), ("style", styled), ("filter", filtered)]
        dataset.sample_sheet([prompt for _, prompt in asked][:12], [(w, p[:12]) for w, p in rows]).save(
            keep / f"{look}-drawings.png"
        )
    colours = Judge()
    right = tuple(
        _right(colours, pictures, [scene for scene, _ in asked]) for pictures in (plain, styled, filtered)
    )
    return Figures(
        look,
        count,
        float((with_style > without).float().mean()),
        (round(float(without.mean()), 3), round(float(with_style.mean()), 3)),
        (right[0], right[1], right[2]),
        (_kept(plain, asked, judge), _kept(styled, asked, judge)),
    )


@dataclass(frozen=True)
class Reach:
    """What the measure can tell of a look, and the model's own autoencoder can show of it: shares of plain
    drawings with the look's filter over them that come nearer to its pictures, by how much on average, and
    that are right; decoded: the same after they went through the model's encoder and decoder. kept: object
    and place are right plainly, and in what was decoded."""

    look: str
    count: int
    nearer: float
    by: float
    right: float
    decoded_nearer: float
    decoded_by: float
    decoded_right: float
    kept: tuple[float, float]

    @property
    def is_seen(self) -> bool:
        """Whether the measure can tell the look, and the judge the subject and place in it."""
        return self.decoded_nearer >= SEEN_NEARER and self.kept[1] >= SEEN_KEPT * self.kept[0]


def reach(look: str, count: int, plain_store: Store, judge: Path | None = None) -> Reach:
    """Lay the look's filter over ``count`` plain drawings. plain_store, judge: see measure."""
    asked = scenes(count)
    with tempfile.TemporaryDirectory() as folder:
        own = models(Path(folder))
        plain = _drawn([prompt for _, prompt in asked], "", own, plain_store)
        filtered = [looks.LOOKS[look](picture, number) for number, picture in enumerate(plain)]
        shown = [_decoded(picture, own.get("image")) for picture in filtered]
        own_pictures = [picture for picture, _ in looks.pictures(look, COMPARED, UNSEEN)]
        vectors = _vectors([*own_pictures, *plain, *filtered, *shown], own)
    middle = torch.nn.functional.normalize(vectors[:COMPARED].mean(0), dim=0)
    without, *others = (vectors[COMPARED:] @ middle).split(count)
    colours, wanted = Judge(), [scene for scene, _ in asked]
    found = [
        (
            round(float((near > without).float().mean()), 3),
            round(float((near - without).mean()), 3),
            round(_right(colours, made, wanted), 3),
        )
        for near, made in zip(others, (filtered, shown), strict=True)
    ]
    kept = _kept(plain, asked, judge), _kept(shown, asked, judge)
    return Reach(look, count, *found[0], *found[1], kept)


def _decoded(picture: Image.Image, model: ImageModel) -> Image.Image:
    """Return a picture as the model's autoencoder shows it."""
    pipe = model.pipeline(Mode.TEXT)
    with torch.no_grad():
        latents, _ = families.encoded(pipe.vae, pixels.tensor_of(np.asarray(picture)), pipe.device)
        return decode(model, pipe, latents)[0]


def _drawn(prompts: Sequence[str], lora: str, own: Models, store: Store) -> list[Image.Image]:
    """Draw them, several in a pass."""
    model, found = own.image(None, Reporter()), dict[int, Image.Image | BaseException]()
    for first in range(0, len(prompts), TOGETHER):
        engine = Engine()
        for number, prompt in list(enumerate(prompts))[first : first + TOGETHER]:
            engine.begin(
                str(number),
                partial(_drawn_one, number, prompt, lora, model, store),
                done=lambda made, error, number=number: found.update({number: error or made}),
            )
        engine.run()
        engine.stop()
    for one in found.values():
        if isinstance(one, BaseException):
            raise one
    return [found[number] for number in range(len(prompts))]


def _drawn_one(
    number: int, prompt: str, lora: str, model: ImageModel, store: Store, fiber: Fiber
) -> Image.Image:
    reporter = Reporter()
    reporter.fiber = fiber
    return dataset.draw_samples([prompt], lora, f"drawn-{number}", 1000 + number, model, store, reporter)[0]


def _vectors(pictures: Sequence[Image.Image], own: Models) -> torch.Tensor:
    """(N, D), of unit length."""
    matcher = own.get("clip")
    with torch.no_grad():
        made: torch.Tensor = unbatched(matcher.embed_image_lists, list(pictures))
    return torch.nn.functional.normalize(made.float(), dim=-1)


@cache
def _judge(kept: Path | None) -> Judge:
    with tempfile.TemporaryDirectory() as folder:
        model = models(Path(folder)).get("image")
        return reader.taught(partial(_decoded, model=model), kept)


def _kept(pictures: list[Image.Image], asked: Sequence[tuple[Scene, str]], judge: Path | None) -> float:
    """Return the share of pictures that show both the object and the place that were asked for: a plain
    ground counts whatever its colour, which a look may change. judge: file of its weights."""
    wanted = [
        (scene.groups[0].object, scene.background if scene.background in PLACES else "plain")
        for scene, _ in asked
    ]
    return sum(map(operator.eq, reader.read(pictures, _judge(judge)), wanted)) / len(wanted)


def _right(judge: Judge, pictures: list[Image.Image], asked: Sequence[Scene]) -> float:
    good = [
        (found.found[0].object, found.found[0].colour, found.background)
        == (scene.groups[0].object, scene.groups[0].colour, scene.background)
        for found, scene in zip(judge(pictures), asked, strict=True)
    ]
    return sum(good) / len(good)
