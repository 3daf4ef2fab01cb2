"""What the extra ``photo``'s EfficientNet-Lite0 sees: blocks at an eighth and a sixteenth of a picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vision.own_models.features.extractor import Extractor, fingerprint
from vision.photo.efficientnet import EfficientNetLite0

SIDE = 256
EIGHTH, SIXTEENTH = 4, 10  # blocks: 40 and 112 channels


class EfficientNetFeatures(nn.Module):
    """(B, 3, 256, 256) in 0..1 to maps (B, 152, 32, 32) and pooled features (B, 1280)."""

    def __init__(self, model: EfficientNetLite0) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps, each the mean of 3 × 3 cells as in PatchCore (arXiv:2106.08265, 3.1), and vectors."""
        x = F.relu6(self.model.stem(pixels * 2 - 1))
        kept: dict[int, Tensor] = {}
        for number, block in enumerate(self.model.blocks):
            x = block(x)
            if number in (EIGHTH, SIXTEENTH):
                kept[number] = x
        pooled = F.relu6(self.model.head(x)).mean((2, 3))
        coarse = F.interpolate(kept[SIXTEENTH], scale_factor=2, mode="bilinear", align_corners=False)
        return F.avg_pool2d(torch.cat([kept[EIGHTH], coarse], 1), 3, 1, 1), pooled


def efficientnet(model: EfficientNetLite0) -> Extractor:
    """Return what reads pictures with the weights of the extra ``photo``."""
    module = EfficientNetFeatures(model).eval().requires_grad_(False)
    return Extractor(f"efficientnet-lite0-{fingerprint(module)}", SIDE, module, "Apache-2.0")
