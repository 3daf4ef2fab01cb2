"""``--tile``: pictures whose opposite edges meet. What a job does for it is its own; other jobs with the same
weights don't notice."""

from __future__ import annotations

import copy
from typing import Any

import torch

MARGIN = 8  # latents around the picture while it is decoded: more than a decoder's convolutions reach
# of a side: how far the borders move from step to step, so that they never lie in the same place twice
STRIDE = 0.618


def twin(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of the modules over the very same tensors: no memory to speak of, and what is changed in it is
    its own."""
    tensors = {
        id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())
    }  # copied by reference
    return copy.deepcopy(module, tensors)


def circular(module: torch.nn.Module) -> torch.nn.Module:
    """A twin of a UNet: the same tensors, but its convolutions look around the edges to the other side."""
    ring = twin(module)
    for part in ring.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.padding_mode = "circular"
    return ring


class Rolling:
    """Stands for a denoiser that knows where its input's borders are: at each step they lie elsewhere in the
    picture.

    For transformers, whose position codes can't be bent into a ring. Everything but the evaluation is the
    denoiser's own.
    """

    def __init__(self, denoiser: Any, aspect: float) -> None:
        self.denoiser, self.aspect, self.calls = denoiser, aspect, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        name = next((name for name in ("hidden_states", "x", "sample") if name in kwargs), None)
        if name is not None:
            kwargs[name] = self._rolled(kwargs[name], self.calls)
        else:
            args = (self._rolled(args[0], self.calls), *args[1:])
        output = self.denoiser(*args, **kwargs)
        return (self._rolled(output[0], -self.calls), *output[1:])

    def _rolled(self, value: Any, turns: int) -> Any:
        """A list of (…, h, w), a tensor (…, C, h, w), or packed (B, h·w, C); anything else stays."""
        if isinstance(value, list):
            return [self._rolled(item, turns) for item in value]
        if value.ndim == 3:
            rows = round((value.shape[1] / self.aspect) ** 0.5)
            columns = value.shape[1] // max(1, rows)
            if rows * columns != value.shape[1]:  # pictures to look at came along; there is no grid
                return value
            grid = value.unflatten(1, (rows, columns))
            return torch.roll(grid, _shifts(rows, columns, turns), (1, 2)).flatten(1, 2)
        height, width = value.shape[-2:]
        return torch.roll(value, _shifts(height, width, turns), (-2, -1))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "denoiser"), name)


def _shifts(rows: int, columns: int, turns: int) -> tuple[int, int]:
    sign = 1 if turns > 0 else -1
    return sign * round(rows * STRIDE * abs(turns)), sign * round(columns * STRIDE * abs(turns))


def wrapped(latents: torch.Tensor) -> torch.Tensor:
    """(1, C, h, w) with its own opposite sides around it."""
    margin = min(MARGIN, *latents.shape[-2:])
    return torch.nn.functional.pad(latents, (margin,) * 4, mode="circular")


def unwrapped(decoded: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """The middle of what was decoded from ``wrapped(latents)``."""
    margin = min(MARGIN, *latents.shape[-2:])
    scale = decoded.shape[-1] // (latents.shape[-1] + 2 * margin)
    cut = margin * scale
    return decoded[..., cut:-cut, cut:-cut]
