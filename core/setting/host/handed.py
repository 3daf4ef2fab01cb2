"""The settings that whoever starts a worker on another machine hands over to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from core.setting.values import dotenv
from core.settings import Settings

GROUPS = {"Models", "Hardware", "Questions", "Films", "Files", "Workers elsewhere"}
BESIDE = {"LOG_LEVEL", "GRACE_SECONDS", "OTEL_EXPORTER_OTLP_ENDPOINT"}
ITS_OWN = {"NODE_NAME", "DEVICES", "FILES_URL"}  # a bucket is of use only where its keys are


def for_workers(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> dict[str, str]:
    """Return, as text, the settings of ``environ`` and ``env_file`` (by default as in ``load``) that a worker
    reads and that are set. No secrets: those stand on the machine itself."""
    in_file = dotenv(env_file if env_file is not None else Path(".env"))
    values = {**in_file, **(os.environ if environ is None else environ)}
    names = {
        item.name.upper()
        for item in fields(Settings)
        if (item.metadata["group"] in GROUPS or item.name.upper() in BESIDE) and not item.metadata["secret"]
    }
    return {name: values[name] for name in sorted(names - ITS_OWN) if values.get(name)}
