"""Convolutions a stripe of rows at a time give what they give at once."""

import pytest
import torch
from torch import nn

from tests.vision.video import tiny_videos
from vision.video import decode
from vision.video.decode import striped


@pytest.mark.parametrize("padding", [(0, 0, 0), (0, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("rows", [1, 5, 64])
@torch.no_grad()
def test_any_number_of_rows_at_a_time_gives_the_same_numbers(
    padding: tuple[int, int, int], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    conv, given = nn.Conv3d(4, 6, 3, padding=padding), torch.randn(2, 4, 5, 12, 40)
    wanted = conv(given)
    monkeypatch.setattr(decode, "MOST_COPIED", rows * 4 * 27 * wanted.shape[2] * wanted.shape[4] * 4)
    with striped(conv):
        got = conv(given)
    assert got.shape == wanted.shape and (got - wanted).abs().max() < 1e-6
    assert "_conv_forward" not in vars(conv), "afterwards it is as it was"


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("rows", [30, 100, 200])
@torch.no_grad()
def test_pictures_are_convolved_in_stripes_to_the_bit(frames: int, rows: int, monkeypatch) -> None:
    torch.manual_seed(0)
    conv, given = nn.Conv2d(3, 3, 3, padding=1), torch.randn(frames, 3, 136, 240)
    wanted, seen = conv(given), list[int]()
    plain = nn.functional.conv2d
    monkeypatch.setattr(
        decode.functional, "conv2d", lambda x, *rest, **more: seen.append(1) or plain(x, *rest, **more)
    )
    monkeypatch.setattr(decode, "MOST_COPIED", rows * frames * 32 * 240 * 4)
    with striped(conv):
        assert torch.equal(conv(given), wanted)
    assert len(seen) == (1 if rows >= 136 else 2)


@torch.no_grad()
def test_no_more_is_convolved_at_once_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    convolved = []
    plain = nn.functional.conv3d
    monkeypatch.setattr(decode, "MOST_COPIED", 3 * 2 * 27 * 4 * 16 * 4)  # 3 rows
    monkeypatch.setattr(
        decode.functional,
        "conv3d",
        lambda x, *rest, **more: convolved.append(x.shape[3]) or plain(x, *rest, **more),
    )
    conv = nn.Conv3d(2, 3, 3, padding=1)
    with striped(conv):
        conv(torch.randn(1, 2, 4, 10, 16))
    assert convolved == [5, 5, 5, 3], "3 rows, then the last one, and one more on each side"


@torch.no_grad()
def test_what_has_strides_is_left_as_it_is() -> None:
    conv = nn.Conv3d(2, 3, 3, stride=2)
    with striped(conv):
        assert "_conv_forward" not in vars(conv)


@pytest.mark.parametrize(("make", "channels"), [(tiny_videos.wan_vae, 16), (tiny_videos.ltx_vae, 8)])
@torch.no_grad()
def test_decoders_of_videos_give_the_same_bits_in_stripes(make, channels: int, monkeypatch) -> None:
    torch.set_num_threads(1)
    vae, generator = make(), torch.Generator().manual_seed(1)
    latents = torch.randn(1, channels, 3, 6, 10, generator=generator)
    wanted = vae.decode(latents).sample
    monkeypatch.setattr(decode, "MOST_COPIED", 2**18)
    with striped(vae.decoder):
        assert torch.equal(vae.decode(latents).sample, wanted)
