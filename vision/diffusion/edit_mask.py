"""What an instruction is about in a picture: an InstructPix2Pix draws there alone, the rest stays.

After "Watch Your Steps" (Mirzaei et al., 2023, arXiv:2308.08947), which tells from a model's predictions
where an edit belongs. Knows diffusers' schedulers and the order of that pipeline's rows.
"""

from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

GATHERED = 0.25  # share of the steps that tell what the words mean; until then all is free to change
LIKELY = 0.8  # share of the threshold that is enough beside a cell that reaches it
GROWN = 1  # cells around what is relevant that may change, too: edges, and shadows on the ground


class Keeping:
    """Stands for a denoiser of edits, and predicts the picture's own latents where words mean nothing.

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
        self.relevance: Tensor | None = None
        self._free: tuple[Tensor | None, Tensor | None] = None, None  # relevance → ``free``
        self._scheduler, self._scale, self._weight = scheduler, scale, 0.0

    def __call__(self, sample: Tensor, timestep: Any, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls <= self.gathered:
            self._weight += float(self._alpha(timestep).sqrt())
        return self.forward(sample, timestep, *args, **kwargs)

    def forward(self, sample: Tensor, timestep: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the denoiser predicts for ``sample``, the noisy latents with the picture's behind them,
        as a tuple; from step ``gathered`` on only where the words mean something. With guidance the rows are
        those with words and picture, with the picture alone, and with neither."""
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
        kept = source.repeat(rows, 1, 1, 1)  # what has to be predicted to lead to it
        if self._kind != "sample":
            noise = (noisy - alpha.sqrt() * kept) / (1 - alpha).sqrt()
            is_v = self._kind == "v_prediction"
            kept = alpha.sqrt() * noise - (1 - alpha).sqrt() * kept if is_v else noise
        kept = kept.to(predicted)
        free = free[:, None].repeat(rows, 1, 1, 1).to(predicted.device)
        return (torch.where(free, predicted, kept), *output[1:])

    @property
    def free(self) -> Tensor | None:
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
        """Return each picture's changed cells: "L", a pixel a latent, 255 = changed; None = all may be."""
        if self.free is None:
            return [None] * self.count
        return [Image.fromarray(255 * free.cpu().byte().numpy()) for free in self.free]

    def _alpha(self, timestep: Any) -> Tensor:
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

    def _clean(self, noisy: Tensor, predicted: Tensor, alpha: Tensor) -> Tensor:
        if self._kind == "sample":
            return predicted
        if self._kind == "v_prediction":
            return alpha.sqrt() * noisy - (1 - alpha).sqrt() * predicted
        return (noisy - (1 - alpha).sqrt() * predicted) / alpha.sqrt()

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "denoiser"), name)


def reached(certain: Tensor, likely: Tensor) -> Tensor:
    """Return the cells of ``likely`` that hang together with some of ``certain``, which are likely, too (the
    hysteresis of Canny, 1986). All (count, 1, h, w), bool. A new style moves all cells a little."""
    found, before = certain, None
    while before is None or not torch.equal(found, before):
        before = found
        found = (F.max_pool2d(found.float(), 3, 1, 1) > 0) & likely
    return found


def keeping_of(pipe: Any) -> Keeping | None:
    """Return what keeps to the picture in ``pipe``; None where nothing does."""
    unet = getattr(pipe, "unet", None)
    return unet if isinstance(unet, Keeping) else None
