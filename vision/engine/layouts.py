"""Lays the weights of a small model out once as a processor's kernels read them, instead of at every call.

torch has oneDNN lay out a convolution's weights anew each time, and gives most products of matrices to MKL,
which on AMD's processors computes half as fast as oneDNN. The operators used here are those that torch's own
compiler takes. What comes out differs by rounding alone, and no layer's place in the model changes."""

import platform
from typing import Any

import torch
from torch import nn

from vision import devices

ROWS = 2  # for which convolutions are laid out; other numbers take the same layout
SIZES = 4  # of pictures, whose layouts a convolution keeps
_nn: Any = torch._C._nn  # with fewer arguments in its types than it takes


class Layouts(dict[Any, torch.Tensor]):
    """A layer's weights as kernels read them, by what that depends on. Copies of a layer over the same
    tensors share them. weight, version: what they are of. made: the last input, its version, and the
    output."""

    def __init__(self) -> None:
        super().__init__()
        self.weight: torch.Tensor | None = None
        self.version = 0
        self.made: tuple[torch.Tensor, int, torch.Tensor] | None = None

    def __deepcopy__(self, memo: Any) -> "Layouts":
        return self

    def take(self, x: torch.Tensor, weight: torch.Tensor) -> bool:
        """Return whether they can be used for ``x``, and forget those of other weights than these."""
        if torch.is_grad_enabled() or x.dtype is not torch.float32 or x.device.type != "cpu":
            return False
        if self.weight is not weight or self.version != weight._version:
            self.clear()
            self.weight, self.version, self.made = weight, weight._version, None
        return not torch.compiler.is_compiling()


class PackedLinear(nn.Linear):
    """A linear layer, computed by oneDNN. layouts: None for one that peft makes after its likeness."""

    layouts: Layouts | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (…, out)."""
        if self.layouts is None or not self.layouts.take(x, self.weight):
            return super().forward(x)
        if () not in self.layouts:
            self.layouts[()] = torch.ops.mkldnn._reorder_linear_weight(self.weight, None)
        return torch.ops.mkldnn._linear_pointwise(x, self.layouts[()], self.bias, "none", [], "")


class TextLinear(PackedLinear):
    """One that sees the text, which is the same at each step of a job alone: it keeps what it made last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (…, out)."""
        if self.layouts is None or not self.layouts.take(x, self.weight):
            return super().forward(x)
        made = self.layouts.made
        if made is None or made[0] is not x or made[1] != x._version:
            made = self.layouts.made = x, x._version, super().forward(x)
        return made[2]


class PackedConv2d(nn.Conv2d):
    """A convolution in channels-last. layouts: see PackedLinear."""

    layouts: Layouts | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, C, H, W), channels last."""
        if self.layouts is None or self.padding_mode != "zeros" or not self.layouts.take(x, self.weight):
            return super().forward(x)
        how = self.padding, self.stride, self.dilation, self.groups
        size = x.shape[1:]
        if size not in self.layouts:
            if len(self.layouts) == SIZES:
                del self.layouts[next(iter(self.layouts))]
            weight = self.weight.to_mkldnn()
            self.layouts[size] = _nn.mkldnn_reorder_conv2d_weight(weight, *how, (ROWS, *size))
        x = x.contiguous(memory_format=torch.channels_last)
        convolve = torch.ops.mkldnn._convolution_pointwise
        return convolve(x, self.layouts[size], self.bias, *how, "none", [], "")


def pack(module: nn.Module, device: str) -> None:
    """Have a small ``module`` compute linear layers and convolutions by layouts on an x86 ``device``."""
    weights = sum(weight.numel() * weight.element_size() for weight in module.parameters())
    is_x86 = platform.machine().lower() in ("x86_64", "amd64") and torch.backends.mkldnn.is_available()
    if device != "cpu" or not is_x86 or weights > devices.SMALL_MODEL:
        return
    for name, part in module.named_modules():
        kind: Any = {nn.Linear: PackedLinear, nn.Conv2d: PackedConv2d}.get(type(part))
        if kind is None or isinstance(getattr(part, "padding", None), str):
            continue
        weight: Any = part.weight
        if type(weight) is nn.Parameter and weight.dtype is torch.float32:  # else it is quantised, say
            sees_text = kind is PackedLinear and name.endswith(("attn2.to_k", "attn2.to_v"))
            part.__class__ = TextLinear if sees_text else kind
            part.layouts = Layouts()


def unpack(module: nn.Module) -> None:
    """Have ``module`` compute as torch does, for torch's compiler, which lays weights out itself."""
    for part in module.modules():
        if isinstance(part, PackedLinear | PackedConv2d):
            part.__class__ = nn.Linear if isinstance(part, PackedLinear) else nn.Conv2d  # type: ignore[assignment]
            del part.layouts
