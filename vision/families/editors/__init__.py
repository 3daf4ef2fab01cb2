"""The families that only change pictures, as words say. Importing the package loads no torch.

A new one is one file here and one line in ``EDITORS``.
"""

from vision.families import FAMILIES
from vision.families.editors import flux_kontext, instruct_pix2pix, qwen_image_edit
from vision.families.family import Family

EDITORS: tuple[Family, ...] = (instruct_pix2pix.FAMILY, flux_kontext.FAMILY, qwen_image_edit.FAMILY)


def editing() -> str:
    """Return which families change pictures as words say: "InstructPix2Pix, … and FLUX.2 klein"."""
    *titles, last = [family.title for family in (*EDITORS, *FAMILIES) if family.edit]
    return f"{', '.join(titles)} and {last}"


__all__ = ["EDITORS", "editing"]
