"""Which jobs take about the same time on the same device."""

from __future__ import annotations

from core.requests import ClassifyRequest, DescribeRequest, Request


def cost_key(request: Request) -> str:
    """Return kind|size|model: jobs with the same key take about the same time on the same device."""
    return "|".join((request.kind, _size(request), _model(request)))


def model_of(key: str) -> str:
    """Return the model of a cost key: a name, or the role whose configured model will be used."""
    return key.split("|", 2)[2]


def _size(request: Request) -> str:
    if isinstance(request, DescribeRequest):
        return str(request.num_captions)
    if isinstance(request, ClassifyRequest):
        return str(len(request.labels))
    width, height, steps = (
        getattr(request, name, None) or 0 for name in ("width", "height", "num_inference_steps")
    )
    drawn = "draft" if getattr(request, "draft", False) else steps
    return f"{width}x{height}x{getattr(request, 'num_images', 1)}s{drawn}"


def _model(request: Request) -> str:
    """The model named, or the role whose configured model will be used."""
    if isinstance(request, DescribeRequest):
        return "caption"
    if isinstance(request, ClassifyRequest):
        return "clip" if request.labels else "vit"
    return getattr(request, "model", None) or "image"
