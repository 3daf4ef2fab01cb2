"""The page of video models: families, what each can do, and sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tools.docs.markdown import code, page, sentence, table
from tools.docs.model_sizes import VIDEO_MODELS, sizes_table
from vision.video.families import FAMILIES, Operation, VideoFamily, Way

INTRO = """\
`VIDEO_MODEL` takes an id of the hub with its commit, or a folder, of one of these families. Which \
family it is follows from its files. Without one, the image model [sketches \
videos](../explanation/videos.md). [Models for edits, chat and \
videos](../host/edit-chat-video-models.md) shows how to set it, and a [model card](model-card.md) \
changes the defaults."""
ABILITIES = """\
## What each can do

*native*: in one call of its pipeline. *windows*: in several calls, each of which continues the last \
one. –: Atelier refuses it, for the reason in the table after this one."""
SIZES = """\
## Sizes

In GB of 10⁹ bytes: what to download and keep on disk, and the weights in memory, of all parts and of \
the largest. The last columns say how `QUANTIZE=auto` and `OFFLOAD=auto` hold the model on a card: *by \
parts*, each part is on the card while it is needed; *by layers*, each layer is, which is slow. Computed \
from the models' shapes, not measured."""


def _family(family: VideoFamily) -> tuple[str, ...]:
    frames = "any" if family.step == 1 else f"{family.step}k + 1"
    usual = f"{family.usual / family.fps:.1f} s"
    longest = f"{family.longest} frames, {family.longest / family.fps:.1f} s"
    steps = f"{family.num_inference_steps}, {family.guidance_scale:g}"
    side = f"{math.isqrt(family.native_area)}², sides are multiples of {family.multiple}"
    return (
        f"{family.title}<br>{code(family.name)}",
        side,
        frames,
        f"{family.fps:g}",
        usual,
        longest,
        steps,
        "yes" if family.sound else "",
    )


def _can(family: VideoFamily) -> tuple[str, ...]:
    ways = (family.support(operation).way for operation in Operation)
    return family.title, *("–" if way is Way.REFUSED else str(way) for way in ways)


def _refusals() -> Iterator[tuple[str, str, str]]:
    for family in FAMILIES:
        reasons: dict[str, list[str]] = {}
        for operation in Operation:
            support = family.support(operation)
            if support.way is Way.REFUSED:
                reasons.setdefault(support.note, []).append(operation.value)
        for reason, operations in reasons.items():
            yield family.title, ", ".join(operations), sentence(reason, family.name)


def video_models_page() -> str:
    """Return the page."""
    head = (
        "family",
        "native px",
        "frames",
        "frames a second",
        "usual",
        "longest call",
        "steps, guidance",
        "sound",
    )
    return page(
        "Video models",
        INTRO,
        "## Families",
        table(head, map(_family, FAMILIES)),
        ABILITIES,
        table(("family", *(operation.value for operation in Operation)), map(_can, FAMILIES)),
        table(("family", "can't", "why"), _refusals()),
        SIZES,
        sizes_table(VIDEO_MODELS),
    )
