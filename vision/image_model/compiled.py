"""Regional compilation: a twin of a denoiser over the same tensors, whose repeated blocks torch compiles. The
plain one stays as it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from vision import devices
from vision.image_model import seamless

log = logging.getLogger(__name__)

OPTIONS: dict[str, Any] = {
    "dynamic": True
}  # of torch.compile: other numbers of rows and other sizes aren't compiled anew …
ROWS = (1, 2)  # … but for a size of 1, which torch always takes for itself
VARIANTS = 64  # of one block's code: each width of a UNet's blocks, in each model, is one


def wanted(setting: str, device: str) -> bool:
    """Whether the host's COMPILE asks for it on ``device``."""
    return setting == "on" or (setting == "auto" and device.startswith("cuda"))


def twin(module: torch.nn.Module, given_up: Callable[[], None]) -> torch.nn.Module:
    """A twin of ``module``, compiled at its first passes. Once that fails it evaluates ``module``, says so in
    the log and calls ``given_up``.

    ValueError where diffusers names no blocks that repeat.
    """
    torch._dynamo.config.recompile_limit = VARIANTS
    torch.fx.experimental._config.use_duck_shape = (
        False  # sizes that are alike by chance are no rule (diffusers' docs, optimization/fp16)
    )
    # peft asks for no gradients with the first LoRA, for which all would be compiled anew
    made: Any = seamless.twin(module.requires_grad_(False))
    made.compile_repeated_blocks(**OPTIONS)
    compiled = made.forward

    def forward(**kwargs: Any) -> Any:
        try:
            return compiled(**{name: _own(value) for name, value in kwargs.items()})
        except Exception as error:
            if devices.is_out_of_memory(error) or devices.is_sticky(error):
                raise
            problem = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        output = module(**kwargs)  # raises again where compiling isn't at fault
        log.warning("%s goes on uncompiled: %s", type(module).__name__, problem)
        made.forward = module.forward
        given_up()
        return output

    made.forward = forward
    return made


def _own(value: Any) -> Any:
    """A tensor that is no view of another one: for a view torch compiles anew."""
    return value.clone() if isinstance(value, torch.Tensor) and value._base is not None else value
