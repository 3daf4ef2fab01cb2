"""What was asked, frozen: one dataclass for each capability, and how it is stored as JSON.

``REQUESTS`` lists all that a worker does, ``AT_ONCE`` those that are done as they are asked: a new kind of
request is a class in one of this folder's modules and a line there.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, asdict, fields, replace
from typing import Any

from core.errors import PromptError, UserError
from core.prompt.values import check_sha256
from core.requests.base import Answer, Request
from core.requests.chat import (
    AskRequest,
    ClassifyRequest,
    DescribeRequest,
    ReadRequest,
    ShortenRequest,
    TryRequest,
    WhyRequest,
)
from core.requests.custom_models import BundleRequest, InspectRequest, TrainRequest
from core.requests.images import (
    BlendRequest,
    ComposeRequest,
    CutOutRequest,
    EditRequest,
    GenerateRequest,
    ImagineRequest,
    OutpaintRequest,
    RegionRequest,
    UpscaleRequest,
    VariationRequest,
)
from core.requests.video import CutRequest, FrameRequest, VideoRequest

REQUESTS: tuple[type[Request], ...] = (
    ImagineRequest,
    VariationRequest,
    OutpaintRequest,
    UpscaleRequest,
    EditRequest,
    CutOutRequest,
    RegionRequest,
    BlendRequest,
    ComposeRequest,
    VideoRequest,
    DescribeRequest,
    ClassifyRequest,
    WhyRequest,
    ReadRequest,
    ShortenRequest,
    AskRequest,
    TryRequest,
    TrainRequest,
    InspectRequest,
    BundleRequest,
)
AT_ONCE: tuple[type[Request], ...] = (CutRequest, FrameRequest)  # need no model, and so no worker
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
_KINDS = (*REQUESTS, *AT_ONCE)
PICTURE_NAMES = {cls.kind: cls.called for cls in _KINDS if issubclass(cls, GenerateRequest)}
PICTURE_KINDS = tuple(PICTURE_NAMES)  # videos have posters
STILL_KINDS = tuple(cls.kind for cls in _KINDS if cls.kind in PICTURE_KINDS and cls.answer is Answer.PICTURES)
_BY_KIND = {cls.kind: cls for cls in _KINDS}
_RENAMED = {"unmet": "unsupported"}  # fields of rows that older versions stored


def to_json(request: Request) -> str:
    """Return the request as a JSON object, without the fields that have their default value."""
    defaults = {f.name: f.default for f in fields(request) if f.default is not MISSING}
    return json.dumps(
        {k: v for k, v in asdict(request).items() if k not in defaults or v != defaults[k]},
        ensure_ascii=False,
    )


def check_texts(request: Request) -> None:
    """Raise PromptError for a text that no database keeps: with U+0000, or half a pair of surrogates."""
    for text in _texts(asdict(request)):
        if wrong := _UNSTORABLE.search(text):
            raise PromptError(
                f"The words hold U+{ord(wrong[0]):04X}, which can't be kept. Type them again without it."
            )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        yield from _texts([*value, *value.values()])


def from_json(kind: str, text: str) -> Request:
    """Return the request that ``to_json`` wrote, also in an older version, where other ranges may have held:
    ``recheck`` says whether it may be asked for today.

    Raises ValueError for a kind or a field that this version doesn't know, TypeError for one that is missing.
    """
    if kind not in _BY_KIND:
        raise ValueError(f"unknown kind of request: {kind!r}")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{kind} request that is no object")
    cls, data = _BY_KIND[kind], {_RENAMED.get(k) or k: _tuples(v) for k, v in found.items()}
    unknown = set(data) - {f.name for f in fields(cls)}
    if unknown:
        raise ValueError(f"{kind} request with unknown fields: {', '.join(sorted(unknown))}")
    try:
        return cls(**data)
    except UserError:  # its values aren't in today's ranges
        request = object.__new__(cls)
        for item in fields(cls):
            object.__setattr__(request, item.name, data.get(item.name, item.default))
        check_sha256("a picture", *request.pictures)
        return request


def recheck(request: Request) -> None:
    """Raise UserError for a request that was read and that nobody may ask for any more."""
    replace(request)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
