"""The families of image models that Atelier knows. Importing the package loads no torch.

A new family is one file here and one line in ``FAMILIES``; ``other`` takes whatever is left.
"""

from vision.families import (
    flux,
    flux2_klein,
    other,
    qwen_image,
    stable_diffusion,
    stable_diffusion_3,
    stable_diffusion_xl,
    z_image,
)
from vision.families.family import Family, Mode

FAMILIES: tuple[Family, ...] = (
    stable_diffusion.FAMILY,
    stable_diffusion_xl.FAMILY,
    stable_diffusion_3.FAMILY,
    flux.FAMILY,
    z_image.FAMILY,
    flux2_klein.FAMILY,
    qwen_image.FAMILY,
    other.FAMILY,
)

__all__ = ["FAMILIES", "Family", "Mode"]
