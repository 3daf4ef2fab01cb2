"""Convolutions of films on a processor, a few rows of the picture at a time.

Over time without oneDNN, which torch leaves out on one thread, it copies what it convolves once for each
weight of the kernel: 27 times the film. Over pictures oneDNN rounds channels up to BLOCK, all frames at once:
five times the film where there are three. A stripe of rows needs only as much of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.nn import functional

MOST = 8 * 2**20  # bytes of such copies; 24 MiB, which no cache holds, take a third longer
BLOCK = 16  # channels
SMALL = 20480  # numbers, up to which torch convolves one picture without oneDNN, and so to other bits
Conv = nn.Conv2d | nn.Conv3d


@contextmanager
def striped(module: nn.Module) -> Iterator[None]:
    """Let all convolutions in ``module`` work in stripes."""
    convolutions = [part for part in module.modules() if isinstance(part, Conv) and _can_be(part)]
    for each in convolutions:
        vars(each)["_conv_forward"] = partial(_forward, each)
    try:
        yield
    finally:
        for each in convolutions:
            vars(each).pop("_conv_forward", None)


def _can_be(conv: Conv) -> bool:
    return (
        conv.weight.device.type == "cpu"
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and set(conv.stride) == set(conv.dilation) == {1}
    )


def _forward(
    conv: Conv, given: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """What ``conv`` makes of ``given``, (B, C, f, h, w) or (B, C, h, w)."""
    *_, height, _ = conv.kernel_size
    padding = [int(side) for side in conv.padding]
    *in_front, above, beside = padding
    shape = [
        size + 2 * side - kernel + 1
        for size, side, kernel in zip(given.shape[2:], padding, conv.kernel_size, strict=True)
    ]
    rows, columns = shape[-2:]
    each = _rows(conv, given, shape)
    if each >= rows:
        return type(conv)._conv_forward(conv, given, weight, bias)  # type: ignore[arg-type]
    made = given.new_empty(given.shape[0], conv.out_channels, *shape)
    convolve = functional.conv3d if isinstance(conv, nn.Conv3d) else functional.conv2d
    for begin in range(0, rows, each):
        end = min(rows, begin + each)
        first, last = begin - above, end - above + height - 1  # of the rows that it looks at
        stripe = given[..., max(0, first) : last, :]
        missing = (max(0, -first), max(0, last - given.shape[-2]))
        if any(missing):
            stripe = functional.pad(stripe, (0, 0, *missing))
        made[..., begin:end, :] = convolve(
            stripe, weight, bias, padding=(*in_front, 0, beside), groups=conv.groups
        )
    return made


def _rows(conv: Conv, given: torch.Tensor, shape: list[int]) -> int:
    """How many rows a stripe has. shape: of what comes out, from its frames or rows on."""
    columns, size = shape[-1], given.element_size()
    if isinstance(conv, nn.Conv3d):
        depth, height, width = conv.kernel_size
        row = given.shape[1] // conv.groups * depth * height * width * shape[0] * columns * size
        return max(1, MOST // row)
    channels = sum(-(-count // BLOCK) * BLOCK for count in (conv.in_channels, conv.out_channels))
    least = 2 * SMALL // (given.shape[1] * given.shape[-1]) + 1
    most = max(least, MOST // (given.shape[0] * channels * columns * size))
    count = max(1, min(-(-shape[0] // most), shape[0] // least))
    return -(-shape[0] // count)
