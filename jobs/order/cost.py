"""Which jobs take about the same time on the same device."""

from __future__ import annotations

from core.requests import Request
from core.requests.custom_models import TrainRequest
from core.requests.video import VideoRequest

LONG = (TrainRequest.kind, VideoRequest.kind)


def cost_key(request: Request) -> str:
    """Return kind|size|model: jobs with the same key take about the same time on the same device."""
    return "|".join((request.kind, request.size(), request.model_or_role()))


def kind_of(key: str) -> str:
    """Return the kind of requests that a cost key stands for."""
    return key.partition("|")[0]


def is_long(key: str) -> bool:
    """Return whether jobs with a cost key may take from minutes to a day."""
    return kind_of(key) in LONG


def model_of(key: str) -> str:
    """Return the model of a cost key: a name, or the role whose configured model will be used."""
    return key.split("|", 2)[2]
