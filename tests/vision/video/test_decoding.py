"""Films are decoded a piece at a time, to the bits of decoding them as a whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import tiny
from tests.vision.video import tiny_films
from vision.pictures import pixels
from vision.video import decoding

SECOND = {
    "patch_size": 2,
    "in_channels": 12,
    "out_channels": 12,
    "scale_factor_spatial": 16,
    "is_residual": True,
}


def whole(decoded: torch.Tensor) -> np.ndarray:
    return pixels.to_uint8(decoded[0].transpose(0, 1))


@pytest.mark.parametrize("more", [{}, SECOND], ids=["2.1", "2.2"])
@torch.no_grad()
def test_wans_decoder_latent_by_latent_gives_the_bits_of_the_whole(more: dict) -> None:
    vae = tiny_films.wan_vae(**more)
    latents = torch.randn(1, 16, 5, 4, 6, generator=torch.Generator().manual_seed(1))
    pieces = list(decoding.causal(vae, latents))
    assert [len(piece) for piece in pieces] == [1, 4, 4, 4, 4]
    assert np.array_equal(np.concatenate(pieces), whole(vae.decode(latents).sample))


@torch.no_grad()
def test_two_films_are_decoded_and_a_third_encoded_in_between() -> None:
    vae = tiny_films.wan_vae()
    films = [torch.randn(1, 16, 3, 4, 4, generator=torch.Generator().manual_seed(i)) for i in (1, 2)]
    wanted = [whole(vae.decode(film).sample) for film in films]
    running = [decoding.causal(vae, film) for film in films]
    got: list[list[np.ndarray]] = [[], []]
    for _ in range(3):
        for i, pieces in enumerate(running):
            got[i].append(next(pieces))
            vae.encode(torch.zeros(1, 3, 5, 32, 32))
    assert all(np.array_equal(np.concatenate(got[i]), wanted[i]) for i in (0, 1))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@torch.no_grad()
def test_ltxs_decoder_in_overlapping_pieces_gives_the_bits_of_its_own(count: int) -> None:
    vae = tiny_films.ltx_vae()
    latents = torch.randn(1, 8, count, 2, 3, generator=torch.Generator().manual_seed(1))
    pieces = list(decoding.overlapping(vae, latents))
    vae.use_framewise_decoding = True
    wanted = whole(vae.decode(latents).sample)
    got = np.concatenate(pieces)
    assert len(got) == 8 * (count - 1) + 1
    assert np.array_equal(got, wanted)
    assert max(map(len, pieces)) <= 9


@torch.no_grad()
def test_large_frames_of_ltx_are_decoded_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = tiny_films.ltx_vae()
    latents = torch.randn(1, 8, 3, 6, 8, generator=torch.Generator().manual_seed(1))
    vae.enable_tiling(tile_sample_min_height=64, tile_sample_min_width=64)
    vae.tile_sample_stride_height = vae.tile_sample_stride_width = 48
    vae.use_framewise_decoding = True
    wanted = whole(vae.decode(latents).sample)
    vae.use_tiling = False
    assert not np.array_equal(np.concatenate(list(decoding.overlapping(vae, latents))), wanted)
    monkeypatch.setattr(decoding, "LARGE", 128 * 96 - 1)
    assert np.array_equal(np.concatenate(list(decoding.overlapping(vae, latents))), wanted)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@torch.no_grad()
def test_cogvideoxs_decoder_in_pairs_gives_the_bits_of_the_whole(count: int) -> None:
    vae = tiny_films.cogvideox_vae()
    latents = torch.randn(1, 4, count, 4, 6, generator=torch.Generator().manual_seed(1))
    pieces = list(decoding.in_pairs(vae, latents))
    assert np.array_equal(np.concatenate(pieces), whole(vae.decode(latents).sample))
    assert max(map(len, pieces)) <= 9


@torch.no_grad()
def test_a_decoder_of_pictures_decodes_frame_by_frame() -> None:
    vae = tiny.stable_diffusion().vae.eval()
    latents = torch.randn(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    pieces = list(decoding.one_by_one(vae, latents))
    assert [piece.shape for piece in pieces] == [(1, 64, 64, 3)] * 3
    assert np.array_equal(pieces[1], pixels.to_uint8(vae.decode(latents[:, :, 1]).sample))


def test_what_is_no_number_is_not_decoded() -> None:
    latents = torch.zeros(1, 4, 2, 2, 2)
    latents[0, 0, 1, 1, 1] = float("nan")
    with pytest.raises(decoding.BlankFilm, match="numbers that are none"):
        decoding.check(latents)


def test_pictures_become_a_tensor_and_are_encoded_frame_by_frame_or_as_one() -> None:
    frames = [tiny.picture(32, 32, i) for i in range(5)]
    video = decoding.tensor(frames)
    assert video.shape == (1, 3, 5, 32, 32) and -1 <= video.min() and video.max() <= 1
    assert decoding.encode(tiny.stable_diffusion().vae, video).shape == (1, 4, 5, 4, 4)
    assert decoding.encode(tiny_films.wan_vae(), video).shape == (1, 16, 2, 4, 4)
