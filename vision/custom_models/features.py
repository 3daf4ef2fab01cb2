"""Ways to see a picture, each a network from pixels to a map and a vector with a name that says its weights:
log-Gabor filters (Field, 1987) that every host has, a configured CLIP, SigLIP, ViT or DINO, and the extra
``photo``'s EfficientNet-Lite0; and what all models have in common that learn from what they show.

A tower for pictures much smaller than SIDE sees a picture in tiles as well, so that small objects keep their
size; the vector is always that of the whole."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import ModelError
from vision.readers.photo.models import EfficientNetLite0

BOTH = "+"  # between the names of a pair


@dataclass(frozen=True)
class Extractor:
    """name: of the recipe with a hash of its weights, so that features of another model are never mixed with
    these. side: of the square that a picture is resized to. module: (B, 3, side, side) in 0..1 to maps
    (B, D, h, w) and pooled features (B, P). licence: of its weights."""

    name: str
    side: int
    module: nn.Module
    licence: str


class CustomModel:
    """card: what it learned from and how, as JSON. tensors: of the network, without the extractor's."""

    noun: ClassVar[str]  # what people call it
    task: ClassVar[str]
    formats: ClassVar[tuple[int, ...]]  # that are read, the newest last

    def __init__(self, card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.card, self.tensors = dict(card), dict(tensors)

    def _is_half(self, name: str, value: Tensor) -> bool:
        """Return whether a tensor is kept in float16."""
        return False

    def pack(self) -> bytes:
        """Return one file: the same bytes for the same model."""
        held = {
            name: (value.half() if self._is_half(name, value) else value).contiguous()
            for name, value in sorted(self.tensors.items())
        }
        return save(held, {"atelier": json.dumps(self.card, sort_keys=True, ensure_ascii=False)})

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return what was packed. Raises ModelError for anything else."""
        try:
            size = int.from_bytes(data[:8], "little")
            card = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["atelier"])
            task, number, held = card["task"], card["format"], load(data)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"This file is no {cls.noun}.") from error
        if task != cls.task or number not in cls.formats:
            raise ModelError(
                f"This file, {task!r} of format {number!r}, is no {cls.noun} that can be read here."
            )
        whole = {name: value.float() if value.is_floating_point() else value for name, value in held.items()}
        return cls(card, whole)

    def check_extractor(self, extractor: Extractor) -> None:
        """Raise ModelError for another extractor than it was trained with."""
        if extractor.name != self.card["extractor"]:
            raise ModelError(
                f"The {self.noun} was trained on {self.card['extractor']}, not on {extractor.name}:"
                " train it again."
            )


def fit_logistic(rows: Tensor, labels: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Return weight (P, L) and bias (L,) of a logistic regression on features (n, P) with the places of their
    labels (n,), in sorted order, each counting the same. strength: C."""
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
    head.fit(rows.double().numpy(), labels.numpy())
    weight, bias = torch.from_numpy(head.coef_.T).float(), torch.from_numpy(head.intercept_).float()
    if len(bias) == 1:  # of two labels only the second one's
        weight, bias = torch.cat([-weight / 2, weight / 2], 1), torch.cat([-bias / 2, bias / 2])
    return weight.contiguous(), bias


class Pair(nn.Module):
    """What two networks see at once: see ``joined``; vectors of both."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps (B, s² D + E, h, w) and pooled features (B, P + Q)."""
        (first, pooled), (second, also) = self.first(pixels), self.second(pixels)
        return joined(first, second), torch.cat([pooled, also], 1)

    def vectors(self, pixels: Tensor) -> Tensor:
        """Return pooled features alone, (B, P + Q), whichever has the finer cells."""
        return torch.cat([vectors(self.first, pixels), vectors(self.second, pixels)], 1)


def joined(first: Tensor, second: Tensor) -> Tensor:
    """Return maps (B, D, s h, s w), whose s × s cells become one, and (B, E, h, w) as one map."""
    return torch.cat([F.pixel_unshuffle(first, first.shape[-1] // second.shape[-1]), second], 1)


def pair(first: Extractor, second: Extractor) -> Extractor:
    """Return what sees as both do; the first has as fine cells as the second or finer."""
    module = Pair(first.module, second.module).eval().requires_grad_(False)
    name, licence = f"{first.name}{BOTH}{second.name}", f"{first.licence}, {second.licence}"
    return Extractor(name, first.side, module, licence)


def find_extractor(name: str, find: Callable[[str], Extractor | None]) -> Extractor:
    """Return the extractor of a name, or the ``pair`` of two. find: of one alone, None where it isn't known.
    Raises KeyError with the name that isn't."""
    first, _, second = name.partition(BOTH)
    if second:
        return pair(find_extractor(first, find), find_extractor(second, find))
    if (found := find(name)) is None:
        raise KeyError(name)
    return found


def vectors(module: nn.Module, pixels: Tensor) -> Tensor:
    """Return what an extractor's network pools, (B, P), of pixels (B, 3, side, side), without its maps where
    these would be work of their own."""
    alone = getattr(module, "vectors", None)
    return module(pixels)[1] if alone is None else alone(pixels)


def pixels(image: Image.Image, side: int) -> Tensor:
    """Return a picture, turned as its EXIF says and squeezed into a square: (3, side, side) in 0..1.

    ``predict.py`` of a bundle does the same with the same calls of Pillow: others' resizing differs.
    """
    upright = ImageOps.exif_transpose(image).convert("RGB")
    small = upright.resize((side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(small, np.float32) / 255).permute(2, 0, 1).contiguous()


def fingerprint(module: nn.Module) -> str:
    """Return 12 hex digits of the SHA-256 of a network's tensors, by name and value."""
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        found.update(name.encode() + str(value.dtype).encode() + str(tuple(value.shape)).encode())
        found.update(
            value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if value.dim() else b""
        )
    return found.hexdigest()[:12]


SIDE = 256  # of a picture, pixels
CELL = 4  # pixels a side of the finest cells
ORIENTATIONS, LEVELS = 6, 3
KERNEL = 15  # a side
WAVELENGTH = 4.0  # pixels of a level, each half as fine as the one before
BANDWIDTH = 0.55  # of a log-Gabor: σ of the logarithm of the frequency is -ln of it
DARK = 0.1  # added to brightness before its logarithm: noise of dark places is no pattern
LIGHT = 16.0  # pixels, the deviation of the blur that light is taken for
TRACE = 1e-4  # below a root, so that it has a slope


class Filters(nn.Module):
    """(B, 3, 256, 256) in 0..1 to maps (B, 27, 64, 64) and pooled features (B, 81)."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.blur = nn.Buffer(_log_gabor()), nn.Buffer(gaussian(LIGHT / CELL, 12))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps and pooled features: mean, deviation and largest of each channel."""
        maps = self.maps(pixels)
        flat = maps.flatten(2)
        spread = (flat - flat.mean(2, keepdim=True)).square().mean(2).add(TRACE).sqrt()
        return maps, torch.cat([flat.mean(2), spread, flat.amax(2)], 1)

    def maps(self, pixels: Tensor) -> Tensor:
        """Return (B, 27, h, w)."""
        grey = pixels.mean(1, keepdim=True)
        bright = (grey + DARK).log()
        small = F.avg_pool2d(bright, CELL)
        light = blurred(small, self.blur)
        level = bright - F.interpolate(light, scale_factor=CELL, mode="bilinear", align_corners=False)
        found = [F.avg_pool2d(level, CELL)]
        for number in range(LEVELS):
            step = 2 if number == 0 else 1  # the envelope of the finest level is smooth at two pixels
            pad = KERNEL // 2
            waves = F.conv2d(F.pad(level, (pad,) * 4, "reflect"), self.kernels, stride=step)
            even, odd = waves.chunk(2, 1)
            energy = (even.square() + odd.square() + TRACE).sqrt()
            cells = CELL // (2**number * step)
            if number == 0:
                found.append(F.max_pool2d(energy, cells))
            if cells > 1:
                energy = F.avg_pool2d(energy, cells)
            found.append(energy)
            level = F.avg_pool2d(level, 2)
        total = pixels.sum(1) + 3 * DARK
        red, green, blue = pixels.unbind(1)
        opponent = torch.stack([(red - green) / total, (red + green - 2 * blue) / total], 1)
        found.append(F.avg_pool2d(opponent, CELL))
        return torch.cat(found, 1)


def filters() -> Extractor:
    """Return what reads pictures without any weights."""
    module = Filters().eval()
    return Extractor(f"filters-{CELL}-{fingerprint(module)}", SIDE, module, "MIT")


def gaussian(deviation: float, radius: int) -> Tensor:
    """Return a kernel (2 radius + 1,) with sum 1."""
    at = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-(at**2) / (2 * deviation**2))
    return (kernel / kernel.sum()).float()


def blurred(maps: Tensor, kernel: Tensor) -> Tensor:
    """Blur (B, C, H, W) along both sides by a kernel (K,); edges are repeated."""
    radius, channels = len(kernel) // 2, maps.shape[1]
    rows = kernel[None, None, :, None].expand(channels, 1, -1, 1)
    padded = F.pad(maps, (radius,) * 4, "replicate")
    return F.conv2d(F.conv2d(padded, rows, groups=channels), rows.transpose(2, 3), groups=channels)


def _log_gabor() -> Tensor:
    """Return even and odd kernels, (2 × ORIENTATIONS, 1, KERNEL, KERNEL), each without a mean."""
    side = 64
    frequency = torch.fft.fftfreq(side, dtype=torch.float64)
    y, x = torch.meshgrid(frequency, frequency, indexing="ij")
    radius = (x**2 + y**2).sqrt().clamp(min=1e-9)
    angle = torch.atan2(y, x)
    radial = torch.exp(-((radius * WAVELENGTH).log() ** 2) / (2 * math.log(BANDWIDTH) ** 2))
    radial[0, 0] = 0
    even, odd = [], []
    for number in range(ORIENTATIONS):
        way = number * math.pi / ORIENTATIONS
        far = torch.atan2(torch.sin(angle - way), torch.cos(angle - way))
        spread = torch.exp(-(far**2) / (2 * (math.pi / ORIENTATIONS / 1.2) ** 2))
        wave = torch.fft.fftshift(torch.fft.ifft2(radial * spread))
        middle, half = side // 2, KERNEL // 2
        cut = wave[middle - half : middle + half + 1, middle - half : middle + half + 1]
        window = gaussian(KERNEL / 4, half).double()
        cut = cut * (window[:, None] * window[None, :]) / window.max() ** 2
        even.append(cut.real - cut.real.mean())
        odd.append(cut.imag)
    kernels = torch.stack([*even, *odd])
    return (kernels / kernels.flatten(1).norm(dim=1)[:, None, None])[:, None].float()


DEPTHS = (0.5, 1.0)  # of the layers whose patches are read


class TransformerFeatures(nn.Module):
    """(B, 3, side, side) in 0..1 to maps (B, 2 × width, h, w) and pooled features (B, P).

    tower: a vision transformer of transformers; size: the square it takes; tiles: a side. mean, deviation: of
    the pixels it was trained on.
    """

    def __init__(
        self, tower: Any, size: int, tiles: int, mean: Sequence[float], deviation: Sequence[float]
    ) -> None:
        super().__init__()
        self.tower, self.size, self.tiles = tower, size, tiles
        self.mean = nn.Buffer(torch.tensor(mean)[:, None, None])
        self.deviation = nn.Buffer(torch.tensor(deviation)[:, None, None])
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
        raise ModelError(f"{name} isn't a transformer with square patches; custom models can't read with it.")
    tiles = SIDE // size if SIDE % size == 0 else 1
    module = TransformerFeatures(tower, size, tiles, processor.image_mean, processor.image_std)
    module = module.eval().requires_grad_(False)
    return Extractor(f"{name}-{tiles}x{size}-{fingerprint(module)}", size * tiles, module, licence)


EIGHTH, SIXTEENTH = 4, 10  # blocks: 40 and 112 channels


class EfficientNetFeatures(nn.Module):
    """(B, 3, 256, 256) in 0..1 to maps (B, 152, 32, 32) and pooled features (B, 1280)."""

    def __init__(self, model: EfficientNetLite0) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps, each the mean of 3 × 3 cells as in PatchCore (arXiv:2106.08265, 3.1), and vectors."""
        x = F.relu6(self.model.stem(pixels * 2 - 1))
        kept: dict[int, Tensor] = {}
        for number, block in enumerate(self.model.blocks):
            x = block(x)
            if number in (EIGHTH, SIXTEENTH):
                kept[number] = x
        pooled = F.relu6(self.model.head(x)).mean((2, 3))
        coarse = F.interpolate(kept[SIXTEENTH], scale_factor=2, mode="bilinear", align_corners=False)
        return F.avg_pool2d(torch.cat([kept[EIGHTH], coarse], 1), 3, 1, 1), pooled


def efficientnet(model: EfficientNetLite0) -> Extractor:
    """Return what reads pictures with the weights of the extra ``photo``."""
    module = EfficientNetFeatures(model).eval().requires_grad_(False)
    return Extractor(f"efficientnet-lite0-{fingerprint(module)}", SIDE, module, "Apache-2.0")
