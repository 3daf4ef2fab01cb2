"""``--stop``: noise schedules that end early, at the picture the model believes in by then. Knows diffusers'
schedulers and no pipeline."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch


def ending(scheduler: Any, stop: float, strength: float | None = None) -> Any:
    """``scheduler`` itself, made to run only the share ``stop`` (0..1, 1 = as before) of its steps, at least
    one.

    Its last step goes all the way to the noise-free picture, which is soft where details would have come
    later. strength: of the image-to-image call that will use it; the steps such a call leaves out at the
    beginning don't count. The change is in the class of this one scheduler, so its state and its
    configuration are those of any other.
    """
    if stop >= 1:
        return scheduler
    if "final_sigmas_type" in scheduler.config:
        scheduler.register_to_config(final_sigmas_type="zero")  # else some solvers divide by the last sigma
    kind = type(scheduler)
    base = _BySigma if hasattr(scheduler, "sigmas") else _ByTimestep
    signatures = {
        name: _with_signature(getattr(base, name), getattr(kind, name)) for name in ("set_timesteps", "step")
    }
    scheduler.__class__ = type(
        kind.__name__, (base, kind), {"stop": stop, "strength": strength, **signatures}
    )
    return scheduler


def _with_signature(method: Callable[..., Any], of: Callable[..., Any]) -> Callable[..., Any]:
    """Pipelines ask a scheduler's methods which arguments they take."""
    return functools.wraps(of)(lambda self, *args, **kwargs: method(self, *args, **kwargs))


class _Ending:
    stop: float
    strength: float | None

    def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        super().set_timesteps(*args, **kwargs)
        steps, entries = self.num_inference_steps, len(self.timesteps)
        first = steps - min(steps, int(steps * self.strength)) if self.strength is not None else 0
        kept = first + max(1, round(self.stop * (steps - first)))
        # Heun has 2n - 1 timesteps for n steps, PNDM n + 1, the others n
        self._cut(2 * kept - 1 if entries == 2 * steps - 1 and steps > 1 else kept + entries - steps)

    def step(self, *args: Any, **kwargs: Any) -> Any:
        return super().step(*args, **kwargs)

    def _cut(self, entries: int) -> None:
        self.timesteps = self.timesteps[:entries]

    def _is_last(self, timestep: Any) -> bool:
        return bool(torch.as_tensor(timestep).cpu() == self.timesteps[-1].cpu())


class _BySigma(_Ending):
    """Schedulers over noise levels: after the last step comes the level at which a full schedule ends, 0 or
    next to it."""

    def _cut(self, entries: int) -> None:
        super()._cut(entries)
        self.sigmas = torch.cat([self.sigmas[:entries], self.sigmas[-1:]])


class _ByTimestep(_Ending):
    """Schedulers over timesteps (DDIM, DDPM, LCM, PNDM): the last step returns their own estimate of the
    noise-free picture."""

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        *args: Any,
        return_dict: bool = True,
        **kwargs: Any,
    ) -> Any:
        result = super().step(model_output, timestep, sample, *args, return_dict=True, **kwargs)
        if self._is_last(timestep):
            result.prev_sample = self._believed(result, timestep, sample)
        return result if return_dict else (result.prev_sample,)

    def _believed(self, result: Any, timestep: Any, sample: torch.Tensor) -> torch.Tensor:
        for name in ("denoised", "pred_original_sample"):
            if getattr(result, name, None) is not None:
                return getattr(result, name)
        # PNDM tells none. Its step keeps x = α·x₀ + σ·ε with the same x₀ and ε (arXiv:2202.09778, eq. 11),
        # which gives x₀
        before = int(timestep)
        after = before - self.config.num_train_timesteps // self.num_inference_steps
        a0, a1 = (self.alphas_cumprod[t] if t >= 0 else self.final_alpha_cumprod for t in (before, after))
        s0, s1 = (1 - a0) ** 0.5, (1 - a1) ** 0.5
        return (s0 * result.prev_sample - s1 * sample) / (s0 * a1**0.5 - s1 * a0**0.5)
