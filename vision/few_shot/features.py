"""What CLIP or SigLIP sees of a picture, in three views: what it is, how it looks, and what lies where.

The last layer knows things and has forgotten most of the rest; styles and places are in the layers before,
numbers and positions in the patches (docs/ask.md has figures).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from cachetools import LRUCache
from PIL import Image
from torch.nn import functional

from vision.engine.side_work import BeforeSlice

LOOKS, LAYOUT = (0.4, 0.6, 0.8), 0.8  # of the depth, the layers that the views of looks and of places read
FIELDS, FINE = 4, 8  # a side: fields of the patches' means, and of the maps of what stands out
VIEWS = (("pooled", "projected"), ("pooled", "look 0", "look 1", "look 2"), ("fields", "spread", "ground"))
SLICE = 16  # pictures in a call
LEAST_SPREAD = 1e-3  # of a block's, that a number is divided by
MAX_BYTES = 64 * 2**20  # of features that are kept

Blocks = dict[str, torch.Tensor]  # name → (D,) of one picture


class FeatureReader:
    """Reads the features of pictures with a CLIP or SigLIP model, and keeps the latest ones by the pictures'
    SHA-256. forget: see there."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model, self._processor = model, processor
        self._kept = LRUCache[str, Blocks](MAX_BYTES, getsizeof=_size)

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._kept

    def known(self, sha256: str) -> Blocks | None:
        """Return what is kept of a picture."""
        return self._kept.get(sha256)

    def keep(self, sha256: str, blocks: Blocks) -> None:
        """Keep the features of a picture, as long as there is room."""
        self._kept[sha256] = blocks

    def forget(self, names: Collection[str]) -> None:
        """Give up what is kept of these pictures."""
        for name in names:
            self._kept.pop(name, None)

    def read_lists(
        self, lists: Sequence[Sequence[Image.Image]], before_slice: BeforeSlice
    ) -> list[list[Blocks]]:
        """Return the features of each list of pictures, one list for each job that asks at once. See
        vision.engine.side_work."""
        images, found = [image for images in lists for image in images], list[Blocks]()
        for start in range(0, len(images), SLICE):
            if start:
                before_slice()
            found += self._read(images[start : start + SLICE])
        rest = iter(found)
        return [[next(rest) for _ in images] for images in lists]

    @torch.no_grad()
    def _read(self, images: Sequence[Image.Image]) -> list[Blocks]:
        pixels = self._processor.image_processor(images=list(images), return_tensors="pt")
        given = {
            name: value.to(
                self._model.device, self._model.dtype if value.is_floating_point() else value.dtype
            )
            for name, value in pixels.items()
        }
        seen = self._model.vision_model(**given, output_hidden_states=True)
        pooled = seen.pooler_output  # (N, C)
        project = getattr(self._model, "visual_projection", None)
        blocks = {"pooled": pooled, "projected": pooled if project is None else project(pooled)}
        blocks |= _of_layers(seen.hidden_states)
        small = {name: value.float().cpu().half() for name, value in blocks.items()}
        return [{name: value[i].clone() for name, value in small.items()} for i in range(len(images))]


def _of_layers(layers: Sequence[torch.Tensor]) -> Blocks:
    """Return blocks (N, D) of the layers (N, T, C), the first of which is what the model starts from. Without
    a square of patches there is only how a picture looks."""
    depth = len(layers) - 1
    normed = [functional.layer_norm(layer.float(), layer.shape[-1:]) for layer in layers[1:]]

    def at(share: float) -> torch.Tensor:
        return normed[max(1, round(share * depth)) - 1]

    tokens = layers[0].shape[1]
    extra = tokens - math.isqrt(tokens) ** 2 and 1  # the class token, if there is one
    side = math.isqrt(tokens - extra)
    whole = [at(share)[:, 0] if extra else at(share).mean(1) for share in LOOKS]
    blocks = {f"look {number}": value for number, value in enumerate(whole)}
    if side * side != tokens - extra:
        return blocks

    def fields(layer: torch.Tensor, most: int) -> torch.Tensor:
        patches = layer[:, extra:].transpose(1, 2).unflatten(2, (side, side))
        return functional.adaptive_avg_pool2d(patches, min(side, most))  # (N, C, s, s)

    last = fields(normed[-1], FINE)
    return blocks | {
        "fields": fields(at(LAYOUT), FIELDS).flatten(1),
        "spread": _spread(last),
        "ground": _from_ground(last),
    }


def _edge(patches: torch.Tensor) -> torch.Tensor:
    """Return the patches (N, s, s, …) along the edge of a picture: (N, e, …)."""
    sides = (patches[:, 0], patches[:, -1], patches[:, 1:-1, 0], patches[:, 1:-1, -1])
    return torch.cat(sides, 1)


def _spread(patches: torch.Tensor) -> torch.Tensor:
    """Return where each patch (N, C, s, s) lies on the line along which those of its picture differ most,
    (N, s * s); most of the edge is below 0."""
    rows = patches.flatten(2).transpose(1, 2)
    rows = rows - rows.mean(1, keepdim=True)
    left, scales, _ = torch.linalg.svd(rows, full_matrices=False)
    line = left[..., 0] * scales[:, :1]
    edge = _edge(line.unflatten(1, patches.shape[2:])).mean(1, keepdim=True)
    line = torch.where(edge > 0, -line, line)
    return line / line.abs().mean(1, keepdim=True).clamp(min=1e-6)


def _from_ground(patches: torch.Tensor) -> torch.Tensor:
    """Return how far each patch (N, C, s, s) is from what lies along the edge of its picture, (N, s * s)."""
    rows = patches.permute(0, 2, 3, 1)
    usual = _edge(rows).median(1, keepdim=True).values[:, None]
    far = (rows - usual).norm(dim=-1).flatten(1)
    return far / far.mean(1, keepdim=True).clamp(min=1e-6)


def views(seen: Sequence[Blocks], asked: Sequence[Blocks]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return for each view the features of examples, (n, D), and of other pictures, (Q, D): centred, every
    number scaled by its spread over the examples, every block counting the same, of length 1 in the mean."""
    found = []
    for names in VIEWS:
        there = [name for name in names if name in seen[0]]
        parts = [_scaled(name, seen, asked) for name in there]
        if parts:
            share = len(parts) ** -0.5
            found.append(
                (share * torch.cat([p for p, _ in parts], 1), share * torch.cat([q for _, q in parts], 1))
            )
    return found


def _scaled(name: str, seen: Sequence[Blocks], asked: Sequence[Blocks]) -> tuple[torch.Tensor, torch.Tensor]:
    known = torch.stack([blocks[name] for blocks in seen]).float()
    other = torch.stack([blocks[name] for blocks in asked]).float() if asked else known[:0]
    middle, spread = known.mean(0), known.std(0, correction=0)
    spread = spread + LEAST_SPREAD * known.std(correction=0) + 1e-6
    known, other = (known - middle) / spread, (other - middle) / spread
    length = known.square().sum(1).mean().sqrt().clamp(min=1e-6)
    return known / length, other / length


def _size(blocks: Blocks) -> int:
    return sum(value.numel() * value.element_size() for value in blocks.values())
