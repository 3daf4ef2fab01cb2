"""Lets all frames of a film look at its first one while a UNet draws them: in self-attention each reads the
first frame's tokens beside its own (Text2Video-Zero, arXiv:2303.13439, 3.3.2). It is put into a copy of the
UNet over the same tensors, so that other jobs aren't affected."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

from vision.image_model import seamless

PLAIN = (AttnProcessor, AttnProcessor2_0)


class FirstFrameAttention(AttnProcessor2_0):
    """Self-attention over the first frame and a frame's own. frames: how many rows of a call are one film;
    calls of other sizes, as when memory is short, are evaluated as pictures are."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return the attention's output (B, N, C) for ``hidden_states`` (B, N, C)."""
        rows = len(hidden_states)
        if encoder_hidden_states is None and hidden_states.ndim == 3 and rows % self.frames == 0:
            films = hidden_states.unflatten(0, (-1, self.frames))  # (films, frames, N, C)
            first = films[:, :1].expand_as(films).flatten(0, 1)
            encoder_hidden_states = torch.cat([first, hidden_states], 1)  # (B, 2·N, C)
        return super().__call__(attn, hidden_states, encoder_hidden_states, *args, **kwargs)


def looking_at_first(unet: Any, frames: int) -> Any:
    """Return a copy of a UNet over the same tensors whose frames look at the first of ``frames``; the UNet
    itself where it has no self-attention of the usual kind."""
    names = [
        name
        for name, processor in getattr(unet, "attn_processors", {}).items()
        if name.endswith("attn1.processor") and type(processor) in PLAIN
    ]
    if not names:
        return unet
    copied: Any = seamless.shared_weights_copy(unet)
    attention = FirstFrameAttention(frames)
    copied.set_attn_processor(
        {name: attention if name in names else old for name, old in copied.attn_processors.items()}
    )
    return copied
