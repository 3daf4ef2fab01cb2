"""Regional compilation: a copy of a denoiser over the same tensors, whose repeated blocks torch compiles. The
original stays as it is."""

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
}  # of torch.compile: other numbers of rows and other sizes aren't compiled again …
ROWS = (1, 2)  # … but for a size of 1, which torch always takes for itself
VARIANTS = 64  # of one block's code: each width of a UNet's blocks, in each model, is one


def wanted(setting: str, device: str) -> bool:
    """Return whether the host's setting COMPILE asks for compilation on ``device``."""
    return setting == "on" or (setting == "auto" and device.startswith("cuda"))


def compiled_copy(module: torch.nn.Module, on_failure: Callable[[], None]) -> torch.nn.Module:
    """Return a copy of ``module`` over the same tensors, compiled at its first passes. If a pass fails to
    compile, the copy evaluates ``module`` from then on, logs why, and calls ``on_failure``.

    Raises ValueError where diffusers names no blocks that repeat.
    """
    torch._dynamo.config.recompile_limit = VARIANTS
    # sizes that are equal by chance are no rule (diffusers' docs, optimization/fp16)
    torch.fx.experimental._config.use_duck_shape = False
    # as peft sets it with the first LoRA, after which all would be compiled again
    made: Any = seamless.shared_weights_copy(module.requires_grad_(False))
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
        on_failure()
        return output

    made.forward = forward
    return made


def _own(value: Any) -> Any:
    """Return the tensor itself, or a copy of one that is a view: for views torch compiles again."""
    return value.clone() if isinstance(value, torch.Tensor) and value._base is not None else value
