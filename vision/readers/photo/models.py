"""The networks for photographs, on one thread of the processor: EfficientNet-Lite0 (arXiv:1905.11946), with a
head that tells photographs from drawings (made by ``demo.photographs``), the small U-2-Net
(arXiv:2005.09007), compact Real-ESRGAN (arXiv:2107.10833) and CenterFace (arXiv:1911.03599).

EfficientNet has no squeeze-and-excitation and ReLU6, as TensorFlow's ``efficientnet/lite`` has it, which pads
a stride of two at the bottom and the right only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from cachetools import LRUCache
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file as kind_load_file
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.ops import nms

from core.profiles import DEMO
from vision.engine.fiber import BeforeSlice
from vision.images.ops import connected
from vision.readers.segmentation import Picked, Points

STAGES = (  # blocks, side of the kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, FEATURES, CLASSES = 32, 1280, 1000
SHORT, SIDE = 256, 224  # px: of the shorter side, and of the middle that the network sees
EPSILON = 1e-3  # of its batch normalisation


class Convolution(nn.Conv2d):
    """A convolution that pads as TensorFlow does."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
        around: list[int] = []
        for length, side, stride in zip(
            x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            missing = max((-(-length // stride) - 1) * stride + side - length, 0)
            around += (missing // 2, missing - missing // 2)
        return super().forward(F.pad(x, around))


class Block(nn.Module):
    """An inverted residual (arXiv:1801.04381)."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = before * expansion
        self.expand = Convolution(before, inside, 1) if expansion > 1 else None
        self.depthwise = Convolution(inside, inside, kernel, stride, groups=inside)
        self.project = Convolution(inside, after, 1)
        self.adds = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, after, ⌈H / stride⌉, ⌈W / stride⌉)."""
        inside = x if self.expand is None else F.relu6(self.expand(x))
        found = self.project(F.relu6(self.depthwise(inside)))
        return x + found if self.adds else found


class EfficientNetLite0(nn.Module):
    """(B, 3, 224, 224) in -1..1 to logits and features; batch normalisation is part of its convolutions."""

    def __init__(self) -> None:
        super().__init__()
        blocks, channels = [], STEM
        for count, kernel, stride, expansion, after in STAGES:
            for number in range(count):
                blocks.append(Block(channels, after, kernel, stride if number == 0 else 1, expansion))
                channels = after
        self.stem = Convolution(3, STEM, 3, 2)
        self.blocks = nn.Sequential(*blocks)
        self.head = Convolution(channels, FEATURES, 1)
        self.classes = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, 1000) and features (B, 1280)."""
        x = self.blocks(F.relu6(self.stem(x)))
        features = F.relu6(self.head(x)).mean((2, 3))
        return self.classes(features), features


class Reader:
    """An EfficientNet-Lite0 in memory. It stays on the processor, where it takes milliseconds."""

    name = "efficientnet-lite0"

    def __init__(self, model: EfficientNetLite0) -> None:
        self.model = model

    @torch.no_grad()
    def read_each(
        self, images: Sequence[Image.Image], before_slice: BeforeSlice
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each picture's probabilities (1000,) and features (1280,); see vision.engine.fiber."""
        logits, features = self.model(torch.stack([pixels(image) for image in images]))
        chances = logits.softmax(-1).numpy()
        return list(zip(chances, features.numpy(), strict=True))


def pixels(image: Image.Image) -> Tensor:
    """Return the middle of a picture, (3, SIDE, SIDE) in -1..1: better than ImageNet's usual mean."""
    scale = SHORT / min(image.size)
    size = (max(SHORT, round(image.width * scale)), max(SHORT, round(image.height * scale)))
    small = image.convert("RGB").resize(size, Image.Resampling.BICUBIC, reducing_gap=3)
    left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
    middle = np.asarray(small.crop((left, top, left + SIDE, top + SIDE)), np.float32)
    return torch.from_numpy(middle / 127.5 - 1).permute(2, 0, 1)


def load_photograph(folder: Path, *_: Any) -> Reader:
    """Load the converted weights, in float32."""
    model = EfficientNetLite0()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return Reader(model.eval().requires_grad_(False))


def open_session(file: Path) -> Any:
    """Return an ``InferenceSession`` for an ONNX file. Memory that a call needs is given back after it: the
    arena would keep the most that was ever needed."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


CUTTER_SIDE = 320  # px that it sees, whatever the picture's shape
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AROUND = 0.08  # of a box's sides: what is looked at beside it
FAINT, FULL = 0.1, 0.9  # of the mask: below and above it is nothing, or all
LEAST = 0.002  # of the picture: a smaller object is none
SEEN = 8  # pictures whose masks are kept
RunCutter = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (1, 3, SIDE, SIDE) → (1, 1, SIDE, SIDE)
Real = NDArray[np.float32]


class Cutter:
    """A U-2-Net in memory."""

    name = "u2netp"
    takes_words, takes_points = False, True

    def __init__(self, run: RunCutter) -> None:
        self._run = run
        self._seen = LRUCache[str, Image.Image](SEEN)

    def alpha(self, image: Image.Image) -> Image.Image:
        """Return how much each pixel belongs to what stands out: "L" at the picture's size."""
        small = np.asarray(
            image.convert("RGB").resize((CUTTER_SIDE, CUTTER_SIDE), Image.Resampling.LANCZOS), np.float32
        )
        given = (small / max(float(small.max()), 1.0) - MEAN) / DEVIATION
        found = self._run(given.astype(np.float32).transpose(2, 0, 1)[None])[0, 0]
        spread = float(found.max() - found.min())
        likely = (found - found.min()) / spread if spread > 0 else np.zeros_like(found)
        clear = np.clip((likely - FAINT) / (FULL - FAINT), 0, 1)
        return Image.fromarray((clear * 255).round().astype(np.uint8)).resize(
            image.size, Image.Resampling.BICUBIC
        )

    def see(self, image: Image.Image, key: str = "") -> Image.Image:
        """Return ``alpha``, kept under ``key`` unless that is empty."""
        if not key:
            return self.alpha(image)
        if key not in self._seen:
            self._seen[key] = self.alpha(image)
        return self._seen[key]

    def pick(
        self, image: Image.Image, points: Points = (), box: Sequence[float] | None = None, *, key: str = ""
    ) -> Picked:
        """Return what stands out at ``points`` (x, y, 1 = belongs to it, 0 = doesn't), px, or in ``box``,
        which is looked at alone; an empty mask for nothing."""
        if box is not None:
            part = grown(box, image.size)
            likely = Image.new("L", image.size)
            likely.paste(self.alpha(image.crop(part)), part[:2])
        else:
            likely = self.see(image, key)
        values = np.asarray(likely)
        inside = values > 127
        meant, away = np.zeros_like(inside), np.zeros_like(inside)
        for x, y, label in points:
            at = min(max(int(y), 0), image.height - 1), min(max(int(x), 0), image.width - 1)
            (meant if label else away)[at] = inside[at]
        if points:
            inside = connected(meant, inside) if meant.any() else meant
        if away.any():
            inside = inside & ~connected(away & inside, inside)
        score = float(values[inside].mean() / 255) if inside.any() else 0.0
        return Picked(Image.fromarray(inside.astype(np.uint8) * 255), score)


def grown(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return a box (left, top, right, bottom, px) with a rim, inside a picture of ``size``."""
    wide, high = AROUND * (box[2] - box[0]), AROUND * (box[3] - box[1])
    left, top = max(0, int(box[0] - wide)), max(0, int(box[1] - high))
    right, bottom = min(size[0], int(box[2] + wide) + 1), min(size[1], int(box[3] + high) + 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def load_cutter(folder: Path, *_: Any) -> Cutter:
    """Load the network."""
    session = open_session(folder / "model.onnx")
    [given, made] = session.get_inputs()[0].name, session.get_outputs()[0].name
    return Cutter(lambda pixels: session.run([made], {given: pixels})[0])


CHANNELS, LAYERS, SCALE = 64, 18, 4
TILE, MARGIN = 128, 16  # px of the small picture: a tile's side, and what it sees around itself
# of the network's in the result; the rest is Lanczos': measured, see docs/develop/decisions/pictures.md
SHARE = 0.5


class Compact(nn.Module):
    """(B, 3, H, W) in 0..1 to (B, 3, 4·H, 4·W), not clamped."""

    def __init__(self) -> None:
        super().__init__()
        wide = [CHANNELS] * (LAYERS - 1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1)
            for before, after in zip([3, *wide], [*wide, 3 * SCALE**2], strict=True)
        )
        self.slopes = nn.ModuleList(nn.PReLU(CHANNELS) for _ in wide)

    def forward(self, picture: Tensor) -> Tensor:
        """Return the picture at SCALE times its side."""
        x = picture
        for convolution, slope in zip(self.convolutions, self.slopes, strict=False):
            x = slope(convolution(x))
        x = F.pixel_shuffle(self.convolutions[-1](x), SCALE)
        return x + F.interpolate(picture, scale_factor=SCALE, mode="nearest")


class Parts(NamedTuple):
    """Work in parts: each of the tiles, then what is finished."""

    tiles: tuple[Callable[[], None], ...]
    finished: Callable[[], Image.Image]


class Enlarger:
    """A compact Real-ESRGAN in memory, on the processor."""

    name = "real-esrgan-compact"

    def __init__(self, model: Compact) -> None:
        self.model = model

    def parts(self, image: Image.Image, factor: int) -> Parts:
        """Return the work of enlarging an RGB picture ``factor`` (2 or 4) times, tile by tile."""
        made = Image.new("RGB", (image.width * factor, image.height * factor))
        corners = [(x, y) for y in range(0, image.height, TILE) for x in range(0, image.width, TILE)]
        tiles = tuple(partial(self._paste, made, image, corner, factor) for corner in corners)

        def finished() -> Image.Image:  # what the network made, in part: alone it paints over textures
            return Image.blend(image.resize(made.size, Image.Resampling.LANCZOS), made, SHARE)

        return Parts(tiles, finished)

    def enlarge(self, image: Image.Image, factor: int) -> Image.Image:
        """Return an RGB picture at ``factor`` (2 or 4) times its side."""
        parts = self.parts(image, factor)
        for draw in parts.tiles:
            draw()
        return parts.finished()

    @torch.no_grad()
    def _paste(self, made: Image.Image, image: Image.Image, corner: tuple[int, int], factor: int) -> None:
        left, top = (max(0, at - MARGIN) for at in corner)
        right, bottom = (min(side, at + TILE + MARGIN) for at, side in zip(corner, image.size, strict=True))
        part = np.asarray(image.crop((left, top, right, bottom)))
        given = torch.from_numpy(part.astype(np.float32) / 255).permute(2, 0, 1)[None]
        drawn = self.model(given.contiguous(memory_format=torch.channels_last))[0]
        large = drawn.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        sized = Image.fromarray(large)
        if factor != SCALE:
            sized = sized.resize((part.shape[1] * factor, part.shape[0] * factor), Image.Resampling.BOX)
        own = ((corner[0] - left) * factor, (corner[1] - top) * factor)
        sized = sized.crop((*own, own[0] + TILE * factor, own[1] + TILE * factor))
        made.paste(sized, (corner[0] * factor, corner[1] * factor))


def load_enlarger(folder: Path, *_: Any) -> Enlarger:
    """Load the converted weights, in float32."""
    model = Compact()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return Enlarger(model.eval().requires_grad_(False))


MOST = 640  # px of the longer side that it looks at
MULTIPLE, CELL = 32, 4  # px: sides are multiples; of a cell of its maps
SURE = 0.5  # score
SAME = 0.3  # IoU from which two boxes are one face's
RunFaces = Callable[[Any], Sequence[np.ndarray]]  # (1, 3, H, W) → heat, scale, offset, landmarks


@dataclass(frozen=True)
class Face:
    """A face. score: 0..1. box: left, top, right, bottom, px of the picture."""

    score: float
    box: tuple[float, float, float, float]


class FaceFinder:
    """A CenterFace in memory."""

    name = "centerface"

    def __init__(self, run: RunFaces) -> None:
        self._run = run

    def find(self, image: Image.Image) -> list[Face]:
        """Return the faces of a picture, the surest first."""
        scale = min(1.0, MOST / max(image.size))
        size = [max(1, -(-round(side * scale) // MULTIPLE)) * MULTIPLE for side in image.size]
        seen = image.convert("RGB").resize((size[0], size[1]), Image.Resampling.BILINEAR)
        heat, sides, offset, *_ = self._run(np.asarray(seen, np.float32).transpose(2, 0, 1)[None])
        across, down = image.width / size[0], image.height / size[1]
        faces = []
        for y, x in zip(*np.where(heat[0, 0] > SURE), strict=True):
            high, wide = np.exp(sides[0, :, y, x]) * CELL
            top = (y + offset[0, 0, y, x] + 0.5) * CELL - high / 2
            left = (x + offset[0, 1, y, x] + 0.5) * CELL - wide / 2
            right, bottom = (left + wide) * across, (top + high) * down
            box = float(left * across), float(top * down), float(right), float(bottom)
            faces.append(Face(float(heat[0, 0, y, x]), box))
        boxes = torch.tensor([face.box for face in faces]).reshape(-1, 4)
        kept = nms(boxes, torch.tensor([face.score for face in faces]), SAME)
        return [faces[at] for at in kept.tolist()]


def load_faces(folder: Path, *_: Any) -> FaceFinder:
    """Load the network with free sizes."""
    session = open_session(folder / "model.onnx")
    given = session.get_inputs()[0].name
    return FaceFinder(lambda pixels: session.run(None, {given: pixels}))


HEAD = DEMO / "photograph" / "model.safetensors"


def photographed(features: np.ndarray) -> bool:
    """Return whether a picture with these features (1280,) is a photograph."""
    weights, bias = head(HEAD)
    return float(features @ weights) + bias > 0


@cache
def head(file: Path) -> tuple[np.ndarray, float]:
    """Return the weights (1280,) and the bias of the head in a file."""
    found = kind_load_file(file)
    return found["weights"].astype(np.float32), float(found["bias"][0])
