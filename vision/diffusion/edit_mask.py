"""What an instruction is about in a picture: an InstructPix2Pix draws there alone, and everything else stays
the picture's own.

After "Watch Your Steps" (Mirzaei et al., 2023, arXiv:2308.08947), which tells from a model's predictions
where an edit belongs. Knows diffusers' schedulers and the order of that pipeline's rows.

Draws a part of a picture again: where it lies, what the model gets of it, and how it is pasted back. Every
pixel outside stays.

The mask is "L" at the picture's size, 255 = paint, nothing in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageChops, ImageFilter

from core.errors import UserError
from vision.images import encode
from vision.images.upscaler import eroded
from vision.weights.card import Card

GATHERED = 0.25  # share of the steps that tell what the words mean; until then all is free to change
LIKELY = 0.8  # share of the threshold that is enough beside a cell that reaches it
GROWN = 1  # cells around what is relevant that may change, too: edges, and shadows on the ground


class Keeping:
    """Stands for a denoiser of pictures that are edited, and predicts the picture's own latents wherever the
    words mean nothing.

    scheduler: the noise scheduler of the call. scale: of the VAE, which the picture's latents come without.
    threshold: how far the latents that the words lead to must lie from the picture's. steps: of the call.
    count: pictures in it. Everything but the evaluation is the denoiser's own.

    relevance: (count, h, w), the sum of those distances so far, each weighted by how much of the picture its
    step sees through the noise; None before the first step.
    """

    def __init__(
        self, denoiser: Any, scheduler: Any, *, scale: float, threshold: float, steps: int, count: int
    ) -> None:
        self.denoiser, self.threshold, self.count, self.calls = denoiser, threshold, count, 0
        self.gathered = max(1, round(GATHERED * steps))
        self.relevance: torch.Tensor | None = None
        self._free: tuple[torch.Tensor | None, torch.Tensor | None] = None, None  # relevance → ``free``
        self._scheduler, self._scale, self._weight = scheduler, scale, 0.0

    def __call__(self, sample: torch.Tensor, timestep: Any, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls <= self.gathered:
            self._weight += float(self._alpha(timestep).sqrt())
        return self.forward(sample, timestep, *args, **kwargs)

    def forward(self, sample: torch.Tensor, timestep: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the denoiser predicts for ``sample``, the noisy latents with the picture's behind them,
        as a tuple; from step ``gathered`` on only where the words mean something.

        With guidance the rows are those with words and picture, with the picture alone, and with neither.
        """
        output = self.denoiser(sample, timestep, *args, **kwargs)
        predicted = output[0]
        channels = predicted.shape[1]
        noisy, source = sample[:, :channels].float(), sample[: self.count, channels:].float() * self._scale
        alpha = self._alpha(timestep).to(sample.device)
        if self.calls <= self.gathered:
            told = self._clean(noisy[: self.count], predicted[: self.count].float(), alpha)
            apart = (told - source).abs().mean(1) * alpha.sqrt()
            self.relevance = apart if self.relevance is None else self.relevance.to(apart) + apart
        free = self.free
        if free is None:
            return output
        rows = len(sample) // self.count
        kept = self._towards(noisy, source.repeat(rows, 1, 1, 1), alpha).to(predicted)
        free = free[:, None].repeat(rows, 1, 1, 1).to(predicted.device)
        return (torch.where(free, predicted, kept), *output[1:])

    @property
    def free(self) -> torch.Tensor | None:
        """Where the pictures may change: (count, h, w), bool; None while all may."""
        if self.relevance is None or self.calls < self.gathered:
            return None
        of, free = self._free
        if of is self.relevance and free is not None:
            return free
        mean = F.pad((self.relevance / self._weight)[:, None], (1, 1, 1, 1), mode="replicate")
        smooth = F.avg_pool2d(mean, 3, 1)
        relevant = reached(smooth > self.threshold, smooth > LIKELY * self.threshold)
        free = F.max_pool2d(relevant.float(), 2 * GROWN + 1, 1, GROWN)[:, 0] > 0
        self._free = self.relevance, free
        return free

    def masks(self) -> list[Image.Image | None]:
        """Return for each picture where it has changed, "L" with a pixel a latent cell, 255 = changed; None
        where all may have."""
        if self.free is None:
            return [None] * self.count
        return [Image.fromarray(255 * free.cpu().byte().numpy()) for free in self.free]

    def _alpha(self, timestep: Any) -> torch.Tensor:
        """The share of the picture in the variance of the noisy latents; some samplers step between two
        trained times, at the level of noise that lies between."""
        alphas = self._scheduler.alphas_cumprod.double().cpu().clamp(min=2.0**-48)
        levels = ((1 - alphas) / alphas).sqrt()
        time = min(max(float(timestep), 0.0), len(levels) - 1.0)
        low = int(time)
        level = torch.lerp(levels[low], levels[min(low + 1, len(levels) - 1)], time - low)
        return (1 / (1 + level**2)).float()

    @property
    def _kind(self) -> str:
        return str(self._scheduler.config.prediction_type)

    def _clean(self, noisy: torch.Tensor, predicted: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        """The latents without noise that a prediction leads to."""
        if self._kind == "sample":
            return predicted
        if self._kind == "v_prediction":
            return alpha.sqrt() * noisy - (1 - alpha).sqrt() * predicted
        return (noisy - (1 - alpha).sqrt() * predicted) / alpha.sqrt()

    def _towards(self, noisy: torch.Tensor, clean: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        """The prediction that leads to ``clean``."""
        if self._kind == "sample":
            return clean
        noise = (noisy - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * clean if self._kind == "v_prediction" else noise

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "denoiser"), name)


def reached(certain: torch.Tensor, likely: torch.Tensor) -> torch.Tensor:
    """Return the cells of ``likely`` that hang together with some of ``certain``, which are likely, too (the
    hysteresis of Canny, 1986). All (count, 1, h, w), bool. A new style moves all cells, many of them less
    than the threshold."""
    found, before = certain, None
    while before is None or not torch.equal(found, before):
        before = found
        found = (F.max_pool2d(found.float(), 3, 1, 1) > 0) & likely
    return found


def keeping_of(pipe: Any) -> Keeping | None:
    """Return what keeps to the picture in ``pipe``; None where nothing does."""
    unet = getattr(pipe, "unet", None)
    return unet if isinstance(unet, Keeping) else None


MARGIN = 0.5  # of the part's longer side that is cut out around it
WHOLE = 0.6  # of the picture's area: a larger crop becomes the whole picture
MAX_ASPECT = 2.0  # of a crop


@dataclass(frozen=True)
class RegionLayout:
    """What the model gets. box: of the picture (left, top, right, bottom), px. size: (w, h) it is resized
    to."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]


def from_picture(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the mask that a picture shows, stretched to ``size``: white (over half) = paint. Raises
    UserError when nothing is."""
    return checked(
        mask.convert("L").resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 * (value >= 128))
    )


def from_boxes(boxes: Sequence[tuple[int, int, int, int]], size: tuple[int, int]) -> Image.Image:
    """Return the union of ``boxes`` (left, top, right, bottom), as far as they lie in a picture of ``size``.
    Raises UserError when nothing does."""
    mask = Image.new("L", size)
    for left, top, right, bottom in boxes:
        mask.paste(255, (left, top, max(left, min(right, size[0])), max(top, min(bottom, size[1]))))
    return checked(mask)


def checked(mask: Image.Image) -> Image.Image:
    """Return ``mask``. Raises UserError when there is nothing in it."""
    if mask.getbbox() is None:
        raise UserError(
            "The part to redraw is empty: a mask is white where the picture is to change, and a box lies"
            " inside of the picture."
        )
    return mask


def plan(mask: Image.Image, card: Card) -> RegionLayout:
    """Lay out a crop of the mask and some of its surroundings, at about the model's native area, so that
    small parts get its full detail."""
    marked = mask.getbbox()
    if marked is None:
        raise ValueError("nothing is marked in the mask")
    left, top, right, bottom = marked
    side = max(right - left, bottom - top)
    wide, high = (length + 2 * MARGIN * side for length in (right - left, bottom - top))
    shortest = card.native_size * card.output_scale / 2  # below, a crop would be enlarged more than twice
    wide, high = max(wide, high / MAX_ASPECT, shortest), max(high, wide / MAX_ASPECT, shortest)
    box = (*_span(left, right, wide, mask.width), *_span(top, bottom, high, mask.height))
    box = (box[0], box[2], box[1], box[3])
    if (box[2] - box[0]) * (box[3] - box[1]) > WHOLE * mask.width * mask.height:
        box = (0, 0, *mask.size)
    return RegionLayout(
        box, encode.size_for_area((box[2] - box[0]) / (box[3] - box[1]), card.native_size, card.multiple)
    )


def _span(begin: int, end: int, wanted: float, length: int) -> tuple[int, int]:
    """``wanted`` px around begin..end, inside of 0..length."""
    wanted = min(length, max(end - begin, round(wanted)))
    start = min(max(0, round((begin + end - wanted) / 2)), length - wanted)
    return start, start + wanted


def shown(
    image: Image.Image, mask: Image.Image, layout: RegionLayout, card: Card
) -> tuple[Image.Image, Image.Image]:
    """Return (picture, mask) for the model, the mask a little wider, so that everything pasted at its edge is
    painted."""
    crop = encode.resize(image.crop(layout.box), layout.size)
    return crop, widened(mask.crop(layout.box), layout.size, card)


def widened(mask: Image.Image, size: tuple[int, int], card: Card) -> Image.Image:
    """Return ``mask`` at the model's ``size``, a little wider."""
    marked = mask.resize(size, Image.Resampling.BOX).point(lambda value: 255 * (value > 0))
    return marked.filter(ImageFilter.MaxFilter(2 * max(1, card.native_size // 64) + 1))


def pasted(
    painted: Image.Image, image: Image.Image, mask: Image.Image, layout: RegionLayout, card: Card
) -> Image.Image:
    """Return ``image`` with ``painted`` in its masked part. The edge is soft on the inside only."""
    size = layout.box[2] - layout.box[0], layout.box[3] - layout.box[1]
    crop, inside = image.crop(layout.box), mask.crop(layout.box)
    new = painted if painted.size == size else painted.resize(size, Image.Resampling.LANCZOS)
    width = max(1, min(size) // 64)
    core = Image.fromarray(eroded(np.asarray(inside) > 0, width).astype(np.uint8) * 255)
    soft = core.filter(ImageFilter.GaussianBlur(width))
    alpha = (
        np.asarray(ImageChops.multiply(soft, inside), np.float32)[..., None] / 255
    )  # (h, w, 1), 0 outside of the mask
    if not alpha.any():  # thinner than its edge
        alpha = np.asarray(inside, np.float32)[..., None] / 255
    merged = np.asarray(new, np.float32) * alpha + np.asarray(crop, np.float32) * (1 - alpha)
    result = image.copy()
    result.paste(Image.fromarray(merged.round().clip(0, 255).astype(np.uint8)), layout.box[:2])
    return result
