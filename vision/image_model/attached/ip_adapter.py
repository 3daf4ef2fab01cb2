"""IP-Adapter (arXiv:2308.06721): pictures as part of a prompt for UNets. It is attached to a copy of the UNet
over the same tensors, so that other jobs aren't affected."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from core.errors import ModelError
from vision.image_model import seamless
from vision.weights import contents, trust

ENCODER = "image_encoder"  # folder beside the adapter's weights, as in h94/IP-Adapter


class IPAdapter:
    """One adapter over one model's UNet."""

    def __init__(self, pipe: Any, folder: Path) -> None:
        """Load the adapter from ``folder``: one .safetensors file, and ``image_encoder/``. Raises ModelError
        when it doesn't fit the model."""
        file = check(folder)
        self._pipe = copy.copy(pipe)
        vars(self._pipe)["unet"] = seamless.shared_weights_copy(pipe.unet)
        try:
            self._pipe.load_ip_adapter(
                str(folder),
                subfolder="",
                weight_name=file.name,
                image_encoder_folder=ENCODER,
                local_files_only=True,
            )
        except (ValueError, KeyError, RuntimeError, OSError, TypeError) as error:
            if "out of memory" in str(error).lower():
                raise
            raise ModelError(f"The IP-Adapter in {folder.name} doesn't fit this model.") from error
        self._pipe.unet.eval()

    def parts(self, scale: float, *, circular: bool) -> dict[str, Any]:
        """Return what a job's pipeline gets in place of its own: the UNet with the adapter, and what reads
        pictures.

        scale: how much the pictures count against the text, 0..1. circular: see seamless.circular_copy.
        """
        pipe = copy.copy(self._pipe)
        unet = vars(pipe)["unet"] = (
            seamless.circular_copy(self._pipe.unet)
            if circular
            else seamless.shared_weights_copy(self._pipe.unet)
        )
        pipe.set_ip_adapter_scale(scale)
        return {
            "unet": unet,
            "image_encoder": self._pipe.image_encoder,
            "feature_extractor": self._pipe.feature_extractor,
        }


def check(folder: Path) -> Path:
    """Return the adapter's file. Raises ModelError when the folder isn't an adapter's, or could run code."""
    trust.check_contents(folder)
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise ModelError(
            f"{folder.name} has {len(files)} .safetensors files at its top; an IP-Adapter's folder has one,"
            f" and {ENCODER}/ beside it."
        )
    contents.check_folder(folder / ENCODER)
    if not any(name.startswith("ip_adapter.") for name in contents.header(files[0])):
        raise ModelError(f"{files[0].name} isn't an IP-Adapter.")
    return files[0]


def scale(influence: float) -> float:
    """Convert a picture's influence (0..0.6, see ``image_prompt``) to the adapter's scale: 0.5 at ``--iw 1``,
    1 at ``--iw 3``."""
    return min(1.0, 0.25 + 1.25 * influence)
