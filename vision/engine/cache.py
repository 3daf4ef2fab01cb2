"""First-Block-Cache with a state for each request: what diffusers' hooks remember of a step, kept apart by
name and given up by name.

diffusers knows one request at a time: its pipelines reset all states at their end, and interleaved requests
would compare themselves with each other. With a context for each request a step beside others skips exactly
what it would have skipped alone.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import FirstBlockCacheConfig


def enable(module: Any, threshold: float) -> bool:
    """Skip the other blocks where the first one's output changed by less than ``threshold`` (relative, mean).
    False: it can't be done here."""
    if not hasattr(module, "enable_cache"):
        return False
    module.enable_cache(FirstBlockCacheConfig(threshold=threshold))
    return True


def is_on(module: Any) -> bool:
    """Whether ``module`` remembers something from step to step."""
    return bool(getattr(module, "is_cache_enabled", False))


def forget(module: torch.nn.Module, prefix: str) -> int:
    """Give up the states of all contexts whose names begin with ``prefix``; how many those were."""
    gone = 0
    for part in module.modules():
        for hook in getattr(getattr(part, "_diffusers_hook", None), "hooks", {}).values():
            states = getattr(getattr(hook, "state_manager", None), "_state_cache", {})
            for name in [name for name in states if name.startswith(prefix)]:
                states.pop(name)
                gone += 1
    return gone
