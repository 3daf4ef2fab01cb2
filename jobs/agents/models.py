"""Whether two machines draw with the same models: a digest of what their settings name, by content."""

from __future__ import annotations

import hashlib
import json

from vision.protocol import WorkerConfig
from vision.weights import files


def digest(config: WorkerConfig) -> str:
    """Return what is equal on machines that answer a job alike. Folders may lie elsewhere: their weights
    count. Reads the ends of files of weights, so it blocks."""
    named = {
        "models": _all(config.models),
        "image": _all(config.image_models),
        "video": _all(config.video_models),
        "loras": _all(config.loras),
        "decoders": _all(config.tiny_vaes),
        "adapter": _name(config.ip_adapter),
        "control": _name(config.controlnet),
        "encoder": config.video_encoder,
        "exact": config.exact,
    }
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]


def _all(models: dict[str, str]) -> dict[str, str]:
    return {name: _name(spec) for name, spec in models.items()}


def _name(spec: str) -> str:
    """Return a hub's model as it is, what lies on the disk by its weights."""
    name = files.named(spec) if spec else ""
    return name.rpartition("#")[2] if "#" in name else name
