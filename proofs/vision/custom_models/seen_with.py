"""What rows of ``proofs.vision.custom_models.proof`` see with: filters, the network of the extra
``photo`` where
it was fetched, and the demo's towers."""

from __future__ import annotations

import torch

from core.profiles import ROOT
from vision.custom_models.features import Extractor, efficientnet, filters, transformer

PHOTO = ROOT / "data" / "cache" / "packages" / "efficientnet-lite0"


def towers() -> list[Extractor]:
    """Filters, and the extra ``photo``'s network where it was fetched."""
    found = [filters()]
    if PHOTO.is_dir():
        from vision.readers.photo.models import load_photograph

        found.append(
            efficientnet(load_photograph(PHOTO, "efficientnet-lite0", {}, "cpu", torch.float32).model)
        )
    return found


def demo_towers() -> list[Extractor]:
    """The demo's CLIP and ViT."""
    from transformers import AutoImageProcessor, AutoModelForImageClassification, CLIPModel

    folder = ROOT / "demo" / "models"
    clip = CLIPModel.from_pretrained(folder / "clip").eval()
    vit = AutoModelForImageClassification.from_pretrained(folder / "vit").eval()
    return [
        transformer("demo-clip", clip, AutoImageProcessor.from_pretrained(folder / "clip"), "MIT"),
        transformer("demo-vit", vit, AutoImageProcessor.from_pretrained(folder / "vit"), "MIT"),
    ]
