"""JSON files that come with a model: read, and refused with a sentence when they hold something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.errors import ModelError


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``, or {} when there is no such file.

    Raises ModelError when the file can't be read or holds anything but a JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path.name} of {path.parent.name} isn't valid JSON: {error}.") from error
    except OSError as error:
        raise ModelError(f"{path.name} of {path.parent.name} can't be read: {error.strerror}.") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path.name} of {path.parent.name} isn't a JSON object.")
    return data
