"""What a style is trained with, what the captions of its pictures say, and how much memory it takes on a
device, counted before it waits in the queue. Loads no torch.

The activations of a transformer are those of gradient checkpointing (arXiv:1604.06174): what goes into every
block is kept, and one block at a time is computed again; without it, all that every block computes. The
constants are upper bounds of what was counted on the real models' layers
(tests/vision/lora_training/test_memory.py)."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from core.errors import ModelError, UserError
from vision.weights import card, files, memory

FEWEST, MOST = 5, 40  # pictures
STEPS, RANKS = (1, 4000), (1, 128)
RATES = (1e-6, 1e-2)
STRENGTHS = (1.2, 1.5, 1.8, 2.1, 2.4)
WHOLE = 0.4
LARGE = 300_000_000  # weights of a denoiser, from which on the rates of diffusers' examples fit
Layers = Literal["attention", "all", "fine"]


@dataclass(frozen=True)
class Settings:
    """The settings of one training. Raises UserError for a number out of its range.

    trigger: words that stand for the style in every prompt. steps: of the optimizer. rank: of each layer's
    change (arXiv:2106.09685). layers: "attention" alone, as diffusers' examples for UNets, "all" linear and
    convolutional ones, or the "fine" ones, at the end of the way up. learning_rate: at the start; it falls
    to 0 by a cosine. batch: pictures in a step. checkpoints: how often samples are drawn, the end included.
    recompute: whether a step computes each block's inside again for its gradient (arXiv:1604.06174), which
    saves memory, takes nearly twice the time and changes no result.
    strengths: of the finished style, of which the host's CLIP chooses (vision.lora_training.train).
    whole: share of noise from which on the style counts wholly in drawings with guidance, and for the prompt
    alone (vision.diffusion.loras); 1 = it counts as any LoRA does, as in families that
    aren't guided, where the strength next to 1 is kept.
    """

    trigger: str
    steps: int = 400
    rank: int = 16
    layers: Layers = "attention"
    learning_rate: float = 1e-4
    batch: int = 1
    checkpoints: int = 2
    seed: int = 0
    recompute: bool = True
    strengths: tuple[float, ...] = (1.0,)
    whole: float = 1.0

    def __post_init__(self) -> None:
        if not self.trigger.strip():
            raise UserError("`trigger` is empty; it takes a word or two that will stand for the style.")
        for name, value, (low, high) in (
            ("steps", self.steps, STEPS),
            ("rank", self.rank, RANKS),
            ("learning rate", self.learning_rate, RATES),
            ("batch", self.batch, (1, 16)),
            ("checkpoints", self.checkpoints, (1, 10)),
            ("whole", self.whole, (0, 1)),
        ):
            if not low <= value <= high:
                raise UserError(f"`{name}` is {value:g}; it takes {low:g} to {high:g}.")

    @property
    def sampled_after(self) -> tuple[int, ...]:
        """The steps after which samples are drawn; the last one is the end."""
        return tuple(round(self.steps * (i + 1) / self.checkpoints) for i in range(self.checkpoints))


def usual_settings(trigger: str, pictures: int, denoiser_weights: int, seed: int = 0) -> Settings:
    """Return the settings where nobody says otherwise. A large denoiser is trained as diffusers' examples do:
    its attention, a picture a step, 20 steps a picture (200 to 600 in all). A small one, whose few layers
    hold less, in the fine ones, where lines and patterns are decided, faster, by four pictures a step, and at
    a strength that is chosen at the end (docs/explanation/own-models.md)."""
    if denoiser_weights >= LARGE:
        return Settings(trigger, min(600, max(200, 20 * pictures)), seed=seed)
    steps = min(300, max(150, 10 * pictures))
    return Settings(
        trigger,
        steps,
        layers="fine",
        learning_rate=4e-3,
        batch=4,
        seed=seed,
        recompute=False,
        strengths=STRENGTHS,
        whole=WHOLE,
    )


def check_count(pictures: int) -> None:
    """Raise UserError unless a style can be learned from so many pictures."""
    if not FEWEST <= pictures <= MOST:
        raise UserError(f"A style is learned from {FEWEST} to {MOST} pictures; there are {pictures}.")


def worded(caption: str, trigger: str) -> str:
    """Return a caption with the trigger, unless it is in it already."""
    caption = caption.strip().rstrip(".,")
    if trigger.lower() in caption.lower():
        return caption
    return f"{caption}, {trigger}" if caption else trigger


COMMON = 0.5  # share of captions, from which on a word of the look is what they have in common

# Words of a medium: every picture of a style is in the same one, whatever a captioner takes each for
_MEDIA = frozenset(
    "2d 3d acrylic animation anime aquarelle art artwork artistic blurred blurry cartoon cgi charcoal chalk"
    " clip collage comic crayon cubist cyanotype digital doodle drawing drawn duotone embossed engraved"
    " engraving etching flat gouache grainy graphic grayscale greyscale halftone hatching icon illustrated"
    " illustration image impressionist ink isometric lineart linocut lithograph manga minimalist monochrome"
    " mosaic oil outline outlined paint painted painting pastel pencil photo photograph photographic"
    " photorealistic picture pixel pixelated pixels pointillist polygonal poster posterised posterized print"
    " realistic render rendered rendering retro scan sepia sketch sketched sketchy solarised solarized"
    " stencil sticker storybook style styled stylised stylized surreal texture textured toned vector vintage"
    " watercolor watercolour woodblock woodcut".split()
)
_BETWEEN = frozenset("a an and by in of on the this with low poly line".split())  # nothing alone beside those
# Words of colour, light and line, with those that mean the same: what differs between pictures stays
_LOOKS = """
    red crimson scarlet ruby; orange amber; yellow gold golden; green emerald lime; blue azure navy teal cyan;
    purple violet lilac; pink rosy magenta rose-coloured; white ivory snow-white; black ebony jet;
    grey gray silver; brown chestnut chocolate tan beige; bright vivid vibrant; dark dim gloomy shadowy;
    pale faded washed-out muted; soft hazy misty foggy; glowing neon shining; colorful colourful; bold thick;
    thin fine; rough coarse; smooth; sharp crisp; warm; cold cool; dramatic moody; backlit sunlit moonlit lit
"""
_KINDS = {word: group.split()[0] for group in _LOOKS.split(";") for word in group.split()}
_WORD = re.compile(r"[\w-]+")
_LEAD = re.compile(r"^(?:an?|the|this)?\s*((?:[\w-]+\s+){0,6}?)of\s+", re.IGNORECASE)
_GROUND = r"(?:background|backdrop|ground|wall|sky|surface)"
_EMPTY_GROUND = re.compile(rf"\b(?:on|in|against|in front of|with|over)\s+(?:an?|the)?\s*{_GROUND}\b(?=\W*$)")
_DANGLING = re.compile(r"(?:\s*\b(?:on|in|of|with|and|against|at|by|the|an?|is|are|that is))+\W*$", re.I)
_ARTICLE = re.compile(r"\b(an?)\s+(\w)", re.IGNORECASE)


def without_common(captions: Sequence[str]) -> tuple[str, ...]:
    """Return captions of a style's pictures without the words for what all share, which is to be learned:
    what differs is named, so that it stays free. A caption that names the look teaches the model that those
    words make it, not the style's own: eight sepia pictures whose captions all say "brown" teach little."""
    plain = []
    for caption in captions:
        lead = _LEAD.match(caption)
        if lead and (said := set(_words(lead[1]))) & _MEDIA and said <= _MEDIA | _BETWEEN | _KINDS.keys():
            caption = caption[lead.end() :]
        parts = [part for part in caption.split(",") if set(_words(part)) - _MEDIA - _BETWEEN]
        plain.append(_WORD.sub(lambda word: "" if word[0].lower() in _MEDIA else word[0], ",".join(parts)))
    counted = Counter(kind for one in plain for kind in {_KINDS[w] for w in _words(one) if w in _KINDS})
    common = {kind for kind, count in counted.items() if count >= max(2, COMMON * len(plain))}
    found = []
    for caption in plain:
        left = _WORD.sub(lambda word: "" if _KINDS.get(word[0].lower()) in common else word[0], caption)
        parts = []
        for part in left.split(","):
            # what is left over where words were taken out
            part = re.sub(r"\b(an?|the) and\b", r"\1", " ".join(part.split()), flags=re.IGNORECASE)
            part = _DANGLING.sub("", _EMPTY_GROUND.sub("", part)).strip(" .;:")
            parts.append(_ARTICLE.sub(lambda m: f"{'an' if m[2].lower() in 'aeiou' else 'a'} {m[2]}", part))
        found.append(", ".join(filter(None, parts)))
    return tuple(found)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


BYTES_A_WEIGHT = 16  # of a LoRA: itself, its gradient and AdamW's two moments, in float32
SLACK = 1.1  # what the allocator and the libraries take besides
# tensors as large as a block's input, that are alive while it is computed again
IN_FLUX, IN_FLUX2, IN_Z_IMAGE = 40, 50, 45
FLUX_SIDE, FLUX_PIXELS, FLUX_WORDS = 1024, 16, 512  # px of a picture's and a token's side; tokens of a text
UNET_SHARE = 0.25  # of a UNet model's bytes: its LoRA with gradients, and a step's activations
GB, MB = 10**9, 10**6


@dataclass(frozen=True)
class Needed:
    """Bytes. weights: of the whole model, as it draws. lora: with its gradients. activations: of a step."""

    weights: int
    lora: int
    activations: int

    @property
    def total(self) -> int:
        """All of it, with SLACK."""
        return round((self.weights + self.lora + self.activations) * SLACK)


def settings_for(path: Path, trigger: str, pictures: int) -> Settings | None:
    """Return what a style would be trained with on the model in ``path``; None where its parts aren't known.
    Raises ModelError for damaged files."""
    folder = path if path.is_dir() else files.config_folder(path)
    parts = [folder / part for part in memory.DENOISERS if (folder / part).is_dir()] if folder else []
    return usual_settings(trigger, pictures, memory.bytes_in_memory(parts[0], 1)) if parts else None


def choose_kind(
    needs: Mapping[str, memory.Sizes], name: str, free: int, quantize: str, installed: Collection[str]
) -> str:
    """Return how the base of styles is held, the nearest to its files that fits into ``free`` bytes: off,
    int8 or nf4. needs: of each kind. quantize: the host's setting; "off" leaves no choice. Raises UserError,
    with the number, where none fits."""
    may = ["off", *(kind for kind in ("int8", "nf4") if kind in installed and quantize != "off")]
    for kind in may:
        if needs[kind].total + needs[kind].needs.most <= free:
            return kind
    raise too_little(name, needs[may[-1]].total + needs[may[-1]].needs.most, free, is_free=True)


def base_memory(folder: Path, settings: Settings, itemsize: int) -> dict[str, memory.Sizes]:
    """Return kind of quantising → what a training takes on the transformer of the pipeline in ``folder``,
    which is loaded without the rest. Raises ModelError for damaged files, and for no such transformer."""
    needs = transformer_memory(files.read_json(folder / "transformer" / "config.json"), settings, itemsize, 0)
    if needs is None:
        raise ModelError(f"{folder.name} has no transformer that styles can be learned on.")
    found = {}
    for kind, size in memory.part_sizes(folder, "transformer", itemsize).items():
        more = replace(needs, weights=size.total).total - size.total
        found[kind] = memory.Sizes(size.parts, memory.Needs(0, more, 0))
    return found


def refuse_memory(path: Path, name: str, settings: Settings, itemsize: int, memory: int) -> None:
    """Raise UserError, with the number, when the model in ``path`` can't be trained with ``memory`` bytes.
    name: of the model, for people. itemsize: bytes of its weights (4 on a CPU, 2 on a card). A model whose
    configuration isn't beside it is left to the worker."""
    found = needed_memory(path, settings, itemsize)
    if found is not None and found.total > memory:
        raise too_little(name, found.total, memory)


def too_little(name: str, needed: int, memory: int, *, is_free: bool = False) -> UserError:
    """Return what is said where a training needs more bytes than there are, or than are free."""
    told = [f"{size / GB:.1f} GB" if size >= GB else f"{size / MB:.0f} MB" for size in (needed, memory)]
    if is_free:
        return UserError(
            f"Training a style on {name} needs about {told[0]} of memory; this device has {told[1]} free."
        )
    return UserError(
        f"Training a style on {name} needs about {told[0]} of memory; this device has {told[1]}."
    )


def needed_memory(path: Path, settings: Settings, itemsize: int) -> Needed | None:
    """Return what a training of the model in ``path`` takes; None where its configuration isn't known. Raises
    ModelError for damaged files."""
    folder = path if path.is_dir() else files.config_folder(path)
    if folder is None:
        return None
    if card.family_and_card(folder)[1].base:  # another transformer, alone, but of the same size
        sizes = memory.part_sizes(folder, "transformer", itemsize)
        weights = sizes["off" if itemsize == 4 else "nf4"].total  # at least
    else:
        weights = memory.sizes(path, itemsize)["off"].total
    if (folder / "unet" / "config.json").is_file():
        return Needed(weights, 0, round(UNET_SHARE * weights))
    config = files.read_json(folder / "transformer" / "config.json")
    return transformer_memory(config, settings, itemsize, weights)


def transformer_memory(
    config: Mapping[str, Any], settings: Settings, itemsize: int, weights: int
) -> Needed | None:
    """Return what a training of a FLUX.1, FLUX.2 klein or Z-Image transformer takes; None for another.
    weights: bytes of what is held besides."""
    kind = config.get("_class_name")
    if kind in ("FluxTransformer2DModel", "Flux2Transformer2DModel"):
        width = config["num_attention_heads"] * config["attention_head_dim"]
        double, single = config["num_layers"], config["num_single_layers"]
        blocks, lora, inside = double + single, 36 * double + 6 * single, IN_FLUX
        if kind == "Flux2Transformer2DModel":
            lora, inside = 8 * double + round((6 + 3 * config["mlp_ratio"]) * single), IN_FLUX2
    elif kind == "ZImageTransformer2DModel":
        width, blocks = config["dim"], config["n_layers"] + 2 * config["n_refiner_layers"]
        lora, inside = 8 * blocks, IN_Z_IMAGE
    else:
        return None
    tokens = (FLUX_SIDE // FLUX_PIXELS) ** 2 + FLUX_WORDS
    elements = tokens * width * (blocks + inside if settings.recompute else blocks * inside)
    trained = settings.rank * width * lora
    return Needed(weights, trained * BYTES_A_WEIGHT, settings.batch * itemsize * elements)
