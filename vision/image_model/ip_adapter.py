"""IP-Adapter (arXiv:2308.06721): pictures as part of a prompt for UNets. It is laid over a twin of the UNet,
so that other jobs don't notice."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

from core.errors import ModelError
from vision.image_model import seamless
from vision.weights import contents, trust

log = logging.getLogger(__name__)
ENCODER = "image_encoder"  # folder beside the adapter's weights, as in h94/IP-Adapter


class Adapter:
    """One adapter over one model's UNet. scale: how much the pictures count against the words, 0..1, for each
    job."""

    def __init__(self, pipe: Any, folder: Path) -> None:
        """Load from ``folder``: one .safetensors file, and ``image_encoder/``. ModelError when it doesn't fit
        the model."""
        file = check(folder)
        self._pipe = copy.copy(pipe)
        vars(self._pipe)["unet"] = seamless.twin(pipe.unet)
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

    def parts(self, scale: float, ring: bool) -> dict[str, Any]:
        """What a job's pipeline gets in place of its own: the UNet with the adapter at ``scale``, and what
        reads pictures."""
        pipe = copy.copy(self._pipe)
        unet = vars(pipe)["unet"] = (
            seamless.circular(self._pipe.unet) if ring else seamless.twin(self._pipe.unet)
        )
        pipe.set_ip_adapter_scale(scale)
        return {
            "unet": unet,
            "image_encoder": self._pipe.image_encoder,
            "feature_extractor": self._pipe.feature_extractor,
        }


def check(folder: Path) -> Path:
    """The adapter's file. ModelError when the folder isn't one of an adapter, or could run code."""
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


def scale(pull: float) -> float:
    """How near the result is to be (0..0.6, see ``image_prompt``) → the adapter's scale: 0.5 at ``--iw 1``, 1
    at ``--iw 3``."""
    return min(1.0, 0.25 + 1.25 * pull)


def lay(pipe: Any, folder: Path, name: str) -> Adapter | None:
    """An adapter over ``pipe``, or None with a line in the log when it doesn't fit; ``name``: the model's."""
    try:
        return Adapter(pipe, folder)
    except ModelError as error:
        log.warning("%s draws without IP-Adapter: %s", name, error)
        return None
