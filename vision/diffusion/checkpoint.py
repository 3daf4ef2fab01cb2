"""Checkpoints: what a half-drawn job needs to continue in another process and end in the same bits; and noise
schedules that begin late, at a picture, or end early (``--stop``) at the picture predicted by then.

One file for a job: tensors as safetensors, everything else as JSON in its metadata; nothing is pickled. Knows
diffusers' schedulers and no pipeline."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import diffusers
import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vision.engine import collate
from vision.engine.denoiser import ATTRIBUTES, Call, Denoiser

FEWEST = 4  # steps from a picture on, where a drawing from noise has as many


def noise_share(strength: float) -> float:
    """Return the share of noise, σ / (1 + σ), from which Stable Diffusion (β from 0.00085 to 0.012, "scaled
    linear") draws a picture anew at ``strength``: so far that goes in every family."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)[max(0, round(1000 * strength) - 1)]
    sigma = ((1 - kept) / kept) ** 0.5
    return float(sigma / (1 + sigma))


class FlowMatchFromShare(diffusers.FlowMatchEulerDiscreteScheduler):
    """A flow model's schedule from a picture on. The pipelines' own way is to leave out steps at the
    beginning; but bent for large pictures, nearly all of such a schedule is near pure noise. share: of
    noise, at which it begins."""

    share = 1.0

    @staticmethod
    def shares(strength: float, steps: int) -> list[float]:
        """Return what ``set_timesteps`` takes as sigmas, for ``strength`` of ``steps`` from noise on."""
        first, count = noise_share(strength), max(min(FEWEST, steps), math.ceil(steps * strength))
        return [first * (count - i) / count for i in range(count)]

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        """Set even levels, as many as ``sigmas``, of which the first is ``share`` once they are bent. How
        they are depends on the configuration, ``mu`` and the last level, so it is tried."""
        if sigmas is None:
            raise ValueError("the levels of noise aren't given")
        low, high = 0.0, 1.0
        for _ in range(20):
            first = (low + high) / 2
            levels = np.linspace(first, first / len(sigmas), len(sigmas)).tolist()
            super().set_timesteps(sigmas=levels, mu=mu)
            low, high = (first, high) if self.sigmas[0] < self.share else (low, first)
        super().set_timesteps(device=device, sigmas=levels, mu=mu)


def stopped_at(scheduler: Any, stop: float, strength: float | None = None) -> Any:
    """Return ``scheduler`` wrapped so that it runs only the share ``stop`` (0..1) of its steps, at least one;
    with 1 the scheduler itself. The last step goes all the way to the noise-free picture, which is soft where
    details would have come later. strength: of the image-to-image call that will use it; the steps that such
    a call leaves out at the beginning don't count."""
    if stop >= 1:
        return scheduler
    if "final_sigmas_type" in scheduler.config:
        scheduler.register_to_config(final_sigmas_type="zero")  # else some solvers divide by the last sigma
    kind = _BySigma if hasattr(scheduler, "sigmas") else _ByTimestep
    return kind(scheduler, stop, strength)


def unwrapped(scheduler: Any) -> Any:
    """Return the diffusers scheduler itself, which has all the state."""
    while isinstance(scheduler, EarlyStop):
        scheduler = scheduler.wrapped
    return scheduler


class EarlyStop:
    """Stands for the scheduler ``wrapped``: all but ``set_timesteps`` and ``step`` is its own."""

    def __init__(self, wrapped: Any, stop: float, strength: float | None) -> None:
        self.wrapped, self.stop, self.strength = wrapped, stop, strength
        # pipelines inspect which arguments these take
        self.set_timesteps = functools.wraps(wrapped.set_timesteps)(functools.partial(self._set_timesteps))
        self.step = functools.wraps(wrapped.step)(functools.partial(self._step))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "wrapped"), name)

    def _set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        self.wrapped.set_timesteps(*args, **kwargs)
        steps, entries = self.wrapped.num_inference_steps, len(self.wrapped.timesteps)
        first = steps - min(steps, int(steps * self.strength)) if self.strength is not None else 0
        kept = first + max(1, round(self.stop * (steps - first)))
        # Heun has 2n - 1 timesteps for n steps, PNDM n + 1, the others n
        self._cut(2 * kept - 1 if entries == 2 * steps - 1 and steps > 1 else kept + entries - steps)

    def _step(self, *args: Any, **kwargs: Any) -> Any:
        return self.wrapped.step(*args, **kwargs)

    def _cut(self, entries: int) -> None:
        self.wrapped.timesteps = self.wrapped.timesteps[:entries]


class _BySigma(EarlyStop):
    """Schedulers over noise levels: after the last step comes the level at which a full schedule ends."""

    def _cut(self, entries: int) -> None:
        super()._cut(entries)
        self.wrapped.sigmas = torch.cat([self.wrapped.sigmas[:entries], self.wrapped.sigmas[-1:]])


class _ByTimestep(EarlyStop):
    """Schedulers over timesteps (DDIM, DDPM, LCM, PNDM): the last step returns their noise-free picture."""

    def _step(
        self,
        model_output: Tensor,
        timestep: Any,
        sample: Tensor,
        *args: Any,
        return_dict: bool = True,
        **kwargs: Any,
    ) -> Any:
        result = self.wrapped.step(model_output, timestep, sample, *args, return_dict=True, **kwargs)
        if bool(torch.as_tensor(timestep).cpu() == self.wrapped.timesteps[-1].cpu()):
            result.prev_sample = self._noise_free(result, timestep, sample)
        return result if return_dict else (result.prev_sample,)

    def _noise_free(self, result: Any, timestep: Any, sample: Tensor) -> Tensor:
        for name in ("denoised", "pred_original_sample"):
            if getattr(result, name, None) is not None:
                return getattr(result, name)
        # PNDM returns none. Its step keeps x = α·x₀ + σ·ε with the same x₀ and ε (arXiv:2202.09778, eq. 11),
        # which gives x₀
        scheduler, before = self.wrapped, int(timestep)
        after = before - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        alphas, last = scheduler.alphas_cumprod, scheduler.final_alpha_cumprod
        a0, a1 = (alphas[t] if t >= 0 else last for t in (before, after))
        s0, s1 = (1 - a0) ** 0.5, (1 - a1) ** 0.5
        return (s0 * result.prev_sample - s1 * sample) / (s0 * a1**0.5 - s1 * a0**0.5)


log = logging.getLogger(__name__)

STALE = 24 * 3600  # seconds until a file whose job never continued is removed
ENTRY = "atelier.checkpoint"  # of the metadata
UNREADABLE = (OSError, SafetensorError, KeyError, ValueError, TypeError, IndexError, RuntimeError)


class Unkeepable(ValueError):
    """A scheduler holds something that is neither tensor nor number; its jobs have no checkpoints."""


@dataclass(frozen=True)
class Pace:
    """When to write: never for jobs expected to take less than ``shortest_job`` seconds; else each time
    ``share`` of the job has passed. min_pause, max_pause: seconds between two writes. max_cost: how much of a
    job's time writing may take; it overrules the others."""

    shortest_job: float = 5.0
    share: float = 0.05
    min_pause: float = 0.25
    max_pause: float = 2.0
    max_cost: float = 0.02

    def pause(self, job: float, cost: float, *, ends: bool = False) -> float:
        """Return the seconds until the next write, in a job of ``job`` seconds where the last write took
        ``cost`` seconds. ends: a part of the job has just ended, which is worth keeping at once."""
        usual = 0.0 if ends else min(max(self.min_pause, job * self.share), self.max_pause)
        return max(usual, cost / self.max_cost if self.max_cost else 0.0)


@dataclass(frozen=True)
class State:
    """A drawing after a step.

    batch: pictures drawn at once. chunk: which batch is running. step: steps done of it, of ``total``.
    latents: as the step callback has them. scheduler: its attributes. generators: a state (uint8) for each
    picture of the chunk. images: (H, W, 3) or (H, W, 4) uint8, finished in earlier chunks. veiled: the
    numbers of those, from 1, that the safety checker flagged. relevance: of an edit, as ``Keeping`` has it.
    """

    batch: int
    chunk: int
    step: int
    total: int
    latents: Tensor
    scheduler: dict[str, Any]
    generators: list[Tensor]
    images: list[Tensor]
    veiled: list[int]
    relevance: Tensor | None = None


class Checkpoint:
    """The file of one job."""

    def __init__(self, folder: Path, job_id: str, pace: Pace | None = None) -> None:
        self.job_id, self.pace = job_id, pace or Pace()
        self.path = folder / f"{quote(job_id, safe='')}.safetensors"
        self.fingerprint, self._off = "", False
        self._began = self._written = time.monotonic()
        self._first: tuple[int, float] | None = None  # (step, when) of the first step seen
        self._cost = 0.0  # seconds, of the last write

    def open(self, fingerprint: str) -> State | None:
        """Return the state that another process left of this drawing; a damaged or other file is removed."""
        self.fingerprint, self._began = fingerprint, time.monotonic()
        self._written = self._began
        if not self.path.exists():
            return None
        try:
            if (state := _read(self.path, fingerprint)) is not None:
                log.info("job %s continues after step %d of %d", self.job_id, state.step, state.total)
                return state
            log.warning("job %s: its checkpoint belongs to another drawing and is not used", self.job_id)
        except UNREADABLE as error:
            log.warning("job %s: its checkpoint is damaged and not used: %s", self.job_id, error)
        self.remove()
        return None

    def due(self, step: int, total: int, *, ends: bool = False) -> bool:
        """Return whether to write after ``step`` of ``total`` steps of the whole job. ends: see Pace."""
        now = time.monotonic()
        if self._first is None:
            self._first, each = (step, now), now - self._began
        else:
            each = (now - self._first[1]) / max(1, step - self._first[0])
        return (
            not self._off
            and each * total >= self.pace.shortest_job
            and now - self._written >= self.pace.pause(each * total, self._cost, ends=ends)
        )

    def write(self, make: Callable[[], State]) -> None:
        """Replace the file as a whole. What can't be kept or written costs the checkpoint, never the job. The
        file isn't synced to disk: it is meant to survive this process, not the machine, and one cut off by a
        power cut is recognised as damaged."""
        start, partial = time.monotonic(), self.path.with_suffix(".tmp")
        try:
            state, tensors = make(), dict[str, Tensor]()
            fields = {one.name: _pack(getattr(state, one.name), tensors) for one in dataclasses.fields(state)}
            entry = {"fingerprint": self.fingerprint, "state": fields}
            data = save(tensors, {ENTRY: json.dumps(entry)})
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            os.replace(partial, self.path)
        except (OSError, Unkeepable) as error:
            self._off = True
            log.warning("job %s: no checkpoints: %s", self.job_id, error)
        self._written = time.monotonic()
        self._cost = self._written - start
        log.debug("job %s: checkpoint in %.1f ms", self.job_id, self._cost * 1000)

    def remove(self) -> None:
        """Delete the file, if there is one."""
        for path in (self.path, self.path.with_suffix(".tmp")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove files older than STALE, of jobs that were given up while no worker ran."""
    for path in folder.glob("*.*"):
        with contextlib.suppress(OSError):
            if path.suffix in (".safetensors", ".tmp") and time.time() - path.stat().st_mtime > STALE:
                path.unlink()
                log.info("%s was left over and is removed", path.name)


def fingerprint(generation: Any, *rest: Any) -> str:
    """Return a digest of a frozen dataclass, its pictures' pixels, the libraries' versions and ``rest``."""
    digest = hashlib.sha256(f"{torch.__version__} {diffusers.__version__}".encode())
    for field in dataclasses.fields(generation):
        value = getattr(generation, field.name)
        digest.update(f"\0{field.name}\0".encode())
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Image.Image):
                digest.update(f"{part.mode} {part.size}".encode() + part.tobytes())
            else:
                digest.update(f"{part!r},".encode())
    for value in rest:
        digest.update(f"\0{value}".encode())
    return digest.hexdigest()


def scheduler_state(scheduler: Any) -> dict[str, Any]:
    """Return all its attributes but the configuration. Constants among them cost a few kB."""
    attributes = vars(unwrapped(scheduler))
    return {name: value for name, value in attributes.items() if name != "_internal_dict"}


class Resume:
    """Lets a pipeline call continue from a checkpoint: a context manager around the call, which the step
    callback asks after each step. The call prepares everything as always (its noise, masks and embeddings
    come out the same), then runs through the steps that were done with a denoiser that returns zeros at once;
    after the last of those, latents, scheduler and generators get their saved values."""

    def __init__(self, pipe: Any, state: State, generators: Sequence[torch.Generator]) -> None:
        self.state, self.over = state, False
        self._scheduler, self._generators = unwrapped(pipe.scheduler), generators
        parts = [part for name in ATTRIBUTES if (part := getattr(pipe, name, None)) is not None]
        # a Denoiser goes on seeing the calls, from which it learns
        self._places = [(part, "evaluate" if isinstance(part, Denoiser) else "forward") for part in parts]
        # offloading hooks put one on the instance
        self._own = [vars(part).get(place) for part, place in self._places]

    def __enter__(self) -> "Resume":
        for part, place in self._places:
            setattr(part, place, self._zeros)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._restore()
        if kind is None and not self.over:
            raise RuntimeError(f"the checkpoint is of step {self.state.step}, which this run never reached")

    def after_step(self, step: int) -> Tensor | None:
        """Return the latents to continue with, once ``step`` steps have been run through; None before."""
        if step < self.state.step:
            return None
        self._restore()
        vars(self._scheduler).update(self.state.scheduler)
        for generator, was in zip(self._generators, self.state.generators, strict=True):
            generator.set_state(was)
        self.over = True
        return self.state.latents

    def _restore(self) -> None:
        for (part, place), own in zip(self._places, self._own, strict=True):
            if own is not None:
                setattr(part, place, own)
            else:
                vars(part).pop(place, None)

    def _zeros(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Zeros in the shape of the denoiser's output: a list of (C, F, h, w) for a list (Z-Image), else (B,
        …) with the latents' own other axes."""
        if args and isinstance(args[0], Call):
            given = collate.samples(args[0].arguments)
        else:
            given = args[0] if args else kwargs.get("hidden_states", kwargs.get("sample"))
        if isinstance(given, list):
            return ([torch.zeros_like(item) for item in given],)
        return (given.new_zeros(given.shape[0], *self.state.latents.shape[1:]),)


# The file


def _read(path: Path, fingerprint: str) -> State | None:
    """The state in the file; None when it is another drawing's."""
    with safe_open(path, framework="pt") as file:
        entry = json.loads((file.metadata() or {})[ENTRY])
        if entry["fingerprint"] != fingerprint:
            return None
        state = State(**{name: _unpack(value, file) for name, value in entry["state"].items()})
    if not 0 < state.step <= state.total:
        raise ValueError(f"step {state.step} of {state.total}")
    return state


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Convert ``value`` to JSON, its tensors into ``tensors``. Strides are kept: sums may depend on them."""
    if isinstance(value, Tensor):
        copy = value.detach().to("cpu", copy=True)
        tensors[name := str(len(tensors))] = copy.contiguous()
        return {"tensor": name, "stride": copy.stride(), "device": str(value.device)}
    if isinstance(value, (np.ndarray, np.generic)):
        tensors[name := str(len(tensors))] = torch.from_numpy(np.array(value, order="C"))
        return {"array": name, "scalar": isinstance(value, np.generic)}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_pack(item, tensors) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _pack(item, tensors) for key, item in value.items()}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise Unkeepable(f"a {type(value).__name__} can't be kept")


def _unpack(value: Any, file: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        stored = file.get_tensor(value["tensor"])
        strided = torch.empty_strided(stored.shape, value["stride"], dtype=stored.dtype)
        return strided.copy_(stored).to(value["device"])
    if "array" in value:
        array = file.get_tensor(value["array"]).numpy().copy()
        return array[()] if value["scalar"] else array
    if "dict" in value:
        return {key: _unpack(item, file) for key, item in value["dict"].items()}
    ((kind, items),) = value.items()
    return {"list": list, "tuple": tuple}[kind](_unpack(item, file) for item in items)
