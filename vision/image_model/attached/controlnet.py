"""ControlNet (arXiv:2302.05543): a picture of edges that a UNet keeps to. The two become one module, so that
steps of jobs with edges are shared like all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache
from diffusers import ControlNetModel
from PIL import Image

from core.errors import ModelError
from vision.weights import contents, trust

SCALE = 0.8  # how much the edges count; diffusers' usual value for image-to-image
SHAPES = ("block_out_channels", "cross_attention_dim", "down_block_types", "in_channels", "layers_per_block")


class ControlledUNet(torch.nn.Module):
    """A UNet with a ControlNet beside it. Everything but the evaluation is the UNet's own."""

    def __init__(self, unet: Any, controlnet: Any) -> None:
        super().__init__()
        self.unet, self.controlnet = unet, controlnet

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        class_labels: torch.Tensor | None = None,
        timestep_cond: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        added_cond_kwargs: dict[str, Any] | None = None,
        control: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> Any:
        """Return the UNet's output. control: (B, 3, H, W) of 0..1, the edges for each row, px."""
        given = {
            "class_labels": class_labels,
            "timestep_cond": timestep_cond,
            "attention_mask": attention_mask,
            "added_cond_kwargs": added_cond_kwargs,
        }
        down, middle = self.controlnet(
            sample,
            timestep,
            encoder_hidden_states,
            controlnet_cond=control,
            conditioning_scale=SCALE,
            return_dict=False,
            **given,
        )
        return self.unet(
            sample,
            timestep,
            encoder_hidden_states,
            cross_attention_kwargs=cross_attention_kwargs,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=return_dict,
            **given,
        )

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("unet"), name)


class ControlNet:
    """One ControlNet for one model. identity: where its weights came from, and their files' sizes and
    times."""

    def __init__(self, pipe: Any, folder: Path) -> None:
        """Load the ControlNet in ``folder``. Raises ModelError when it doesn't fit the model of ``pipe``."""
        config = check(folder)
        wrong = [name for name in SHAPES if _listed(config.get(name)) != _listed(pipe.unet.config.get(name))]
        if wrong:
            raise ModelError(f"{folder.name} is a ControlNet for other models: {', '.join(wrong)} differ.")
        try:
            module, info = ControlNetModel.from_pretrained(
                folder,
                use_safetensors=True,
                torch_dtype=pipe.unet.dtype,
                local_files_only=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            if "out of memory" in str(error).lower():
                raise
            raise ModelError(f"{folder.name} doesn't load as a ControlNet.") from error
        if info["missing_keys"]:
            raise ModelError(f"{folder.name} lacks weights: {', '.join(sorted(info['missing_keys'])[:3])}.")
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

    def control(self, edges: Image.Image) -> torch.Tensor:
        """Return a picture of edges as the module takes it: (1, 3, H, W) of 0..1."""
        values = torch.from_numpy(np.asarray(edges.convert("RGB"), np.float32) / 255)
        return values.permute(2, 0, 1)[None].contiguous().to(self._module.device, self._module.dtype)


def check(folder: Path) -> dict[str, Any]:
    """Return the configuration of the ControlNet in ``folder``. Raises ModelError for anything else, or what
    could run code."""
    trust.check_contents(folder)
    config = contents.read_json(folder / "config.json") if folder.is_dir() else {}
    if config.get("_class_name") != "ControlNetModel":
        raise ModelError(
            f"{folder.name} isn't a ControlNet: it takes a folder or a Hugging Face id of diffusers'"
            " ControlNetModel."
        )
    return config


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
