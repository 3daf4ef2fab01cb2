"""``--stop``: noise schedules that end early, at the noise-free picture that is predicted by then. Knows
diffusers' schedulers and no pipeline."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch


def stopped_at(scheduler: Any, stop: float, strength: float | None = None) -> Any:
    """Return ``scheduler`` wrapped so that it runs only the share ``stop`` (0..1) of its steps, at least one;
    with 1 the scheduler itself.

    The last step goes all the way to the noise-free picture, which is soft where details would have come
    later. strength: of the image-to-image call that will use it; the steps that such a call leaves out at the
    beginning don't count.
    """
    if stop >= 1:
        return scheduler
    if "final_sigmas_type" in scheduler.config:
        scheduler.register_to_config(final_sigmas_type="zero")  # else some solvers divide by the last sigma
    kind = _BySigma if hasattr(scheduler, "sigmas") else _ByTimestep
    return kind(scheduler, stop, strength)


def unwrapped(scheduler: Any) -> Any:
    """Return the diffusers scheduler itself, which has all the state."""
    return scheduler.wrapped if isinstance(scheduler, EarlyStop) else scheduler


class EarlyStop:
    """Stands for the scheduler ``wrapped``: everything but ``set_timesteps`` and ``step`` is the scheduler's
    own."""

    def __init__(self, wrapped: Any, stop: float, strength: float | None) -> None:
        self.wrapped, self.stop, self.strength = wrapped, stop, strength
        # pipelines inspect which arguments these take
        self.set_timesteps = _with_signature(self._set_timesteps, wrapped.set_timesteps)
        self.step = _with_signature(self._step, wrapped.step)

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


def _with_signature(method: Callable[..., Any], of: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(of)
    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    return call


class _BySigma(EarlyStop):
    """Schedulers over noise levels: after the last step comes the level at which a full schedule ends, 0 or
    next to it."""

    def _cut(self, entries: int) -> None:
        super()._cut(entries)
        self.wrapped.sigmas = torch.cat([self.wrapped.sigmas[:entries], self.wrapped.sigmas[-1:]])


class _ByTimestep(EarlyStop):
    """Schedulers over timesteps (DDIM, DDPM, LCM, PNDM): the last step returns their own estimate of the
    noise-free picture."""

    def _step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        *args: Any,
        return_dict: bool = True,
        **kwargs: Any,
    ) -> Any:
        result = self.wrapped.step(model_output, timestep, sample, *args, return_dict=True, **kwargs)
        if bool(torch.as_tensor(timestep).cpu() == self.wrapped.timesteps[-1].cpu()):
            result.prev_sample = self._noise_free(result, timestep, sample)
        return result if return_dict else (result.prev_sample,)

    def _noise_free(self, result: Any, timestep: Any, sample: torch.Tensor) -> torch.Tensor:
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
