"""Trains the two networks on pixels: the segmenter and the upscaler (`vision.images.upscaler`).

The segmenter, a UPerNet (arXiv:1807.10221) over a ResNet, tells for every pixel which object it shows. It
sees whole pictures and parts around one object, since it looks twice: for objects, then at each more closely.

The upscaler makes 512 px of a decoded picture of 128 px. It learns from drawn scenes of 512 px and what the
pack's autoencoder makes of the same scenes at 128 px, blurred by lot: what the UNet draws is softer than what
it has learned from, and a picture that is drawn larger than the model's own size is softer still.
"""

import random
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from PIL import Image, ImageFilter
from torchvision.transforms.functional import gaussian_blur
from tqdm import trange
from transformers import ResNetConfig, SegformerImageProcessor, UperNetConfig, UperNetForSemanticSegmentation

from demo.drawing import SIZE as DRAWING_SIZE
from demo.drawing import draw, draw_apart, layout
from demo.train.autoencoder import edge_difference
from demo.train.loop import MODELS, WORK, Plan, Run, autocast, device, to_pictures
from demo.train.loop import ship as loop_ship
from demo.train.readers import MEAN, STD, pixels
from demo.world import OBJECTS, STYLES, Scene, training_scene
from vision.images.upscaler import Upscaler

SIZE = 256  # px that it sees, of a whole picture or of a part
FINE = 64  # cells along a side of what its head answers; it enlarges them to SIZE itself
DRAWN = (256, 256, 512)  # px, at one of which a scene is drawn and a part of it is cut out
CODED_SIZE = 128  # px, the native size of the image model
BATCH = 24
PICTURES, CODED = 3000, 20  # scenes that go through the autoencoder, and how many at a time
MIX = {"large": 0.15, "single": 0.35, "several": 0.2, "pair": 0.25, "empty": 0.05}
STYLE_MIX = (0.4, 0.2, 0.2, 0.2)  # of STYLES; line drawings and washes are harder than their share
GROUND = len(OBJECTS)  # the class of what is no thing


def config() -> UperNetConfig:
    labels = dict(enumerate((*OBJECTS, "ground")))
    stages = ["stage1", "stage2", "stage3", "stage4"]
    resnet = ResNetConfig(
        embedding_size=24,
        hidden_sizes=[32, 64, 96, 128],
        depths=[1, 2, 2, 2],
        layer_type="basic",
        out_features=stages,
    )
    return UperNetConfig(
        backbone_config=resnet,
        hidden_size=40,
        pool_scales=[1, 2, 4],
        use_auxiliary_head=False,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
    )


def styled_scene(rng: random.Random) -> Scene:
    """A scene for training whose style is drawn by STYLE_MIX."""
    style = rng.choices(STYLES, STYLE_MIX)[0]
    while True:
        scene = training_scene(rng, MIX, held_pairs=True)
        if scene.style == style:
            return scene


def drawn(rng: random.Random, side: int) -> tuple[Image.Image, np.ndarray]:
    """A picture of `side` px, and the class of each of its pixels: (side, side) uint8."""
    scene, size = styled_scene(rng), (side, side)
    placed = layout(scene, rng, size)
    picture, owner = draw_apart(scene, rng, size, placed)
    classes = np.array([OBJECTS.index(thing.object) for thing in placed] + [GROUND], np.uint8)
    return picture, classes[owner]


@torch.no_grad()
def make_pictures():
    """Writes what the autoencoder makes of drawn scenes, with noise on their latents: as soft and uneven as
    the pictures that the image model draws."""
    torch.manual_seed(0)
    vae = AutoencoderTiny.from_pretrained(MODELS / "stable-diffusion" / "vae", torch_dtype=torch.float32)
    vae, rng = vae.to(device()), random.Random("segmenter pictures")
    pictures, classes = [], []
    while len(pictures) < PICTURES:
        some = [drawn(rng, min(DRAWN)) for _ in range(CODED)]
        small = [np.asarray(picture.resize((CODED_SIZE, CODED_SIZE), Image.BOX)) for picture, _ in some]
        latents = vae.encode(pixels(small)).latents
        noise = torch.rand(CODED, 1, 1, 1, device=device()) * 0.3
        pictures += list(to_pictures(vae.decode(latents + noise * torch.randn_like(latents)).sample))
        classes += [each for _, each in some]
    WORK.mkdir(parents=True, exist_ok=True)
    np.savez(WORK / "segmenter_pictures.npz", pictures=np.stack(pictures), classes=np.stack(classes))


def part_of(classes: np.ndarray, rng: random.Random) -> tuple[float, float, float, float]:
    """A box (left, top, right, bottom; shares of the side) around one thing with some of what surrounds it,
    or all of the picture."""
    shown = np.unique(classes[classes != GROUND])
    if not len(shown) or rng.random() < 0.4:
        return (0.0, 0.0, 1.0, 1.0)
    ys, xs = np.nonzero(classes == rng.choice(shown.tolist()))
    side = len(classes)
    reach = min(1.0, max(np.ptp(xs), np.ptp(ys)) / side * rng.uniform(1.15, 2.5))
    left, top = (
        min(max(0.0, middle / side - reach / 2 + rng.uniform(-0.1, 0.1) * reach), 1 - reach)
        for middle in ((xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2)
    )
    return (left, top, left + reach, top + reach)


def sample(rng: random.Random, made: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees, (SIZE, SIZE, 3) uint8, and the share of each class in each cell of its answer,
    (classes, FINE, FINE) float32. made: the pictures of `make_pictures` with their classes."""
    if rng.random() < 0.4:
        index = rng.randrange(len(made[0]))
        picture, classes = Image.fromarray(made[0][index]), made[1][index]
    else:
        picture, classes = drawn(rng, rng.choice(DRAWN))
        if rng.random() < 0.3:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3.0)))
    part = part_of(classes, rng)
    box = [share * picture.width for share in part]
    shown = picture.resize((SIZE, SIZE), rng.choice((Image.BOX, Image.BICUBIC)), box)
    a = np.asarray(shown).astype(np.float32)
    if rng.random() < 0.3:
        a = a + np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(1, 8), a.shape)
    shares = np.zeros((GROUND + 1, FINE, FINE), np.float32)
    box = [share * len(classes) for share in part]
    for each in np.unique(classes):
        mask = Image.fromarray((classes == each).astype(np.uint8) * 255)
        shares[each] = np.asarray(mask.resize((FINE, FINE), Image.BOX, box), np.float32) / 255
    return a.clip(0, 255).astype(np.uint8), shares


def train(steps: int = 1100):
    torch.manual_seed(0)
    stored = np.load(WORK / "segmenter_pictures.npz")
    made = stored["pictures"], stored["classes"]
    model = UperNetForSemanticSegmentation(config()).to(device())
    plan = Plan(steps, lr=2e-3, warmup=50, decay=0.5, weight_decay=0.01, betas=(0.9, 0.99), ema=0.99)
    run = Run("segmenter", model, plan)
    model.train()

    def loss(rng):
        seen, shares = zip(*(sample(rng, made) for _ in range(BATCH)), strict=True)
        truth = torch.from_numpy(np.stack(shares)).to(device())
        with autocast():
            features = model.backbone.forward_with_filtered_kwargs(pixels(list(seen))).feature_maps
            logits = model.decode_head(features).float()  # (B, classes, FINE, FINE)
        ground = truth[:, GROUND]
        edge = F.max_pool2d(ground, 3, 1, 1) + F.max_pool2d(-ground, 3, 1, 1)  # above 0 where both are near
        weight = 1 + 2 * edge
        value = (F.cross_entropy(logits, truth, reduction="none") * weight).sum() / weight.sum()
        with torch.no_grad():
            thing, found = ground < 0.5, logits.softmax(1)[:, GROUND] < 0.5
            iou = (thing & found).sum() / (thing | found).sum()
            named = logits[:, :GROUND].argmax(1)[thing] == truth[:, :GROUND].argmax(1)[thing]
        return value, {"iou": iou.item(), "named": named.float().mean().item()}

    run.train(loss)
    run.use_average()
    folder = MODELS / "segmenter"
    loop_ship(model, folder)
    SegformerImageProcessor(
        size={"height": SIZE, "width": SIZE},
        image_mean=list(MEAN),
        image_std=list(STD),
        do_reduce_labels=False,
    ).save_pretrained(folder)


SCALE = 4
SHARD = 128  # pictures
SHARDS = 8
CROP = 48  # px of the small picture
UPSCALER_BATCH = 8
PLACES = 4  # of a picture; the busiest is taken, since most of a picture is bare background
PLAIN = 0.2  # share of the crops that didn't go through the autoencoder
BLURS = (0, 0.3, 0.6, 0.9, 1.2, 1.7, 2.4)  # px of the small picture, the standard deviation
PASSES = 2  # of narrowing edges, in use: what the UNet draws is softer than what this learns from
REACH = 15  # px, a side of what a blurred pixel is the mean of
UPSCALER_MIX = {"large": 0.25, "single": 0.37, "several": 0.12, "pair": 0.24, "empty": 0.02}
NAMES = ("large", "small", "decoded")


@cache
def _autoencoder() -> AutoencoderTiny:
    return AutoencoderTiny.from_pretrained(MODELS / "stable-diffusion" / "vae").to(device()).eval()


@torch.no_grad()
def _decoded(pictures: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 through the autoencoder."""
    x = _tensor(list(pictures)) * 2 - 1
    return to_pictures(_autoencoder().decode(_autoencoder().encode(x).latents).sample)


def _shard(index: int) -> dict[str, np.ndarray]:
    """large (SHARD, 512, 512, 3), small and decoded (SHARD, 128, 128, 3), all uint8."""
    large, small = [], []
    for position in range(SHARD):
        rng = random.Random(f"upscaler {index} {position}")
        picture = draw(training_scene(rng, UPSCALER_MIX), rng, (DRAWING_SIZE * SCALE, DRAWING_SIZE * SCALE))
        large.append(np.asarray(picture))
        small.append(np.asarray(picture.resize((DRAWING_SIZE, DRAWING_SIZE), Image.Resampling.BOX)))
    eights = [_decoded(np.stack(small[start : start + 8])) for start in range(0, SHARD, 8)]
    return {"large": np.stack(large), "small": np.stack(small), "decoded": np.concatenate(eights)}


def upscaler_make_pictures(shards: int = SHARDS):
    """Makes `shards` x SHARD pictures; those already on disk are kept."""
    folder = WORK / "upscaler"
    folder.mkdir(parents=True, exist_ok=True)
    for index in trange(shards, desc="upscaler pictures", mininterval=5):
        if (folder / f"{index:04d}-large.npy").exists():
            continue
        for name, pictures in reversed(_shard(index).items()):
            part = folder / f"{index:04d}-{name}.part"
            with part.open("wb") as file:
                np.save(file, pictures)
            part.replace(part.with_suffix(".npy"))


class Pictures:
    """The pictures of all shards, mapped from disk."""

    def __init__(self):
        folder = WORK / "upscaler"
        count = len(list(folder.glob("*-large.npy")))
        self.shards = [
            {name: np.load(folder / f"{index:04d}-{name}.npy", mmap_mode="r") for name in NAMES}
            for index in range(count)
        ]

    def crop(self, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
        """A part of a small picture, (CROP, CROP, 3), and as it is drawn, (4 CROP, 4 CROP, 3)."""
        shard, index = rng.choice(self.shards), rng.randrange(SHARD)
        places = [tuple(rng.randint(0, DRAWING_SIZE - CROP) for _ in range(2)) for _ in range(PLACES)]
        boxes = [np.s_[index, y : y + CROP, x : x + CROP] for y, x in places]
        best = max(range(PLACES), key=lambda i: float(shard["small"][boxes[i]].std(axis=(0, 1)).sum()))
        small = shard["small" if rng.random() < PLAIN else "decoded"][boxes[best]]
        y, x = (SCALE * start for start in places[best])
        large = shard["large"][index, y : y + SCALE * CROP, x : x + SCALE * CROP]
        return (small[:, ::-1], large[:, ::-1]) if rng.random() < 0.5 else (small, large)


def _tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32 in 0 to 1."""
    x = torch.from_numpy(np.stack(pictures)).to(device()).permute(0, 3, 1, 2)
    return x.float().div(255).contiguous(memory_format=torch.channels_last)


def _softer(pictures: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Each of (B, 3, H, W) blurred by a width of its own."""
    widths = [rng.choice(BLURS) for _ in pictures]
    return torch.stack(
        [gaussian_blur(p, [9, 9], w) if w else p for p, w in zip(pictures, widths, strict=True)]
    )


def _apart(made: torch.Tensor, large: torch.Tensor) -> torch.Tensor:
    return 2 * (made - large).abs().mean() + edge_difference(made, large)


def upscaler_train(steps: int = 2700):
    torch.manual_seed(0)
    model = Upscaler(passes=PASSES).to(device(), memory_format=torch.channels_last)
    run = Run("upscaler", model, Plan(steps, lr=1.5e-3, weight_decay=0.0, decay=0.5, ema=0.99))
    pictures = Pictures()

    def loss(rng):
        small, large = zip(*(pictures.crop(rng) for _ in range(UPSCALER_BATCH)), strict=True)
        moved, rest = model.parts(_softer(_tensor(small), rng))
        y = _tensor(large)
        whole, alone = _apart(moved + rest, y), _apart(moved, y)  # places have to do what they can alone
        return whole + alone / 2, {"whole": 255 * whole.item(), "moved": 255 * alone.item()}

    run.train(loss, log_every=50, save_every=100)
    ship(run)


def ship(run: Run | None = None):
    """Writes the newest checkpoint's average into the pack."""
    if run is None:
        run = Run("upscaler", Upscaler(passes=PASSES).to(device()), Plan(1, lr=0))
    run.use_average()
    run.model.cpu().half().save_pretrained(MODELS / "stable-diffusion" / "upscaler")
