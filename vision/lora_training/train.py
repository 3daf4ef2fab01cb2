"""Trains a style, from pictures to a file: takes the steps between those of other jobs, keeps what ends in
the same bits after a cut, draws samples, and chooses how strong the style is.

All random numbers of a step come from a generator that is seeded by the step's number, so that no state of
generators has to be kept. Of a few strengths the weakest counts at which nearly everything comes nearer to
the style's pictures, by the host's CLIP, and still shows what was asked for."""

import hashlib
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import diffusers
import peft
import torch
import torch.nn.functional as F
from peft import LoraConfig
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save

from core.errors import ModelError, OutOfMemory, UserError
from vision import devices
from vision.custom_models.steps import MOMENTS, Store, learned_tensors, put_back, step_numbers
from vision.diffusion.loras import ABOUT, GuidedUse
from vision.diffusion.loras import ENTRY as GUIDED_LORA_ENTRY
from vision.diffusion.model import ImageModel
from vision.families import Mode
from vision.lora_training import dataset, families
from vision.lora_training.config import Settings, check_count, worded
from vision.lora_training.dataset import Example, Sampling
from vision.lora_training.families import Recipe, Row
from vision.reporter import Reporter
from vision.store import Models

DECAY, CLIP = 1e-4, 1.0  # as in diffusers' examples
ENTRY = "__step__"
FIRST, ORDER = -1, -2  # numbers of the generators of the first weights, and of the pictures' order
Weights = Mapping[str, torch.nn.Parameter]


@dataclass(frozen=True)
class State:
    """A training after ``step`` steps. tensors: the weights by their names, and each one's moments; on the
    CPU. losses: of each step."""

    step: int = 0
    tensors: Mapping[str, torch.Tensor] | None = None
    losses: tuple[float, ...] = ()

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """The weights without their moments."""
        return {name: value for name, value in (self.tensors or {}).items() if not name.startswith(MOMENTS)}

    def encode(self, fingerprint: str) -> bytes:
        """Return it as a file. fingerprint: of all that the training depends on."""
        about = json.dumps({"fingerprint": fingerprint, "step": self.step, "losses": self.losses})
        return save(
            {**(self.tensors or {}), ENTRY: torch.frombuffer(bytearray(about, "ascii"), dtype=torch.uint8)}
        )

    @classmethod
    def decode(cls, data: bytes, fingerprint: str) -> "State | None":
        """Return what ``encode`` wrote; None for a damaged file or another training's."""
        try:
            tensors = load(data)
            about = json.loads(bytes(tensors.pop(ENTRY).tolist()))
            if about["fingerprint"] != fingerprint:
                return None
            return cls(int(about["step"]), tensors, tuple(about["losses"]))
        except (SafetensorError, KeyError, ValueError, TypeError):
            return None


def config(recipe: Recipe, settings: Settings, module: Any) -> LoraConfig:
    """Return what peft inserts into ``module``."""
    targets = recipe.targets(settings.layers, module)
    return LoraConfig(r=settings.rank, lora_alpha=settings.rank, target_modules=targets)


@dataclass
class Training:
    """Trains ``weights``, which are in ``module``, on ``rows``, from ``begun`` on. scheduler: of the model
    that is trained. side: of the pictures, px. Raises ModelError for a state that isn't of such weights."""

    recipe: Recipe
    module: Any
    scheduler: Any
    weights: Weights
    rows: Sequence[Row]
    settings: Settings
    side: int
    begun: State

    def __post_init__(self) -> None:
        self.weights, rate = dict(sorted(self.weights.items())), self.settings.learning_rate
        self._schedule = self.recipe.schedule(self.scheduler)
        self._optimizer = torch.optim.AdamW(list(self.weights.values()), rate, weight_decay=DECAY)
        self.step, self.losses = self.begun.step, list(self.begun.losses)
        if self.begun.tensors is None:
            # fill the weights as peft does (kaiming-uniform and 0), by our generator
            numbers = step_numbers(self.settings.seed, FIRST)
            with torch.no_grad():
                for name, value in self.weights.items():
                    if name.endswith("lora_B.weight"):
                        value.zero_()
                        continue
                    drawn = torch.empty(value.shape)
                    torch.nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=numbers)
                    value.copy_(drawn)
        else:
            try:
                put_back(self.begun.tensors, self.weights, self._optimizer, self.step)
            except (KeyError, RuntimeError) as error:
                raise ModelError("What was kept of the training doesn't fit this model.") from error

    def state(self) -> State:
        """Return where it stands, as a copy."""
        return State(self.step, learned_tensors(self.weights, self._optimizer), tuple(self.losses))

    def take_step(self) -> None:
        """Take one step of the optimizer. Gradients are computed whatever the caller has switched off; other
        things that use the model mustn't run meanwhile."""
        settings, module = self.settings, self.module
        share = self.step / settings.steps
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
        if settings.recompute:
            module.enable_gradient_checkpointing()
        try:
            with torch.enable_grad():
                rows = []
                for place in range(self.step * settings.batch, (self.step + 1) * settings.batch):
                    epoch, number = divmod(place, len(self.rows))  # each once before any comes again
                    lots = step_numbers(settings.seed, ORDER - epoch)
                    rows.append(self.rows[int(torch.randperm(len(self.rows), generator=lots)[number])])
                numbers = step_numbers(settings.seed, self.step)
                loss = self.recipe.loss(module, self._schedule, rows, self.side, numbers)
                loss.backward()
        finally:
            module.disable_gradient_checkpointing()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), CLIP)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        self.losses.append(float(loss.detach()))
        if not math.isfinite(self.losses[-1]):
            raise ModelError(f"The training lost itself in numbers that are none, at step {self.step}.")


STEADY = 1.5  # times its deviation the mean gain is: of a normal distribution, 93 % come nearer
FAITHFUL = 0.8  # of the likeness of pictures and prompts without the style, which is the least to be kept


@dataclass(frozen=True)
class Seen:
    """What CLIP sees of drawings at one strength. steady: how much nearer they come to the style's pictures
    than those without it, mean by deviation. faithful: how like their prompts they are, as a share of those
    without it."""

    steady: float
    faithful: float


def choose_strength(
    pictures: Sequence[Image.Image],
    prompts: Sequence[str],
    tries: Mapping[float, Sequence[Image.Image]],
    usual: float,
    models: Models,
    reporter: Reporter,
) -> float:
    """Return the strength to keep: ``usual`` where no CLIP can be had. pictures: of the style. tries:
    drawings of ``prompts``, by strength; 0 = without it."""
    try:
        matcher = models.get("clip", reporter)
    except (ModelError, OutOfMemory) as error:
        log.warning("the strength of a style isn't chosen: %s", error)
        return usual

    look = partial(reporter.batched, "clip", matcher.embed_image_lists)
    own, before = (look(list(some)).float() for some in (pictures, tries[0.0]))  # (N, D), (P, D), unit length
    asked = reporter.batched("clip", matcher.embed_text_lists, list(prompts)).float().to(own)  # (P, D)
    middle = F.normalize(own.mean(0), dim=0)
    seen = {}
    for strength in sorted(tries)[1:]:
        after = look(list(tries[strength])).float()
        gain = (after - before) @ middle
        like, was = (float((one * asked).sum(1).mean()) for one in (after, before))
        steady = float(gain.mean() / gain.std().clamp(min=1e-6))
        seen[strength] = Seen(steady, like / was if was > 0 else 1.0)
    log.info("a style by its strengths: %s", seen)
    return best(seen)


def best(seen: Mapping[float, Seen]) -> float:
    """Return the weakest strength that is steady; where none is, the strongest that is faithful; never one
    that isn't faithful, but for the weakest of all."""
    weakest = min(seen)
    faithful = [one for one in sorted(seen) if seen[one].faithful >= FAITHFUL] or [weakest]
    return next((one for one in faithful if seen[one].steady >= STEADY), faithful[-1])


def scaled(weights: Mapping[str, torch.Tensor], strength: float) -> dict[str, torch.Tensor]:
    """Return a LoRA whose changes are ``strength`` times as large."""
    return {
        name: value * strength if name.endswith("lora_B.weight") else value for name, value in weights.items()
    }


log = logging.getLogger(__name__)

STATE, NAME = "state.safetensors", "style-in-training"
WITHOUT, WITH = "without", "with it"  # the words beside rows of samples
KEEP_EVERY, KEEP_SHARE = 10.0, 0.02  # seconds between two writes of the state, and their share of the time
GUIDED_STRENGTH = 1.5  # that suits most styles where they count for the prompt alone
TIMED = 5  # steps, after which it is known how long all of them take


@dataclass(frozen=True)
class Learned:
    """A trained style. file: the LoRA as safetensors, as diffusers names it. about: what it says of itself.
    losses: of each step. rows: (words, pictures): without it, with it, and on the way. sheet: of all."""

    file: bytes = field(repr=False)
    about: Mapping[str, Any]
    losses: tuple[float, ...] = field(repr=False)
    rows: tuple[tuple[str, list[Image.Image]], ...] = field(repr=False)
    sheet: Image.Image = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """What is to be learned on which model. prompts: of the samples, without the trigger. seconds: of the
    device's time that it may take, of a processor's cores those of one after the other, 0 = any."""

    model: str | None
    examples: tuple[Example, ...] = field(repr=False)
    prompts: tuple[str, ...] = field(repr=False)
    settings: Settings
    seconds: float = 0.0

    def fingerprint(self, model: ImageModel) -> str:
        """Return a digest of all that the weights depend on."""
        versions = [torch.__version__, diffusers.__version__, peft.__version__]
        module = model.pipeline(Mode.TEXT).dtype
        told = [versions, model.identity, str(module), model.device, asdict(self.settings), model.card.base]
        data = json.dumps([*told, [example.digest for example in self.examples]], sort_keys=True)
        return hashlib.sha256(data.encode()).hexdigest()


def learn_style(plan: Plan, models: Models, store: Store, reporter: Reporter) -> Learned:
    """Train and return the style. store: where the training finds what an earlier process left, and leaves
    what a later one needs. Raises UserError for a model that can't be trained, OutOfMemory where the device
    is too small after all, and what ``reporter.check`` raises, between two steps."""
    check_count(len(plan.examples))
    state: State | None = None
    while True:
        run = _Run(plan, models, store, reporter)
        state = state or State.decode(store.get(STATE) or b"", run.fingerprint) or State()
        try:
            finished, state = run.go_on(state)
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
            raise OutOfMemory(f"{run.name} can't be trained with the memory that is free here.") from error
        if finished:
            return run.learned(state)
        models.let_go(reporter)


class _Run:
    """A training, as long as its model may stay in memory. What draws is asked for anew each time: what the
    style is learned on may need its room."""

    def __init__(self, plan: Plan, models: Models, store: Store, reporter: Reporter) -> None:
        self.plan, self.models, self.store, self.reporter = plan, models, store, reporter
        model = self._drawing()
        self.recipe, self.fingerprint = families.recipe_of(model), plan.fingerprint(model)
        self.name, self.family, self.device = model.name, model.family.name, model.device
        self.side, self.base = model.card.native_size, model.card.base
        self.settings = plan.settings
        self.prompts = [worded(prompt, self.settings.trigger) for prompt in plan.prompts[: dataset.MOST]]
        self.is_guided = self.recipe.is_guided and self.settings.whole < 1
        self.rows: list[tuple[str, list[Image.Image]]] = []
        self.tries: dict[float, list[Image.Image]] = {}  # samples at the end, by strength; 0 = without
        self._written, self._cost = time.monotonic(), 0.0
        self._threads = torch.get_num_threads()
        self._steps, self._seconds = 0, 0.0  # taken here, and how long they took
        self._drawn = 0.0  # seconds that samples took
        self._clock = time.process_time if self.device == "cpu" else time.monotonic
        self.learned_on = self.name

    def _drawing(self) -> ImageModel:
        return self.models.image(self.plan.model, self.reporter)

    def go_on(self, state: State) -> tuple[bool, State]:
        """Train on from ``state``; return whether it is finished, or makes room for others, and its state."""
        self.rows = [(WITHOUT, self._samples("", 0, state.step))]
        # the examples with the trigger in their captions
        trigger = self.settings.trigger
        examples = [Example(one.picture, worded(one.caption, trigger)) for one in self.plan.examples]
        rows = dataset.rows(examples, self._drawing(), self.recipe, self.side, self.store, self.reporter)
        finished, state = self._train(rows, state)
        if finished and self.base:
            named = {f"{self.recipe.part}.{name}": value for name, value in state.weights.items()}
            with ExitStack() as stack:
                added = self._drawing().loras.added(NAME, named)
                self.reporter.build(lambda: stack.enter_context(added), inline=True)
                self._show(self.settings.steps, state.step)
        return finished, state

    def _train(self, rows: Sequence[Row], state: State) -> tuple[bool, State]:
        """Take the steps that are left; where the drawing model itself learns, draw samples between."""
        settings, part = self.settings, self.recipe.part
        taught: Any = self.models.base(self.base, self.reporter) if self.base else self._drawing()
        pipe = taught if self.base else taught.pipeline(Mode.TEXT)
        module, self.learned_on = pipe.components[part], taught.name
        with ExitStack() as stack:
            use = GuidedUse(1.0, settings.whole) if self.is_guided else None
            opened = taught.loras.in_training(NAME, part, config(self.recipe, settings, module), use)
            weights = self.reporter.build(lambda: stack.enter_context(opened), inline=True)
            training = Training(
                self.recipe, module, pipe.scheduler, weights, rows, settings, self.side, state
            )
            for number in settings.sampled_after:
                while training.step < number:
                    if self.models.room_is_wanted and self.reporter.fiber is not None:
                        return False, training.state()
                    self._take_step(training, taught)
                if not self.base:
                    self._show(number, training.step)
            return True, training.state()

    def _show(self, number: int, step: int) -> None:
        """Draw the samples after step ``number``; at the end also those that the strength is chosen by:
        enough prompts, some of them several times, at each one."""
        settings = self.settings
        self.rows.append((f"{number} steps", self._samples(NAME, number, step, self._usual)))
        chosen = len(settings.strengths) > 1 and self.prompts and self.models.config.models.get("clip")
        if number == settings.steps and chosen:
            prompts = [worded(one, settings.trigger) for one in self._tried]
            self.tries = {0.0: self._samples("", 0, step, prompts=prompts)}
            usual, most = self._usual, self.plan.seconds
            for strong in sorted(settings.strengths, key=lambda one: (abs(one - usual), one)):
                # as many as there is time for, the usual one first
                if strong == usual or not most or self._seconds + self._drawn < most:
                    self.tries[strong] = self._samples(NAME, number, step, strong, prompts)

    @property
    def _usual(self) -> float:
        """The strength of samples on the way, and of a style where none is chosen."""
        near = GUIDED_STRENGTH if self.is_guided else 1.0
        return min(self.settings.strengths, key=lambda strength: abs(strength - near))

    @property
    def _tried(self) -> list[str]:
        given = self.plan.prompts
        return [given[number % len(given)] for number in range(dataset.TRIED)]

    def _take_step(self, training: Training, taught: Any) -> None:
        reporter = self.reporter
        reporter.check()
        if reporter.fiber is not None:
            reporter.fiber.pause("style")
        if taught.offload != "none":
            raise OutOfMemory(f"{self.name} had to make room for a drawing; there is too little memory.")
        before, begun = torch.get_num_threads(), self._clock()
        torch.set_num_threads(self._threads)  # sums may depend on it
        try:
            with taught.loras.applied([((NAME, 1.0),)]):
                training.take_step()
        finally:
            torch.set_num_threads(before)
        self._check_time(self._clock() - begun)
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
                f"This training would take about {needed / 60:.0f} minutes of {self.device}; it may"
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
        begun, model = self._clock(), self._drawing()
        drawn = dataset.draw_samples(given, lora, name, seed, model, self.store, reporter, strong)
        self._drawn += self._clock() - begun
        return drawn

    def learned(self, state: State) -> Learned:
        """Return what a finished training has come to, as strong as CLIP, which may need the room by now,
        finds best. state: its last one."""
        rows, strong = list(self.rows), self._usual
        if self.tries:
            own = [example.picture for example in self.plan.examples]
            strong = choose_strength(own, self._tried, self.tries, strong, self.models, self.reporter)
        # before and after beside each other, then those on the way
        (_, before), *between, (_, after) = rows
        if strong != self._usual:
            after = self.tries[strong][: len(self.prompts)]
        rows = [(WITHOUT, before), (WITH, after), *between]
        # what the file says of itself
        use = GuidedUse(strong, self.settings.whole).told() if self.is_guided else None
        about = {
            "model": self.name,
            "family": self.family,
            **({"learned_on": self.learned_on} if self.base else {}),
            "pictures": len(self.plan.examples),
            **asdict(self.settings),
            "strength": strong,
            **({GUIDED_LORA_ENTRY: use} if use else {}),
        }
        weights = state.weights if self.is_guided else scaled(state.weights, strong)
        file = lora_file(self.recipe.part, weights, about)
        return Learned(file, about, state.losses, tuple(rows), dataset.sample_sheet(self.prompts, rows))


def lora_file(part: str, weights: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> bytes:
    """Return a LoRA as safetensors, in half precision, named as by ``save_lora_weights``."""
    tensors = {
        f"{part}.{name}": value.detach().to("cpu", torch.float16).contiguous()
        for name, value in sorted(weights.items())
    }
    # one entry only: the library writes several in any order
    return save(tensors, {ABOUT: json.dumps(dict(about), sort_keys=True)})


def prompts_of(captions: Sequence[str]) -> tuple[str, ...]:
    """Return prompts for samples where nobody gives any: captions that differ. Raises UserError for none."""
    found = tuple(dict.fromkeys(caption for caption in captions if caption))[: dataset.TRIED]
    if not found:
        raise UserError("The pictures have no captions; say in a few words what each one shows.")
    return found
