"""Decodes films a piece at a time, so that no more than a piece of one is ever in memory, and encodes known
frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import torch

from core.errors import AtelierError
from vision import background
from vision.image_model import frames
from vision.pictures import pixels
from vision.video import streaming
from vision.video.halves import LtxDecoder, WanDecoder
from vision.video.rows import Frames, Shelf
from vision.video.stripes import striped


class BlankFilm(AtelierError):
    """What is to be decoded is no numbers."""


def check(latents: torch.Tensor) -> None:
    """Raise BlankFilm when ``latents`` hold anything but numbers."""
    if not latents.isfinite().all():
        raise BlankFilm(
            "The model lost itself in numbers that are none; another seed or fewer steps may help."
        )


def uint8(decoded: torch.Tensor) -> np.ndarray:
    """Return (1, 3, f, H, W) of -1..1 as (f, H, W, 3) uint8 in host memory, a frame at a time: on the way
    each takes four times its bytes."""
    return np.concatenate([pixels.to_uint8(decoded[:, :, i]) for i in range(decoded.shape[2])])


def one_by_one(vae: Any, latents: torch.Tensor) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) with a decoder of pictures: a frame at a time."""
    for i in range(latents.shape[2]):
        with torch.no_grad():
            yield pixels.to_uint8(frames.decode(vae, latents[:, :, i].to(vae.dtype)))


def causal(vae: Any, latents: torch.Tensor) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) with Wan's decoder: a latent at a time, 1 frame and then 4 each, to the
    very bits of ``vae.decode``.

    The decoder looks back only, at what its convolutions keep of the latents before. That is kept here
    instead of in the module, so that another film may be decoded or encoded in between.
    """
    size = _size(vae, latents)
    with closing(Shelf()) as shelf:
        decoder = WanDecoder(vae, shelf)
        for i in range(latents.shape[2]):
            made = np.empty((4 if i else 1, *size, 3), np.uint8)
            with torch.no_grad(), striped(vae.decoder):
                _bring(vae)
                hidden = vae.post_quant_conv(latents[:, :, i : i + 1].to(vae.dtype))
                for rows, out in decoder.decode(hidden, is_first=i == 0):
                    made[:, rows] = uint8(out.clamp_(-1.0, 1.0))
                    del out
                    background.give_back()  # else the holes that bands leave come to more than the frames
            yield made
            del made  # before the next is made


def _size(vae: Any, latents: torch.Tensor) -> tuple[int, int]:
    """Height and width of the frames of ``latents``, px."""
    ratio = vae.spatial_compression_ratio
    return latents.shape[-2] * ratio, latents.shape[-1] * ratio


def _bring(vae: Any) -> None:
    """Run the hook that offloading puts before ``decode``: the decoder inside is called without it."""
    hook = getattr(vae, "_hf_hook", None)
    if hook is not None and hasattr(hook, "pre_forward"):
        hook.pre_forward(vae)


def in_pairs(vae: Any, latents: torch.Tensor) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) with CogVideoX's decoder: two latents at a time, three of an odd number
    at first, to the very bits of ``vae.decode``. What its convolutions keep is handed on here."""
    each, kept = vae.num_latent_frames_batch_size, None
    count, odd = max(latents.shape[2] // each, 1), latents.shape[2] % each
    for i in range(count):
        with torch.no_grad():
            _bring(vae)
            piece = latents[:, :, each * i + (odd if i else 0) : each * (i + 1) + odd].to(vae.dtype)
            if vae.post_quant_conv is not None:
                piece = vae.post_quant_conv(piece)
            out, kept = vae.decoder(piece, conv_cache=kept)
            yield uint8(out)


def in_turn(vae: Any, latents: torch.Tensor) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) with HunyuanVideo 1.5's decoder: a latent at a time, 1 frame and then 4
    each."""
    _bring(vae)
    for piece in streaming.in_turn(vae, latents.to(vae.dtype)):
        yield uint8(piece)


def overlapping(vae: Any, latents: torch.Tensor, temb: torch.Tensor | None = None) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) with LTX's decoder, which looks ahead, too: in pieces that overlap and
    are blended from one to the next, as its own decoding by frames does (``use_framewise_decoding``).

    temb: the decoder's time, for weights that take one (0.9.1 and later).
    """
    ratio = vae.temporal_compression_ratio
    size, stride = vae.tile_sample_min_num_frames // ratio, vae.tile_sample_stride_num_frames // ratio
    blend = vae.tile_sample_min_num_frames - vae.tile_sample_stride_num_frames
    total, given = (latents.shape[2] - 1) * ratio + 1, 0
    kept: Frames | None = None  # of the piece before, what the next is blended with
    is_one = latents.shape[2] <= size
    with closing(Shelf()) as shelf:
        for i in range(0, 1 if is_one else latents.shape[2] - 1, stride):
            count = total if is_one else min(stride * ratio + (i == 0), total - given)
            background.give_back()
            made = np.empty((count, *_size(vae, latents), 3), np.uint8)
            with torch.no_grad(), striped(vae.decoder):
                _bring(vae)
                piece = latents[:, :, i : i + size + 1].to(vae.dtype)
                for rows, out in LtxDecoder(vae).decode(piece, temb):
                    if kept is None:
                        kept = shelf.frames(out, (1, 3, blend, *made.shape[1:3]))
                    if i > 0:
                        out = vae.blend_t(kept.read(blend, rows.start, rows.stop), out[:, :, :-1], blend)
                    made[:, rows] = uint8(out[:, :, :count])
                    kept.write(rows.start, out[:, :, -blend:])
                    del out  # before the next is made
            given += count
            yield made
            del made  # before the next is made


def encode(vae: Any, video: torch.Tensor) -> torch.Tensor:
    """Return the likeliest latents (1, C, f, h, w) of ``video`` (1, 3, F, H, W), -1..1, as the decoder takes
    them. A decoder of pictures gets a frame at a time."""
    video = video.to(device=vae.device, dtype=vae.dtype)
    with torch.no_grad():
        if not frames.is_video(vae):
            return torch.stack([frames.encode(vae, video[:, :, i]) for i in range(video.shape[2])], 2)
        encoded = vae.encode(video)
        return encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()


def tensor(pictures: Any) -> torch.Tensor:
    """Return RGB pictures of one size as (1, 3, F, H, W), -1..1."""
    stacked = torch.from_numpy(np.stack([np.asarray(picture.convert("RGB")) for picture in pictures]))
    return (stacked.permute(3, 0, 1, 2)[None].float() / 127.5) - 1
