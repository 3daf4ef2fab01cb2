"""HunyuanVideo 1.5's decoder, a latent at a time: diffusers' own takes a film as a whole. It looks back only,
in its convolutions and in its attention, so that what comes out is the same.

Names are diffusers 0.42's; tests compare with ``decode``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from vision.video.stripes import striped

Kept = dict[nn.Module, torch.Tensor]  # what a convolution keeps of the frames before: (B, C, frames, h, w)


def attend_in_turn(vae: Any) -> None:
    """From now on let attention in ``vae`` go over the frames of a film one after the other, each of which
    looks at those before it. diffusers makes a mask of all pairs of places for that, 25 GB for five seconds
    of 1280×720 px, and takes one film at a time only."""
    from diffusers.models.autoencoders.autoencoder_kl_hunyuanvideo15 import HunyuanVideo15AttnBlock

    for part in vae.modules():
        if isinstance(part, HunyuanVideo15AttnBlock):
            vars(part)["forward"] = partial(_attend, part)


def in_turn(vae: Any, latents: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the frames of ``latents`` (1, C, f, h, w) from latent to latent: 1, then 4 each, (1, 3, f, H,
    W). See ``attend_in_turn``, too."""
    from diffusers.models.autoencoders import autoencoder_kl_hunyuanvideo15 as hunyuan

    decoder = vae.decoder
    with torch.no_grad(), striped(decoder):
        hidden = decoder.conv_in(latents) + latents.repeat_interleave(decoder.repeat, dim=1)
        hidden = decoder.mid_block(hidden)  # small: it goes over all latents
    kept: Kept = {}
    for i in range(hidden.shape[2]):
        convolve, enlarge = partial(_convolve, kept), partial(_enlarge, i == 0)
        with (
            torch.no_grad(),
            striped(decoder),
            _replaced(decoder, hunyuan.HunyuanVideo15CausalConv3d, convolve),
            _replaced(decoder, hunyuan.HunyuanVideo15Upsample, enlarge),
        ):
            piece = hidden[:, :, i : i + 1]
            for block in decoder.up_blocks:
                piece = block(piece)
            piece = decoder.conv_out(decoder.conv_act(decoder.norm_out(piece)))
        yield piece


@contextmanager
def _replaced(module: nn.Module, kind: type, forward: Any) -> Iterator[None]:
    """Let the parts of ``module`` that are of one kind work by ``forward(part, hidden)``."""
    parts = [part for part in module.modules() if isinstance(part, kind)]
    before = [vars(part).get("forward") for part in parts]
    for part in parts:
        vars(part)["forward"] = partial(forward, part)
    try:
        yield
    finally:
        for part, own in zip(parts, before, strict=True):
            if own is None:
                vars(part).pop("forward", None)
            else:
                vars(part)["forward"] = own


def _convolve(kept: Kept, part: Any, hidden: torch.Tensor) -> torch.Tensor:
    left, right, top, bottom, before, _ = part.time_causal_padding
    if before:
        frames = kept.get(part)
        if frames is None:
            frames = hidden[:, :, :1].repeat(1, 1, before, 1, 1)
        hidden = torch.cat([frames, hidden], 2)
        kept[part] = hidden[:, :, -before:].clone()
    padding = (left, right, top, bottom, 0, 0)
    return part.conv(functional.pad(hidden, padding, mode=part.pad_mode))


def _enlarge(is_first: bool, part: Any, hidden: torch.Tensor) -> torch.Tensor:
    if is_first or not part.add_temporal_upsample:
        return type(part).forward(part, hidden)
    # only the first frame of a film stays one
    made = part._dcae_upsample_rearrange(part.conv(hidden), r1=2)
    return made + part._dcae_upsample_rearrange(hidden, r1=2).repeat_interleave(part.repeats, dim=1)


def _attend(part: Any, hidden: torch.Tensor) -> torch.Tensor:
    normed = part.norm(hidden)
    query, key, value = (  # (B, 1, frames · h · w, C)
        to(normed).flatten(2).transpose(1, 2).unsqueeze(1).contiguous()
        for to in (part.to_q, part.to_k, part.to_v)
    )
    each = hidden.shape[3] * hidden.shape[4]
    seen = [
        functional.scaled_dot_product_attention(
            query[:, :, end - each : end], key[:, :, :end], value[:, :, :end]
        )
        for end in range(each, query.shape[2] + 1, each)
    ]
    made = torch.cat(seen, 2).squeeze(1).transpose(1, 2).unflatten(2, hidden.shape[2:])
    return part.proj_out(made) + hidden
