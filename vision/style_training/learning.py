"""A style from pictures to a file: prepares them, takes the steps between those of other jobs, keeps where it
stands, draws samples, and lets another model have the room when one is needed."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import diffusers
import peft
import torch
from PIL import Image
from safetensors.torch import save

from core.errors import OutOfMemory, UserError
from vision import devices
from vision.families import Mode
from vision.image_model.attached.guided_lora import ABOUT, ENTRY, GuidedUse
from vision.image_model.model import ImageModel
from vision.model_store import Models
from vision.own_models.steps import Store
from vision.reporter import Reporter
from vision.style_training import lesson, recipes, samples, strength
from vision.style_training.lesson import Example
from vision.style_training.samples import Sampling
from vision.style_training.settings import Settings, check_count, worded
from vision.style_training.training import State, Training, config

log = logging.getLogger(__name__)

STATE, NAME = "state.safetensors", "style-in-training"
KEEP_EVERY, KEEP_SHARE = 10.0, 0.02  # seconds between two writes of the state, and their share of the time
GUIDED_STRENGTH = 1.5  # that suits most styles where they count for the prompt alone
TIMED = 5  # steps, after which it is known how long all of them take


@dataclass(frozen=True)
class Learned:
    """A trained style. file: the LoRA as safetensors, as diffusers names it. about: what it says of itself.
    losses: of each step. rows: (words, pictures), those drawn without it first. sheet: of all of them."""

    file: bytes = field(repr=False)
    about: Mapping[str, Any]
    losses: tuple[float, ...] = field(repr=False)
    rows: tuple[tuple[str, list[Image.Image]], ...] = field(repr=False)
    sheet: Image.Image = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """What is to be learned on which model. prompts: of the samples, without the trigger. seconds: of the
    device's time that it may take, 0 = any."""

    model: str | None
    examples: tuple[Example, ...] = field(repr=False)
    prompts: tuple[str, ...] = field(repr=False)
    settings: Settings
    seconds: float = 0.0

    def fingerprint(self, model: ImageModel) -> str:
        """Return a digest of all that the weights depend on."""
        versions = [torch.__version__, diffusers.__version__, peft.__version__]
        module = model.pipeline(Mode.TEXT).dtype
        told = [versions, model.identity, str(module), model.device, asdict(self.settings)]
        data = json.dumps([*told, [example.digest for example in self.examples]], sort_keys=True)
        return hashlib.sha256(data.encode()).hexdigest()


def learn(plan: Plan, models: Models, store: Store, reporter: Reporter) -> Learned:
    """Train and return the style. store: where the training finds what an earlier process left, and leaves
    what a later one needs.

    Raises UserError for a model that can't be trained, OutOfMemory where the device is too small after all,
    and what ``reporter.check`` raises, between two steps.
    """
    check_count(len(plan.examples))
    state: State | None = None
    while True:
        model = models.image(plan.model, reporter)
        recipe = recipes.of(model)
        fingerprint = plan.fingerprint(model)
        state = state or State.decode(store.get(STATE) or b"", fingerprint) or State()
        run = _Run(plan, model, recipe, fingerprint, store, reporter, models)
        try:
            finished, state = run.go_on(state)
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
            raise OutOfMemory(f"{model.name} can't be trained with the memory that is free here.") from error
        if finished:
            return run.learned(state)
        models.let_go(reporter)


class _Run:
    """A training while its model is in memory."""

    def __init__(
        self,
        plan: Plan,
        model: ImageModel,
        recipe: recipes.Recipe,
        fingerprint: str,
        store: Store,
        reporter: Reporter,
        models: Models,
    ) -> None:
        self.plan, self.model, self.recipe, self.fingerprint = plan, model, recipe, fingerprint
        self.store, self.reporter, self.models = store, reporter, models
        self.settings = plan.settings
        self.prompts = [worded(prompt, self.settings.trigger) for prompt in plan.prompts[: samples.MOST]]
        self.is_guided = recipe.is_guided and self.settings.whole < 1
        self.rows: list[tuple[str, list[Image.Image]]] = []
        self.tries: dict[float, list[Image.Image]] = {}  # samples at the end, by strength; 0 = without
        self._written, self._cost = time.monotonic(), 0.0
        self._threads = torch.get_num_threads()
        self._steps, self._seconds = 0, 0.0  # taken here, and how long they took

    def go_on(self, state: State) -> tuple[bool, State]:
        """Train on from ``state``; return whether it is finished, or another model needs the room first, and
        the state then."""
        model, settings, reporter = self.model, self.settings, self.reporter
        side = settings.resolution or model.card.native_size
        self.rows = [("without", self._samples("", 0, state.step))]
        examples = [*self._worded(), *self._prior(state.step)]
        rows = lesson.rows(examples, model, self.recipe, side, self.store, reporter)
        pipe = model.pipeline(Mode.TEXT)
        with ExitStack() as stack:
            use = GuidedUse(1.0, settings.whole) if self.is_guided else None
            inserted = config(self.recipe, settings, pipe.components[self.recipe.part])
            opened = model.loras.in_training(NAME, self.recipe.part, inserted, use)
            weights = reporter.build(lambda: stack.enter_context(opened), inline=True)
            training = Training(self.recipe, pipe, weights, rows, settings, side, state)
            for number in settings.sampled_after:
                while training.step < number:
                    if self.models.room_is_wanted and reporter.fiber is not None:
                        return False, training.state()
                    self._take_step(training)
                made = self._samples(NAME, number, training.step, self._usual)
                self.rows.append((f"{number} steps", made))
            if len(settings.strengths) > 1 and self.prompts and strength.can_be_chosen(self.models):
                self._try(training.step)
            return True, training.state()

    @property
    def _usual(self) -> float:
        """The strength of samples on the way, and of a style where none is chosen."""
        near = GUIDED_STRENGTH if self.is_guided else 1.0
        return min(self.settings.strengths, key=lambda strength: abs(strength - near))

    def _try(self, step: int) -> None:
        """Draw what the strength is chosen by: enough prompts, some of them several times, at each one."""
        last, prompts = self.settings.steps, [worded(one, self.settings.trigger) for one in self._tried]
        self.tries = {0.0: self._samples("", 0, step, prompts=prompts)}
        for strong in self.settings.strengths:
            self.tries[strong] = self._samples(NAME, last, step, strong, prompts)

    @property
    def _tried(self) -> list[str]:
        given = self.plan.prompts
        return [given[number % len(given)] for number in range(samples.TRIED)]

    def _worded(self) -> list[Example]:
        """The examples with the trigger in their captions."""
        trigger = self.settings.trigger
        return [Example(one.picture, worded(one.caption, trigger)) for one in self.plan.examples]

    def _prior(self, step: int) -> list[Example]:
        """What the model draws for the captions without the trigger, which it is to go on drawing
        (DreamBooth's prior preservation, arXiv:2208.12242, 3.3)."""
        given = [example.caption for example in self.plan.examples if example.caption]
        words = [given[number % len(given)] for number in range(self.settings.prior)]
        reporter = Sampling(self.reporter, step, self.settings.steps)
        name = f"prior-{self.fingerprint[:16]}"
        drawn = samples.draw(words, "", name, self.settings.seed + 1, self.model, self.store, reporter)
        return [Example(picture, caption, True) for picture, caption in zip(drawn, words, strict=True)]

    def _take_step(self, training: Training) -> None:
        reporter = self.reporter
        reporter.check()
        if reporter.fiber is not None:
            reporter.fiber.pause("style")
        if self.model.offload != "none":
            raise OutOfMemory(
                f"{self.model.name} had to make room for a drawing; there is too little memory."
            )
        before, begun = torch.get_num_threads(), time.monotonic()
        torch.set_num_threads(self._threads)  # sums may depend on it
        try:
            with self.model.loras.applied([((NAME, 1.0),)]):
                training.take_step()
        finally:
            torch.set_num_threads(before)
        self._check_time(time.monotonic() - begun)
        reporter.step(training.step, self.settings.steps)
        self._keep(training)

    def _check_time(self, seconds: float) -> None:
        """Raise UserError when the training is going to take longer than it may."""
        self._steps, self._seconds = self._steps + 1, self._seconds + seconds
        if not self.plan.seconds or self._steps < TIMED:
            return
        needed = self._seconds / self._steps * self.settings.steps
        if needed > self.plan.seconds:
            raise UserError(
                f"This training would take about {needed / 60:.0f} minutes of {self.model.device}; it may"
                f" take {self.plan.seconds / 60:.0f}."
            )

    def _keep(self, training: Training) -> None:
        """Keep where the training stands, unless that was done lately."""
        now = time.monotonic()
        if now - self._written < max(KEEP_EVERY, self._cost / KEEP_SHARE):
            return
        self.store.put(STATE, training.state().encode(self.fingerprint))
        self._written = time.monotonic()
        self._cost = self._written - now

    def _samples(
        self, lora: str, number: int, step: int, strong: float = 1.0, prompts: Sequence[str] | None = None
    ) -> list[Image.Image]:
        reporter = Sampling(self.reporter, step, self.settings.steps)
        name = f"sample-{self.fingerprint[:16]}-{number}" + (f"-{strong:g}" if strong != 1.0 else "")
        given, seed = self.prompts if prompts is None else prompts, self.settings.seed
        return samples.draw(given, lora, name, seed, self.model, self.store, reporter, strong)

    def learned(self, state: State) -> Learned:
        """Return what a finished training has come to, as strong as CLIP, which may need the room by now,
        finds best. state: its last one."""
        rows, strong = list(self.rows), self._usual
        if self.tries:
            own = [example.picture for example in self.plan.examples]
            strong = strength.chosen(own, self._tried, self.tries, strong, self.models, self.reporter)
        if strong != self._usual:
            rows.append((f"times {strong:g}", self.tries[strong][: len(self.prompts)]))
        about = self._about(strong)
        weights = state.weights if self.is_guided else strength.scaled(state.weights, strong)
        file = lora_file(self.recipe.part, weights, about)
        return Learned(file, about, state.losses, tuple(rows), samples.sheet(self.prompts, rows))

    def _about(self, strong: float) -> dict[str, Any]:
        """What the file says of itself."""
        use = GuidedUse(strong, self.settings.whole).told() if self.is_guided else None
        return {
            "model": self.model.name,
            "family": self.model.family.name,
            "pictures": len(self.plan.examples),
            **asdict(self.settings),
            "strength": strong,
            **({ENTRY: use} if use else {}),
        }


def lora_file(part: str, weights: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> bytes:
    """Return a LoRA as safetensors, in half precision, by the names that diffusers' ``save_lora_weights``
    gives."""
    tensors = {
        f"{part}.{name}": value.detach().to("cpu", torch.float16).contiguous()
        for name, value in sorted(weights.items())
    }
    # one entry only: the library writes several in any order
    return save(tensors, {ABOUT: json.dumps(dict(about), sort_keys=True)})


def prompts_of(captions: Sequence[str]) -> tuple[str, ...]:
    """Return prompts for samples where nobody gives any: captions that differ. Raises UserError for none."""
    found = tuple(dict.fromkeys(caption for caption in captions if caption))[: samples.TRIED]
    if not found:
        raise UserError("The pictures have no captions; say in a few words what each one shows.")
    return found
