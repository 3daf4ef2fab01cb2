"""What may be attached to an image model without other jobs noticing: a ControlNet (arXiv:2302.05543), which
becomes one module with the UNet, so that steps of jobs with edges are shared like all others; an IP-Adapter
(arXiv:2308.06721); and attention by which all frames of a video look at its first one (Text2Video-Zero,
arXiv:2303.13439, 3.3.2). The last two are put into a copy of the UNet over the same tensors."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from cachetools import LRUCache
from diffusers import ControlNetModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from PIL import Image
from torch import Tensor

from core.errors import ModelError
from vision import devices
from vision.diffusion import seamless
from vision.diffusion.vae import load_whole
from vision.weights import files as contents

T = TypeVar("T")
log = logging.getLogger(__name__)


def attach_folder(kind: Callable[[Any, Path], T], pipe: Any, folder: Path, without: str) -> T | None:
    """Return what ``kind`` makes of ``folder`` over ``pipe``; where it doesn't fit, None with a line in the
    log. without: what the model does then, a sentence."""
    try:
        return kind(pipe, folder)
    except ModelError as error:
        log.warning("%s: %s", without, error)
        return None


SCALE = 0.8  # how much the edges count; diffusers' usual value for image-to-image
SHAPES = ("block_out_channels", "cross_attention_dim", "down_block_types", "in_channels", "layers_per_block")


class ControlledUNet(torch.nn.Module):
    """A UNet with a ControlNet beside it. Everything but the evaluation is the UNet's own."""

    def __init__(self, unet: Any, controlnet: Any) -> None:
        super().__init__()
        self.unet, self.controlnet = unet, controlnet

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        class_labels: Tensor | None = None,
        timestep_cond: Tensor | None = None,
        attention_mask: Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        added_cond_kwargs: dict[str, Any] | None = None,
        control: Tensor | None = None,
        return_dict: bool = True,
    ) -> Any:
        """Return the UNet's output. control: (B, 3, H, W) of 0..1, the edges for each row, px."""
        given: dict[str, Any] = {"class_labels": class_labels, "timestep_cond": timestep_cond}
        given |= {"attention_mask": attention_mask, "added_cond_kwargs": added_cond_kwargs}
        what = (sample, timestep, encoder_hidden_states)
        seen = {"controlnet_cond": control, "conditioning_scale": SCALE, "return_dict": False}
        down, middle = self.controlnet(*what, **seen, **given)
        given |= {"cross_attention_kwargs": cross_attention_kwargs, "return_dict": return_dict}
        given |= {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        return self.unet(*what, **given)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("unet"), name)


class ControlNet:
    """One ControlNet for one model. identity: its weights' place, sizes and times."""

    def __init__(self, pipe: Any, folder: Path) -> None:
        """Load the ControlNet in ``folder``. Raises ModelError when it doesn't fit the model of ``pipe``."""
        config = check_controlnet(folder)
        wrong = [name for name in SHAPES if _listed(config.get(name)) != _listed(pipe.unet.config.get(name))]
        if wrong:
            raise ModelError(f"{folder.name} is a ControlNet for other models: {', '.join(wrong)} differ.")
        module = load_whole(
            ControlNetModel, folder, f"{folder.name} doesn't load as a ControlNet.", pipe.unet.dtype
        )
        self.identity = contents.identity(folder)
        self._module = module.to(pipe.unet.device).eval()
        # by the UNet: the model's, and its copy for seamless pictures
        self._over = LRUCache[int, ControlledUNet](2)

    def over(self, unet: Any) -> ControlledUNet:
        """Return ``unet`` with the ControlNet; the same module each time, so that jobs share its passes."""
        known = self._over.get(id(unet))
        if known is None or known.unet is not unet:
            known = self._over[id(unet)] = ControlledUNet(unet, self._module)
        return known

    def control(self, edges: Image.Image) -> Tensor:
        """Return a picture of edges as the module takes it: (1, 3, H, W) of 0..1."""
        values = torch.from_numpy(np.asarray(edges.convert("RGB"), np.float32) / 255)
        return values.permute(2, 0, 1)[None].contiguous().to(self._module.device, self._module.dtype)


def check_controlnet(folder: Path) -> dict[str, Any]:
    """Return the ControlNet's configuration in ``folder``. Raises ModelError for anything else, or code."""
    contents.check_contents(folder)
    config = contents.read_json(folder / "config.json") if folder.is_dir() else {}
    if config.get("_class_name") != "ControlNetModel":
        raise ModelError(
            f"{folder.name} isn't a ControlNet: it takes a folder or a Hugging Face id of diffusers'"
            " ControlNetModel."
        )
    return config


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


ENCODER = "image_encoder"  # folder beside the adapter's weights, as in h94/IP-Adapter
MAX_UNETS = 4  # copies of the module tree that are kept, by scale and kind


class IPAdapter:
    """One adapter over one model's UNet."""

    def __init__(self, pipe: Any, folder: Path) -> None:
        """Load one .safetensors file, and ``image_encoder/``. Raises ModelError when it doesn't fit."""
        file = check_ip_adapter(folder)
        self._pipe = copy.copy(pipe)
        vars(self._pipe)["unet"] = devices.shared_weights_copy(pipe.unet)
        how = {"subfolder": "", "image_encoder_folder": ENCODER, "local_files_only": True}
        with devices.refusing(f"The IP-Adapter in {folder.name} doesn't fit this model."):
            self._pipe.load_ip_adapter(str(folder), weight_name=file.name, **how)
        self._pipe.unet.eval()
        self._unets = LRUCache[tuple[float, bool], Any](MAX_UNETS)

    def parts(self, scale: float, *, circular: bool) -> dict[str, Any]:
        """Return what a job's pipeline gets in place of its own: the UNet with the adapter, the same one for
        jobs of one scale, so that they share passes, and what reads pictures. scale: how much the pictures
        count against the text, 0..1. circular: see seamless.circular_copy."""
        if (scale, circular) not in self._unets:
            pipe = copy.copy(self._pipe)
            copied = seamless.circular_copy if circular else devices.shared_weights_copy
            self._unets[scale, circular] = vars(pipe)["unet"] = copied(self._pipe.unet)
            pipe.set_ip_adapter_scale(scale)
        return {
            "unet": self._unets[scale, circular],
            "image_encoder": self._pipe.image_encoder,
            "feature_extractor": self._pipe.feature_extractor,
        }


def check_ip_adapter(folder: Path) -> Path:
    """Return the adapter's file. Raises ModelError when the folder isn't an adapter's, or could run code."""
    contents.check_contents(folder)
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


def ip_adapter_scale(influence: float) -> float:
    """Convert a picture's influence (0..0.6) to the adapter's scale: 0.5 at ``--iw 1``, 1 at ``--iw 3``."""
    return min(1.0, 0.25 + 1.25 * influence)


PLAIN = (AttnProcessor, AttnProcessor2_0)


class FirstFrameAttention(AttnProcessor2_0):
    """Self-attention over the first frame and a frame's own. frames: how many rows of a call are one video;
    calls of other sizes, as when memory is short, are evaluated as pictures are."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """Return the attention's output (B, N, C) for ``hidden_states`` (B, N, C)."""
        rows = len(hidden_states)
        if encoder_hidden_states is None and hidden_states.ndim == 3 and rows % self.frames == 0:
            videos = hidden_states.unflatten(0, (-1, self.frames))  # (videos, frames, N, C)
            first = videos[:, :1].expand_as(videos).flatten(0, 1)
            encoder_hidden_states = torch.cat([first, hidden_states], 1)  # (B, 2·N, C)
        return super().__call__(attn, hidden_states, encoder_hidden_states, *args, **kwargs)


def looking_at_first(unet: Any, frames: int) -> Any:
    """Return a copy of a UNet over the same tensors whose frames look at the first of ``frames``; the UNet
    itself where it has no self-attention of the usual kind."""
    known = getattr(unet, "attn_processors", {}).items()
    plain = [name for name, one in known if name.endswith("attn1.processor") and type(one) in PLAIN]
    if not plain:
        return unet
    copied: Any = devices.shared_weights_copy(unet)
    copied.set_attn_processor(copied.attn_processors | dict.fromkeys(plain, FirstFrameAttention(frames)))
    return copied
