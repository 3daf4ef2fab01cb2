"""Decodes videos a piece at a time, so that no more than a piece of one is ever in memory, and encodes known
frames. It is one thing because all of it has to come out as ``vae.decode`` would have it, but for rounding.

HunyuanVideo 1.5's decoder takes a latent at a time; diffusers' own takes a video as a whole. It looks back
only, in its convolutions and in its attention, so that what comes out is the same.

Where a piece of whole frames doesn't fit into memory, ``in_tiles`` decodes parts of the frames one after the
other: that takes a fraction of the memory, and what comes out is a little different.

Names are diffusers 0.42's, those that begin with an underscore too; tests compare with ``decode``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from core.errors import AtelierError
from vision.diffusion import vae as frames

Kept = dict[nn.Module, torch.Tensor]  # what a convolution keeps of the frames before: (B, C, frames, h, w)


def attend_in_turn(vae: Any) -> None:
    """From now on let attention in ``vae`` go over the frames of a video one after the other, each of which
    looks at those before it. diffusers makes a mask of all pairs of places for that, 25 GB for five seconds
    of 1280×720 px, and takes one video at a time only."""
    from diffusers.models.autoencoders.autoencoder_kl_hunyuanvideo15 import HunyuanVideo15AttnBlock

    for part in vae.modules():
        if isinstance(part, HunyuanVideo15AttnBlock):
            vars(part)["forward"] = partial(_attend, part)


def raw_pieces(vae: Any, latents: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the frames of ``latents`` (1, C, f, h, w) from latent to latent: 1, then 4 each, (1, 3, f, H,
    W). See ``attend_in_turn``, too."""
    from diffusers.models.autoencoders import autoencoder_kl_hunyuanvideo15 as hunyuan

    decoder = vae.decoder
    with torch.no_grad():
        hidden = decoder.conv_in(latents) + latents.repeat_interleave(decoder.repeat, dim=1)
        hidden = decoder.mid_block(hidden)  # small: it goes over all latents
    kept: Kept = {}
    for i in range(hidden.shape[2]):
        convolve = partial(_convolve, kept)

        def enlarge(part: Any, hidden: torch.Tensor, is_first: bool = i == 0) -> torch.Tensor:
            if is_first or not part.add_temporal_upsample:
                return type(part).forward(part, hidden)
            # only the first frame of a video stays one
            made = part._dcae_upsample_rearrange(part.conv(hidden), r1=2)
            return made + part._dcae_upsample_rearrange(hidden, r1=2).repeat_interleave(part.repeats, dim=1)

        with (
            torch.no_grad(),
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


class BlankVideo(AtelierError):
    """What is to be decoded is no numbers."""


def check_latents(latents: torch.Tensor) -> None:
    """Raise BlankVideo when ``latents`` hold anything but numbers."""
    if not latents.isfinite().all():
        raise BlankVideo(
            "The model lost itself in numbers that are none; another seed or fewer steps may help."
        )


def uint8(decoded: torch.Tensor) -> np.ndarray:
    """Return (1, 3, f, H, W) of -1..1 as (f, H, W, 3) uint8 in host memory, a frame at a time: on the way
    each takes four times its bytes."""
    return np.concatenate([frames.pixels_of(decoded[:, :, i]) for i in range(decoded.shape[2])])


def one_by_one(vae: Any, latents: torch.Tensor) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) with a decoder of pictures: a frame at a time."""
    for i in range(latents.shape[2]):
        with torch.no_grad():
            yield frames.pixels_of(frames.decode(vae, latents[:, :, i].to(vae.dtype)))


def causal(vae: Any, latents: torch.Tensor) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) with Wan's decoder: a latent at a time, 1 frame and then 4 each, as
    ``vae.decode`` does but for rounding. The decoder looks back only, at what its convolutions keep of the
    latents before. That is kept here instead of in the module, so that another video may be decoded or
    encoded in between. Behind the last stage that makes two frames of one, each goes on by itself."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

    decoder, patch = vae.decoder, vae.config.patch_size or 1
    kept: list[Any] = [None] * vae._cached_conv_counts["decoder"]
    more_frames = [i for i, yes in enumerate(reversed(vae.config.temperal_downsample)) if yes]
    whole = max(more_frames, default=-1) + 1  # blocks that get all frames of a latent
    for i in range(latents.shape[2]):
        made = []
        with torch.no_grad():
            _bring(vae)
            at = [0]  # of the convolutions that keep something
            hidden = vae.post_quant_conv(latents[:, :, i : i + 1].to(vae.dtype))
            hidden = _convolve_kept(decoder.conv_in, hidden, kept, at)
            hidden = decoder.mid_block(hidden, feat_cache=kept, feat_idx=at)
            for block in decoder.up_blocks[:whole]:
                hidden = block(hidden, feat_cache=kept, feat_idx=at, first_chunk=i == 0)
            [begin] = at
            for frame in hidden.split(1, 2):
                at = [begin]
                for block in decoder.up_blocks[whole:]:
                    frame = block(frame, feat_cache=kept, feat_idx=at)
                frame = decoder.nonlinearity(decoder.norm_out(frame))
                frame = _convolve_kept(decoder.conv_out, frame, kept, at)
                made.append(uint8(unpatchify(frame, patch_size=patch).clamp(-1.0, 1.0)))
                del frame  # before the next is made
        del hidden
        yield np.concatenate(made)


def _convolve_kept(conv: Any, hidden: torch.Tensor, kept: list[Any], at: list[int]) -> torch.Tensor:
    """What one of Wan's convolutions makes of ``hidden``, as its decoder calls it: behind the two frames
    before it, in whose place its own last two are kept."""
    before, last = kept[at[0]], hidden[:, :, -2:].clone()
    if before is not None and last.shape[2] < 2:
        last = torch.cat([before[:, :, -1:], last], 2)
    made: torch.Tensor = conv(hidden, before)
    kept[at[0]] = last
    at[0] += 1
    return made


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
    """Decode latents (1, C, f, h, w) with HunyuanVideo 1.5's decoder: 1 frame, then 4 a latent."""
    _bring(vae)
    for piece in raw_pieces(vae, latents.to(vae.dtype)):
        yield uint8(piece)


def overlapping(vae: Any, latents: torch.Tensor, temb: torch.Tensor | None = None) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) with LTX's decoder, which looks ahead, too: in pieces that overlap and
    are blended from one to the next, to the very bits of its own decoding by frames
    (``use_framewise_decoding``). temb: the decoder's time, for weights that take one (0.9.1 and later)."""
    ratio = vae.temporal_compression_ratio
    size, stride = vae.tile_sample_min_num_frames // ratio, vae.tile_sample_stride_num_frames // ratio
    blend = vae.tile_sample_min_num_frames - vae.tile_sample_stride_num_frames
    total, given = (latents.shape[2] - 1) * ratio + 1, 0
    kept: torch.Tensor | None = None  # of the piece before, what the next is blended with
    is_one = latents.shape[2] <= size
    for i in range(0, 1 if is_one else latents.shape[2] - 1, stride):
        count = total if is_one else min(stride * ratio + (i == 0), total - given)
        with torch.no_grad(), _seeded(vae.decoder, latents.device):
            _bring(vae)
            out = vae.decoder(latents[:, :, i : i + size + 1].to(vae.dtype), temb)
            if kept is not None:
                out = vae.blend_t(kept, out[:, :, :-1], blend)
            kept = out[:, :, -blend:].clone()
        made = uint8(out[:, :, :count])
        del out  # before the next is made
        given += count
        yield made
        del made


@contextmanager
def _seeded(decoder: nn.Module, device: torch.device) -> Iterator[None]:
    """Let the blocks of LTX's decoder that add noise add the same for each piece."""
    blocks = [one for one in decoder.modules() if getattr(one, "per_channel_scale1", None) is not None]
    generator = torch.Generator(device).manual_seed(0) if blocks else None
    with ExitStack() as stack:
        for block in blocks:
            hook = block.register_forward_pre_hook(lambda _, given: (*given[:2], generator, *given[3:]))
            stack.callback(hook.remove)
        yield


TILE = 24  # latents of a tile's side: 192, 384 or 768 px


def in_tiles(
    decode: Callable[[torch.Tensor], Iterator[np.ndarray]], latents: torch.Tensor
) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) by ``decode`` tile by tile, each through the whole video, and then yield
    the frames, in which tiles are blended where they overlap. Before that, no frames come for each piece of a
    tile, so that a stop is seen between two."""
    side, overlap, ratio = TILE, TILE // 4, 1
    height, width = latents.shape[-2:]
    pieces: dict[tuple[int, int], list[np.ndarray]] = {
        (top, left): [] for top in _starts(height, side, overlap) for left in _starts(width, side, overlap)
    }
    for (top, left), tile in pieces.items():
        part = latents[..., top : top + side, left : left + side]
        for piece in decode(part):
            ratio = piece.shape[1] // part.shape[-2]
            tile.append(piece)
            yield np.empty((0, height * ratio, width * ratio, 3), np.uint8)
    for together in zip(*pieces.values(), strict=True):
        made = np.zeros((len(together[0]), height * ratio, width * ratio, 4), np.float32)  # and the weights
        for (top, left), piece in zip(pieces, together, strict=True):
            _, high, wide, _ = piece.shape
            weight = _ramp(high, overlap * ratio)[:, None, None] * _ramp(wide, overlap * ratio)[:, None]
            at = made[:, top * ratio : top * ratio + high, left * ratio : left * ratio + wide]
            at[..., :3] += piece * weight
            at[..., 3:] += weight
        yield np.rint(made[..., :3] / made[..., 3:]).astype(np.uint8)


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """Return where tiles begin, the last of which ends with the frame."""
    last = max(0, length - side)
    return [*range(0, last, side - overlap), last]


def _ramp(count: int, overlap: int) -> np.ndarray:
    """Return the weights of ``count`` px of a tile's side: less and less towards both ends, where a tile has
    no neighbours to look at, and next to none in the outer third of what overlaps."""
    places = np.arange(1, count + 1, dtype=np.float32) / np.float32(overlap)
    return np.clip(1.5 * np.minimum(places, places[::-1]) - 0.5, 1e-3, 1)


def encode_video(vae: Any, pictures: Sequence[Image.Image]) -> torch.Tensor:
    """Return the likeliest latents (1, C, f, h, w) of pictures of one size, as the decoder takes them. A
    decoder of pictures gets a frame at a time."""
    stacked = torch.from_numpy(np.stack([np.asarray(picture.convert("RGB")) for picture in pictures]))
    video = (stacked.permute(3, 0, 1, 2)[None].float() / 127.5) - 1  # (1, 3, F, H, W), -1..1
    video = video.to(device=vae.device, dtype=vae.dtype)
    with torch.no_grad():
        if not frames.is_video(vae):
            return torch.stack([frames.encode_pixels(vae, video[:, :, i]) for i in range(video.shape[2])], 2)
        encoded = vae.encode(video)
        return encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
