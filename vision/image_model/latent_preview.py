"""Cheap previews of unfinished latents: the noise-free latents that a step predicts, then a linear map from
latents to RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from vision.image_model import frames


@dataclass(frozen=True)
class LatentMap:
    """RGB ≈ latents · weight + bias at the latents' resolution. weight: (C, 3), bias: (3,), for the decoder's
    input, RGB in 0..1."""

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    @torch.no_grad()
    def fit(cls, vae: Any, device: str) -> LatentMap:
        """Fit the map by least squares to what the encoder makes of 16 pictures of soft and hard random
        patches, 128 px."""
        generator = torch.Generator().manual_seed(0)
        patches = torch.rand(16, 3, 4, 4, generator=generator)
        soft = torch.nn.functional.interpolate(patches[:8], size=128, mode="bilinear")
        hard = torch.nn.functional.interpolate(patches[8:], size=128, mode="nearest")
        rgb = torch.cat([soft, hard])  # (16, 3, 128, 128)
        latents = frames.encode(vae, (rgb * 2 - 1).to(device, vae.dtype)).float().cpu()  # (16, C, h, w)
        small = torch.nn.functional.interpolate(rgb, size=latents.shape[-2:], mode="area")
        x = latents.permute(0, 2, 3, 1).flatten(0, 2)  # (N, C)
        y = small.permute(0, 2, 3, 1).flatten(0, 2)  # (N, 3)
        x1 = torch.cat([x, torch.ones(len(x), 1)], 1).double()
        ridge = 1e-6 * x1.square().mean() * len(x1) * torch.eye(x1.shape[1], dtype=torch.double)
        solution = torch.linalg.solve(x1.T @ x1 + ridge, x1.T @ y.double()).float()  # (C + 1, 3)
        return cls(solution[:-1], solution[-1])

    def pictures(self, latents: torch.Tensor) -> list[Image.Image]:
        """Convert latents (B, C, h, w), as the decoder takes them, to B small pictures of w × h px."""
        rgb = latents.float().cpu().permute(0, 2, 3, 1) @ self.weight + self.bias  # (B, h, w, 3)
        return [Image.fromarray(a) for a in (rgb.nan_to_num(0.5).clamp(0, 1) * 255).byte().numpy()]


def predicted(scheduler: Any, before: torch.Tensor | None, after: torch.Tensor) -> torch.Tensor:
    """Return the noise-free latents x₀ that the last step predicted, from the latents before and after it;
    ``after``, scaled, when they can't be known.

    Multistep solvers keep their x₀. Elsewhere x = α·x₀ + σ·ε holds before and after with the same x₀ and ε,
    so x₀ = (σ₀·x₁ - σ₁·x₀') / (σ₀·α₁ - σ₁·α₀), with α = 1 (variance exploding), 1 - σ (flow); exact for
    Euler's deterministic step.
    """
    outputs = [o for o in getattr(scheduler, "model_outputs", ()) or () if o is not None]
    if outputs and (
        getattr(scheduler.config, "predict_x0", False)
        or "++" in str(getattr(scheduler.config, "algorithm_type", ""))
    ):
        return outputs[-1]
    sigmas, index = getattr(scheduler, "sigmas", None), getattr(scheduler, "step_index", None)
    if sigmas is None or not index or index >= len(sigmas):
        return after
    flow = type(scheduler).__name__.startswith("FlowMatch")
    s0, s1 = float(sigmas[index - 1]), float(sigmas[index])
    a0, a1 = (1 - s0, 1 - s1) if flow else (1.0, 1.0)
    if (
        before is None
        or type(scheduler).__name__ not in ("EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler")
        or s0 == s1
    ):
        return after if flow else after / (1 + s1**2) ** 0.5
    return (s0 * after - s1 * before) / (s0 * a1 - s1 * a0)
