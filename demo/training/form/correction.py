"""How a network that sees its own picture under noise is asked for what it should have drawn."""

import torch

FIRST, LAST = 60, 960  # times of its own pictures: above, nothing is seen of what was drawn


def times(count: int) -> torch.Tensor:
    """`count` times, (count,) of whole numbers, spread evenly from FIRST to LAST."""
    spread = (torch.rand(1) + torch.arange(count) / count) % 1
    return (FIRST + (LAST - FIRST) * spread).long()


def error(
    v: torch.Tensor, noisy: torch.Tensor, alpha: torch.Tensor, meant: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """The mean square error of the noise-free latents that `v`, predicted of `noisy`, leads to. All (B, 4, h,
    w), but `alpha`, (B, 1, 1, 1), the share of the picture in the variance, and `weight`, (B, 1, h, w)."""
    clean = alpha.sqrt() * noisy - (1 - alpha).sqrt() * v
    return ((clean - meant).square() * weight).mean() / weight.mean()
