"""Decoders of films in two halves. The last stages, whose frames are the largest, work on a band of rows at a
time, with as many rows more on each side as they look at: what comes out is what they make of whole frames.

Names that begin with an underscore are diffusers 0.42's; tests compare with ``decode``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vision import background
from vision.video.rows import Frames, Shelf

MOST = {"cpu": 6 * 2**20}  # bytes of a band in its widest layer, by device
OTHER = 512 * 2**20  # on any other, where each band is many calls
LOOKS_BACK = 2  # frames, of Wan's convolutions at most
LEAST = 2  # times the rows that the stages look at on each side: bands see twice as much, at most


@dataclass(frozen=True)
class Band:
    """Rows ``begin`` to ``end`` of what the last stages are given; they see those from ``first`` to
    ``last``."""

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
    their numbers. A band sees its rows as they were and puts its own anew, in the same place."""

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
    """Wan's decoder, for one film. It isn't split before the last stage that makes two frames of one.

    shelf: where what the last stages keep of the frames before lies.
    """

    def __init__(self, vae: Any, shelf: Shelf) -> None:
        self._vae, self._shelf, decoder = vae, shelf, vae.decoder
        more_frames = list(reversed(vae.config.temperal_downsample))
        first = max([len(decoder.up_blocks) - 2, *(i + 1 for i, yes in enumerate(more_frames) if yes)])
        behind = ("norm_out", "nonlinearity", "conv_out")
        self._before, self._after = _split(decoder, first, ("conv_in", "mid_block"), behind)
        blocks = decoder.up_blocks[first:]
        factors = [2 if _enlarges(block) else 1 for block in blocks]
        # two in each layer, one behind each enlargement, and the last of all
        before = [1, *factors[:-1]]
        counts = [2 * len(block.resnets) + (f > 1) for block, f in zip(blocks, before, strict=True)]
        self._reach = _reach([*zip(counts, factors, strict=True), (1, 1)])
        self._enlarged = math.prod(factors)
        self._count = 2 + vae._cached_conv_counts["decoder"]  # the halves have two stages more
        self._kept: list[Any] = [None] * self._count  # what convolutions keep of the frames before
        self._kept_behind: _Kept | None = None

    def decode(self, hidden: torch.Tensor, *, is_first: bool) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield the frames of the film's next latent (1, C, 1, h, w) by bands: rows, and what is in them (1,
        3, f, rows, W)."""
        more = {"first_chunk": True} if is_first else {}
        number = [0]
        middle = self._before(hidden, feat_cache=self._kept, feat_idx=number, **more)
        self._kept[number[0] - 1] = None  # the last stage is the other half's
        kept = self._kept_behind = self._kept_behind or _Kept(middle.shape[-2], self._reach, self._shelf)
        patch = self._vae.config.patch_size
        scale = self._enlarged * (patch or 1)
        background.give_back()
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


def _enlarges(block: Any) -> bool:
    return (getattr(block, "upsamplers", None) or getattr(block, "upsampler", None)) is not None


class LtxDecoder:
    """LTX's and LTX-2's decoder, for pieces of a film."""

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
        """Yield the frames of ``latents`` (1, C, f, h, w) by bands: rows, and what is in them (1, 3, F, rows,
        W)."""
        middle = self._before(latents, temb)
        background.give_back()
        for band in self._bands(middle):
            place, own = band.place(self._enlarged * self._patch[1]), band.own(self._enlarged)
            yield place, self._pixels(self._after(middle[:, :, :, band.seen], temb)[:, :, :, own])

    def _pixels(self, out: torch.Tensor) -> torch.Tensor:
        """Spread the channels over the pixels, as the decoder does last of all: only those of a band's own
        rows, as that takes three times their memory."""
        longer, larger = self._patch
        out = out.unflatten(1, (-1, longer, larger, larger))  # (1, 3, longer, columns, rows, f, h, w)
        return out.permute(0, 1, 5, 2, 6, 4, 7, 3).flatten(6, 7).flatten(4, 5).flatten(2, 3)

    def _bands(self, middle: torch.Tensor) -> list[Band]:
        conv = self._decoder.conv_out.conv
        widest = max(conv.in_channels, conv.out_channels) * self._longer * middle.shape[2]
        row = widest * middle.shape[-1] * self._enlarged**2 * middle.element_size()
        return bands(middle.shape[-2], self._reach, row, middle.device.type)
