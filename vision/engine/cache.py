"""Gives each request a First-Block-Cache state of its own: what diffusers' hooks remember of a step is kept
and dropped by context name.

diffusers expects one request at a time: its pipelines reset all states at their end, and interleaved requests
would be compared with each other. With a context for each request a batched step skips exactly the blocks
that it would have skipped unbatched.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import FirstBlockCacheConfig


def enable(module: Any, threshold: float) -> bool:
    """Make ``module`` skip its other blocks where the first one's output changed by less than ``threshold``
    (relative, mean). Return False if ``module`` can't do that."""
    if not hasattr(module, "enable_cache"):
        return False
    module.enable_cache(FirstBlockCacheConfig(threshold=threshold))
    return True


def is_on(module: Any) -> bool:
    """Return whether ``module`` keeps states from step to step."""
    return bool(getattr(module, "is_cache_enabled", False))


def forget(module: torch.nn.Module, prefix: str) -> int:
    """Drop the states of all contexts whose names begin with ``prefix``, and return how many."""
    gone = 0
    for part in module.modules():
        for hook in getattr(getattr(part, "_diffusers_hook", None), "hooks", {}).values():
            states = getattr(getattr(hook, "state_manager", None), "_state_cache", {})
            for name in [name for name in states if name.startswith(prefix)]:
                states.pop(name)
                gone += 1
    return gone
