"""What a user can ask for: one module each, with ``run(request, images, models, reporter) -> Output``.
Importing the package loads no torch.

A new capability is one file here, one in core.requests with a line in its ``REQUESTS``, and a command.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from core.events import Output
from core.requests import REQUESTS

CAPABILITIES = tuple(cls.kind for cls in REQUESTS)  # each is the name of a module here


def capability(kind: str) -> Callable[..., Output]:
    """The ``run`` of ``kind``. KeyError for an unknown kind.

    run takes the request of core.requests, SHA-256 → open picture (RGB), the worker's Models and a Reporter.
    """
    if kind not in CAPABILITIES:
        raise KeyError(kind)
    run: Any = importlib.import_module(f"vision.capabilities.{kind}").run
    return run
