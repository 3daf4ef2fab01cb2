"""Seamless pictures (``--tile``), whose opposite edges meet. What a job changes for it is its own; other jobs
with the same weights aren't affected."""

from typing import Any

import torch
from torch import Tensor

from vision import devices

MARGIN = 8  # latents around the picture while it is decoded: more than a decoder's convolutions reach
# of a side: how far the borders move from step to step, so that they never lie in the same place twice
STRIDE = 0.618


def circular_copy(module: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a UNet over the same tensors whose convolutions go on at the opposite side."""
    copied = devices.shared_weights_copy(module)
    for part in copied.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.padding_mode = "circular"
    return copied


class Rolling:
    """Stands for a denoiser and rolls its input by another distance at each step, so that the borders it sees
    lie elsewhere in the picture each time. For transformers, whose position codes can't be made circular.
    aspect: width / height of the picture. Everything but the evaluation is the denoiser's own."""

    def __init__(self, denoiser: Any, aspect: float) -> None:
        self.denoiser, self.aspect, self.calls = denoiser, aspect, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the denoiser's output for the rolled input, rolled back."""
        name = next((name for name in ("hidden_states", "x", "sample") if name in kwargs), None)
        if name is not None:
            kwargs[name] = self._rolled(kwargs[name], self.calls)
        else:
            args = (self._rolled(args[0], self.calls), *args[1:])
        output = self.denoiser(*args, **kwargs)
        return (self._rolled(output[0], -self.calls), *output[1:])

    def _rolled(self, value: Any, count: int) -> Any:
        """Roll a list of (…, h, w), a tensor (…, C, h, w) or packed (B, h·w, C) ``count`` steps on."""
        if isinstance(value, list):
            return [self._rolled(item, count) for item in value]
        if value.ndim == 3:
            rows = round((value.shape[1] / self.aspect) ** 0.5)
            columns = value.shape[1] // max(1, rows)
            if rows * columns != value.shape[1]:  # pictures to look at came along; there is no grid
                return value
            grid = value.unflatten(1, (rows, columns))
            return torch.roll(grid, _shifts(rows, columns, count), (1, 2)).flatten(1, 2)
        height, width = value.shape[-2:]
        return torch.roll(value, _shifts(height, width, count), (-2, -1))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "denoiser"), name)


def _shifts(rows: int, columns: int, count: int) -> tuple[int, int]:
    sign = 1 if count > 0 else -1
    return sign * round(rows * STRIDE * abs(count)), sign * round(columns * STRIDE * abs(count))


def wrapped(latents: Tensor) -> Tensor:
    """Pad latents (1, C, h, w) on each side with MARGIN columns or rows of the opposite side."""
    margin = min(MARGIN, *latents.shape[-2:])
    return torch.nn.functional.pad(latents, (margin,) * 4, mode="circular")


def unwrapped(decoded: Tensor, latents: Tensor) -> Tensor:
    """Cut the picture of ``latents`` out of what was decoded from ``wrapped(latents)``."""
    margin = min(MARGIN, *latents.shape[-2:])
    scale = decoded.shape[-1] // (latents.shape[-1] + 2 * margin)
    cut = margin * scale
    return decoded[..., cut:-cut, cut:-cut]
