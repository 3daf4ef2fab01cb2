"""What a worker's own models can see pictures with: filters always, and the networks that it has configured.

They run on the processor in float32 wherever the worker draws, so that the same pictures give the same model.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from core.errors import ModelError
from core.requests.custom_models import ANOMALY
from vision.own_models.features import extractor
from vision.own_models.features.efficientnet import efficientnet
from vision.own_models.features.extractor import Extractor
from vision.own_models.features.filters import filters
from vision.own_models.features.transformer import transformer
from vision.photo.looking import is_demo
from vision.reporter import Reporter

if TYPE_CHECKING:
    from vision.model_store import Models

log = logging.getLogger(__name__)

PHOTOGRAPH, TRANSFORMERS = "photograph", ("clip", "vit")  # roles


def towers(task: str, models: Models, reporter: Reporter) -> Iterator[Extractor]:
    """Yield what a task is tried with. The demo models have seen nothing but twelve drawn things: they are
    tried with labels, not with parts."""
    yield filters()
    for role in (PHOTOGRAPH, *TRANSFORMERS):
        if task == ANOMALY and role in TRANSFORMERS and is_demo(models, role):
            continue
        found = tower(role, models, reporter)
        if found is not None:
            yield found


def named(name: str, models: Models, reporter: Reporter) -> Extractor:
    """Return the extractor that a model was trained with. Raises ModelError when this worker has no such one
    any more."""
    try:
        return extractor.named(name, lambda one: _alone(one, models, reporter))
    except KeyError as error:
        message = f"This model sees with {error.args[0]}, which the host has no more. Train it again."
        raise ModelError(message) from None


def _alone(name: str, models: Models, reporter: Reporter) -> Extractor | None:
    if name == (found := filters()).name:
        return found
    for role in (PHOTOGRAPH, *TRANSFORMERS):
        if role == PHOTOGRAPH and not name.startswith("efficientnet-"):
            continue
        other = tower(role, models, reporter)
        if other is not None and other.name == name:
            return other
    return None


def tower(role: str, models: Models, reporter: Reporter) -> Extractor | None:
    """Return what the configured model of a role sees with; None without one that can be had and has square
    patches."""
    spec = models.config.models.get(role)
    if not spec:
        return None
    if (kept := models.own.towers.get((role, spec))) is not None:
        return kept
    try:
        reader = models.get(role, reporter)
        found = efficientnet(reader.model) if role == PHOTOGRAPH else _transformer(reader)
    except ModelError as error:
        log.info("own models see without the %s model: %s", role, error)
        return None
    models.own.towers[role, spec] = found
    return found


def _transformer(reader: Any) -> Extractor:
    processor = getattr(reader.processor, "image_processor", reader.processor)
    weight = next(reader.model.parameters())
    model = reader.model
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        model = copy.deepcopy(model).to("cpu", torch.float32)
    return transformer(reader.name, model, processor)
