"""What a configured CLIP, SigLIP, ViT or DINO sees: patches of two layers and the vector of the picture.

A tower for pictures much smaller than SIDE sees a picture in tiles as well, so that small things keep their
size; the vector is always that of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import ModelError
from vision.own_models.features.extractor import Extractor, fingerprint

SIDE = 256  # that tiles are cut from
DEPTHS = (0.5, 1.0)  # of the layers whose patches are read


class TransformerFeatures(nn.Module):
    """(B, 3, side, side) in 0..1 to maps (B, 2 × width, h, w) and pooled features (B, P).

    tower: a vision transformer of transformers; size: the square it takes; tiles: a side. mean, deviation: of
    the pixels it was trained on.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, tower: Any, size: int, tiles: int, mean: Sequence[float], deviation: Sequence[float]
    ) -> None:
        super().__init__()
        self.tower, self.size, self.tiles = tower, size, tiles
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None])
        depth = tower.config.num_hidden_layers
        self._layers = [max(1, round(share * depth)) for share in DEPTHS]

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps, each patch of length 1 and layer by layer, and vectors."""
        n = self.tiles
        output = self._seen(self.whole(pixels))
        if n == 1:
            return self._maps(output.hidden_states), self._pooled(output)
        batch, size = pixels.shape[0], self.size
        tiles = pixels.reshape(batch, 3, n, size, n, size).permute(0, 2, 4, 1, 3, 5)
        states = self._seen(tiles.reshape(batch * n * n, 3, size, size)).hidden_states
        maps = self._maps(states)  # (B n n, C, s, s)
        side = maps.shape[-1]
        laid = maps.reshape(batch, n, n, -1, side, side).permute(0, 3, 1, 4, 2, 5)
        return laid.reshape(batch, -1, n * side, n * side), self._pooled(output)

    def whole(self, pixels: Tensor) -> Tensor:
        """Return pictures (B, 3, side, side) as small as the tower takes them, (B, 3, size, size)."""
        return F.avg_pool2d(pixels, self.tiles) if self.tiles > 1 else pixels

    def vectors(self, pixels: Tensor) -> Tensor:
        """Return the vectors (B, P) alone, for which no tile has to be seen."""
        return self.pooled(self.whole(pixels))

    def pooled(self, whole: Tensor) -> Tensor:
        """Return the vectors (B, P) of pictures as small as the tower takes them, (B, 3, size, size)."""
        return self._pooled(self._seen(whole))

    def _seen(self, small: Tensor) -> Any:
        return self.tower(pixel_values=(small - self.mean) / self.deviation, output_hidden_states=True)

    def _maps(self, states: Sequence[Tensor]) -> Tensor:
        side = self.size // self.tower.config.patch_size
        found = []
        for layer in self._layers:
            patches = F.layer_norm(states[layer][:, -side * side :], states[layer].shape[-1:])  # (B, s s, C)
            found.append(F.normalize(patches, dim=-1).transpose(1, 2).unflatten(2, (side, side)))
        return torch.cat(found, 1)

    def _pooled(self, output: Any) -> Tensor:
        """Return the first token of the middle and the last layer, and what the tower itself pools."""
        middle, last = (output.hidden_states[layer] for layer in self._layers)
        parts = [F.layer_norm(each.mean(1), each.shape[-1:]) for each in (middle, last)]
        own = getattr(output, "pooler_output", None)
        parts.append(F.layer_norm(last[:, 0], last.shape[-1:]) if own is None else own)
        return torch.cat(parts, 1)


def transformer(name: str, model: Any, processor: Any, licence: str = "") -> Extractor:
    """Return what reads pictures with a model of transformers, a whole CLIP or a classifier included, and its
    image processor. Raises ModelError for one that has no square patches."""
    tower = getattr(model, "vision_model", None)
    if tower is None:
        tower = getattr(model, getattr(model, "base_model_prefix", "") or "", model)
    size, patch = getattr(tower.config, "image_size", None), getattr(tower.config, "patch_size", None)
    if not isinstance(size, int) or not isinstance(patch, int) or size % patch:
        raise ModelError(f"{name} is no transformer with square patches; own models can't read with it.")
    tiles = SIDE // size if SIDE % size == 0 else 1
    module = TransformerFeatures(tower, size, tiles, processor.image_mean, processor.image_std)
    module = module.eval().requires_grad_(False)
    return Extractor(f"{name}-{tiles}x{size}-{fingerprint(module)}", size * tiles, module, licence)
