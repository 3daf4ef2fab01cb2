"""What a style is trained with, and how much memory that takes on a device, counted before it waits in the
queue. Loads no torch.

The activations are those of gradient checkpointing (arXiv:1604.06174): what goes into every block is kept,
and one block at a time is computed again; without it, all that every block computes. The constants are upper
bounds of what was counted on the real models' layers (tests/vision/lora_training/test_memory.py)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from core.errors import ModelError, UserError
from vision.weights import card, files, memory

FEWEST, MOST = 5, 40  # pictures
STEPS, RANKS = (1, 4000), (1, 128)
RATES = (1e-6, 1e-2)
MOST_PRIOR = 200  # pictures
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
    to 0 by a cosine. resolution: side of the square that pictures are brought to, px; 0 = the model's
    own. batch: pictures in a step. checkpoints: how often samples are drawn, the end included.
    prior: pictures that the model draws itself, of the same things without the style, and that it is to go on
    drawing so without the trigger; 0 = none. recompute: whether a step computes each block's inside again for
    its gradient (arXiv:1604.06174), which saves memory, takes nearly twice the time and changes no result.
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
    resolution: int = 0
    batch: int = 1
    checkpoints: int = 4
    prior: int = 0
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
            ("prior", self.prior, (0, MOST_PRIOR)),
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
    a strength that is chosen at the end (docs/train.md)."""
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


BYTES_A_WEIGHT = 16  # of a LoRA: itself, its gradient and AdamW's two moments, in float32
SLACK = 1.1  # what the allocator and the libraries take besides
# tensors as large as a block's input, that are alive while it is computed again
IN_RESNET, IN_TRANSFORMER = 12, 55
IN_FLUX, IN_FLUX2, IN_Z_IMAGE = 40, 50, 45
LATENT_PIXELS, FLUX_PIXELS, FLUX_WORDS = 8, 16, 512  # px of a latent's side, of a token's; tokens of a text
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
        if needs[kind].total <= free:
            return kind
    raise UserError(
        f"Training a style on {name} needs about {_told(needs[may[-1]].total)} of memory; this device has"
        f" {_told(free)} free."
    )


def base_memory(folder: Path, settings: Settings, itemsize: int) -> dict[str, memory.Sizes]:
    """Return kind of quantising → what a training takes on the transformer of the pipeline in ``folder``,
    which is loaded without the rest. Raises ModelError for damaged files, and for no such transformer."""
    needs = transformer_memory(files.read_json(folder / "transformer" / "config.json"), settings, itemsize, 0)
    if needs is None:
        raise ModelError(f"{folder.name} has no transformer that styles can be learned on.")
    sizes = memory.part_sizes(folder, "transformer", itemsize)
    whole = {kind: replace(needs, weights=size.total).total for kind, size in sizes.items()}
    return {kind: memory.Sizes(size, size) for kind, size in whole.items()}


def refuse_memory(path: Path, name: str, settings: Settings, itemsize: int, memory: int) -> None:
    """Raise UserError, with the number, when the model in ``path`` can't be trained with ``memory`` bytes.
    name: of the model, for people. itemsize: bytes of its weights (4 on a CPU, 2 on a card). A model whose
    configuration isn't beside it is left to the worker."""
    found = needed_memory(path, settings, itemsize)
    if found is not None and found.total > memory:
        raise UserError(
            f"Training a style on {name} needs about {_told(found.total)} of memory; this device has"
            f" {_told(memory)}."
        )


def _told(size: int) -> str:
    return f"{size / GB:.1f} GB" if size >= GB else f"{size / MB:.0f} MB"


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
    if unet := files.read_json(folder / "unet" / "config.json"):
        shape = UNet.read(unet)
        side = settings.resolution // LATENT_PIXELS or shape.sample_size
    elif transformer := files.read_json(folder / "transformer" / "config.json"):
        return transformer_memory(transformer, settings, itemsize, weights)
    else:
        return None
    activations = settings.batch * itemsize * shape.elements(side, settings.recompute)
    return Needed(weights, shape.lora(settings) * BYTES_A_WEIGHT, activations)


def transformer_memory(
    config: Mapping[str, Any], settings: Settings, itemsize: int, weights: int
) -> Needed | None:
    """Return what a training of a FLUX.1, FLUX.2 klein or Z-Image transformer takes; None for another.
    weights: bytes of what is held besides."""
    kind = config.get("_class_name")
    if kind == "FluxTransformer2DModel":
        width = config["num_attention_heads"] * config["attention_head_dim"]
        blocks = config["num_layers"] + config["num_single_layers"]
        lora, inside = 36 * config["num_layers"] + 6 * config["num_single_layers"], IN_FLUX
    elif kind == "Flux2Transformer2DModel":
        width = config["num_attention_heads"] * config["attention_head_dim"]
        blocks = config["num_layers"] + config["num_single_layers"]
        lora = 8 * config["num_layers"] + round((6 + 3 * config["mlp_ratio"]) * config["num_single_layers"])
        inside = IN_FLUX2
    elif kind == "ZImageTransformer2DModel":
        width, blocks = config["dim"], config["n_layers"] + 2 * config["n_refiner_layers"]
        lora, inside = 8 * blocks, IN_Z_IMAGE
    else:
        return None
    tokens = ((settings.resolution or 1024) // FLUX_PIXELS) ** 2 + FLUX_WORDS
    elements = tokens * width * (blocks + inside if settings.recompute else blocks * inside)
    trained = settings.rank * width * lora
    return Needed(weights, trained * BYTES_A_WEIGHT, settings.batch * itemsize * elements)


@dataclass(frozen=True)
class Level:
    """The blocks of a UNet at one size. channels: of what they return. down, up: channels that each residual
    block takes. depth: transformer blocks behind each of them, 0 = none."""

    channels: int
    down: tuple[int, ...]
    up: tuple[int, ...]
    depth: int


@dataclass(frozen=True)
class UNet:
    """What counts of a UNet2DConditionModel. words: channels of the text. sample_size: latents of a side.
    out_channels: of a latent."""

    levels: tuple[Level, ...]
    words: int
    sample_size: int
    out_channels: int

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "UNet":
        """Return it from its ``config.json``."""
        channels = list(config["block_out_channels"])
        layers, count = config.get("layers_per_block", 2), len(channels)
        depths = config.get("transformer_layers_per_block", 1)
        depths = [depths] * count if isinstance(depths, int) else list(depths)
        attends = ["CrossAttn" in kind for kind in config["down_block_types"]]
        found = []
        for i, own in enumerate(channels):
            before, below = channels[max(i - 1, 0)], channels[min(i + 1, count - 1)]
            # the up block's inputs: from below and then its own, each beside what the way down has left
            left = [own] * layers + [before]
            up = tuple((below if j == 0 else own) + left[j] for j in range(layers + 1))
            down = (before, *[own] * (layers - 1))
            found.append(Level(own, down, up, depths[i] if attends[i] else 0))
        side, colours = config["sample_size"], config.get("out_channels", 4)
        return cls(tuple(found), config["cross_attention_dim"], side, colours)

    def elements(self, side: int, recompute: bool = True) -> int:
        """Return the numbers that are kept for a picture of ``side`` latents, with the largest block's; where
        nothing is computed again, with every block's."""
        kept, blocks = 0, list[int]()  # blocks: what each computes
        for i, level in enumerate(self.levels):
            places = (side >> i) ** 2
            taken = [*level.down, *level.up]
            inside = (2 + level.depth) * level.channels if level.depth else 0
            kept += places * (sum(taken) + inside * len(taken))
            blocks += [places * IN_RESNET * one for one in taken]
            blocks += [places * IN_TRANSFORMER * level.channels] * (level.depth * len(taken))
        last = self.levels[-1]
        middle = (side >> (len(self.levels) - 1)) ** 2 * last.channels
        kept += middle * (2 + (2 + last.depth))
        if recompute:
            return kept + max(blocks)
        return kept + sum(blocks) + middle * (2 * IN_RESNET + IN_TRANSFORMER * self._depth_before())

    def lora(self, settings: Settings) -> int:
        """Return how many weights are trained."""
        if settings.layers == "fine":
            return settings.rank * self._fine(settings)
        total = 0
        for i, level in enumerate(self.levels):
            is_last = i == len(self.levels) - 1
            blocks = [*level.down, *level.up, *[level.channels] * (2 * is_last)]
            attentions = len(level.down) + len(level.up) if level.depth else 0
            depth = level.depth or (self._depth_before() if is_last else 0)
            total += (attentions + is_last) * depth * self._attention(level.channels, settings)
            if settings.layers == "all":
                total += sum(_convolutions(taken, level.channels) for taken in blocks)
                total += (attentions + is_last) * 4 * level.channels
        return settings.rank * total

    def _fine(self, settings: Settings) -> int:
        """Inputs and outputs of the layers of the way up's last block, of the one before without its
        attention, and of the very last layer."""
        first, total = self.levels[0], 9 * self.levels[0].channels + self.out_channels
        for level in self.levels[:2]:
            total += sum(_convolutions(taken, level.channels) for taken in level.up)
            total += len(level.up) * (4 * first.channels + level.channels)  # of the time
        if first.depth:
            block = first.depth * self._attention(first.channels, settings) + 4 * first.channels
            total += len(first.up) * block
        return total + sum(10 * level.channels for level in self.levels[1:2])  # its upsampler

    def _depth_before(self) -> int:
        """The depth of the middle, where the last level has no attention: as of the one before."""
        return next((level.depth for level in reversed(self.levels) if level.depth), 1)

    def _attention(self, channels: int, settings: Settings) -> int:
        """Inputs and outputs of the layers of a transformer block."""
        own = 14 * channels + 2 * self.words
        return own if settings.layers == "attention" else own + 14 * channels


def _convolutions(taken: int, channels: int) -> int:
    """Inputs and outputs of a residual block's layers; a kernel has nine places."""
    own = 9 * taken + channels + 9 * channels + channels
    return own + (taken + channels if taken != channels else 0)
