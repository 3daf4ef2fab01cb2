"""The families of film models that Atelier knows. Importing the package loads no torch.

A new family is one file here and one line in ``FAMILIES``.
"""

from vision.video.families import animatediff, cogvideox, hunyuan, ltx, ltx2, wan
from vision.video.families.family import Known, Operation, Support, Take, VideoFamily, Way

FAMILIES: tuple[VideoFamily, ...] = (
    animatediff.FAMILY,
    ltx.FAMILY,
    ltx2.FAMILY,
    *wan.FAMILIES,
    *cogvideox.FAMILIES,
    *hunyuan.FAMILIES,
)

__all__ = ["FAMILIES", "Known", "Operation", "Support", "Take", "VideoFamily", "Way"]
