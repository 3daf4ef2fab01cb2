"""What a host may attach to an image model: an IP-Adapter, a ControlNet. Jobs without them notice nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from core.errors import ModelError

T = TypeVar("T")
log = logging.getLogger(__name__)


def attach(kind: Callable[[Any, Path], T], pipe: Any, folder: Path, without: str) -> T | None:
    """Return what ``kind`` makes of ``folder`` over ``pipe``; where it doesn't fit, None with a line in the
    log. without: what the model does then, a sentence."""
    try:
        return kind(pipe, folder)
    except ModelError as error:
        log.warning("%s: %s", without, error)
        return None
