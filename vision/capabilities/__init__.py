"""What a user can ask for: one module each, with ``run(request, images, models, reporter) -> Output``.
Importing the package loads no torch.

A new capability is one file here, one in core.requests with a line in its ``REQUESTS``, and a command.
"""

import importlib
from collections.abc import Callable
from typing import Any

from core.events import Output
from core.requests import REQUESTS

CAPABILITIES = tuple(cls.kind for cls in REQUESTS)  # each is the name of a module here


def capability(kind: str) -> Callable[..., Output]:
    """Return the ``run`` of ``kind``: (request, images, models, reporter) → Output. Raises KeyError for an
    unknown kind. images: SHA-256 → open picture (RGB) of every picture that the request names. models: the
    worker's ``Models``. A capability whose requests are answered by videos, a model, verdicts or files takes
    (request, paths, models, reporter, folder): paths: SHA-256 → file, folder: where it writes."""
    if kind not in CAPABILITIES:
        raise KeyError(kind)
    run: Any = importlib.import_module(f"vision.capabilities.{kind}").run
    return run
