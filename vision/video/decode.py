"""Decodes videos a piece at a time, so that no more than a piece of one is ever in memory, and encodes known
frames. It is one thing because all of it has to come out as ``vae.decode`` would have it, to the bit.

Convolutions on a processor work in stripes, a few rows of the picture at a time. Over time without oneDNN,
which torch leaves out on one thread, torch copies what it convolves once for each weight of the kernel: 27
times the video. Over pictures oneDNN rounds channels up to BLOCK, all frames at once: five times the video
where there are three. A stripe of rows needs only as much of that.

HunyuanVideo 1.5's decoder takes a latent at a time; diffusers' own takes a video as a whole. It looks back
only, in its convolutions and in its attention, so that what comes out is the same.

Wan's and LTX's decoders are two halves. The last stages, whose frames are the largest, work on a band of rows
at a time, with as many rows more on each side as they look at. What they keep of whole frames lies in memory
while it is little, in a file where it is much.

Names are diffusers 0.42's, those that begin with an underscore too; tests compare with ``decode``."""

import copy
import errno
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from core import process
from core.errors import AtelierError
from vision.diffusion import vae as frames

MOST_COPIED = 8 * 2**20  # bytes of such copies; 24 MiB, which no cache holds, take a third longer
BLOCK = 16  # channels
SMALL = 20480  # numbers, up to which torch convolves one picture without oneDNN, and so to other bits
Conv = nn.Conv2d | nn.Conv3d


@contextmanager
def striped(module: nn.Module) -> Iterator[None]:
    """Let all convolutions in ``module`` work in stripes."""
    convolutions = [part for part in module.modules() if isinstance(part, Conv) and _can_be(part)]
    for each in convolutions:
        vars(each)["_conv_forward"] = partial(_forward, each)
    try:
        yield
    finally:
        for each in convolutions:
            vars(each).pop("_conv_forward", None)


def _can_be(conv: Conv) -> bool:
    return (
        conv.weight.device.type == "cpu"
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and set(conv.stride) == set(conv.dilation) == {1}
    )


def _forward(
    conv: Conv, given: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """What ``conv`` makes of ``given``, (B, C, f, h, w) or (B, C, h, w)."""
    *_, height, _ = conv.kernel_size
    padding = [int(side) for side in conv.padding]
    *in_front, above, beside = padding
    shape = [
        size + 2 * side - kernel + 1
        for size, side, kernel in zip(given.shape[2:], padding, conv.kernel_size, strict=True)
    ]
    rows, columns = shape[-2:]
    each = _rows(conv, given, shape)
    if each >= rows:
        return type(conv)._conv_forward(conv, given, weight, bias)  # type: ignore[arg-type]
    made = given.new_empty(given.shape[0], conv.out_channels, *shape)
    convolve = functional.conv3d if isinstance(conv, nn.Conv3d) else functional.conv2d
    for begin in range(0, rows, each):
        end = min(rows, begin + each)
        first, last = begin - above, end - above + height - 1  # of the rows that it looks at
        stripe = given[..., max(0, first) : last, :]
        missing = (max(0, -first), max(0, last - given.shape[-2]))
        if any(missing):
            stripe = functional.pad(stripe, (0, 0, *missing))
        made[..., begin:end, :] = convolve(
            stripe, weight, bias, padding=(*in_front, 0, beside), groups=conv.groups
        )
    return made


def _rows(conv: Conv, given: torch.Tensor, shape: list[int]) -> int:
    """How many rows a stripe has. shape: of what comes out, from its frames or rows on."""
    columns, size = shape[-1], given.element_size()
    if isinstance(conv, nn.Conv3d):
        depth, height, width = conv.kernel_size
        row = given.shape[1] // conv.groups * depth * height * width * shape[0] * columns * size
        return max(1, MOST_COPIED // row)
    channels = sum(-(-count // BLOCK) * BLOCK for count in (conv.in_channels, conv.out_channels))
    least = 2 * SMALL // (given.shape[1] * given.shape[-1]) + 1
    most = max(least, MOST_COPIED // (given.shape[0] * channels * columns * size))
    count = max(1, min(-(-shape[0] // most), shape[0] // least))
    return -(-shape[0] // count)


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
    with torch.no_grad(), striped(decoder):
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


IN_MEMORY = 16 * 2**20  # bytes of one video that stay there
FREE = 2**30  # bytes of the disk that are left to others


class Frames:
    """Frames (1, C, f, H, W) of which rows are taken and replaced."""

    def __init__(self, whole: torch.Tensor) -> None:
        self._whole = whole
        self.rows = whole.shape[3]

    def read(self, frames: int, begin: int, end: int) -> torch.Tensor:
        """Return rows ``begin`` to ``end`` of the first so many frames, good until they are written."""
        return self._whole[:, :, :frames, begin:end]

    def write(self, begin: int, given: torch.Tensor) -> None:
        """Replace the rows from ``begin`` on in the first frames by ``given``."""
        self._whole[:, :, : given.shape[2], begin : begin + given.shape[3]] = given


class _FramesInFile(Frames):
    """The same in a file, from the byte ``at`` on."""

    def __init__(self, file: BinaryIO, at: int, like: torch.Tensor, shape: tuple[int, ...]) -> None:
        self._file, self._at, self._like, self._shape = file, at, like.new_empty(0), shape
        self.rows = shape[3]

    def read(self, frames: int, begin: int, end: int) -> torch.Tensor:
        found = self._like.new_empty((*self._shape[:2], frames, end - begin, self._shape[4]))
        self._each(found, begin, lambda part, at: os.preadv(self._file.fileno(), [part], at))
        return found

    def write(self, begin: int, given: torch.Tensor) -> None:
        self._each(given.contiguous(), begin, lambda part, at: os.pwrite(self._file.fileno(), part, at))

    def _each(self, numbers: torch.Tensor, begin: int, move: Callable[[memoryview, int], int]) -> None:
        """Move each frame's rows, which follow each other in the file."""
        _, channels, frames, rows, columns = numbers.shape
        row = columns * numbers.element_size()
        parts = numbers.view(channels * frames, rows * columns).view(torch.uint8).numpy()
        for i, part in enumerate(parts):
            place = i // frames * self._shape[2] + i % frames
            left, at = memoryview(part), self._at + (place * self.rows + begin) * row
            while left:
                moved = move(left, at)
                if not moved:
                    raise OSError("the file of a video's frames has become shorter")
                left, at = left[moved:], at + moved


class Shelf:
    """What the decoder of one video keeps from one piece to the next. In a processor's memory are the first
    IN_MEMORY bytes of it; the others lie in a file without a name among the temporary ones (TMPDIR), which is
    gone with the process. Where that disk has no room everything stays in memory, as it does on any other
    device."""

    def __init__(self) -> None:
        self.file: BinaryIO | None = None
        self._room, self._end = IN_MEMORY, 0

    def frames(self, like: torch.Tensor, shape: tuple[int, ...]) -> Frames:
        """Return room for frames of ``shape`` (1, C, f, H, W), of the type of ``like`` and on its device."""
        size = torch.Size(shape).numel() * like.element_size()
        if like.device.type == "cpu" and size > self._room and hasattr(os, "posix_fallocate"):
            with suppress(OSError):
                return self._in_file(like, shape, size)
        self._room -= size
        return Frames(like.new_empty(shape))

    def _in_file(self, like: torch.Tensor, shape: tuple[int, ...], size: int) -> Frames:
        self.file = self.file or tempfile.TemporaryFile(buffering=0)
        disk = os.fstatvfs(self.file.fileno())
        if disk.f_bavail * disk.f_frsize < size + FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.posix_fallocate(self.file.fileno(), self._end, size)
        self._end += size
        return _FramesInFile(self.file, self._end - size, like, shape)

    def close(self) -> None:
        """Forget what lies in the file."""
        if self.file is not None:
            self.file.close()


MOST = {"cpu": 6 * 2**20}  # bytes of a band in its widest layer, by device
OTHER = 512 * 2**20  # on any other, where each band is many calls
LOOKS_BACK = 2  # frames, of Wan's convolutions at most
LEAST = 2  # times the rows that the stages look at on each side: bands see twice as much, at most


@dataclass(frozen=True)
class Band:
    """Rows ``begin`` to ``end`` of what the last stages are given; they see ``first`` to ``last``."""

    begin: int
    end: int
    first: int
    last: int

    @property
    def seen(self) -> slice:
        """Of what they are given."""
        return slice(self.first, self.last)

    def place(self, scale: int) -> slice:
        """Return which rows of the frame it is, which has ``scale`` times as many."""
        return slice(self.begin * scale, self.end * scale)

    def own(self, scale: int) -> slice:
        """Return its own rows of what they make of all that they see."""
        return slice((self.begin - self.first) * scale, (self.end - self.first) * scale)


def bands(rows: int, reach: int, row: int, device: str) -> list[Band]:
    """Return ``rows`` rows in bands of about the same height. reach: rows that the stages look at on each
    side. row: bytes of one in the widest layer."""
    count = -(-rows // max(LEAST * reach, MOST.get(device, OTHER) // row))
    edges = [rows * i // count for i in range(count + 1)]
    return [
        Band(begin, end, max(0, begin - reach), min(rows, end + reach))
        for begin, end in zip(edges[:-1], edges[1:], strict=True)
    ]


class _Through(nn.Module):
    """Stands for a stage that the other half has."""

    def forward(self, hidden: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        """Return ``hidden`` as it is."""
        return hidden


class _Seeded(nn.Module):
    """A block of LTX's decoder that adds noise, always the same."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, hidden: torch.Tensor, temb: Any = None, *rest: Any, **more: Any) -> torch.Tensor:
        """Return what the block makes of ``hidden``."""
        generator = torch.Generator(hidden.device).manual_seed(0)
        return self.block(hidden, temb, generator, **more)


def _split(decoder: nn.Module, first: int, in_front: Sequence[str], behind: Sequence[str]) -> tuple[Any, Any]:
    """Two decoders over the same weights, one after the other: all before the block ``first`` of
    ``up_blocks``, and the rest. in_front, behind: the other stages."""
    before, after = _copy(decoder), _copy(decoder)
    blocks: Any = decoder.up_blocks
    for half, kept, missing in ((before, blocks[:first], behind), (after, blocks[first:], in_front)):
        others = {name: _Through() for name in missing}
        vars(half)["_modules"] = {**vars(decoder)["_modules"], "up_blocks": kept, **others}
    return before, after


def _copy(decoder: nn.Module) -> Any:
    """A decoder over the same weights, with the hook by which offloading brings those that are its own."""
    copied = copy.copy(decoder)
    hook: Any = vars(copied).pop("_hf_hook", None)
    vars(copied).pop("forward", None)  # the hooked one, which is bound to the other
    if hook is not None:

        def forward(*given: Any, **more: Any) -> Any:
            given, more = hook.pre_forward(copied, *given, **more)
            return hook.post_forward(copied, type(copied).forward(copied, *given, **more))

        vars(copied)["forward"] = forward
    return copied


def _reach(stages: Sequence[tuple[int, int]]) -> int:
    """How many rows of what they are given ``stages`` look at on each side. Each has its number of
    convolutions, and the factor by which the rows are enlarged behind them."""
    rows = 0
    for convolutions, factor in reversed(stages):
        rows = convolutions + -(-rows // factor)
    return rows


class _Kept:
    """What the convolutions of Wan's last stages keep of the frames before, (1, C, frames, H, W) each, by
    their numbers. A band sees its rows as they were and puts its own back, in the same place."""

    def __init__(self, rows: int, reach: int, shelf: Shelf) -> None:
        self._rows, self._reach, self._shelf = rows, reach, shelf
        self._whole: dict[int, Frames] = {}
        self._before: dict[int, int] = {}  # how many frames were kept before this latent
        self._now: dict[int, int] = {}
        self._above: dict[int, torch.Tensor] = {}  # rows above the next band, as they were

    def seen(self, band: Band, i: int) -> torch.Tensor | None:
        """Return what a band sees of convolution ``i``; None of one that had kept nothing."""
        if i not in self._before:
            return None
        whole, count = self._whole[i], self._before[i]
        scale = whole.rows // self._rows
        if i not in self._above:
            return whole.read(count, band.first * scale, band.last * scale)
        return torch.cat([self._above[i], whole.read(count, band.begin * scale, band.last * scale)], 3)

    def put(self, band: Band, i: int, rows: torch.Tensor) -> None:
        """Take over the band's own rows of what convolution ``i`` has kept."""
        scale, count = rows.shape[3] // (band.last - band.first), rows.shape[2]
        if i not in self._whole:
            shape = (*rows.shape[:2], LOOKS_BACK, self._rows * scale, rows.shape[4])
            self._whole[i] = self._shelf.frames(rows, shape)
        whole = self._whole[i]
        if i in self._before:
            above = max(0, band.end - self._reach) * scale, band.end * scale
            self._above[i] = whole.read(self._before[i], *above).clone()
        whole.write(band.begin * scale, rows[:, :, :, band.own(scale)])
        self._now[i] = count

    def end(self) -> None:
        """Let the next latent see what all bands of this one have put."""
        self._before, self._above = {**self._now}, {}


@dataclass(frozen=True)
class _Seen:
    """What a band's convolutions keep, as the list that the decoder takes: each is made when its convolution
    asks for it, and taken over when it has worked, so that one of them is in memory twice and no more."""

    kept: _Kept
    band: Band

    def __getitem__(self, i: int) -> torch.Tensor | None:
        return self.kept.seen(self.band, i) if i else None  # the first stage is the other half's

    def __setitem__(self, i: int, rows: torch.Tensor) -> None:
        if i:
            self.kept.put(self.band, i, rows)


class WanDecoder:
    """Wan's decoder, for one video. It isn't split before the last stage that makes two frames of one. shelf:
    where what the last stages keep of the frames before lies."""

    def __init__(self, vae: Any, shelf: Shelf) -> None:
        self._vae, self._shelf, decoder = vae, shelf, vae.decoder
        more_frames = list(reversed(vae.config.temperal_downsample))
        first = max([len(decoder.up_blocks) - 2, *(i + 1 for i, yes in enumerate(more_frames) if yes)])
        behind = ("norm_out", "nonlinearity", "conv_out")
        self._before, self._after = _split(decoder, first, ("conv_in", "mid_block"), behind)
        blocks = decoder.up_blocks[first:]
        enlarging = [
            getattr(block, "upsamplers", None) or getattr(block, "upsampler", None) for block in blocks
        ]
        factors = [1 if one is None else 2 for one in enlarging]
        # two in each layer, one behind each enlargement, and the last of all
        before = [1, *factors[:-1]]
        counts = [2 * len(block.resnets) + (f > 1) for block, f in zip(blocks, before, strict=True)]
        self._reach = _reach([*zip(counts, factors, strict=True), (1, 1)])
        self._enlarged = math.prod(factors)
        self._count = 2 + vae._cached_conv_counts["decoder"]  # the halves have two stages more
        self._kept: list[Any] = [None] * self._count  # what convolutions keep of the frames before
        self._kept_behind: _Kept | None = None

    def decode(self, hidden: torch.Tensor, *, is_first: bool) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield the frames of the video's next latent (1, C, 1, h, w) by bands: rows, and what is in them (1,
        3, f, rows, W)."""
        more = {"first_chunk": True} if is_first else {}
        number = [0]
        middle = self._before(hidden, feat_cache=self._kept, feat_idx=number, **more)
        self._kept[number[0] - 1] = None  # the last stage is the other half's
        kept = self._kept_behind = self._kept_behind or _Kept(middle.shape[-2], self._reach, self._shelf)
        patch = self._vae.config.patch_size
        scale = self._enlarged * (patch or 1)
        process.give_back()
        for band in self._bands(middle):
            given = middle[:, :, :, band.seen].contiguous()
            out = self._after(given, feat_cache=_Seen(kept, band), feat_idx=[0], **more)
            if patch is not None:
                from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

                out = unpatchify(out, patch_size=patch)
            yield band.place(scale), out[:, :, :, band.own(scale)]
            del out  # before the next is made
        kept.end()

    def _bands(self, middle: torch.Tensor) -> list[Band]:
        widest = max(self._vae.decoder.conv_out.in_channels, self._vae.decoder.conv_out.out_channels)
        row = middle.shape[2] * widest * middle.shape[-1] * self._enlarged**2 * middle.element_size()
        return bands(middle.shape[-2], self._reach, row, middle.device.type)


class LtxDecoder:
    """LTX's and LTX-2's decoder, for pieces of a video."""

    def __init__(self, vae: Any) -> None:
        self._decoder = decoder = vae.decoder
        last = decoder.up_blocks[-1]
        behind = ("norm_out", "conv_act", "conv_out")
        before, self._after = _split(decoder, len(decoder.up_blocks) - 1, ("conv_in", "mid_block"), behind)
        vars(before)["_modules"]["time_embedder"] = None
        self._before = before
        self._patch = decoder.patch_size_t, decoder.patch_size
        for half in (before, self._after):
            vars(half).update(patch_size=1, patch_size_t=1)
            modules = vars(half)["_modules"]
            if any(getattr(one, "per_channel_scale1", None) is not None for one in decoder.modules()):
                modules["up_blocks"] = nn.ModuleList(map(_Seeded, modules["up_blocks"]))
                modules["mid_block"] = _Seeded(modules["mid_block"])
        stride = (1, 1, 1) if last.upsamplers is None else last.upsamplers[0].stride
        # two in each layer, one before the enlargement, and the last of all
        in_front = 2 * (last.conv_in is not None) + (last.upsamplers is not None)
        self._reach = _reach([(in_front, stride[1]), (2 * len(last.resnets) + 1, 1)])
        self._longer, self._enlarged = stride[0], stride[1]

    def decode(self, latents: torch.Tensor, temb: Any) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield the frames of ``latents`` (1, C, f, h, w) by bands: rows, and (1, 3, F, rows, W)."""
        middle = self._before(latents, temb)
        process.give_back()
        for band in self._bands(middle):
            place, own = band.place(self._enlarged * self._patch[1]), band.own(self._enlarged)
            yield place, self._pixels(self._after(middle[:, :, :, band.seen], temb)[:, :, :, own])

    def _pixels(self, out: torch.Tensor) -> torch.Tensor:
        """Spread the channels over the pixels, as the decoder does last of all: only those of a band's own
        rows, as that takes three times their memory. A function of its own, so that ``out`` is gone then."""
        longer, larger = self._patch
        out = out.unflatten(1, (-1, longer, larger, larger))  # (1, 3, longer, columns, rows, f, h, w)
        return out.permute(0, 1, 5, 2, 6, 4, 7, 3).flatten(6, 7).flatten(4, 5).flatten(2, 3)

    def _bands(self, middle: torch.Tensor) -> list[Band]:
        conv = self._decoder.conv_out.conv
        widest = max(conv.in_channels, conv.out_channels) * self._longer * middle.shape[2]
        row = widest * middle.shape[-1] * self._enlarged**2 * middle.element_size()
        return bands(middle.shape[-2], self._reach, row, middle.device.type)


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
    """Decode latents (1, C, f, h, w) with Wan's decoder: a latent at a time, 1 frame and then 4 each, to the
    very bits of ``vae.decode``. The decoder looks back only, at what its convolutions keep of the latents
    before. That is kept here instead of in the module, so that another video may be decoded or encoded in
    between."""
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
                    process.give_back()  # else the holes that bands leave come to more than the frames
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
    for piece in raw_pieces(vae, latents.to(vae.dtype)):
        yield uint8(piece)


def overlapping(vae: Any, latents: torch.Tensor, temb: torch.Tensor | None = None) -> Iterator[np.ndarray]:
    """Decode latents (1, C, f, h, w) with LTX's decoder, which looks ahead, too: in pieces that overlap and
    are blended from one to the next, as its own decoding by frames does (``use_framewise_decoding``). temb:
    the decoder's time, for weights that take one (0.9.1 and later)."""
    ratio = vae.temporal_compression_ratio
    size, stride = vae.tile_sample_min_num_frames // ratio, vae.tile_sample_stride_num_frames // ratio
    blend = vae.tile_sample_min_num_frames - vae.tile_sample_stride_num_frames
    total, given = (latents.shape[2] - 1) * ratio + 1, 0
    kept: Frames | None = None  # of the piece before, what the next is blended with
    is_one = latents.shape[2] <= size
    with closing(Shelf()) as shelf:
        for i in range(0, 1 if is_one else latents.shape[2] - 1, stride):
            count = total if is_one else min(stride * ratio + (i == 0), total - given)
            process.give_back()
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


def encode_video(vae: Any, video: torch.Tensor) -> torch.Tensor:
    """Return the likeliest latents (1, C, f, h, w) of ``video`` (1, 3, F, H, W), -1..1, as the decoder takes
    them. A decoder of pictures gets a frame at a time."""
    video = video.to(device=vae.device, dtype=vae.dtype)
    with torch.no_grad():
        if not frames.is_video(vae):
            return torch.stack([frames.encode_pixels(vae, video[:, :, i]) for i in range(video.shape[2])], 2)
        encoded = vae.encode(video)
        return encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()


def tensor(pictures: Any) -> torch.Tensor:
    """Return RGB pictures of one size as (1, 3, F, H, W), -1..1."""
    stacked = torch.from_numpy(np.stack([np.asarray(picture.convert("RGB")) for picture in pictures]))
    return (stacked.permute(3, 0, 1, 2)[None].float() / 127.5) - 1
