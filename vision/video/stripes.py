"""Convolutions of films on a processor, a few rows of the picture at a time.

Without oneDNN, which torch leaves out on one thread, it copies what it convolves once for each weight of the
kernel: 27 times the film. A stripe of rows needs only as much of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.nn import functional

MOST = 24 * 2**20  # bytes of such copies


@contextmanager
def striped(module: nn.Module) -> Iterator[None]:
    """Let all convolutions over time in ``module`` work in stripes."""
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv3d) and _can_be(part)]
    for each in convolutions:
        vars(each)["_conv_forward"] = partial(_forward, each)
    try:
        yield
    finally:
        for each in convolutions:
            vars(each).pop("_conv_forward", None)


def _can_be(conv: nn.Conv3d) -> bool:
    return (
        conv.weight.device.type == "cpu"
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and set(conv.stride) == set(conv.dilation) == {1}
    )


def _forward(
    conv: nn.Conv3d, given: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """What ``conv`` makes of ``given`` (B, C, f, h, w)."""
    depth, height, width = conv.kernel_size
    in_front, above, beside = (int(side) for side in conv.padding)
    frames = given.shape[2] + 2 * in_front - depth + 1
    rows = given.shape[3] + 2 * above - height + 1
    columns = given.shape[4] + 2 * beside - width + 1
    row = given.shape[1] // conv.groups * depth * height * width * frames * columns * given.element_size()
    each = max(1, MOST // row)
    if each >= rows:
        return nn.Conv3d._conv_forward(conv, given, weight, bias)
    made = given.new_empty(given.shape[0], conv.out_channels, frames, rows, columns)
    for begin in range(0, rows, each):
        end = min(rows, begin + each)
        first, last = begin - above, end - above + height - 1  # of the rows that it looks at
        stripe = given[:, :, :, max(0, first) : last]
        missing = (max(0, -first), max(0, last - given.shape[3]))
        if any(missing):
            stripe = functional.pad(stripe, (0, 0, *missing))
        made[:, :, :, begin:end] = functional.conv3d(
            stripe, weight, bias, padding=(in_front, 0, beside), groups=conv.groups
        )
    return made
