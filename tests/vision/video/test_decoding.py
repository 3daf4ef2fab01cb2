"""Videos are decoded a piece at a time, to the bits of decoding them as a whole."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
import torch

from tests.support import tiny
from tests.vision.video import tiny_videos
from vision.diffusion.vae import pixels_of
from vision.video import decode
from vision.video.decode import Shelf

SECOND = {
    "patch_size": 2,
    "in_channels": 12,
    "out_channels": 12,
    "scale_factor_spatial": 16,
    "is_residual": True,
}


@pytest.fixture(params=[False, True], ids=["in memory", "in a file"])
def shelf(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """Where a decoder keeps what it needs of the pieces before: in memory, or in a file."""
    monkeypatch.setattr(decode, "IN_MEMORY", 0 if request.param else 2**40)
    with closing(Shelf()) as shelf:
        yield shelf
        assert (shelf.file is not None) == request.param


def whole(decoded: torch.Tensor) -> np.ndarray:
    return pixels_of(decoded[0].transpose(0, 1))


@pytest.mark.parametrize("more", [{}, SECOND], ids=["2.1", "2.2"])
@torch.no_grad()
def test_wans_decoder_latent_by_latent_gives_the_bits_of_the_whole(more: dict, monkeypatch) -> None:
    vae = tiny_videos.wan_vae(**more)
    monkeypatch.setattr(decode, "MOST", {"cpu": 1})  # as large frames are: in bands, and kept in a file
    monkeypatch.setattr(decode, "IN_MEMORY", 0)
    latents = torch.randn(1, 16, 5, 4, 6, generator=torch.Generator().manual_seed(1))
    pieces = list(decode.causal(vae, latents))
    assert [len(piece) for piece in pieces] == [1, 4, 4, 4, 4]
    assert np.array_equal(np.concatenate(pieces), whole(vae.decode(latents).sample))


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
    assert all(np.array_equal(np.concatenate(got[i]), wanted[i]) for i in (0, 1))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@torch.no_grad()
def test_ltxs_decoder_in_overlapping_pieces_gives_the_bits_of_its_own(count: int, monkeypatch) -> None:
    monkeypatch.setattr(decode, "IN_MEMORY", 0 if count % 2 else 2**40)
    vae = tiny_videos.ltx_vae()
    latents = torch.randn(1, 8, count, 2, 3, generator=torch.Generator().manual_seed(1))
    pieces = list(decode.overlapping(vae, latents))
    vae.use_framewise_decoding = True
    wanted = whole(vae.decode(latents).sample)
    got = np.concatenate(pieces)
    assert len(got) == 8 * (count - 1) + 1
    assert np.array_equal(got, wanted)
    assert max(map(len, pieces)) <= 9


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, SECOND], ids=["2.1", "2.2"])
@torch.no_grad()
def test_wans_large_frames_are_decoded_in_bands_to_the_bits_of_the_whole(
    more: dict, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    vae = tiny_videos.wan_vae(**more)
    latents = torch.randn(1, 16, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    wanted = vae.decode(latents).sample.clamp(-1, 1)
    monkeypatch.setattr(decode, "MOST", {"cpu": 1})
    decoder, hidden, at = decode.WanDecoder(vae, shelf), vae.post_quant_conv(latents), 0
    for i in range(3):
        bands = list(decoder.decode(hidden[:, :, i : i + 1], is_first=i == 0))
        assert len(bands) == 5
        for band, out in bands:
            frames = slice(at, at + out.shape[2])
            assert torch.equal(out.clamp(-1, 1), wanted[:, :, frames, band])
        at += out.shape[2]
    assert at == 9


NOISY = {"decoder_inject_noise": (True, True, True, False), "timestep_conditioning": True}


@pytest.mark.parametrize("make", [tiny_videos.ltx_vae, lambda: tiny_videos.ltx2().vae.eval()])
@torch.no_grad()
def test_ltxs_large_frames_are_decoded_in_bands_without_a_seam(make, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = make()
    latents = torch.randn(1, vae.config.latent_channels, 3, 12, 4, generator=torch.Generator().manual_seed(1))
    wanted = vae.decoder(latents)
    monkeypatch.setattr(decode, "MOST", {"cpu": 1})
    bands = list(decode.LtxDecoder(vae).decode(latents, None))
    assert len(bands) > 2
    assert max((out - wanted[:, :, :, band]).abs().max() for band, out in bands) < 1e-5
    got = np.concatenate(list(decode.overlapping(vae, latents)))
    assert np.abs(got[:9].astype(int) - whole(wanted)[:9]).max() <= 1


@torch.no_grad()
def test_ltxs_decoder_that_adds_noise_adds_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = tiny_videos.ltx_vae(**NOISY)
    for layer in vae.decoder.modules():
        if getattr(layer, "per_channel_scale1", None) is not None:
            layer.per_channel_scale1.fill_(0.5)
    latents = torch.randn(1, 8, 2, 2, 3, generator=torch.Generator().manual_seed(1))
    one, again = (next(decode.overlapping(vae, latents, torch.tensor([0.05]))) for _ in range(2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, whole(vae.decoder(latents, torch.tensor([0.05])))), "noise of its own"


@torch.no_grad()
def test_a_decoder_whose_weights_are_brought_when_they_are_needed_is_split_too() -> None:
    from accelerate import cpu_offload

    vae, other = (tiny_videos.ltx_vae(timestep_conditioning=True) for _ in range(2))
    other.load_state_dict(vae.state_dict())
    latents, time = torch.randn(1, 8, 2, 2, 3), torch.tensor([0.05])
    wanted = np.concatenate(list(decode.overlapping(vae, latents, time)))
    cpu_offload(other, execution_device=torch.device("cpu"))
    assert next(other.decoder.parameters()).device.type == "meta"
    assert np.array_equal(np.concatenate(list(decode.overlapping(other, latents, time))), wanted)


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


def test_pictures_become_a_tensor_and_are_encoded_frame_by_frame_or_as_one() -> None:
    video = decode.tensor([tiny.picture(32, 32, i) for i in range(5)])
    assert video.shape == (1, 3, 5, 32, 32) and -1 <= video.min() and video.max() <= 1
    assert decode.encode_video(tiny.stable_diffusion().vae, video).shape == (1, 4, 5, 4, 4)
    assert decode.encode_video(tiny_videos.wan_vae(), video).shape == (1, 16, 2, 4, 4)
