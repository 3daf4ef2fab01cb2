"""What a style is trained with: the words and numbers that its result depends on, besides the pictures and
the model. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.errors import UserError

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
    strengths: of the finished style, of which the host's CLIP chooses (vision.style_training.strength).
    whole: share of noise from which on the style counts wholly in drawings with guidance, and for the prompt
    alone (vision.image_model.attached.guided_lora); 1 = it counts as any LoRA does, as in families that
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


def usual(trigger: str, pictures: int, denoiser_weights: int, seed: int = 0) -> Settings:
    """Return the settings where nobody says otherwise.

    A large denoiser is trained as diffusers' examples do: its attention, a picture a step, 20 steps a picture
    (200 to 600 in all). A small one, whose few layers hold less, in the fine ones, where lines and patterns
    are decided, faster, by four pictures a step, and at a strength that is chosen at the end (docs/train.md).
    """
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
