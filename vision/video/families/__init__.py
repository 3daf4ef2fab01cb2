"""The families of video models that Atelier knows. Importing the package loads no torch.

A new family is one file here and one line in ``FAMILIES``.
"""

from vision.video.families import animatediff, cogvideox, hunyuan, ltx, wan
from vision.video.families.family import Known as Known
from vision.video.families.family import Operation as Operation
from vision.video.families.family import Take as Take
from vision.video.families.family import VideoFamily as VideoFamily
from vision.video.families.family import Way as Way

FAMILIES: tuple[VideoFamily, ...] = (
    animatediff.FAMILY,
    ltx.FAMILY,
    ltx.LTX2_FAMILY,
    *wan.FAMILIES,
    *cogvideox.FAMILIES,
    *hunyuan.FAMILIES,
)
