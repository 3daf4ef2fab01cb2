"""The page of image models: families, sizes, memory, and how their pipelines are called."""

from __future__ import annotations

from collections.abc import Iterator

from tools import memory_needs, model_calls, short_memory
from tools.docs.markdown import code, page, table
from tools.docs.model_sizes import MODELS, sizes_table
from vision.families import EDITORS, FAMILIES, Family
from vision.weights.card import make_card

INTRO = """\
`IMAGE_MODEL`, `IMAGE_MODELS` and `EDIT_MODEL` take a model of one of these families: an id of the hub \
with its commit, a folder, or a single file where the family has one. Which family it is follows from \
its files. [Add models](../host/add-models.md) shows how, and a [model card](model-card.md) changes the \
defaults."""
SIZES = """\
## Sizes

In GB of 10⁹ bytes: what to download and keep on disk, and the weights in memory, of all parts and of \
the largest. The last columns say how `QUANTIZE=auto` and `OFFLOAD=auto` hold the model on a card: *by \
parts*, each part is on the card while it is needed; *by layers*, each layer is, which is slow. Computed \
from the models' shapes, not measured."""
MEMORY = """\
## Memory, asked and taken

GiB that Atelier sets aside and that are taken at most, for one picture or video of native size. \
Measured without a card: the real architectures run on a device that counts bytes. Add 1 GiB for the \
libraries of a real card."""
SHORT = """\
## On cards that are too small

Two pictures of native size on ever smaller cards, with GiB of the card and how they were drawn: `model` \
is part by part, `group` layer by layer. *fewer rows*, *tiles*, *one by one* and *parts* are smaller \
ways that Atelier takes by itself."""
CALLS = """\
## How pipelines are called

Each pipeline is called as in its own example in diffusers, except for these arguments."""
DEFAULTS = f"""\
## Defaults

Steps and guidance of models that differ within a family, beside those of their own pages, read on \
{model_calls.READ}."""
NEGATIVE = {"prompt": "yes", "true_cfg": "by a second pass", "none": "no"}


def _negative(family: Family) -> str:
    if family.negative == "prompt" and family.guidance_scale <= 1:
        return f"with guidance over {family.neutral:g}"
    return NEGATIVE[family.negative]


def _families() -> Iterator[tuple[str, ...]]:
    for family in (*FAMILIES, *EDITORS):
        takes = [
            name
            for name, pipeline in (
                ("words", family.text),
                ("picture", family.image),
                ("mask", family.inpaint),
                ("edit", family.edit),
            )
            if pipeline
        ]
        pictures = (
            f"up to {family.references}" if family.references else "IP-Adapter" if family.adapts else ""
        )
        yield (
            f"{family.title}<br>{code(family.name)}",
            ", ".join(takes),
            _negative(family),
            "all" if family.samplers == "any" else "its own",
            pictures,
            "yes" if family.file_keys else "",
            str(family.native_size),
            str(family.multiple),
            _usual(family),
        )


def _usual(family: Family) -> str:
    return f"{family.num_inference_steps}, {family.guidance_scale:g}"


def _taken() -> Iterator[tuple[str, ...]]:
    for family, ways in memory_needs.published().items():
        cells = ("{:.2f} / {:.2f}".format(*ways[way]) if way in ways else "–" for way in memory_needs.WAYS)
        yield family, *cells


def _defaults() -> Iterator[tuple[str, ...]]:
    for one in model_calls.CARDS:
        card = make_card(model_calls.family_of(one.family), one.configs, {})
        here = f"{card.num_inference_steps}, {card.guidance_scale:g}"
        yield one.model, here, f"{one.num_inference_steps}, {one.guidance_scale:g}"


def image_models_page() -> str:
    """Return the page."""
    head = ("family", "starts from", "negative prompt", "samplers", "sees pictures", "one file")
    short = short_memory.published()
    titles = next(iter(short.values()))
    return page(
        "Image models",
        INTRO,
        "## Families",
        table((*head, "native px", "sides are multiples of", "steps, guidance"), _families()),
        SIZES,
        sizes_table(MODELS),
        MEMORY,
        table(("model", *memory_needs.WAYS), _taken()),
        SHORT,
        table(("model", *titles), ((family, *cells.values()) for family, cells in short.items())),
        CALLS,
        table(
            ("pipeline", "argument", "in its example", "here", "why"),
            (
                (code(one.pipeline), code(one.argument), one.example, one.ours, one.reason)
                for one in model_calls.differences()
            ),
        ),
        DEFAULTS,
        table(("model", "steps, guidance here", "on its page"), _defaults()),
    )
