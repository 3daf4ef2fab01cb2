"""The families of image models that Atelier knows, and the readers (CLIP, captioner, classifier). Importing
it loads no torch.

A new family is one file here and one line in ``FAMILIES``; ``other`` takes whatever is left.
"""

from vision.models import (
    flux,
    flux2_klein,
    other,
    stable_diffusion,
    stable_diffusion_3,
    stable_diffusion_xl,
    z_image,
)
from vision.models.family import Family, Mode

FAMILIES: tuple[Family, ...] = (
    stable_diffusion.FAMILY,
    stable_diffusion_xl.FAMILY,
    stable_diffusion_3.FAMILY,
    flux.FAMILY,
    z_image.FAMILY,
    flux2_klein.FAMILY,
    other.FAMILY,
)

READERS: dict[str, str] = {  # role → module with load(folder, card, device, dtype)
    "clip": "vision.models.clip",
    "caption": "vision.models.captioner",
    "vit": "vision.models.vit",
    "segment": "vision.models.segmenter",
}

__all__ = ["FAMILIES", "READERS", "Family", "Mode"]
