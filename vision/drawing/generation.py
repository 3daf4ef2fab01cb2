"""What to draw, and what was drawn: the values that pass between requests and ``generate``."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

from vision.drawing.parameters import TextSpec
from vision.families import Mode
from vision.pictures import encode


@dataclass(frozen=True)
class Generation:
    """Everything a drawing depends on besides the model.

    seeds: one for each picture. width, height: px at the model's scale, whole multiples of the card's.
    image (IMAGE, INPAINT): of exactly that size. images: one for each seed in place of ``image``. mask_image
    (INPAINT): "L", white = paint. strength: 0..1, how far to move from ``image``. text_spec: how texts steer
    the picture beyond one prompt and one negative prompt. guidance_rescale: 0..1. stop: share of the schedule
    that is run. loras: (name the host has set up, weight), each name once. at_once: pictures in one batch at
    most, None = all. seamless: opposite edges meet. references (TEXT): pictures that are shown to a model
    that takes them, or to its IP-Adapter. reference_scale (IP-Adapter): how much they count, 0..1. draft:
    decoded by the model's tiny decoder, if it has one. edges (IMAGE): a picture of the same size that the
    model's ControlNet keeps to. shape: (w, h) of the middle that the finished picture
    keeps, as small whole numbers; None = the whole picture. frames (IMAGE): the pictures are frames of a film
    and look at the first of them while they are drawn, where the model is a UNet.
    """

    mode: Mode
    prompt: str
    seeds: tuple[int, ...]
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str = ""
    strength: float | None = None
    sampler: str | None = None
    image: Image.Image | None = field(default=None, repr=False)
    mask_image: Image.Image | None = field(default=None, repr=False)
    text_spec: TextSpec = TextSpec()
    guidance_rescale: float = 0.0
    stop: float = 1.0
    loras: tuple[tuple[str, float], ...] = ()
    images: tuple[Image.Image, ...] = field(default=(), repr=False)
    at_once: int | None = None
    seamless: bool = False
    references: tuple[Image.Image, ...] = field(default=(), repr=False)
    reference_scale: float | None = None
    draft: bool = False
    edges: Image.Image | None = field(default=None, repr=False)
    shape: tuple[int, int] | None = None
    frames: bool = False

    def finished_size(self, scale: int) -> tuple[int, int]:
        """Return (w, h) in px of the finished picture, which is ``scale`` times as large as the drawn one."""
        return encode.largest((self.width * scale, self.height * scale), self.shape)


@dataclass(frozen=True)
class Drawn:
    """The result. images: one for each seed, at the model's scale; RGBA where the picture that was edited
    stays, which is transparent then. notes: sentences for the person who asked."""

    images: tuple[Image.Image, ...]
    notes: tuple[str, ...] = ()
