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
    """RGB ≈ latents · weight + bias, for the decoder's input, RGB in 0..1. patch: a latent is as many px wide
    and high: 1, and more where one stands for more than 8 px (LTX: 32). weight: (C, 3·patch²), bias:
    (3·patch²,)."""

    weight: torch.Tensor
    bias: torch.Tensor
    patch: int = 1

    @classmethod
    @torch.no_grad()
    def fit(cls, vae: Any, device: str) -> LatentMap:
        """Fit the map by least squares to what the encoder makes of 16 pictures of soft and hard random
        patches: 128 px, or 512 px where a latent stands for many px and has as many channels. A decoder of
        films takes each as its only frame."""
        latents, rgb = _encoded(vae, device, 128)
        patch = max(1, 128 // latents.shape[-1] // 8)
        if patch > 1:
            latents, rgb = _encoded(vae, device, 512)
        sides = [patch * side for side in latents.shape[-2:]]
        small = torch.nn.functional.interpolate(rgb, size=sides, mode="area")  # (16, 3, h·p, w·p)
        if patch > 1:
            small = torch.nn.functional.pixel_unshuffle(small, patch)  # (16, 3·p², h, w)
        x = latents.permute(0, 2, 3, 1).flatten(0, 2)  # (N, C)
        y = small.permute(0, 2, 3, 1).flatten(0, 2)  # (N, 3·p²)
        x1 = torch.cat([x, torch.ones(len(x), 1)], 1).double()
        ridge = 1e-6 * x1.square().mean() * len(x1) * torch.eye(x1.shape[1], dtype=torch.double)
        solution = torch.linalg.solve(x1.T @ x1 + ridge, x1.T @ y.double()).float()  # (C + 1, 3·p²)
        return cls(solution[:-1], solution[-1], patch)

    def pictures(self, latents: torch.Tensor) -> list[Image.Image]:
        """Convert latents (B, C, h, w), as the decoder takes them, to B small pictures of w·p × h·p px."""
        rgb = latents.float().cpu().permute(0, 2, 3, 1) @ self.weight + self.bias  # (B, h, w, 3·p²)
        if self.patch > 1:
            shuffled = torch.nn.functional.pixel_shuffle(rgb.permute(0, 3, 1, 2), self.patch)
            rgb = shuffled.permute(0, 2, 3, 1)
        return [Image.fromarray(a) for a in (rgb.nan_to_num(0.5).clamp(0, 1) * 255).byte().numpy()]


def _encoded(vae: Any, device: str, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the latents (16, C, h, w) of 16 pictures of random patches, and the pictures: RGB in 0..1
    (16, 3, side, side)."""
    generator = torch.Generator().manual_seed(0)
    patches = torch.rand(16, 3, 4, 4, generator=generator)
    soft = torch.nn.functional.interpolate(patches[:8], size=side, mode="bilinear")
    hard = torch.nn.functional.interpolate(patches[8:], size=side, mode="nearest")
    rgb = torch.cat([soft, hard])
    return frames.encode(vae, (rgb * 2 - 1).to(device, vae.dtype)).float().cpu(), rgb


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
