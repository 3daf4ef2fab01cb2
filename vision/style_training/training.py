"""The steps of a training: which pictures, which noise, the optimizer; and what must be kept so that one that
was cut off ends in the same bits.

All random numbers of a step come from a generator that is seeded by the step's number, so that no state of
generators has to be kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load, save

from core.errors import ModelError
from vision.style_training.recipes import Recipe, Row
from vision.style_training.settings import Settings

BETAS, EPSILON, DECAY, CLIP = (0.9, 0.999), 1e-8, 1e-4, 1.0  # as in diffusers' examples
ENTRY = "__step__"
MOMENTS = ("exp_avg", "exp_avg_sq")
STRIDE = 1_000_003  # apart from the seeds of the steps those of other seeds begin
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
    def decode(cls, data: bytes, fingerprint: str) -> State | None:
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


def generator(seed: int, number: int) -> torch.Generator:
    """Return the random numbers of step ``number``."""
    return torch.Generator().manual_seed((seed * STRIDE + number) % 2**63)


class Training:
    """Trains ``weights`` on ``rows``, from ``state`` on. side: of the pictures, px. Raises ModelError for a
    state that isn't of such weights."""

    def __init__(
        self,
        recipe: Recipe,
        pipe: Any,
        weights: Weights,
        rows: Sequence[Row],
        settings: Settings,
        side: int,
        state: State,
    ) -> None:
        self._recipe, self._pipe, self._settings, self._side = recipe, pipe, settings, side
        self._weights = dict(sorted(weights.items()))
        self._schedule = recipe.schedule(pipe)
        self._own = [row for row in rows if not row.is_prior]
        self._prior = [row for row in rows if row.is_prior]
        self._optimizer = torch.optim.AdamW(
            list(self._weights.values()),
            lr=settings.learning_rate,
            betas=BETAS,
            eps=EPSILON,
            weight_decay=DECAY,
        )
        self.step, self.losses = state.step, list(state.losses)
        if state.tensors is None:
            self._initialise()
        else:
            self._restore(state.tensors)

    def state(self) -> State:
        """Return where it stands, as a copy."""
        tensors = {name: value.detach().cpu().clone() for name, value in self._weights.items()}
        for name, value in self._weights.items():
            for moment in MOMENTS if value in self._optimizer.state else ():
                tensors[f"{moment} {name}"] = self._optimizer.state[value][moment].detach().cpu().clone()
        return State(self.step, tensors, tuple(self.losses))

    def take_step(self) -> float:
        """Take one step of the optimizer and return its loss. Gradients are computed whatever the caller has
        switched off; other things that use the model mustn't run meanwhile."""
        settings, module = self._settings, self._pipe.components[self._recipe.part]
        share = self.step / settings.steps
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
        if settings.recompute:
            module.enable_gradient_checkpointing()
        try:
            with torch.enable_grad():
                numbers = generator(settings.seed, self.step)
                loss = self._recipe.loss(self._pipe, self._schedule, self._rows(), self._side, numbers)
                loss.backward()
        finally:
            module.disable_gradient_checkpointing()
        torch.nn.utils.clip_grad_norm_(self._weights.values(), CLIP)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        self.losses.append(float(loss.detach()))
        if not math.isfinite(self.losses[-1]):
            raise ModelError(f"The training lost itself in numbers that are none, at step {self.step}.")
        return self.losses[-1]

    def _rows(self) -> list[Row]:
        """The rows of the next step: each picture once before any comes again."""
        own = _next(self._own, self.step, self._settings)
        return own + (_next(self._prior, self.step, self._settings) if self._prior else [])

    def _initialise(self) -> None:
        """Fill the weights as peft does (kaiming-uniform and 0), by our generator."""
        numbers = generator(self._settings.seed, FIRST)
        with torch.no_grad():
            for name, value in self._weights.items():
                if name.endswith("lora_B.weight"):
                    value.zero_()
                    continue
                drawn = torch.empty(value.shape)
                torch.nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=numbers)
                value.copy_(drawn)

    def _restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        try:
            with torch.no_grad():
                for name, value in self._weights.items():
                    value.copy_(tensors[name])
                    if self.step:
                        self._optimizer.state[value] = {
                            "step": torch.tensor(float(self.step)),
                            **{
                                moment: tensors[f"{moment} {name}"].to(value.device, copy=True)
                                for moment in MOMENTS
                            },
                        }
        except (KeyError, RuntimeError) as error:
            raise ModelError("What was kept of the training doesn't fit this model.") from error


def _next(rows: Sequence[Row], step: int, settings: Settings) -> list[Row]:
    found = []
    for place in range(step * settings.batch, (step + 1) * settings.batch):
        epoch, number = divmod(place, len(rows))
        order = torch.randperm(len(rows), generator=generator(settings.seed, ORDER - epoch)).tolist()
        found.append(rows[order[number]])
    return found
