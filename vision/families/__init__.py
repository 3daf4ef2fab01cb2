"""The families of image models that Atelier knows, and those that only change pictures, as words say.
Importing the package loads no torch.

A new family is one file here, or stands with its kin, and one line in ``FAMILIES`` or ``EDITORS``; the last
of ``FAMILIES`` takes whatever is left."""

from vision.families import ernie_image, family, flux, krea, longcat, qwen_image, stable_diffusion, z_image
from vision.families.family import Family as Family
from vision.families.family import Mode as Mode

FAMILIES: tuple[Family, ...] = (
    stable_diffusion.FAMILY,
    stable_diffusion.STABLE_DIFFUSION_XL_FAMILY,
    stable_diffusion.STABLE_DIFFUSION_3_FAMILY,
    flux.FAMILY,
    z_image.FAMILY,
    flux.FLUX2_KLEIN_FAMILY,
    qwen_image.FAMILY,
    qwen_image.QWEN_IMAGE_21_FAMILY,
    ernie_image.FAMILY,
    krea.FAMILY,
    longcat.FAMILY,
    family.FAMILY,
)


EDITORS: tuple[Family, ...] = (
    stable_diffusion.INSTRUCT_PIX2PIX_FAMILY,
    flux.FLUX_KONTEXT_FAMILY,
    qwen_image.QWEN_IMAGE_EDIT_FAMILY,
    longcat.EDIT_FAMILY,
)

UNUSED = frozenset(part for family in FAMILIES for part in family.unused)  # folders that nobody needs


def editing() -> str:
    """Return which families change pictures as words say: "InstructPix2Pix, … and FLUX.2 klein"."""
    *titles, last = [family.title for family in (*EDITORS, *FAMILIES) if family.edit]
    return f"{', '.join(titles)} and {last}"
