"""Videos are decoded a piece at a time, as decoding them as a whole would have them."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch

from tests.support import tiny
from tests.vision.video import tiny_videos
from vision.diffusion.vae import pixels_of
from vision.video import decode

SECOND = {
    "patch_size": 2,
    "in_channels": 12,
    "out_channels": 12,
    "scale_factor_spatial": 16,
    "is_residual": True,
}


def whole(decoded: torch.Tensor) -> np.ndarray:
    return pixels_of(decoded[0].transpose(0, 1))


def apart(got: np.ndarray, wanted: np.ndarray) -> tuple[int, float]:
    """How far two videos are apart at most, of 255, and in how many of their values."""
    difference = np.abs(got.astype(int) - wanted)
    return int(difference.max()), float((difference > 0).mean())


@pytest.mark.parametrize("more", [{}, SECOND], ids=["2.1", "2.2"])
@torch.no_grad()
def test_wans_decoder_latent_by_latent_gives_what_it_gives_of_the_whole(more: dict) -> None:
    vae = tiny_videos.wan_vae(**more)
    latents = torch.randn(1, 16, 5, 4, 6, generator=torch.Generator().manual_seed(1))
    pieces = list(decode.causal(vae, latents))
    assert [len(piece) for piece in pieces] == [1, 4, 4, 4, 4]
    most, share = apart(np.concatenate(pieces), whole(vae.decode(latents).sample))
    assert most <= 1 and share < 1e-3, "rounding alone"


@torch.no_grad()
def test_two_videos_are_decoded_and_a_third_encoded_in_between() -> None:
    vae = tiny_videos.wan_vae()
    videos = [torch.randn(1, 16, 3, 4, 4, generator=torch.Generator().manual_seed(i)) for i in (1, 2)]
    wanted = [whole(vae.decode(video).sample) for video in videos]
    running = [decode.causal(vae, video) for video in videos]
    got: list[list[np.ndarray]] = [[], []]
    for _ in range(3):
        for i, pieces in enumerate(running):
            got[i].append(next(pieces))
            vae.encode(torch.zeros(1, 3, 5, 32, 32))
    assert all(apart(np.concatenate(got[i]), wanted[i])[0] <= 1 for i in (0, 1))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@torch.no_grad()
def test_ltxs_decoder_in_overlapping_pieces_gives_the_bits_of_its_own(count: int) -> None:
    vae = tiny_videos.ltx_vae()
    latents = torch.randn(1, 8, count, 2, 3, generator=torch.Generator().manual_seed(1))
    pieces = list(decode.overlapping(vae, latents))
    vae.use_framewise_decoding = True
    wanted = whole(vae.decode(latents).sample)
    got = np.concatenate(pieces)
    assert len(got) == 8 * (count - 1) + 1
    assert np.array_equal(got, wanted)
    assert max(map(len, pieces)) <= 9


NOISY = {"decoder_inject_noise": (True, True, True, False), "timestep_conditioning": True}


@torch.no_grad()
def test_ltxs_decoder_that_adds_noise_adds_the_same_each_time() -> None:
    vae = tiny_videos.ltx_vae(**NOISY)
    for layer in vae.decoder.modules():
        if getattr(layer, "per_channel_scale1", None) is not None:
            layer.per_channel_scale1.fill_(0.5)
    latents = torch.randn(1, 8, 2, 2, 3, generator=torch.Generator().manual_seed(1))
    one, again = (next(decode.overlapping(vae, latents, torch.tensor([0.05]))) for _ in range(2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, whole(vae.decoder(latents, torch.tensor([0.05])))), "noise of its own"


@torch.no_grad()
def test_a_decoder_whose_weights_are_brought_when_they_are_needed_decodes_too() -> None:
    from accelerate import cpu_offload

    vae, other = (tiny_videos.ltx_vae(timestep_conditioning=True) for _ in range(2))
    other.load_state_dict(vae.state_dict())
    latents, time = torch.randn(1, 8, 2, 2, 3), torch.tensor([0.05])
    wanted = np.concatenate(list(decode.overlapping(vae, latents, time)))
    cpu_offload(other, execution_device=torch.device("cpu"))
    assert next(other.decoder.parameters()).device.type == "meta"
    assert np.array_equal(np.concatenate(list(decode.overlapping(other, latents, time))), wanted)


@torch.no_grad()
def test_tiles_of_frames_are_decoded_as_they_are_within_them_and_meet_without_a_step() -> None:
    vae, seen = tiny_videos.ltx_vae(), []
    latents = torch.randn(1, 8, 2, 6, 34, generator=torch.Generator().manual_seed(1))
    wanted = np.concatenate(list(decode.overlapping(vae, latents)))

    def of_part(part: torch.Tensor) -> Iterator[np.ndarray]:
        seen.append(part.shape[-2:])
        return decode.overlapping(vae, part)

    pieces = list(decode.in_tiles(of_part, latents))
    assert seen == [(6, 24)] * 2, "the last of a row ends with the frame"
    assert [len(piece) for piece in pieces] == [0, 0, 9], "each piece of a tile gives a sign of life"
    assert {piece.shape[1:] for piece in pieces} == {wanted.shape[1:]}
    difference = np.abs(np.concatenate(pieces).astype(int) - wanted)
    assert difference[:, :, : 10 * 16].max() <= 1 and difference[:, :, 24 * 16 :].max() <= 1, "in one tile"
    assert 0 < difference.max() <= 16, "where two meet"


@torch.no_grad()
def test_a_frame_no_larger_than_a_tile_is_decoded_as_one() -> None:
    vae = tiny_videos.wan_vae()
    latents = torch.randn(1, 16, 2, 4, 6, generator=torch.Generator().manual_seed(1))
    whole_frames = np.concatenate(list(decode.causal(vae, latents)))
    in_tiles = np.concatenate(list(decode.in_tiles(partial(decode.causal, vae), latents)))
    assert np.array_equal(in_tiles, whole_frames)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@torch.no_grad()
def test_cogvideoxs_decoder_in_pairs_gives_the_bits_of_the_whole(count: int) -> None:
    vae = tiny_videos.cogvideox_vae()
    latents = torch.randn(1, 4, count, 4, 6, generator=torch.Generator().manual_seed(1))
    pieces = list(decode.in_pairs(vae, latents))
    assert np.array_equal(np.concatenate(pieces), whole(vae.decode(latents).sample))
    assert max(map(len, pieces)) <= 9


@pytest.mark.parametrize("count", [1, 2, 4])
@torch.no_grad()
def test_hunyuans_decoder_latent_by_latent_gives_what_it_gives_of_the_whole(count: int) -> None:
    vae = tiny_videos.hunyuan_vae()
    latents = torch.randn(1, 4, count, 4, 6, generator=torch.Generator().manual_seed(1))
    wanted = vae.decode(latents).sample
    decode.attend_in_turn(vae)
    pieces = list(decode.raw_pieces(vae, latents))
    assert [piece.shape[2] for piece in pieces] == [1, *[4] * (count - 1)]
    assert (torch.cat(pieces, 2) - wanted).abs().max() < 1e-5
    assert (vae.decode(latents).sample - wanted).abs().max() < 1e-5, "afterwards it is as it was"
    assert [len(piece) for piece in decode.in_turn(vae, latents)] == [1, *[4] * (count - 1)]


@torch.no_grad()
def test_hunyuans_attention_frame_by_frame_gives_what_it_gives_at_once() -> None:
    vae, video = tiny_videos.hunyuan_vae(), torch.randn(1, 3, 9, 32, 32)
    wanted = vae.encode(video).latent_dist.mode()
    decode.attend_in_turn(vae)
    assert (vae.encode(video).latent_dist.mode() - wanted).abs().max() < 1e-5


@torch.no_grad()
def test_a_decoder_of_pictures_decodes_frame_by_frame() -> None:
    vae = tiny.stable_diffusion().vae.eval()
    latents = torch.randn(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    pieces = list(decode.one_by_one(vae, latents))
    assert [piece.shape for piece in pieces] == [(1, 64, 64, 3)] * 3
    assert np.array_equal(pieces[1], pixels_of(vae.decode(latents[:, :, 1]).sample))


def test_what_is_no_number_is_not_decoded() -> None:
    latents = torch.zeros(1, 4, 2, 2, 2)
    latents[0, 0, 1, 1, 1] = float("nan")
    with pytest.raises(decode.BlankVideo, match="numbers that are none"):
        decode.check_latents(latents)


def test_pictures_are_encoded_frame_by_frame_or_as_one() -> None:
    video = [tiny.picture(32, 32, i) for i in range(5)]
    assert decode.encode_video(tiny.stable_diffusion().vae, video).shape == (1, 4, 5, 4, 4)
    assert decode.encode_video(tiny_videos.wan_vae(), video).shape == (1, 16, 2, 4, 4)
